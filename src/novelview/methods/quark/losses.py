"""What a rendered view must be like: its colours, their differences at several scales, and its depth."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SCALES = 3


def gradient_error(found: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute error of the differences of neighbouring pixels, at full size, a half and a quarter.

    Stands in for LPIPS (section 3.4) where there are no weights for it: like it, it punishes blur more than noise.
    """
    error = found.new_zeros(())
    for _ in range(SCALES):
        difference = found - wanted
        error = error + difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
        if min(found.shape[-2:]) < 4:
            break
        found, wanted = F.avg_pool2d(found, 2), F.avg_pool2d(wanted, 2)
    return error


def disparity_error(
    found: Float[Tensor, "b h w"],
    wanted: Float[Tensor, "b h w"],
    span: Float[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean absolute error of disparities, in parts of the range of the layers, where the truth is known: not 0."""
    known = wanted > 0
    error = (found - wanted).abs() / span[:, None, None] * known
    return error.sum() / known.sum().clamp(min=1)
