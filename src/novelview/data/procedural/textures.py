"""Solid textures: colour as a function of position in a solid's own frame, so that every view agrees."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

# The cloud noise: this many sines of the base frequency and as many an octave above, at half the strength.
WAVES = 4


class Pattern(IntEnum):
    """Two-colour patterns; all are band-limited, because over-busy textures teach networks nothing."""

    PLAIN = 0
    CLOUDS = 1
    CHECKER = 2
    STRIPES = 3
    DOTS = 4
    MARBLE = 5
    WOOD = 6
    TILES = 7


@dataclass(frozen=True)
class Textures:
    """Surface appearance of ``k`` solids.

    Attributes:
        pattern: a :class:`Pattern` each.
        colours: the two colours that the pattern mixes, [0, 1] sRGB.
        frequency: pattern periods per world unit.
        offset: where in the pattern the solid's centre lies, in periods.
        specular: strength of the highlight, 0 for a matt surface.
        shininess: Blinn-Phong exponent.
        waves: directions of the sines that make the cloud noise, shared by all solids; about unit length.
        phases: their phases.
    """

    pattern: Int[Tensor, " k"]
    colours: Float[Tensor, "k 2 3"]
    frequency: Float[Tensor, " k"]
    offset: Float[Tensor, "k 3"]
    specular: Float[Tensor, " k"]
    shininess: Float[Tensor, " k"]
    waves: Float[Tensor, "w 3"]
    phases: Float[Tensor, " w"]

    def to(self, device: torch.device | str) -> Textures:
        return Textures(**{name: value.to(device) for name, value in vars(self).items()})

    def surface(
        self, points: Float[Tensor, "3 n"], which: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "3 n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Colour, highlight strength and exponent at points given in world units in the frame of their solid."""
        columns = (
            self.colours.flatten(1),
            self.offset,
            self.frequency[:, None],
            self.specular[:, None],
            self.shininess[:, None],
        )
        row = torch.cat(columns, dim=1).T.contiguous().index_select(1, which)
        places = points * row[9] + row[6:9]
        noise = _clouds(places, self.waves, self.phases)
        mix = _mix(self.pattern[which], places, noise)
        # A little unevenness everywhere: no real surface is of one colour, and methods need something to match.
        colour = (row[:3] + (row[3:6] - row[:3]) * mix) * (1 + 0.08 * noise)
        return colour.clamp(0, 1), row[10], row[11]


def _clouds(points: Tensor, waves: Tensor, phases: Tensor) -> Tensor:
    """Smooth noise in about [-1, 1]: sines of random directions, each bent by the one before, in two octaves."""
    w = waves[:, :, None]
    angles = 2 * math.pi * 0.6 * (w[:, 0] * points[0] + w[:, 1] * points[1] + w[:, 2] * points[2])
    angles = angles + phases[:, None]
    low = torch.sin(angles)
    high = torch.sin(2.1 * angles.roll(1, dims=0) + 1.5 * low)
    return (low.sum(0) + 0.5 * high.sum(0)) * (1.3 / len(waves))


def _mix(pattern: Tensor, points: Tensor, noise: Tensor) -> Tensor:
    """Share of the second colour, in [0, 1]; none where the pattern is plain."""
    mix = torch.zeros_like(noise)
    for kind, formula in _PATTERNS.items():
        index = (pattern == kind).nonzero()[:, 0]
        if len(index):
            mix[index] = formula(points[:, index], noise[index])
    return mix


def _step(value: Tensor) -> Tensor:
    """0 to 1 through 0.5 at zero, over about a fifth of a unit: an edge soft enough to be sampled."""
    return 0.5 + 0.5 * torch.tanh(10 * value)


def _edge(coordinate: Tensor) -> Tensor:
    """Distance to the nearest whole number."""
    return (coordinate - coordinate.round()).abs()


def _smooth(points: Tensor, noise: Tensor) -> Tensor:
    return (0.5 + 0.6 * noise).clamp(0, 1)


def _checker(points: Tensor, noise: Tensor) -> Tensor:
    x, y, z = torch.sin(math.pi * points)
    return _step(0.7 * x * y * z)


def _stripes(points: Tensor, noise: Tensor) -> Tensor:
    return _step(0.4 * torch.sin(2 * math.pi * (points[0] + 0.35 * points[2]) + 0.4 * noise))


def _dots(points: Tensor, noise: Tensor) -> Tensor:
    x, y, z = points - points.floor() - 0.5
    return _step(0.34 - (x * x + y * y + z * z).sqrt())


def _marble(points: Tensor, noise: Tensor) -> Tensor:
    return 1 - torch.sin(math.pi * (points[0] + 0.5 * points[1]) + 3 * noise).abs().sqrt()


def _wood(points: Tensor, noise: Tensor) -> Tensor:
    # Rings about an axis far off, so that a board shows long grain.
    ring = torch.hypot(points[1] + 0.3 * points[0], points[2] + 0.15 * points[0] + 1.7)
    return 0.5 + 0.5 * torch.sin(2 * math.pi * 1.6 * ring + 1.6 * noise)


def _tiles(points: Tensor, noise: Tensor) -> Tensor:
    x, y, z = _edge(points)
    return _step(0.08 - torch.minimum(torch.minimum(x, y), z))


_PATTERNS: dict[Pattern, Callable[[Tensor, Tensor], Tensor]] = {
    Pattern.CLOUDS: _smooth,
    Pattern.CHECKER: _checker,
    Pattern.STRIPES: _stripes,
    Pattern.DOTS: _dots,
    Pattern.MARBLE: _marble,
    Pattern.WOOD: _wood,
    Pattern.TILES: _tiles,
}
