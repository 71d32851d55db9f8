"""Layered depth maps as folders that a browser can show: a JSON file and two pictures. See docs/layers.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.config import from_json, to_json
from novelview.errors import DataError, NovelviewError
from novelview.export.frames import to_bytes
from novelview.fields import read_json_object
from novelview.files import atomic_folder, atomic_write_json
from novelview.layered import LayeredDepthMap

FORMAT = 1
# Longest side of a WebP picture; what is larger is written as PNG.
_LONGEST_WEBP = 16383
_QUALITY = 92
_CURE = "export it again"


@dataclass(frozen=True)
class _File:
    width: int
    height: int
    layers: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    camera_to_world: tuple[tuple[float, ...], ...]
    near: float
    far: float
    colour: str
    shape: str
    format: int = FORMAT


def write_layers(folder: str | Path, layers: LayeredDepthMap, *, lossless: bool = False) -> None:
    """Write a layered depth map, whole or not at all; raises ``OutputError`` where something is there already.

    Args:
        folder: new.
        layers: in the user's coordinates.
        lossless: keep every bit of the colours at 8 bits (PNG) instead of small files (WebP).
    """
    count, height, width = layers.alpha.shape
    lossless = lossless or max(count * height, width) > _LONGEST_WEBP
    colour = "colour.png" if lossless else "colour.webp"
    intrinsics = layers.camera.intrinsics[0].tolist()
    file = _File(
        width=width,
        height=height,
        layers=count,
        focal=(intrinsics[0], intrinsics[1]),
        centre=(intrinsics[2], intrinsics[3]),
        camera_to_world=tuple(tuple(row) for row in layers.camera.camera_to_world[0].tolist()),
        near=layers.near,
        far=layers.far,
        colour=colour,
        shape="shape.png",
    )
    with atomic_folder(folder) as temporary:
        picture = Image.fromarray(to_bytes(layers.rgb.reshape(count * height, width, 3)))
        picture.save(temporary / colour, quality=_QUALITY)
        Image.fromarray(_shape_bytes(layers)).save(temporary / file.shape)
        atomic_write_json(temporary / "layers.json", to_json(file))


def read_layers(folder: str | Path) -> LayeredDepthMap:
    """Read what :func:`write_layers` wrote.

    Raises:
        DataError: a file is missing, damaged, or does not fit the others.
    """
    path = Path(folder) / "layers.json"
    values = read_json_object(path, DataError).values
    if values.get("format") != FORMAT:
        raise DataError(
            f"Layers of format {values.get('format')!r} cannot be read",
            where=path,
            why=f"this version of novelview reads format {FORMAT}",
            cure="use the version of novelview that wrote them",
        )
    try:
        file = from_json(_File, values, where=path)
    except NovelviewError as error:
        raise DataError(error.what, where=error.where, why=error.why, cure=error.cure) from error
    colour, shape = (_picture(path, name, file) for name in (file.colour, file.shape))
    size = (file.layers, file.height, file.width)
    share = (256.0 * shape[..., 1] + shape[..., 2]).view(size) / 65535
    band = (file.near - file.far) / file.layers
    index = torch.arange(file.layers)[:, None, None]
    camera = Cameras.pinhole(
        torch.tensor([file.camera_to_world]),
        torch.tensor([*file.focal, *file.centre]),
        file.width,
        file.height,
    )
    return LayeredDepthMap(
        camera=camera,
        near=file.near,
        far=file.far,
        rgb=colour.view(*size, 3) / 255,
        alpha=shape[..., 0].view(size) / 255,
        disparity=file.far + (index + share) * band,
    )


def _shape_bytes(layers: LayeredDepthMap) -> np.ndarray:
    """Opacity in red; where the layer lies in its band in green (upper byte) and blue (lower byte)."""
    count, height, width = layers.alpha.shape
    band = (layers.near - layers.far) / count
    index = torch.arange(count)[:, None, None]
    share = ((layers.disparity - layers.far) / band - index).clamp(0, 1)
    place = (share * 65535).round().to(torch.int64)
    opacity = (layers.alpha.clamp(0, 1) * 255).round().to(torch.int64)
    planes = torch.stack([opacity, place >> 8, place & 255], dim=-1)
    return planes.reshape(count * height, width, 3).to(torch.uint8).numpy()


def _picture(path: Path, name: str, file: _File) -> Tensor:
    """One of the two pictures, (layers x height, width, 3), 0 to 255."""
    where = path.parent / Path(name).name
    try:
        with Image.open(where) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise DataError("Cannot read a picture of layers", where=where, why=str(error), cure=_CURE) from error
    if pixels.shape[:2] != (file.layers * file.height, file.width):
        raise DataError(
            "A picture of layers does not fit its description",
            where=where,
            why=f"it is {pixels.shape[1]}x{pixels.shape[0]}, not {file.width}x{file.layers * file.height}",
            cure=_CURE,
        )
    return torch.from_numpy(pixels)
