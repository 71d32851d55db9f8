"""Sheets of pictures for pages."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from novelview.export.frames import to_bytes
from novelview.export.sheet import sheet
from novelview.files import atomic_file


def draw(path: Path, pictures: Float[Tensor, "n h w 3"], columns: int) -> None:
    """Write pictures in rows, as JPEG: noise that a network left makes PNG files large."""
    with atomic_file(path) as temporary:
        picture = Image.fromarray(to_bytes(sheet(pictures, least=96, columns=columns)))
        picture.save(temporary, format="JPEG", quality=85)
