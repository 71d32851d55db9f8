"""Plane sweep: colours that several views agree on, searched over fronto-parallel planes of one camera.

The idea is that of Collins (1996) and of Gallup et al. (2007): warp every view to a plane of the target
camera; where the plane meets the surface, the views agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

# Beyond this multiple of the nearest depth a plane is as good as at infinity: no pixel moves any more.
INFINITY_IN_NEAR = 1e4
# One view agrees with itself, so its plane is taken only where no plane is seen by two views.
SINGLE_VIEW_COST = 1.0


@dataclass(frozen=True)
class Agreement:
    """How the cost of a plane is computed; the defaults were chosen on real scenes.

    Attributes:
        window: side in pixels of the square over which the disagreement is averaged; odd.
        saturation: squared colour difference at which a view counts as occluded rather than wrong.
        lonely: cost of having few views, divided by their number: two views agree more easily than eight.
        empty: cost of agreeing on the colour of the background, on which all views agree almost anywhere.
    """

    window: int = 9
    saturation: float = 0.01
    lonely: float = 0.003
    empty: float = 0.002


def plane_depths(near: float, far: float, count: int) -> Float[Tensor, " s"]:
    """Depths of ``count`` planes from near to far, uniform in disparity 1/z; ``far`` may be infinite."""
    far = min(far, INFINITY_IN_NEAR * near)
    return 1 / torch.linspace(1 / near, 1 / far, count, dtype=torch.float64).float()


def blend(
    colours: Float[Tensor, "v h w c"], valid: Bool[Tensor, "v h w"], weights: Float[Tensor, " v"]
) -> Float[Tensor, "h w c"]:
    """Weighted mean colour of the views that see each pixel; zero where none does."""
    weight = valid[..., None] * weights[:, None, None, None]
    return (colours * weight).sum(dim=0) / weight.sum(dim=0).clamp(min=1e-12)


def plane_cost(
    colours: Float[Tensor, "v h w c"],
    valid: Bool[Tensor, "v h w"],
    weights: Float[Tensor, " v"],
    settings: Agreement,
    background: Float[Tensor, " c"] | None = None,
) -> Float[Tensor, "h w"]:
    """Disagreement of the views on one plane: their weighted, unbiased, saturated variance, averaged locally.

    With the colour of a plain ``background``, a plane that shows it costs more than one that shows an object.
    Where a single view sees the plane the cost is ``SINGLE_VIEW_COST``, where none does it is infinite.
    """
    weight = valid * weights[:, None, None]
    total = weight.sum(dim=0).clamp(min=1e-12)
    blended = blend(colours, valid, weights)
    error = (colours - blended).square().mean(dim=-1)
    error = settings.saturation * error / (settings.saturation + error)
    # Effective number of samples of a weighted mean, for the unbiased variance.
    effective = total.square() / weight.square().sum(dim=0).clamp(min=1e-24)
    variance = (error * weight).sum(dim=0) / total * effective / (effective - 1).clamp(min=0.1)
    seen = valid.sum(dim=0)
    cost = _local_mean(variance + settings.lonely / seen.clamp(min=1), seen >= 2, settings.window)
    if background is not None:
        contrast = (blended - background).square().mean(dim=-1)
        cost = cost + settings.empty * settings.saturation / (settings.saturation + contrast)
    alone = torch.where(seen == 1, SINGLE_VIEW_COST, float("inf")).to(cost)
    return torch.where(seen >= 2, cost, alone)


def _local_mean(
    values: Float[Tensor, "h w"], counts: Bool[Tensor, "h w"], window: int
) -> Float[Tensor, "h w"]:
    """Mean over a square window of the values that count; zero where none does."""

    def box(x: Tensor) -> Tensor:
        return F.avg_pool2d(x[None, None], window, stride=1, padding=window // 2)[0, 0]

    weight = counts.to(values)
    return box(values * weight) / box(weight).clamp(min=1e-6)
