"""Where a surface surely is not: cells of a box in which a field is negative, found by asking at their corners alone.

Drawing a picture asks a field along every ray, most of it in empty space; a lattice that is asked once rules that out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.rendering.surface import Field

# How much steeper a field may be within a cell than it looks from the corners of the cells around.
SAFETY = 2.0
# By what share of its size the lattice is larger than the box, so that rounding throws no point of the box out of it.
_MARGIN = 1e-4


@dataclass(frozen=True)
class EmptySpace:
    """Cells of a box, and in which of them a field is negative; to be called with points.

    What is guaranteed: where a cell is called empty, the field is negative in all of it if along each axis it rises, per
    cell, nowhere within the cell by more than ``SAFETY`` times the largest difference of neighbouring corners in the
    3x3x3 cells around. Distances, smooth fields and whatever changes slowly from cell to cell are of this kind, also
    where they make sheets or wires much thinner than a cell. What can be lost is narrower than a cell and steeper than
    all around it: a field that rises from a plain and falls back to it between corners.

    Attributes:
        empty: of each cell; one layer of cells around the box is False.
        lower: corner of the box, world units.
        cell: sides of a cell, world units.
    """

    empty: Bool[Tensor, "x y z"]
    lower: Float[Tensor, " 3"]
    cell: Float[Tensor, " 3"]

    @staticmethod
    @torch.no_grad()
    def of(
        field: Field,
        lower: Float[Tensor, " 3"],
        upper: Float[Tensor, " 3"],
        *,
        cells: int,
        points_at_once: int = 1 << 17,
    ) -> EmptySpace:
        """Asks the field once at each of (cells + 1)^3 corners.

        Args:
            field: positive inside; in what it answers NaN for, nothing is called empty.
            lower, upper: corners of the box, world units; of the type and on the device that the field is asked on.
            cells: along each side.
            points_at_once: bounds the memory.
        """
        margin = _MARGIN * (upper - lower)
        lower, upper = lower - margin, upper + margin
        cell = (upper - lower) / cells
        ticks = torch.arange(cells + 1, device=lower.device)
        corners = lower + torch.cartesian_prod(ticks, ticks, ticks) * cell
        values = torch.cat([field(some) for some in corners.split(points_at_once)])
        empty = most(values.reshape(cells + 1, cells + 1, cells + 1)) < 0
        return EmptySpace(F.pad(empty, (1,) * 6), lower, cell)

    def __call__(self, points: Float[Tensor, "*b 3"]) -> Bool[Tensor, "*b"]:
        """Whether points lie in cells that are surely empty; outside the box nothing is known to be."""
        last = self.empty.shape[0] - 1
        # A clamp before the conversion: far away points, and those of no ray, do not fit into an integer.
        place = ((points - self.lower) / self.cell + 1).nan_to_num_(0.0).clamp_(0, last).to(torch.int32)
        x, y, z = place.unbind(dim=-1)
        index = (x * (last + 1) + y) * (last + 1) + z
        return self.empty.reshape(-1).index_select(0, index.reshape(-1)).reshape(index.shape)


def most(values: Float[Tensor, "x y z"]) -> Float[Tensor, "x-1 y-1 z-1"]:
    """A bound of the field in each cell, from its values at the corners.

    A point is at most half a cell along each axis away from a corner; so far the field rises above the largest corner.
    """
    rise = torch.zeros_like(values[1:, 1:, 1:])
    for axis in range(3):
        steps = values.diff(dim=axis).abs()
        # The four edges of a cell along this axis, and those of its neighbours.
        for other in range(3):
            if other != axis:
                steps = _largest_of_pairs(steps, other)
        rise += _largest_around(steps) / 2
    top = values
    for axis in range(3):
        top = _largest_of_pairs(top, axis)
    return top + SAFETY * rise


def _largest_of_pairs(values: Tensor, axis: int) -> Tensor:
    """Of neighbours along an axis, one fewer."""
    count = values.shape[axis] - 1
    return torch.maximum(values.narrow(axis, 0, count), values.narrow(axis, 1, count))


def _largest_around(values: Float[Tensor, "x y z"]) -> Float[Tensor, "x y z"]:
    """Of each place and the 26 around it."""
    return F.max_pool3d(values[None, None], 3, stride=1, padding=1)[0, 0]
