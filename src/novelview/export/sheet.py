"""Many pictures as one."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_GAP = 4  # White pixels between pictures.


def sheet(
    pictures: Float[Tensor, "n h w 3"], *, least: int = 160, columns: int | None = None
) -> Float[Tensor, "h2 w2 3"]:
    """All pictures in rows, in their order, small ones enlarged (bicubic).

    Args:
        pictures: one at least, colours in [0, 1].
        least: shorter side of each in pixels.
        columns: how many in a row; None: about as many as rows.
    """
    large = enlarged(pictures, least)
    count, height, width = large.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    padded = F.pad(large, (0, 0, 0, _GAP, 0, _GAP, 0, rows * columns - count), value=1.0)
    grid = padded.unflatten(0, (rows, columns)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
    return grid[: rows * (height + _GAP) - _GAP, : columns * (width + _GAP) - _GAP]


def enlarged(pictures: Float[Tensor, "n h w 3"], least: int) -> Float[Tensor, "n h2 w2 3"]:
    """Pictures whose shorter side has ``least`` pixels or more, enlarged by a whole number where it had less (bicubic)."""
    factor = math.ceil(least / min(pictures.shape[1:3]))
    if factor <= 1:
        return pictures
    large = F.interpolate(pictures.permute(0, 3, 1, 2), scale_factor=factor, mode="bicubic")
    return large.permute(0, 2, 3, 1).clamp(0, 1)
