"""Random numbers, colours, textures, lights and solids of one scene, drawn in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.data.procedural.render import World
from novelview.data.procedural.solids import Shape, Solids
from novelview.data.procedural.textures import WAVES, Pattern, Textures
from novelview.geometry.rigid import random_rotations

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """What surfaces and lights are drawn from; uniform between the two ends unless said otherwise.

    Attributes:
        frequency: texture periods across half a thing; uniform in its logarithm.
        ground: texture periods per world unit of planes; uniform in its logarithm.
        contrast: of the two colours of a pattern on things, 1 for the full difference.
        backdrop: the same of planes.
        hues: width of the band of hues that a scene uses; 1 is the whole circle.
        saturation: of the main colours of things; planes have half of it.
        matt: share of surfaces without a highlight.
        specular: strength of the others' highlights.
        shininess: their Blinn-Phong exponents; uniform in its logarithm.
        key: strength of the light that casts shadows.
        tint: by how much its colour leans to warm (positive: red up, blue down) or cold.
        fill: strength of the second light.
        ambient: light from everywhere.
    """

    frequency: Range = (0.6, 2.2)
    ground: Range = (0.4, 1.2)
    contrast: Range = (0.4, 1.0)
    backdrop: Range = (0.15, 0.7)
    hues: Range = (0.15, 1.0)
    saturation: Range = (0.25, 0.85)
    matt: float = 0.4
    specular: Range = (0.1, 0.6)
    shininess: Range = (12.0, 90.0)
    key: Range = (0.7, 1.1)
    tint: Range = (-0.06, 0.12)
    fill: Range = (0.05, 0.3)
    ambient: Range = (0.18, 0.42)


class Drawer:
    """Draws one scene's parts out of one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def uniform(self, bounds: Range, *shape: int) -> Tensor:
        """Numbers between the two bounds."""
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(shape, generator=self._generator)

    def log_uniform(self, bounds: Range, *shape: int) -> Tensor:
        """Numbers whose logarithm is uniform."""
        return self.uniform((math.log(bounds[0]), math.log(bounds[1])), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, generator=self._generator)

    def number(self, bounds: Range) -> float:
        """One number between the two bounds."""
        return float(self.uniform(bounds))

    def integer(self, bounds: tuple[int, int]) -> int:
        """A whole number, both bounds included."""
        return int(torch.randint(bounds[0], bounds[1] + 1, (), generator=self._generator))

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with the given probability."""
        return torch.rand(shape, generator=self._generator) < probability

    def among(self, choices: Sequence[int], *shape: int) -> Tensor:
        """Elements of ``choices``, all equally likely."""
        index = torch.randint(len(choices), shape, generator=self._generator)
        return torch.tensor(choices)[index]

    def rotations(self, count: int, free: float) -> Float[Tensor, "k 3 3"]:
        """Rotations: a share ``free`` of them any, the others upright (local y up, turned about it)."""
        upright = upright_rotations(self.uniform((0.0, 2 * math.pi), count))
        return torch.where(
            self.chance(free, count)[:, None, None], random_rotations(count, self._generator), upright
        )

    def light(self, distance: Range, elevation: Range) -> Float[Tensor, " 3"]:
        """A position around the origin, elevation in degrees above the horizon."""
        azimuth, height = self.number((0.0, 2 * math.pi)), math.radians(self.number(elevation))
        direction = torch.tensor(
            [math.cos(azimuth) * math.cos(height), math.sin(azimuth) * math.cos(height), math.sin(height)]
        )
        return self.number(distance) * direction

    def world(self, solids: Solids, look: Look, light: Tensor, background: float) -> World:
        """The solids with random textures under random lights."""
        tint = self.number(look.tint)
        colour = torch.tensor([1 + tint, 1.0, 1 - tint]) * self.number(look.key)
        return World(
            solids=solids,
            textures=self._textures(solids, look),
            light=light,
            light_colour=colour,
            fill=F.normalize(self.normal(3) + torch.tensor([0.0, 0.0, 0.5]), dim=-1),
            fill_strength=self.number(look.fill),
            ambient=self.number(look.ambient),
            background=torch.full((3,), background),
        )

    def _textures(self, solids: Solids, look: Look) -> Textures:
        count, plane = len(solids), solids.shape == Shape.PLANE
        offset = self.uniform((0.0, 1.0), count, 3)
        # A plane cuts its pattern through the middle of the cells, not along their faces.
        offset[:, 1] = torch.where(plane, 0.5, offset[:, 1])
        across = self.log_uniform(look.frequency, count) / solids.scale.mean(dim=1)
        frequency = torch.where(plane, self.log_uniform(look.ground, count), across)
        contrast = torch.where(plane, self.uniform(look.backdrop, count), self.uniform(look.contrast, count))
        shiny = ~self.chance(look.matt, count) & ~(plane & self.chance(0.7, count))
        return Textures(
            pattern=self.among(tuple(Pattern), count),
            colours=self._colours(plane, contrast, look),
            frequency=frequency,
            # Whole periods move no regular pattern but give every solid its own part of the noise.
            offset=offset + self.among(range(-20, 21), count, 3),
            specular=self.uniform(look.specular, count) * shiny,
            shininess=self.log_uniform(look.shininess, count),
            waves=F.normalize(self.normal(WAVES, 3), dim=-1) * self.uniform((0.6, 1.3), WAVES, 1),
            phases=self.uniform((0.0, 2 * math.pi), WAVES),
        )

    def _colours(self, plane: Tensor, contrast: Tensor, look: Look) -> Float[Tensor, "k 2 3"]:
        """A main colour within the scene's band of hues, and a second: cream, dark, or another hue of the band."""
        count = len(plane)
        base, width = self.number((0.0, 1.0)), self.number(look.hues)
        hue = base + width * self.uniform((-0.5, 0.5), 2, count)
        hue = hue + 0.5 * self.chance(0.15, 2, count)  # some of the complement
        saturation = self.uniform(look.saturation, 2, count) * torch.where(plane, 0.5, 1.0)
        value = self.uniform((0.55, 1.0), 2, count)
        kind = self.uniform((0.0, 1.0), count)
        cream, dark = kind < 0.4, kind > 0.8
        saturation[1] = torch.where(cream, 0.1, saturation[1])
        value[1] = torch.where(cream, 0.95, torch.where(dark, 0.2, value[1]))
        first, second = hsv_to_rgb(hue, saturation, value)
        swap = self.chance(0.3, count)[:, None]
        first, second = torch.where(swap, second, first), torch.where(swap, first, second)
        return torch.stack([first, first + contrast[:, None] * (second - first)], dim=1)


