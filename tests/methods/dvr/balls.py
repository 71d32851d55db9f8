"""A shape that is known in closed form, and rays that look at it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from novelview.geometry.rays import Rays
from novelview.methods.dvr.config import LossConfig, SearchConfig
from novelview.methods.dvr.learning import Chance, Seen
from novelview.methods.dvr.shape import Shape

NAMES = ("colour", "change", "depth", "place", "empty", "filled", "normal", "mask", "distance")
SEARCH = SearchConfig(samples=(64,), sample_steps=())
# The same for every pixel in which nothing else matters.
GREEN = (0.1, 0.8, 0.2)


class Ball(Shape):
    """The negated signed distance of a ball around the origin, times ``steep``; colours are shares of places."""

    def __init__(self, radius: float = 0.3, steep: float = 1.0) -> None:
        super().__init__()
        self.radius, self.paint = nn.Parameter(torch.tensor(radius)), nn.Parameter(torch.tensor(0.5))
        self.steep = steep
        self.asked: list[Tensor] = []

    def field(self, points: Tensor) -> Tensor:
        self.asked.append(points.detach())
        return self.steep * (self.radius - points.norm(dim=-1))

    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return self.paint * (0.5 + points)


def only(**weights: float) -> LossConfig:
    """No loss but these."""
    return replace(LossConfig(**dict.fromkeys(NAMES, 0.0)), **weights)


def towards(places: list[tuple[float, float]], speed: float = 1.0) -> Rays:
    """Rays along z from z = -1 through places (x, y), with directions of length ``speed``."""
    origins = torch.tensor([[x, y, -1.0] for x, y in places])
    return Rays(origins, torch.tensor([0.0, 0.0, speed]).expand(len(places), 3))


def seen(rays: Rays, mask: list[float], depth: list[float] | None = None) -> Seen:
    """Green pixels."""
    known = None if depth is None else torch.tensor(depth)
    return Seen(rays, torch.tensor(GREEN).expand(len(rays), 3), torch.tensor(mask), known)


def chances(count: int, seed: int = 0) -> Chance:
    numbers = torch.rand(count, Chance.NUMBERS, generator=torch.Generator().manual_seed(seed))
    return Chance.drawn(numbers)
