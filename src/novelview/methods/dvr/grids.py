"""The practical form: a signed distance and a colour out of dense grids of features and two small networks."""

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
    """A sphere at first, and whatever the photographs make of it."""

    def __init__(self, config: GridsConfig, half: float) -> None:
        super().__init__()
        self.config = config
        self.geometry, self.appearance = Features(config, half), Features(config, half)
        self.distance = _network(self.geometry.width, config.width, 1)
        seen = 6 if config.seen_from else 0
        self.paint = _network(self.appearance.width + seen, config.width, 3)

    def field(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """The negated signed distance, cube units."""
        sphere = self.config.radius - (points.square().sum(dim=-1) + 1e-8).sqrt()
        return sphere + self.distance(self.geometry(points))[:, 0]

    def colour(self, points: Float[Tensor, "p 3"], directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        told = [self.appearance(points)]
        if self.config.seen_from:
            step = 1 / max(self.config.resolutions)
            with torch.no_grad():
                normals = outward_normals(self.field, points, step=step)
            told += [normals, F.normalize(directions, dim=-1)]
        return torch.sigmoid(self.paint(torch.cat(told, dim=-1)))

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
