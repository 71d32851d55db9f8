"""A sequence as an ordinary capture: images, masks, ``transforms.json`` and ``captions.json`` in a folder of its own.

``transforms.json`` has the object's box as "aabb" and, under "novelview", facts that no other program knows: for the
sequence where it comes from and the way into this frame, for a frame its number and the statistics of its colours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import to_opengl
from novelview.data.captions import FILE as CAPTIONS
from novelview.data.co3d.check import TRANSFORMS, check_sequence
from novelview.data.co3d.colours import intensity
from novelview.data.co3d.crop import (
    Crop,
    Window,
    centre_window,
    foreground_window,
    windowed_camera,
    windowed_image,
)
from novelview.data.co3d.sequence import PosedSequence, UsableFrame
from novelview.data.decode import read_image, read_mask
from novelview.data.write import camera_fields
from novelview.errors import DataError
from novelview.files import atomic_folder, atomic_write_json
from novelview.geometry.images import resize_area

_QUALITY = 95  # Of JPEG, without subsampling of colours: photographs come as JPEG, nothing is gained by more.
_OTHER_PROPORTIONS = 1.0  # Pixels that rounding of sizes may move the border of an image.


@dataclass(frozen=True)
class Pictures:
    """What the pictures of all sequences look like.

    Attributes:
        size: of the shorter side in pixels.
        crop: "foreground", a square as near as can be to the middle of the mask; "centre", one in the middle of the
            image; "none", the whole image.
        antialias: see :func:`~novelview.data.co3d.crop.windowed_image`.
    """

    size: int = 256
    crop: Crop = "foreground"
    antialias: bool = True


def write_sequence(
    sequence: PosedSequence, category: str, folder: Path, pictures: Pictures, captions: Sequence[str]
) -> None:
    """Write a sequence, and check what was written before the folder gets its name.

    Raises:
        DataError: a photograph or a mask cannot be decoded or does not fit; nothing is left behind.
        OutputError: the folder cannot be written.
    """
    masked = all(frame.mask is not None for frame in sequence.frames)
    with atomic_folder(folder) as temporary, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for name in ("images", "masks")[: 1 + masked]:
            (temporary / name).mkdir()
        frames = list(
            threads.map(lambda frame: _write_frame(frame, temporary, pictures, masked), sequence.frames)
        )
        record = sequence.record
        facts = {
            "data_set": "CO3Dv2",
            "category": category,
            "sequence": record.name,
            "viewpoint_quality": record.viewpoint_quality,
            "point_cloud_quality": record.cloud_quality,
            "from_sequence": sequence.recentring.motion.to_json(),
            "level": sequence.recentring.level,
        }
        document = {
            "camera_model": "PINHOLE",
            "aabb": sequence.recentring.box.tolist(),
            "novelview": facts,
            "frames": frames,
        }
        atomic_write_json(temporary / TRANSFORMS, document)
        atomic_write_json(temporary / CAPTIONS, list(captions))
        check_sequence(temporary)


def _write_frame(frame: UsableFrame, folder: Path, pictures: Pictures, masked: bool) -> dict[str, Any]:
    """Write image and mask; gives the frame's entry in the document."""
    image = read_image(frame.image)[..., :3]
    mask = _fitting_mask(frame.mask, image) if masked and frame.mask is not None else None
    window = _window(image, mask, pictures.crop)
    camera = windowed_camera(_fitting_camera(frame, image), window, pictures.size)
    stem = f"frame{frame.number:06d}"
    entry: dict[str, Any] = {"file_path": f"images/{stem}.jpg", **camera_fields(camera)}
    pose = to_opengl(camera.camera_to_world)[0].tolist()
    entry["transform_matrix"] = [*pose, [0.0, 0.0, 0.0, 1.0]]
    pixels = _bytes(windowed_image(image, window, pictures.size, pictures.antialias))
    stored = folder / entry["file_path"]
    Image.fromarray(pixels.numpy()).save(stored, quality=_QUALITY, subsampling=0)
    if mask is not None:
        entry["mask_path"] = f"masks/{stem}.png"
        coverage = _bytes(windowed_image(mask, window, pictures.size, pictures.antialias))[..., 0]
        # Nothing but zeros and ones of 255 would pass for labels.
        Image.fromarray((coverage * (coverage.max() > 1)).numpy()).save(folder / entry["mask_path"])
    mean, variance = intensity(read_image(stored))
    entry["novelview"] = {"number": frame.number, "intensity_mean": mean, "intensity_variance": variance}
    return entry


def _window(image: Float[Tensor, "h w 3"], mask: Float[Tensor, "h w 1"] | None, crop: Crop) -> Window:
    height, width = image.shape[:2]
    if crop == "foreground" and mask is not None:
        return foreground_window(mask[..., 0])
    return Window(0, 0, width, height) if crop == "none" else centre_window(width, height)


def _fitting_camera(frame: UsableFrame, image: Float[Tensor, "h w 3"]) -> Cameras:
    """The camera for the image as it is stored, which may be smaller than the annotations say."""
    (height, width), (stated_width, stated_height) = image.shape[:2], frame.camera.sizes[0].tolist()
    off = abs(width / stated_width - height / stated_height) * max(stated_width, stated_height)
    if off > _OTHER_PROPORTIONS:
        raise DataError(
            "An image does not fit its annotation",
            where=frame.image,
            why=f"it is {width}x{height}, the annotation says {stated_width}x{stated_height}",
            cure="download the image again",
        )
    return frame.camera.resized(width, height)


def _fitting_mask(path: Path, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 1"]:
    height, width = image.shape[:2]
    return resize_area(read_mask(path), width, height)


def _bytes(values: Float[Tensor, "h w c"]) -> Tensor:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)