def upright_rotations(angle: Float[Tensor, " k"]) -> Float[Tensor, "k 3 3"]:
    """Rotations whose local y axis points up (world z), turned about it."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    columns = [[cos, sin, zero], [zero, zero, one], [sin, -cos, zero]]
    return torch.stack([torch.stack(column, dim=-1) for column in columns], dim=-1)


def hsv_to_rgb(
    hue: Float[Tensor, "*b"], saturation: Float[Tensor, "*b"], value: Float[Tensor, "*b"]
) -> Float[Tensor, "*b 3"]:
    """Colours out of hue (whole turns), saturation and value."""
    third = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    pure = ((third - 3).abs() - 1).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - pure))


def planes(normals: Sequence[Sequence[float]], points: Sequence[Sequence[float]]) -> Solids:
    """Planes with the given unit normals through the given points; patterns stand upright on walls."""
    y = torch.tensor(normals, dtype=torch.float32)
    up = torch.tensor([0.0, 0.0, 1.0]).expand_as(y)
    level = (y[:, 2:].abs() > 0.9).expand_as(y)
    z = F.normalize(
        torch.where(level, torch.tensor([0.0, 1.0, 0.0]), up - (up * y).sum(1, keepdim=True) * y), dim=1
    )
    x = torch.linalg.cross(y, z)
    count = len(y)
    return Solids(
        shape=torch.full((count,), int(Shape.PLANE)),
        rotation=torch.stack([x, y, z], dim=-1),
        scale=torch.ones(count, 3),
        centre=torch.tensor(points, dtype=torch.float32),
    )
