"""Losses of images that need no weights."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SCALES = 3


def gradient_error(found: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute error of the differences of neighbouring pixels, at full size, a half and a quarter.

    Stands in for perceptual losses where there are no weights for them: like them, it punishes blur more than noise.
    """
    error = found.new_zeros(())
    for _ in range(SCALES):
        difference = found - wanted
        error = error + difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
        if min(found.shape[-2:]) < 4:
            break
        found, wanted = F.avg_pool2d(found, 2), F.avg_pool2d(wanted, 2)
    return error
