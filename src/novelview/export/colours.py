"""Numbers as colours: perceptually even colour maps for depth and error pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

ColourMap = Literal["viridis", "inferno"]

_VALUES_PER_PICTURE = 10_000

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


def depth_range(depths: Iterable[Float[Tensor, "_ _"]]) -> tuple[float, float]:
    """Nearest and farthest depth worth a colour of their own in all these pictures together.

    These are percentiles 2 and 98 of the known disparities 1/z. Pictures are taken one at a time, and little is kept
    of each. Where nothing is known: 1 and infinity.

    Args:
        depths: along z; not positive or not finite where unknown.
    """
    kept = [torch.zeros(0)]
    for depth in depths:
        # An even lattice, because every n-th pixel of the rows one after another may hit a few columns only.
        step = max(1, math.ceil(math.sqrt(depth.numel() / _VALUES_PER_PICTURE)))
        some = depth[::step, ::step]
        kept.append((1 / some[_known(some)]).cpu())
    disparity = torch.cat(kept).clamp(min=1e-12)
    if not len(disparity):
        return 1.0, math.inf
    # Torch's quantile refuses more than 16 million values.
    farthest, nearest = np.quantile(disparity.numpy(), (0.02, 0.98)).tolist()
    return 1 / nearest, 1 / farthest


def colourise_depth(
    depth: Float[Tensor, "h w"], near_far: tuple[float, float] | None = None
) -> Float[Tensor, "h w 3"]:
    """Depth as colours, even in disparity 1/z: near is bright yellow, far is dark violet, unknown is black.

    Args:
        depth: along z; not positive or not finite where unknown.
        near_far: depths of the brightest and of the darkest colour, the same for all frames of a video; None: the
            :func:`depth_range` of this picture alone.
    """
    near, far = near_far or depth_range([depth])
    nearest, farthest = 1 / near, 1 / far
    disparity = torch.where(_known(depth), 1 / depth.clamp(min=1e-12), float("nan"))
    return colourise((disparity - farthest) / max(nearest - farthest, 1e-12), "viridis")


def _known(depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    return (depth > 0) & depth.isfinite()
