"""Depth maps in OpenEXR files, through the bindings of the format's authors (extra ``exr``), imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from novelview.errors import DataError, import_extra

# Where renderers put depth: as red of grey pictures, or under names of their own. Otherwise the first name of the alphabet.
_PREFERRED = ("R", "Z", "Y", "V")


def read_exr(path: Path) -> Float32[np.ndarray, "h w"]:
    """One channel of an EXR file as stored: red, else Z, Y or V, else the first; infinities are kept.

    Raises:
        MissingDependencyError: OpenEXR is not installed.
        DataError: the file is cropped or absurdly large. Damaged ones raise what OpenEXR raises.
    """
    openexr = import_extra("OpenEXR", "exr")
    if not path.is_file():
        raise FileNotFoundError(path)
    with openexr.File(str(path), header_only=True) as file:
        _check_window(file.header(), path)
    with openexr.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        name = next((name for name in _PREFERRED if name in channels), min(channels))
        return np.array(channels[name].pixels, dtype=np.float32)


def _check_window(header: dict[str, Any], path: Path) -> None:
    """Refuse pictures that are stored without their margins, and those too large to be true."""
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    if [[left, top], [right, bottom]] != [corner.tolist() for corner in header["displayWindow"]]:
        raise DataError(
            "A depth map is cropped",
            where=path,
            why="the data window of the EXR file is not its display window",
            cure="store all pixels of the image",
        )
    width, height = right - left + 1, bottom - top + 1
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise DataError(
            "A depth map is suspiciously large",
            where=path,
            why=f"{width} x {height} pixels, the limit is {limit / 1e6:.0f} million",
            cure="make it smaller first",
        )
