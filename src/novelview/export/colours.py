"""Numbers as colours: perceptually even colour maps for depth and error pictures."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

ColourMap = Literal["viridis", "inferno"]

# Eleven evenly spaced colours of the maps by Smith and van der Walt (CC0); between them, straight lines.
_ANCHORS = {
    "viridis": "440154 482576 414487 35608d 2a788e 21908c 22a884 43bf71 7ad151 bbdf27 fde725",
    "inferno": "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4",
}


def colourise(values: Float[Tensor, "*b"], colours: ColourMap) -> Float[Tensor, "*b 3"]:
    """Colours of values in [0, 1], dark to bright; values outside are clamped, NaN is black."""
    anchors = torch.tensor([list(bytes.fromhex(code)) for code in _ANCHORS[colours].split()]) / 255
    anchors = anchors.to(values)
    position = values.nan_to_num(0.0, 1.0, 0.0).clamp(0, 1) * (len(anchors) - 1)
    below = position.long().clamp(max=len(anchors) - 2)
    mixed = torch.lerp(anchors[below], anchors[below + 1], (position - below)[..., None])
    return torch.where(values.isnan()[..., None], 0.0, mixed)


def colourise_depth(
    depth: Float[Tensor, "h w"], near: float | None = None, far: float | None = None
) -> Float[Tensor, "h w 3"]:
    """Depth as colours, even in disparity 1/z: near is bright yellow, far is dark violet, unknown is black.

    Args:
        depth: along z; not positive or not finite where unknown.
        near: depth of the brightest colour; None: the 2nd percentile of this picture.
        far: depth of the darkest colour; None: the 98th percentile. Give both for the frames of a video.
    """
    known = (depth > 0) & depth.isfinite()
    if not bool(known.any()):
        return torch.zeros(*depth.shape, 3, device=depth.device)
    disparity = torch.where(known, 1 / depth.clamp(min=1e-12), float("nan"))
    # Torch's quantile refuses more than 16 million values.
    some = disparity[known][:: max(1, int(known.sum()) // 1_000_000)]
    nearest = float(some.quantile(0.98)) if near is None else 1 / near
    farthest = float(some.quantile(0.02)) if far is None else 1 / far
    return colourise((disparity - farthest) / max(nearest - farthest, 1e-12), "viridis")
