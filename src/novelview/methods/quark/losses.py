"""What a rendered view must be like, besides its colours: LPIPS, and depth."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.nn.lpips import LPIPS


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


def disparity_error(
    found: Float[Tensor, "b h w"],
    wanted: Float[Tensor, "b h w"],
    span: Float[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean absolute error of disparities, in parts of the range of the layers, where the truth is known: not 0."""
    known = wanted > 0
    error = (found - wanted).abs() / span[:, None, None] * known
    return error.sum() / known.sum().clamp(min=1)
