"""Trilinear look-ups in dense grids, forward and backward, at the speed a CPU allows in plain PyTorch.

``F.grid_sample`` computes point by point; gathers and sums over whole vectors of points give the same values several
times faster on a CPU, forward and backward (measured in this folder's README). CUDA has fast kernels of its own, so
there it is ``grid_sample`` that is called. No gradient with respect to positions is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Coordinates = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Corners:
    """The eight grid nodes around each point and their weights, as vectors over points.

    Attributes:
        base: row of the lowest corner in the flattened grid.
        offsets: from it to the rows of all corners.
        weights: one vector per corner; they add up to 1.
    """

    base: Int[Tensor, " n"]
    offsets: tuple[int, ...]
    weights: tuple[Float[Tensor, " n"], ...]

    @staticmethod
    def around(position: Coordinates, shape: tuple[int, int, int]) -> Corners:
        """Corners around positions in the unit cube, whose faces carry the outermost nodes."""
        whole, part = [], []
        for axis, count in zip(position, shape, strict=True):
            scaled = (axis * (count - 1)).clamp_(0, (count - 1) * (1 - 1e-6))
            floor = scaled.to(torch.int64)
            whole.append(floor)
            part.append(scaled.sub_(floor))
        (x, y, z), (_, ny, nz) = part, shape
        low_x, low_y, low_z = 1 - x, 1 - y, 1 - z
        columns = low_x * low_y, low_x * y, x * low_y, x * y
        return Corners(
            base=whole[0].mul_(ny).add_(whole[1]).mul_(nz).add_(whole[2]),
            offsets=(0, 1, nz, nz + 1, ny * nz, ny * nz + 1, ny * nz + nz, ny * nz + nz + 1),
            weights=tuple(column * part for column in columns for part in (low_z, z)),
        )


class _Trilinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, base: Tensor, offsets: tuple[int, ...], *weights: Tensor) -> Tensor:
        ctx.save_for_backward(base, *weights)
        ctx.offsets, ctx.shape = offsets, table.shape
        values = table.new_empty(len(table), len(base))
        for plane, value in zip(table.flatten(1), values, strict=True):
            torch.mul(plane.index_select(0, base), weights[0], out=value)
            for offset, weight in zip(offsets[1:], weights[1:], strict=True):
                # A shifted view instead of shifted indices: one vector of indices serves all corners.
                value.addcmul_(plane[offset:].index_select(0, base), weight)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        base, *weights = ctx.saved_tensors
        table = gradients[0].new_zeros(ctx.shape)
        for plane, gradient in zip(table.flatten(1), gradients[0], strict=True):
            for offset, weight in zip(ctx.offsets, weights, strict=True):
                plane[offset:].scatter_add_(0, base, gradient * weight)
        return table, None, None, *(None for _ in weights)


def trilinear(table: Float[Tensor, "c x y z"], position: Coordinates) -> Float[Tensor, "c n"]:
    """Values of a grid between its nodes.

    Args:
        table: values at the nodes; the outermost lie on the faces of the unit cube.
        position: x, y and z in the unit cube, a vector each; what lies outside is moved to the nearest face.
    """
    if table.device.type != "cpu":
        return trilinear_reference(table, position)
    corners = Corners.around(position, (table.shape[1], table.shape[2], table.shape[3]))
    values: Tensor = _Trilinear.apply(table, corners.base, corners.offsets, *corners.weights)
    return values


def trilinear_reference(table: Float[Tensor, "c x y z"], position: Coordinates) -> Float[Tensor, "c n"]:
    """The same by ``F.grid_sample``."""
    grid = torch.stack(position[::-1], dim=-1) * 2 - 1
    values = F.grid_sample(table[None], grid[None, None, None], padding_mode="border", align_corners=True)
    return values[0, :, 0, 0]


def nearest(table: Float[Tensor, "x y z"], position: Coordinates) -> Float[Tensor, "*b"]:
    """Values of the cells that hold the positions; the cells fill the unit cube. No gradient."""
    row: Tensor | None = None
    for axis, count in zip(position, table.shape, strict=True):
        cell = (axis * count).to(torch.int64).clamp_(0, count - 1)
        row = cell if row is None else row.mul_(count).add_(cell)
    assert row is not None
    return table.reshape(-1).index_select(0, row.reshape(-1)).view(row.shape)
