"""The radiance field in the unit cube: a grid of densities, one of colour coefficients, a coarse copy of the first."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Shape = tuple[int, int, int]


class GridField(nn.Module):
    """Density and colour coefficients at the nodes of two grids.

    Args:
        density_shape: nodes of the density grid along x, y and z.
        colour_shape: nodes of the colour grid.
        channels: colour coefficients per node.
        initial_density: density at first, everywhere.

    Attributes:
        density: (x, y, z), before its activation.
        colour: (x, y, z, channels).
        shift: added to densities before softplus.
        coarse: :meth:`pooled` as it was when last asked to :meth:`refresh`.
    """

    def __init__(
        self, density_shape: Shape, colour_shape: Shape, channels: int, initial_density: float
    ) -> None:
        super().__init__()
        self.shift = math.log(math.expm1(initial_density))
        self.density = nn.Parameter(torch.zeros(density_shape))
        self.colour = nn.Parameter(torch.zeros(*colour_shape, channels))
        self.coarse: Tensor
        self.register_buffer("coarse", self.pooled())

    @torch.no_grad()
    def pooled(self) -> Float[Tensor, "x y z"]:
        """Density at the mean of each block of two nodes per axis."""
        pooled = F.avg_pool3d(self.density[None, None], kernel_size=2, ceil_mode=True)[0, 0]
        return F.softplus(pooled + self.shift)

    def refresh(self) -> None:
        """Make the coarse copy anew."""
        self.coarse = self.pooled()

    @torch.no_grad()
    def resize(self, density_shape: Shape, colour_shape: Shape) -> None:
        """Resample both grids; the parameters are new ones."""
        self.density = nn.Parameter(_resampled(self.density[..., None], density_shape)[..., 0].contiguous())
        self.colour = nn.Parameter(_resampled(self.colour, colour_shape))
        self.refresh()


def _resampled(table: Float[Tensor, "x y z c"], shape: Shape) -> Float[Tensor, "u v w c"]:
    planes = table.permute(3, 0, 1, 2)[None]
    resized = F.interpolate(planes, size=shape, mode="trilinear", align_corners=True)
    return resized[0].permute(1, 2, 3, 0).contiguous()
