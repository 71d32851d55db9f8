"""What training adds to the colour error."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def distortion(weights: Float[Tensor, "r s"], edges: Float[Tensor, "r s+1"]) -> Float[Tensor, " r"]:
    """Spread of the density along each ray (mip-NeRF 360, equation 15), in linear time (DVGOv2, section 3).

    Args:
        weights: of intervals.
        edges: their ends, in [0, 1].
    """
    middle, length = (edges[:, 1:] + edges[:, :-1]) / 2, edges.diff(dim=-1)
    moment = weights * middle
    before = weights.cumsum(dim=-1) - weights
    moment_before = moment.cumsum(dim=-1) - moment
    between = 2 * (moment * before - weights * moment_before)
    return (between + weights.square() * length / 3).sum(dim=-1)


def total_variation(table: Float[Tensor, "x y z *c"], step: int, slabs: int) -> Float[Tensor, ""]:
    """Mean squared difference of neighbouring nodes, in one of about ``slabs`` parts of the grid; ``step`` says which.

    Plain slices of the grid: the time a step takes is proportional to what it looks at.
    """
    size = len(table)
    count = max(2, size // slabs)
    # Neighbouring parts share one slice, so that no pair of nodes is left out.
    parts = -(-(size - 1) // (count - 1))
    start = min(step % parts * (count - 1), size - count)
    slab = table[start : start + count]
    return torch.stack([slab.diff(dim=axis).square().mean() for axis in (0, 1, 2)]).sum()
