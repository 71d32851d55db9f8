"""Where the cameras of procedural scenes stand: an orbit around a thing, a ring inside a room, a grid before a view.

``share`` is the part of the rig, somewhere on it, that the views are spread over: 1 for a scene seen from all over,
less for views that are neighbours. World axes: z up.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.rigid import look_at

_GOLDEN = 0.6180339887


def orbit(
    views: int,
    share: float,
    generator: torch.Generator,
    *,
    distance: tuple[float, float],
    elevation: tuple[float, float],
) -> Float[Tensor, "n 3 4"]:
    """Cameras around the origin, evenly spread over azimuth and the sine of elevation (degrees), with jitter."""
    low, high = (math.sin(math.radians(angle)) for angle in elevation)
    step = torch.arange(views) + torch.rand(views, generator=generator)
    start = torch.rand(2, generator=generator)
    turn = 2 * math.pi * (start[0] + share * (step * _GOLDEN % 1))
    band = share * step / views + (1 - share) * start[1]
    height = low + (high - low) * band
    across = (1 - height * height).sqrt()
    away = distance[0] + (distance[1] - distance[0]) * torch.rand(views, generator=generator)
    centres = away[:, None] * torch.stack([across * turn.cos(), across * turn.sin(), height], dim=-1)
    return _aimed(centres, torch.zeros(views, 3), 0.04, 0.03, generator)


def ring(
    views: int,
    share: float,
    generator: torch.Generator,
    *,
    radius: float,
    height: tuple[float, float],
    target: tuple[float, float, float],
) -> Float[Tensor, "n 3 4"]:
    """Cameras on a horizontal circle that look inwards, at varying heights."""
    step = torch.arange(views) + 0.6 * torch.rand(views, generator=generator)
    turn = 2 * math.pi * (torch.rand((), generator=generator) + share * step / views)
    up = height[0] + (height[1] - height[0]) * torch.rand(views, generator=generator)
    inward = radius * (1 - 0.15 * torch.rand(views, generator=generator))
    centres = torch.stack([inward * turn.cos(), inward * turn.sin(), up], dim=-1)
    return _aimed(centres, torch.tensor(target).expand(views, 3), 0.25, 0.04, generator)


def grid(
    views: int, share: float, generator: torch.Generator, *, spread: float, focus: float
) -> Float[Tensor, "n 3 4"]:
    """Cameras on a jittered grid of half width ``spread`` in the plane y = 0, toed in towards a common focus."""
    columns = math.ceil(math.sqrt(views))
    rows = math.ceil(views / columns)
    index = torch.arange(views)
    jitter = torch.rand(views, 2, generator=generator)
    cell = torch.stack([index % columns, index // columns], dim=-1) + jitter
    cell = cell / torch.tensor([columns, rows])
    offset = (2 * cell - 1) * spread * share
    back = 0.2 * spread * share * (2 * torch.rand(views, generator=generator) - 1)
    centres = torch.stack([offset[:, 0], back, offset[:, 1]], dim=-1)
    return _aimed(centres, centres * 0.3 + torch.tensor([0.0, focus, 0.0]), 0.03 * focus, 0.03, generator)


def _aimed(
    centres: Tensor, targets: Tensor, aim: float, roll: float, generator: torch.Generator
) -> Float[Tensor, "n 3 4"]:
    """Poses that look at the targets as a hand would hold them: a little beside, a little tilted."""
    beside = aim * (2 * torch.rand(len(centres), 3, generator=generator) - 1)
    up = torch.tensor([0.0, 0.0, 1.0]) + roll * (2 * torch.rand(len(centres), 3, generator=generator) - 1)
    return look_at(centres, targets + beside, up)
