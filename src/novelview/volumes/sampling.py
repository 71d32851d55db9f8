"""Where along a ray to look: closest where a coarse copy of the density stops the most light."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def edges_between(
    near: Float[Tensor, "r 1"], far: Float[Tensor, "r 1"], share: Float[Tensor, "r e"], logarithmic: bool
) -> Float[Tensor, "r e"]:
    """Depths at shares of the way from near to far; ``logarithmic``: of equal ratios, for open space."""
    if not logarithmic:
        return torch.addcmul(near, share, far - near)
    return near * torch.exp(share * torch.log(far / near))


@torch.no_grad()
def importance_shares(
    weights: Float[Tensor, "r s"], floor: float, count: int, jitter: Float[Tensor, "r 1"]
) -> Float[Tensor, "r count"]:
    """``count`` increasing shares of the way along each ray, dense where the weights are large.

    Args:
        weights: of equally long parts of the way.
        floor: part of the density of shares that is spread evenly.
        jitter: where in its stratum each share lies, in [0, 1].
    """
    bins = weights.shape[-1]
    pdf = even_pdf(weights, floor)
    cdf = torch.cumsum(pdf, dim=-1)
    u = (torch.arange(count, device=weights.device) + jitter) / count
    index = torch.searchsorted(cdf, u.contiguous(), right=True).clamp_(max=bins - 1)
    upper, width = cdf.gather(-1, index), pdf.gather(-1, index)
    inside = 1 - (upper - u) / width.clamp(min=1e-9)
    return (index + inside.clamp_(0, 1)) / bins


def even_pdf(weights: Float[Tensor, "r s"], floor: float) -> Float[Tensor, "r s"]:
    """How much of the looks each part of the way gets: in proportion to its weight, but for a share spread evenly."""
    total = weights.sum(dim=-1, keepdim=True)
    even = torch.full_like(total, floor / weights.shape[-1])
    pdf = torch.addcmul(even, weights, (1 - floor) / total.clamp(min=1e-6))
    return pdf / pdf.sum(dim=-1, keepdim=True)
