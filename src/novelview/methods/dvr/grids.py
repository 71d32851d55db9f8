"""The practical form: a signed distance and a colour out of dense grids of features and two small networks.

What they make is added to a first shape: the visual hull, or a sphere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.dvr.config import GridsConfig
from novelview.methods.dvr.shape import Shape
from novelview.rendering.surface import outward_normals
from novelview.volumes.lookup import trilinear


class Features(nn.Module):
    """Grids over a cube, read side by side.

    Attributes:
        open: how many of them count, the finer ones after the coarser ones; a broken number lets the next one in slowly.
    """

    def __init__(self, config: GridsConfig, half: float) -> None:
        super().__init__()
        self.tables = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(n, n, n, config.features)) for n in config.resolutions
        )
        self.reach, self.open = half, float(len(config.resolutions))
        self.width = len(config.resolutions) * config.features

    def forward(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, "p f"]:
        x, y, z = (points / (2 * self.reach) + 0.5).unbind(dim=-1)
        found = []
        for i, table in enumerate(self.tables):
            share = min(1.0, max(0.0, self.open - i))
            values = trilinear(table, (x, y, z)) if share else points.new_zeros(len(points), table.shape[-1])
            found.append(share * values)
        return torch.cat(found, dim=-1)


class Grids(Shape):
    """The visual hull or a sphere at first, and whatever the photographs make of it.

    Attributes:
        first: signed distances of the first shape at the nodes of a grid over the cube, positive inside, cube units.
    """

    first: Tensor

    def __init__(self, config: GridsConfig, half: float) -> None:
        super().__init__()
        self.config = config
        if config.hull_cells:
            # Until the masks are known.
            axis = torch.linspace(-half, half, config.hull_cells + 1)
            self.register_buffer(
                "first", self._sphere(torch.cartesian_prod(axis, axis, axis)).reshape([len(axis)] * 3)
            )
        self.geometry, self.appearance = Features(config, half), Features(config, half)
        self.distance = _network(self.geometry.width, config.width, 1)
        seen = 6 if config.seen_from else 0
        self.paint = _network(self.appearance.width + seen, config.width, 3)

    def field(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """The negated signed distance, cube units."""
        return self._first(points) + self.distance(self.geometry(points))[:, 0]

    def _first(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        if not self.config.hull_cells:
            return self._sphere(points)
        x, y, z = (points / (2 * self.geometry.reach) + 0.5).unbind(dim=-1)
        return trilinear(self.first[..., None], (x, y, z))[:, 0]

    def _sphere(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return self.config.radius - (points.square().sum(dim=-1) + 1e-8).sqrt()

    def colour(self, points: Float[Tensor, "p 3"], directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        told = [self.appearance(points)]
        if self.config.seen_from:
            step = 1 / max(self.config.resolutions)
            with torch.no_grad():
                normals = outward_normals(self.field, points, step=step)
            told += [normals, F.normalize(directions, dim=-1)]
        # As precise as the points, also where layers are told to be less.
        return torch.sigmoid(self.paint(torch.cat(told, dim=-1)).to(points))

    def advance(self, share: float) -> None:
        """Open grids as they are due after that share of the training."""
        levels = len(self.config.resolutions)
        progress = 1.0 if self.config.open_until == 0 else min(1.0, share / self.config.open_until)
        for features in (self.geometry, self.appearance):
            features.open = 1 + progress * (levels - 1)


def _network(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """One hidden layer; zero at first."""
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.Softplus(beta=10), last)
