"""A photometric start: how well the photographs agree on each cell of the first layers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Planes per layer, and rows and columns per cell's, at which photographs are compared.
PLANES, FINER = 2, 2
# Mean colour, its spread over the views, and the share of the views that see the cell.
AGREEMENT_CHANNELS = 7


class SweepStart(nn.Module):
    """What a plane sweep, finer than the cells, says about each of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(PLANES * AGREEMENT_CHANNELS, channels, 2 * FINER, FINER, FINER // 2)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, agreed: Float[Tensor, "b p k h w"]) -> Float[Tensor, "b l c r q"]:
        """Cells out of the agreement on planes, of which each layer has ``PLANES``."""
        together = agreed.unflatten(1, (-1, PLANES)).flatten(2, 3)
        cells: Tensor = self.second(nn.functional.gelu(self.first(together.flatten(0, 1))))
        return cells.unflatten(0, together.shape[:2])


def agreement(
    colours: Float[Tensor, "b m l 3 h w"], weights: Float[Tensor, "b m l h w"]
) -> Float[Tensor, "b l c h w"]:
    """Weighted mean and standard deviation of colours over the views, and the sum of weights.

    Deviations rather than variances: squares of small numbers are too small to learn from.
    """
    weights = weights[:, :, :, None]
    total = weights.sum(dim=1).clamp(min=1e-6)
    mean = (colours * weights).sum(dim=1) / total
    spread = ((colours - mean[:, None]).square() * weights).sum(dim=1) / total
    deviation = (spread + 1e-6).sqrt()
    return torch.cat([2 * mean - 1, 4 * deviation, total], dim=2)
