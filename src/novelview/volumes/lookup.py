"""Look-ups in dense grids."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Coordinates = tuple[Tensor, Tensor, Tensor]


def trilinear(table: Float[Tensor, "x y z c"], position: Coordinates) -> Float[Tensor, "n c"]:
    """Values of a grid between its nodes.

    Args:
        table: values at the nodes; the outermost lie on the faces of the unit cube.
        position: x, y and z in the unit cube, a vector each; what lies outside is moved to the nearest face.
    """
    grid = torch.stack(position[::-1], dim=-1) * 2 - 1
    planes = table.permute(3, 0, 1, 2)[None]
    values = F.grid_sample(planes, grid[None, None, None], padding_mode="border", align_corners=True)
    return values[0, :, 0, 0].T


def nearest(table: Float[Tensor, "x y z"], position: Coordinates) -> Float[Tensor, "*b"]:
    """Values of the cells that hold the positions; the cells fill the unit cube. No gradient."""
    row: Tensor | None = None
    for axis, count in zip(position, table.shape, strict=True):
        cell = (axis * count).to(torch.int64).clamp_(0, count - 1)
        row = cell if row is None else row.mul_(count).add_(cell)
    assert row is not None
    return table.reshape(-1).index_select(0, row.reshape(-1)).view(row.shape)


def flat(position: Coordinates) -> Coordinates:
    """The same positions as one vector per axis."""
    x, y, z = (axis.reshape(-1) for axis in position)
    return x, y, z
