"""Small light fields for tests: what the networks of methods are made of, without training."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import Similarity, look_at, random_rotations
from novelview.light_field import LightField, Subject
from novelview.random import generator_for

# A frame of users that is not the scene's: turned, 2.5 times as large, and far from its origin.
TO_INPUT = Similarity(2.5, random_rotations(1, generator_for(3))[0], torch.tensor([40.0, -10.0, 25.0]))
SIZE, FOCAL = 48, 60.0


class Points(nn.Module):
    """Points on a ray, in sines and cosines, through a residual network; with ``factor`` > 1, also upsampled."""

    def __init__(self, width: int = 32, blocks: int = 2, octaves: int = 4, factor: int = 1) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("depths", torch.linspace(2.0, 6.0, 8))
        self.register_buffer("frequencies", 2.0 ** torch.arange(octaves))
        self.first = nn.Linear(8 * 3 * (1 + 2 * octaves), width)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(2 * blocks))
        self.last = nn.Linear(width, 3 * factor**2)

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        points = origins[..., None, :] + self.depths[:, None] * directions[..., None, :]
        phases = points[..., None] * self.frequencies
        encoded = torch.cat([points[..., None], phases.sin(), phases.cos()], dim=-1)
        x = self.first(encoded.flatten(2)).relu()
        for one, other in zip(self.body[::2], self.body[1::2], strict=True):
            x = x + other(one(x).relu())
        # Wide, so that what is wrong in a weight shows in the picture.
        rgb = (4 * self.last(x)).sigmoid()
        return F.pixel_shuffle(rgb.permute(2, 0, 1), self.factor).permute(1, 2, 0)


class Table(nn.Module):
    """Features looked up in a volume at points on the ray."""

    def __init__(self) -> None:
        super().__init__()
        self.volume = nn.Parameter(torch.randn(1, 8, 16, 16, 16))
        self.register_buffer("depths", torch.linspace(2.0, 6.0, 8))
        self.last = nn.Linear(64, 3)

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        points = origins[..., None, :] + self.depths[:, None] * directions[..., None, :]
        found = F.grid_sample(self.volume, points[None] / 3, padding_mode="border", align_corners=True)
        return self.last(found[0].permute(1, 2, 3, 0).flatten(2)).sigmoid()


def seeded(kind: type[nn.Module], *, seed: int = 0, **options: int) -> nn.Module:
    """A network with weights that follow from the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(**options)


def ring(count: int = 8, size: int = SIZE) -> Cameras:
    """Cameras around the origin at distance 4 that look at it; z is up."""
    angles = 2 * math.pi * torch.arange(count) / count
    heights = 1.0 + 0.5 * (torch.arange(count) % 3)
    centres = torch.stack([4 * angles.cos(), 4 * angles.sin(), heights], dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    poses = look_at(centres, torch.zeros(count, 3), up)
    focal = FOCAL * size / SIZE
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)


def wall(count: int = 9) -> Cameras:
    """Cameras side by side that look along z."""
    index = torch.arange(count)
    centres = torch.stack([0.3 * (index % 3 - 1), 0.3 * (index // 3 - 1), -4 + 0.0 * index], dim=-1)
    poses = torch.cat([torch.eye(3).expand(count, 3, 3), centres[..., None]], dim=-1)
    return Cameras.pinhole(poses, torch.tensor([FOCAL, FOCAL, SIZE / 2, SIZE / 2]), SIZE, SIZE)


def example(
    kind: type[nn.Module] = Points, cameras: Cameras | None = None, **options: int
) -> tuple[LightField, Subject]:
    """A light field and its subject in the user's coordinates."""
    light_field = LightField(seeded(kind, **options), options.get("factor", 1))
    subject = Subject("toy", ring() if cameras is None else cameras, near=2.0, far=6.0)
    return light_field.moved(TO_INPUT), subject.moved(TO_INPUT)
