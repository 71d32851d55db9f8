"""Where along a ray to look: evenly, jittered, or where an earlier look found something.

Depths are ray parameters, increasing along the last axis. Everything is pure; random numbers are arguments.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def linear_depths(
    near: Float[Tensor, "*b"], far: Float[Tensor, "*b"], count: int
) -> Float[Tensor, "*b {count}"]:
    """``count`` depths evenly spaced from ``near`` to ``far``, both included."""
    s = torch.linspace(0, 1, count, dtype=near.dtype, device=near.device)
    return near[..., None] * (1 - s) + far[..., None] * s


def disparity_depths(
    near: Float[Tensor, "*b"], far: Float[Tensor, "*b"], count: int
) -> Float[Tensor, "*b {count}"]:
    """``count`` depths whose inverses are evenly spaced, dense near the camera; ``near`` must be positive."""
    return 1 / linear_depths(1 / near, 1 / far, count)


def midpoints(depths: Float[Tensor, "*b s"]) -> Float[Tensor, "*b s-1"]:
    """Mean of each pair of neighbours."""
    return (depths[..., 1:] + depths[..., :-1]) / 2


def stratified(depths: Float[Tensor, "*b s"], u: Float[Tensor, "*b s"]) -> Float[Tensor, "*b s"]:
    """One depth per stratum (NeRF, section 4).

    Args:
        depths: the strata are bounded by their midpoints, and by the first and the last value themselves.
        u: position inside each stratum, in [0, 1).
    """
    middle = midpoints(depths)
    lower = torch.cat([depths[..., :1], middle], dim=-1)
    upper = torch.cat([middle, depths[..., -1:]], dim=-1)
    return lower + (upper - lower) * u


def lengths(depths: Float[Tensor, "*b s"], last: float) -> Float[Tensor, "*b s"]:
    """Distance from each depth to the next one; ``last`` stands for what follows the last depth."""
    end = torch.full_like(depths[..., :1], last)
    return torch.cat([depths[..., 1:] - depths[..., :-1], end], dim=-1)


def sample_pdf(
    edges: Float[Tensor, "*b e"], weights: Float[Tensor, "*b e-1"], u: Float[Tensor, "*b n"]
) -> Float[Tensor, "*b n"]:
    """Depths distributed like a histogram, by inverse transform sampling (NeRF, section 5.2).

    Increasing ``u`` gives increasing depths.

    Args:
        edges: boundaries of the bins, increasing.
        weights: how much lies in each bin, at least 0; 1e-5 is added to each, so that no bin is empty.
        u: where to invert the cumulative distribution, in [0, 1].
    """
    filled = weights + 1e-5
    cdf = torch.cumsum(filled / filled.sum(dim=-1, keepdim=True), dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], dim=-1)
    right = torch.searchsorted(cdf, u.contiguous(), right=True)
    below, above = (right - 1).clamp(min=0), right.clamp(max=cdf.shape[-1] - 1)
    cdf_below, cdf_above = cdf.gather(-1, below), cdf.gather(-1, above)
    step = cdf_above - cdf_below
    # A bin this thin is a jump of the inverse; dividing by it would only amplify rounding.
    step = torch.where(step < 1e-5, torch.ones_like(step), step)
    edge_below, edge_above = edges.gather(-1, below), edges.gather(-1, above)
    return edge_below + (u - cdf_below) / step * (edge_above - edge_below)
