"""Interpolation as a fixed sparse map: each value is a weighted sum of a few rows of a table.

Where cameras stand still, so do rows and weights: they are found once for all layers and steps. On a CPU the map, applied to
rows of 16 channels, takes a seventh of the time of ``grid_sample`` on the same grid, and its gradient a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Interpolation:
    """A linear map from the rows of a table to n values.

    Attributes:
        rows: which rows each value is made of, int32.
        shares: by how much; 0: the row is not asked for.
        table_rows: in the table.
    """

    rows: Int[Tensor, "n k"]
    shares: Float[Tensor, "n k"]
    table_rows: int

    def __call__(self, table: Float[Tensor, "rows c"]) -> Float[Tensor, "n c"]:
        """The values; differentiable, once, in the table."""
        return _Apply.apply(table, self)

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """For the gradient: values and shares ordered by row, and where each row's begin."""
        used = torch.nonzero(self.shares.flatten())[:, 0]
        row, order = self.rows.flatten()[used].sort(stable=True)
        used = used[order]
        counts = torch.bincount(row, minlength=self.table_rows)
        values = (used // self.rows.shape[1]).int()
        return values, self.shares.flatten()[used], (counts.cumsum(0) - counts).int()


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, chosen: Interpolation) -> Tensor:
        ctx.chosen = chosen
        shares = chosen.shares.to(table.dtype)
        return F.embedding_bag(chosen.rows, table, per_sample_weights=shares, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, shares, starts = ctx.chosen.transposed
        shares = shares.to(gradient.dtype)
        gradient = gradient.contiguous()
        return F.embedding_bag(values, gradient, starts, per_sample_weights=shares, mode="sum"), None


def multilinear(
    positions: Float[Tensor, "n d"],
    sizes: Sequence[int],
    inside: Bool[Tensor, " n"],
    first: Int[Tensor, " n"],
) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Rows and shares by which values at places between the nodes of a d-dimensional lattice are interpolated.

    Nodes beyond the lattice count as 0, as for ``grid_sample`` with zero padding.

    Args:
        positions: in units of nodes, the first of which has coordinate 0 on every axis.
        sizes: nodes along each axis; those along the first follow each other in the table.
        inside: values elsewhere are 0.
        first: row of the first node of the lattice that the value is asked of.
    """
    positions = torch.where(inside[:, None], positions, 0.0)
    base = positions.floor()
    beyond = positions - base
    base = base.long()
    rows, shares = first[:, None], inside[:, None].to(positions)
    stride = 1
    for axis, size in enumerate(sizes):
        node = torch.stack([base[:, axis], base[:, axis] + 1], dim=-1)
        share = torch.stack([1 - beyond[:, axis], beyond[:, axis]], dim=-1) * ((node >= 0) & (node < size))
        rows = (rows[:, :, None] + stride * node.clamp(0, size - 1)[:, None, :]).flatten(1)
        shares = (shares[:, :, None] * share[:, None, :]).flatten(1)
        stride *= size
    return rows.int(), shares
