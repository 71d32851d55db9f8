"""Signed distances of simple solids: negative inside, zero on the surface, positive outside.

No value is larger in size than the true distance, and none changes faster than the place does, so rays may step by
it. Formulas: Hart, Sphere Tracing (1996); Quilez, Distance Functions. Points may have any float type; solids are about
the origin with z up, in units of the world.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

Triple = tuple[float, float, float]


class Solid(ABC):
    """Something with an inside."""

    @abstractmethod
    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """Signed distance to the surface, or a bound of it."""


@dataclass(frozen=True)
class Ball(Solid):
    """A ball; exact."""

    radius: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return _length(points) - self.radius


@dataclass(frozen=True)
class Ellipsoid(Solid):
    """An ellipsoid of the given half axes; a bound that is exact on the shortest axis."""

    half: Triple

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return (_length(points / points.new_tensor(self.half)) - 1) * min(self.half)


@dataclass(frozen=True)
class Box(Solid):
    """A box of the given half edges with round edges; exact.

    Attributes:
        half: half edges, rounding included.
        rounding: radius of the edges, at most the shortest half edge.
    """

    half: Triple
    rounding: float = 0.0

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return _box(points.abs() - points.new_tensor(self.half) + self.rounding) - self.rounding


@dataclass(frozen=True)
class Cylinder(Solid):
    """A cylinder about z with round rims; exact.

    Attributes:
        radius: rounding included.
        half_height: rounding included.
        rounding: radius of the rims, at most the smaller of the two.
    """

    radius: float
    half_height: float
    rounding: float = 0.0

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        reach = points.new_tensor([self.radius, self.half_height])
        return _box(_turned(points).abs() - reach + self.rounding) - self.rounding


@dataclass(frozen=True)
class Torus(Solid):
    """A ring about z; exact.

    Attributes:
        radius: of the circle in the middle of the tube.
        tube: radius of the tube.
    """

    radius: float
    tube: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return _length(_turned(points) - points.new_tensor([self.radius, 0.0])) - self.tube


@dataclass(frozen=True)
class Cone(Solid):
    """A cone about z with its apex up; a bound that is exact before the side and the base.

    Attributes:
        radius: of the base.
        half_height: half the height.
    """

    radius: float
    half_height: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        away = torch.hypot(points[:, 0], points[:, 1])
        return _tapered(away, points[:, 2], self.radius, self.half_height)


@dataclass(frozen=True)
class Pyramid(Solid):
    """A pyramid on a square along x and y with its apex up; a bound that is exact before the middle of its faces.

    Attributes:
        half_edge: half an edge of the base.
        half_height: half the height.
    """

    half_edge: float
    half_height: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        away = torch.maximum(points[:, 0].abs(), points[:, 1].abs())
        return _tapered(away, points[:, 2], self.half_edge, self.half_height)


@dataclass(frozen=True)
class Handle(Solid):
    """The half of a ring about y that is on the side of positive x, with open ends rounded; exact.

    Attributes:
        radius: of the half circle in the middle of the tube.
        tube: radius of the tube.
    """

    radius: float
    tube: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        x, y, z = points.unbind(dim=-1)
        # Behind the half circle, its nearest point is an end.
        around = torch.where(x > 0, torch.hypot(x, z) - self.radius, torch.hypot(x, z.abs() - self.radius))
        return torch.hypot(around, y) - self.tube


@dataclass(frozen=True)
class Vessel(Solid):
    """A thick line turned about z: an open bowl or cup; exact outside, a bound within the wall.

    Attributes:
        profile: (distance from the axis, height) of the corners of the wall's middle line.
        thickness: of the wall.
    """

    profile: tuple[tuple[float, float], ...]
    thickness: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        plane = _turned(points)
        corners = plane.new_tensor(self.profile)
        pieces = [_to_segment(plane, start, end) for start, end in pairwise(corners)]
        return torch.stack(pieces).amin(dim=0) - self.thickness / 2


@dataclass(frozen=True)
class Vase(Solid):
    """A massive body of revolution about z, whose radius is a wave of its height; a bound.

    Attributes:
        radius: mean.
        swell: by how much the radius goes up and down; less than ``radius``.
        waves: periods from bottom to top.
        phase: of the wave in the middle, in periods.
        half_height: half the height.
    """

    radius: float
    swell: float
    waves: float
    phase: float
    half_height: float

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        away, height = _turned(points).unbind(dim=-1)
        rate = math.pi * self.waves / self.half_height
        rim = self.radius + self.swell * torch.sin(rate * height + 2 * math.pi * self.phase)
        side = (away - rim) / math.hypot(1.0, self.swell * rate)
        return torch.maximum(side, height.abs() - self.half_height)


@dataclass(frozen=True)
class Placed(Solid):
    """A solid scaled, then turned, then moved.

    Attributes:
        solid: about the origin.
        rotation: columns are where its axes go.
        centre: where its origin goes.
        scale: by how much it grows.
    """

    solid: Solid
    rotation: Float[Tensor, "3 3"]
    centre: Float[Tensor, " 3"]
    scale: float = 1.0

    def distance(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        local = (points - self.centre.to(points)) @ self.rotation.to(points) / self.scale
        return self.scale * self.solid.distance(local)


def smooth_minimum(distances: Float[Tensor, "k p"], blend: float) -> Float[Tensor, " p"]:
    """Distance to a union whose seams are filled, one solid after the other (Quilez's quadratic smooth minimum).

    Args:
        distances: of each of the solids, at least one.
        blend: difference of two distances up to which they are mixed, world units; 0 for a plain union.
    """
    union = distances[0]
    for other in distances[1:]:
        lower = torch.minimum(union, other)
        overlap = (blend - (union - other).abs()).clamp_min(0)
        union = lower - overlap.square() / (4 * blend) if blend else lower
    return union


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)


def _tapered(away: Tensor, height: Tensor, reach: float, half_height: float) -> Float[Tensor, " p"]:
    """Bound for what reaches so far from the axis at its base, and evenly less up to an apex."""
    slant = math.hypot(2 * half_height, reach)
    side = (2 * half_height * away + reach * (height - half_height)) / slant
    return torch.maximum(side, -height - half_height)


def _turned(points: Float[Tensor, "p 3"]) -> Float[Tensor, "p 2"]:
    """Distance from the z axis, and height."""
    return torch.stack([_length(points[:, :2]), points[:, 2]], dim=-1)


def _box(beyond: Float[Tensor, "p d"]) -> Float[Tensor, " p"]:
    """Distance to a box, from how far a point is beyond each pair of its faces."""
    return _length(beyond.clamp_min(0)) + beyond.amax(dim=-1).clamp_max(0)


def _to_segment(
    points: Float[Tensor, "p d"], start: Float[Tensor, " d"], end: Float[Tensor, " d"]
) -> Float[Tensor, " p"]:
    along = end - start
    share = ((points - start) @ along / along.square().sum()).clamp(0, 1)
    return _length(points - start - share[:, None] * along)
