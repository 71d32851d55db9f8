"""Layered depth maps as folders that a browser can show: a JSON file and two pictures. See docs/layers.md."""

from __future__ import annotations

import math
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
    columns: int
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
    # Graphics cards take squares of 4096 pixels everywhere, long strips hardly anywhere.
    columns = min(count, max(1, round(math.sqrt(count * height / width))))
    lossless = lossless or max(-(-count // columns) * height, columns * width) > _LONGEST_WEBP
    colour = "colour.png" if lossless else "colour.webp"
    intrinsics = layers.camera.intrinsics[0].tolist()
    file = _File(
        width=width,
        height=height,
        layers=count,
        columns=columns,
        focal=(intrinsics[0], intrinsics[1]),
        centre=(intrinsics[2], intrinsics[3]),
        camera_to_world=tuple(tuple(row) for row in layers.camera.camera_to_world[0].tolist()),
        near=layers.near,
        far=layers.far,
        colour=colour,
        shape="shape.png",
    )
    with atomic_folder(folder) as temporary:
        picture = Image.fromarray(to_bytes(_atlas(layers.rgb, columns)))
        picture.save(temporary / colour, quality=_QUALITY)
        Image.fromarray(_atlas(_shape(layers), columns).numpy()).save(temporary / file.shape)
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
    _check(path, file)
    colour, shape = (_picture(path, name, file) for name in (file.colour, file.shape))
    share = (256.0 * shape[..., 1] + shape[..., 2]) / 65535
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
        rgb=colour / 255,
        alpha=shape[..., 0] / 255,
        disparity=file.far + (index + share) * band,
    )


def _check(path: Path, file: _File) -> None:
    """Raise ``DataError`` where a description describes nothing."""
    why = None
    if min(file.width, file.height, file.layers, file.columns) < 1:
        why = "a size is below 1"
    elif [len(row) for row in file.camera_to_world] != [4, 4, 4]:
        why = "camera_to_world has not three rows of four numbers"
    elif not file.near > file.far >= 0 or not math.isfinite(file.near):
        why = f"near is {file.near} and far is {file.far}: disparities, of which near's is the larger one"
    elif not min(file.focal) > 0:
        why = f"a focal length is {min(file.focal)}"
    if why:
        raise DataError("This is no layered depth map", where=path, why=why, cure=_CURE)


def _atlas(planes: Tensor, columns: int) -> Tensor:
    """Layers (l, h, w, c) side by side in one picture, row by row; places that are left are 0."""
    count, height, width, channels = planes.shape
    rows = -(-count // columns)
    whole = planes.new_zeros(rows * columns, height, width, channels)
    whole[:count] = planes
    grid = whole.view(rows, columns, height, width, channels).transpose(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def _shape(layers: LayeredDepthMap) -> Tensor:
    """Opacity in red; where the layer lies in its band in green (upper byte) and blue (lower byte)."""
    count = len(layers.alpha)
    band = (layers.near - layers.far) / count
    index = torch.arange(count)[:, None, None]
    share = ((layers.disparity - layers.far) / band - index).clamp(0, 1)
    place = (share * 65535).round().to(torch.int64)
    opacity = (layers.alpha.clamp(0, 1) * 255).round().to(torch.int64)
    return torch.stack([opacity, place >> 8, place & 255], dim=-1).to(torch.uint8)


def _picture(path: Path, name: str, file: _File) -> Tensor:
    """The layers out of one of the two pictures, (l, h, w, 3), 0 to 255."""
    where = path.parent / Path(name).name
    try:
        with Image.open(where) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError("Cannot read a picture of layers", where=where, why=str(error), cure=_CURE) from error
    rows = -(-file.layers // file.columns)
    if pixels.shape[:2] != (rows * file.height, file.columns * file.width):
        raise DataError(
            "A picture of layers does not fit its description",
            where=where,
            why=f"it is {pixels.shape[1]}x{pixels.shape[0]}, not {file.columns * file.width}x{rows * file.height}",
            cure=_CURE,
        )
    grid = torch.from_numpy(pixels).view(rows, file.height, file.columns, file.width, 3)
    return grid.transpose(1, 2).flatten(0, 1)[: file.layers]
