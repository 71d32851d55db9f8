"""All of space in a cube: the box around the origin keeps its shape, what lies outside is squeezed around it.

The contraction of MERF (Reiser et al., 2023, equation 2), shrunk to the cube from -1 to 1. ``share`` is the half side that
the box, itself from -1 to 1, has there. With n the coordinate of largest absolute value, a point outside of the box keeps
its direction in the others, x / |n|, and has (1 / share - (1 / share - 1) / |n|) sign(n) in this one.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# What the authors' code still takes for equal.
_EQUAL = 1e-7


def contract(points: Float[Tensor, "*b 3"], share: float, *, official: bool = False) -> Float[Tensor, "*b 3"]:
    """Points of space in the cube.

    Args:
        points: in units of the box's half side, from its centre.
        share: of the cube's half side that the box gets.
        official: contract all of several largest coordinates, instead of the first alone.
    """
    size = points.abs()
    largest = size.amax(dim=-1, keepdim=True)
    dominant = size == largest if official else _first_largest(points)
    distance = largest.clamp(min=1)
    squeezed = (1 / share - (1 / share - 1) / distance) * points.sign()
    outside = torch.where(dominant, squeezed, points / distance)
    return share * torch.where(largest <= 1, points, outside)


def expand(cells: Float[Tensor, "*b 3"], share: float, *, official: bool = False) -> Float[Tensor, "*b 3"]:
    """Inverse of :func:`contract`; meaningless where nothing is contracted to, see :func:`in_corner`.

    Args:
        cells: places in the cube.
        share: of the cube's half side that the box gets.
        official: what the authors' code has for it, right where the largest coordinate is positive and alone; a negative one
            is multiplied by the distance that it should become, and several that are equally large all become the distance.
    """
    whole = cells * (1 / share)
    signed = whole.gather(-1, whole.abs().argmax(dim=-1, keepdim=True))
    largest = signed.abs()
    distance = (1 / share - 1) / (1 / share - largest.clamp(min=1))
    dominant = (whole.abs() - signed).abs() <= _EQUAL if official else _first_largest(whole)
    outside = torch.where(dominant, distance * signed.sign(), distance * whole)
    return torch.where(largest <= 1, whole, outside)


def in_corner(cells: Float[Tensor, "*b 3"], share: float, *, official: bool = False) -> Bool[Tensor, "*b"]:
    """Where no point is contracted to: two coordinates or more lie outside of the box.

    Args:
        cells: places in the cube.
        share: of the cube's half side that the box gets.
        official: count coordinates beyond the box's positive faces alone.
    """
    whole = cells * (1 / share)
    return ((whole if official else whole.abs()) > 1).sum(dim=-1) >= 2


def _first_largest(points: Tensor) -> Tensor:
    """Which coordinate has the largest absolute value, the first of several."""
    index = points.abs().argmax(dim=-1, keepdim=True)
    return torch.zeros_like(points, dtype=torch.bool).scatter(-1, index, True)
