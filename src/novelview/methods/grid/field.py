"""The radiance field in the unit cube: a grid of densities, one of colour coefficients, a coarse copy of the first."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.grid.lookup import Coordinates, trilinear

Shape = tuple[int, int, int]

# Optical thickness of the whole unit cube at density 1: a cell of a grid of 100 nodes per axis then has 1.
THICKNESS = 100.0


class GridField(nn.Module):
    """Density and colour coefficients.

    Args:
        density_shape: nodes of the density grid along x, y and z.
        colour_shape: nodes of the colour grid.
        channels: colour coefficients per node.
        initial_density: density at first, everywhere.

    Attributes:
        coarse: :meth:`pooled` as it was when last asked to :meth:`refresh`.
    """

    def __init__(
        self, density_shape: Shape, colour_shape: Shape, channels: int, initial_density: float
    ) -> None:
        super().__init__()
        self._shift = math.log(math.expm1(initial_density))
        self.density = nn.Parameter(torch.zeros(1, *density_shape))
        self.colour = nn.Parameter(torch.zeros(channels, *colour_shape))
        self.coarse: Tensor
        self.register_buffer("coarse", self.pooled())

    def density_at(self, position: Coordinates) -> Float[Tensor, " n"]:
        """Optical thickness per unit of length in the cube."""
        return self._density_of(trilinear(self.density, position)[0])

    def colour_at(self, position: Coordinates) -> Float[Tensor, "c n"]:
        """Colour coefficients."""
        return trilinear(self.colour, position)

    @torch.no_grad()
    def pooled(self) -> Float[Tensor, "x y z"]:
        """The mean of each block of two nodes per axis, before activation."""
        pooled = F.avg_pool3d(self.density[None], kernel_size=2, ceil_mode=True)[0, 0]
        return self._density_of(pooled)

    def refresh(self) -> None:
        """Make the coarse copy anew."""
        self.coarse = self.pooled()

    @torch.no_grad()
    def resize(self, density_shape: Shape, colour_shape: Shape) -> None:
        """Resample both grids; the parameters are new ones."""
        self.density = nn.Parameter(_resampled(self.density, density_shape))
        self.colour = nn.Parameter(_resampled(self.colour, colour_shape))
        self.refresh()

    def _density_of(self, raw: Tensor) -> Tensor:
        # Activated after interpolation, so that a surface can lie anywhere between two nodes (DirectVoxGO, section 4).
        return THICKNESS * F.softplus(raw + self._shift)


def _resampled(table: Tensor, shape: Shape) -> Tensor:
    return F.interpolate(table[None], size=shape, mode="trilinear", align_corners=True)[0].contiguous()
