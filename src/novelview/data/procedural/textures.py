"""Solid textures: colour as a function of position in a solid's own frame, so that every view agrees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

WAVES = 5


class Pattern(IntEnum):
    """Two-colour patterns; all are band-limited, because over-busy textures teach networks nothing."""

    CLOUDS = 0
    CHECKER = 1
    STRIPES = 2
    DOTS = 3
    MARBLE = 4
    WOOD = 5


@dataclass(frozen=True)
class Textures:
    """Surface appearance of ``k`` solids.

    Attributes:
        pattern: a :class:`Pattern` each.
        colours: the two colours that the pattern mixes, [0, 1].
        frequency: pattern periods per world unit.
        waves: directions (unit length times frequency) of the sines that make the cloud noise, radians per unit.
        phases: their phases.
        specular: strength of the highlight, 0 for a matt surface.
        shininess: Blinn-Phong exponent.
    """

    pattern: Int[Tensor, " k"]
    colours: Float[Tensor, "k 2 3"]
    frequency: Float[Tensor, " k"]
    waves: Float[Tensor, "k w 3"]
    phases: Float[Tensor, "k w"]
    specular: Float[Tensor, " k"]
    shininess: Float[Tensor, " k"]


def albedo(
    textures: Textures, points: Float[Tensor, "n 3"], which: Int[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    """Surface colour at points given in world units in the frame of their solid."""
    noise = _clouds(points, textures.waves[which], textures.phases[which])
    scaled = points * textures.frequency[which][:, None]
    pattern = textures.pattern[which]
    mix = 0.5 + 0.5 * noise
    for kind, formula in _PATTERNS.items():
        index = (pattern == kind).nonzero()[:, 0]
        if index.numel():
            mix[index] = formula(scaled[index], noise[index])
    first, second = textures.colours[which].unbind(1)
    shade = 1 + 0.12 * noise[:, None]
    return ((first + (second - first) * mix[:, None]) * shade).clamp(0, 1)


def _clouds(points: Tensor, waves: Tensor, phases: Tensor) -> Tensor:
    """Smooth noise in about [-1, 1]: a few sines of random direction, each bent a little by the one before."""
    angles = torch.einsum("nwi,ni->nw", waves, points) + phases
    bent = angles + 0.8 * torch.sin(angles.roll(1, dims=1))
    return torch.sin(bent).mean(dim=1) * 1.6


def _soft_step(value: Tensor) -> Tensor:
    """0 to 1 through 0.5 at zero, with an edge soft enough to be sampled."""
    return torch.sigmoid(6 * value)


def _checker(points: Tensor, noise: Tensor) -> Tensor:
    return _soft_step(2 * torch.sin(torch.pi * points).prod(dim=1).mul(4).tanh())


def _stripes(points: Tensor, noise: Tensor) -> Tensor:
    return _soft_step(torch.sin(2 * torch.pi * (points[:, 1] + 0.3 * points[:, 0]) + 0.6 * noise))


def _dots(points: Tensor, noise: Tensor) -> Tensor:
    cell = points - points.floor() - 0.5
    return _soft_step((0.36 - cell.norm(dim=1)) * 6)


def _marble(points: Tensor, noise: Tensor) -> Tensor:
    return (0.5 + 0.5 * torch.sin(2 * torch.pi * points[:, 0] + 5 * noise)) ** 2


def _wood(points: Tensor, noise: Tensor) -> Tensor:
    return 0.5 + 0.5 * torch.sin(2 * torch.pi * 1.5 * points[:, ::2].norm(dim=1) + 2 * noise)


_PATTERNS = {
    Pattern.CHECKER: _checker,
    Pattern.STRIPES: _stripes,
    Pattern.DOTS: _dots,
    Pattern.MARBLE: _marble,
    Pattern.WOOD: _wood,
}
