"""What a rendered view must be like: its colours, their differences at several scales, and its depth."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.nn.lpips import LPIPS

SCALES = 3


@cache
def lpips_of(trunk: str, linear: str) -> LPIPS:
    """LPIPS with VGG-16, which papers train with, out of two files; they are read once."""
    return LPIPS.from_files("vgg", trunk or None, linear or None)


def lpips_error(
    lpips: LPIPS, found: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """Mean LPIPS of a batch."""
    pairs = zip(found.movedim(1, -1), wanted.movedim(1, -1), strict=True)
    return torch.stack([lpips.to(found.device)(a, b) for a, b in pairs]).mean()


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
