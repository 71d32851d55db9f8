"""RealEstate10K as pixelSplat's authors pass it on: ``.torch`` files of many scenes each, written out as captures.

A file holds a list of scenes: ``key``, ``url``, ``timestamps`` (n, microseconds), ``images`` (n tensors of the bytes of a
JPEG) and ``cameras`` (n, 18; a row as in RealEstate10K's own files, but for the time).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from novelview.data.decode import read_header
from novelview.data.formats.paths import readable
from novelview.data.formats.re10k import CAMERA_NUMBERS, pixel_intrinsics, world_to_camera
from novelview.errors import CheckpointError, DataError
from novelview.files import atomic_folder, atomic_write_json, atomic_write_text
from novelview.progress import track
from novelview.safe_pickle import load_tensors

LIST = "scenes.txt"
_SCENE = "scene.json"
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}  # By how the file begins.
_KEY = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Unpacked:
    """What became of some chunks.

    Attributes:
        list: text file that names all scenes of the folder, for ``novelview train --more``.
        written: how many scenes were written.
        present: how many were there already.
    """

    list: Path
    written: int
    present: int


def unpack_chunks(chunks: Sequence[Path], out: Path) -> Unpacked:
    """Write every scene of some chunks as a folder in ``out``: ``scene.json`` in LVSM's format, images byte for byte.

    Scenes that are there already are left alone, so that what was interrupted goes on where it stopped. Nothing in the
    files is executed.

    Raises:
        DataError: a chunk is missing, damaged, wants to run code or holds something else; earlier scenes are written.
        OutputError: the folder cannot be written.
    """
    written = present = 0
    for chunk in track(chunks, len(chunks), "unpacking"):
        for number, item in enumerate(_items(chunk)):
            scene = _scene(item, chunk, number)
            folder = out / scene.key
            if (folder / _SCENE).exists():
                present += 1
                continue
            _write(scene, folder, chunk)
            written += 1
    names = sorted(
        file.parent.name for file in out.glob(f"*/{_SCENE}") if not file.parent.name.startswith(".")
    )
    atomic_write_text(out / LIST, "".join(f"{name}\n" for name in names))
    return Unpacked(out / LIST, written, present)


@dataclass(frozen=True)
class _Scene:
    key: str
    images: list[bytes]
    rows: Float64[np.ndarray, "n 18"]


def _items(chunk: Path) -> list[Any]:
    try:
        items = load_tensors(chunk)
    except CheckpointError as error:
        raise DataError(
            "Cannot read this chunk",
            where=chunk,
            why=error.why or error.what,
            cure="download or copy it again from its source",
        ) from error
    if not isinstance(items, list):
        raise _malformed(chunk, "a list of scenes", items)
    return items


def _scene(item: Any, chunk: Path, number: int) -> _Scene:
    """The item, checked: nothing in it is believed."""
    place = f"scene {number}"
    if not isinstance(item, dict):
        raise _malformed(chunk, f"{place}, a dictionary", item)
    key, images, cameras = (item.get(name) for name in ("key", "images", "cameras"))
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise _malformed(chunk, f"the key of {place}, letters and digits", key)
    if not isinstance(images, list) or not all(_is_bytes(image) for image in images):
        raise _malformed(chunk, f"the images of {place}, a list of tensors of bytes", images)
    if not _is_plain(cameras) or cameras.shape != (len(images), CAMERA_NUMBERS):
        raise _malformed(chunk, f"the cameras of {place}, {len(images)} rows of {CAMERA_NUMBERS}", cameras)
    rows = cameras.double().numpy()
    if not images or not bool(np.isfinite(rows).all()):
        raise _malformed(chunk, f"the cameras of {place}, at least one and finite", cameras)
    return _Scene(key, [image.numpy().tobytes() for image in images], rows)


def _is_bytes(image: Any) -> bool:
    return _is_plain(image) and image.dtype == torch.uint8 and image.ndim == 1


def _is_plain(value: Any) -> TypeGuard[Tensor]:
    """Whether it is a tensor of real numbers in memory: files can hold sparse, quantised and empty shells of tensors."""
    dense = type(value) is Tensor and value.device.type == "cpu" and value.layout == torch.strided
    return dense and not (value.is_quantized or value.is_complex() or value.requires_grad)


def _write(scene: _Scene, folder: Path, chunk: Path) -> None:
    with atomic_folder(folder) as temporary:
        frames = []
        for i, (image, row) in enumerate(zip(scene.images, scene.rows, strict=True)):
            suffix = next((each for start, each in _SUFFIXES.items() if image.startswith(start)), "")
            name = f"images/{i:05d}{suffix}"
            file = temporary / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(image)
            pose = np.vstack([world_to_camera(row), [0.0, 0.0, 0.0, 1.0]])
            size = _size(file, f"image {i} of scene {scene.key}", chunk)
            intrinsics = pixel_intrinsics(row, size)
            frames.append({"image_path": name, "fxfycxcy": list(intrinsics), "w2c": pose.tolist()})
        atomic_write_json(temporary / _SCENE, {"scene_name": scene.key, "frames": frames})


def _size(file: Path, place: str, chunk: Path) -> tuple[int, int]:
    """Width and height of an image that was just written."""
    try:
        return read_header(file).size
    except DataError as error:
        raise DataError(
            "An image in this chunk cannot be read",
            where=chunk,
            why=f"{place}: {error.why}",
            cure="download or copy the chunk again from its source",
        ) from error


def _malformed(chunk: Path, expected: str, found: Any) -> DataError:
    shape = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
    shown = f", {readable(repr(found))[:60]}" if isinstance(found, str | bytes | int) else ""
    return DataError(
        "This chunk does not hold scenes of RealEstate10K",
        where=chunk,
        why=f"expected {expected}; found a {type(found).__name__}{shape}{shown}",
        cure="name the .torch files of a data set in pixelSplat's format",
    )
