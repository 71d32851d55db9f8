"""Looking up images at pixels that lie between pixel centres."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def sample_bilinear(
    image: Float[Tensor, "h w c"], pixels: Float[Tensor, "*b 2"]
) -> tuple[Float[Tensor, "*b c"], Bool[Tensor, "*b"]]:
    """Bilinear values of ``image`` at pixels (x, y), whose centres are at +0.5, and whether they lie inside.

    The inside of an image is [0, w] x [0, h]; within half a pixel of its edge the outermost centres count.
    Values outside (or at pixels that are not finite) are meaningless, but finite.
    """
    height, width, channels = image.shape
    size = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
    inside = ((pixels >= 0) & (pixels <= size)).all(dim=-1)
    grid = torch.where(inside[..., None], 2 * pixels / size - 1, 0.0)
    values = F.grid_sample(
        image.permute(2, 0, 1)[None],
        grid.reshape(1, 1, -1, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return values[0, :, 0].T.reshape(*pixels.shape[:-1], channels), inside
