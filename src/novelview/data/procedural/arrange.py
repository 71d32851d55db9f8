"""Where things stand: on a floor or on one another, on walls, and as mirrored twins."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from novelview.data.procedural.draw import Drawer, Range
from novelview.data.procedural.solids import Shape, Solids

_FLAT_TOPPED = (Shape.BOX, Shape.CYLINDER, Shape.FRUSTUM)
# Of so many places drawn, the one with the most room around it is taken.
_PLACES = 12


def stand(draw: Drawer, things: Solids, stacked: Tensor, floor: float, reach: float) -> Solids:
    """Things set on the floor at height ``floor`` within ``reach`` of the z axis, or on one another.

    A thing marked ``stacked`` stands on an earlier flat-topped one that still has its top free, made small enough
    for it; where there is none it stands on the floor.
    """
    scale, centre = things.scale.clone(), torch.zeros_like(things.centre)
    height = _half_height(things)
    ground: list[int] = []
    free: list[int] = []
    for i in range(len(things)):
        places = draw.uniform((0.0, 1.0), _PLACES, 2)
        if bool(stacked[i]) and free:
            base = free.pop(0)
            shrink = min(1.0, 0.8 * _top(things.shape[base], scale[base]) / _footprint(scale[i]))
            scale[i] *= shrink
            height[i] *= shrink
            centre[i] = centre[base]
            centre[i, 2] += height[base] + height[i]
        else:
            allowed = max(reach - _footprint(scale[i]), 0.0)
            centre[i, :2] = _roomiest(places, allowed, centre, scale, ground, i)
            centre[i, 2] = floor + height[i]
            ground.append(i)
        if int(things.shape[i]) in _FLAT_TOPPED and bool(things.rotation[i, 2, 1] > 0.999):
            free.append(i)
    return replace(things, scale=scale, centre=centre)


def mirror(solids: Solids) -> Solids:
    """Twins on the other side of the plane x = 0; right for shapes that are their own mirror image in local x."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    rotation = flip[:, None] * solids.rotation * flip
    return replace(solids, rotation=rotation, centre=solids.centre * flip)


def hang(draw: Drawer, count: int, size: Range, room: tuple[float, float, float]) -> Solids:
    """Thin boxes on the four walls of a room of the given half extents."""
    x, y, z = room
    wall = draw.among(range(4), count)
    half = draw.uniform(size, count, 2).clamp(max=0.55 * z)
    along = draw.uniform((-0.75, 0.75), count)
    up = draw.uniform((-0.15, 0.35), count) * z
    turn = wall * (math.pi / 2)
    out = torch.stack([turn.cos(), turn.sin(), torch.zeros(count)], dim=-1)
    side = torch.stack([-turn.sin(), turn.cos(), torch.zeros(count)], dim=-1)
    vertical = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    across = torch.where(wall % 2 == 0, x, y)
    width = torch.where(wall % 2 == 0, y, x)
    centre = across[:, None] * out + (along * width)[:, None] * side + up[:, None] * vertical
    return Solids(
        shape=torch.full((count,), int(Shape.BOX)),
        rotation=torch.stack([side, vertical, torch.linalg.cross(side, vertical)], dim=-1),
        scale=torch.cat([half, torch.full((count, 1), 0.05)], dim=1),
        centre=centre,
    )


def _half_height(solids: Solids) -> Tensor:
    """Half extents along the vertical; exact for ellipsoids and upright solids, generous for others."""
    axes = solids.rotation[:, 2] * solids.scale
    return torch.where(solids.shape == Shape.ELLIPSOID, axes.norm(dim=1), axes.abs().sum(dim=1))


def _footprint(scale: Tensor) -> float:
    return math.hypot(float(scale[0]), float(scale[2]))


def _top(shape: Tensor, scale: Tensor) -> float:
    """Radius of the largest disc on a flat top."""
    return float(torch.minimum(scale[0], scale[2])) * (0.4 if int(shape) == Shape.FRUSTUM else 1.0)


def _roomiest(
    places: Tensor, allowed: float, centre: Tensor, scale: Tensor, ground: list[int], thing: int
) -> Tensor:
    """Of random places in a disc, the one farthest from the things that already stand there."""
    radius, turn = allowed * places[:, 0].sqrt(), 2 * math.pi * places[:, 1]
    spots = torch.stack([radius * turn.cos(), radius * turn.sin()], dim=-1)
    if not ground:
        return spots[0]
    taken = torch.tensor([_footprint(scale[j]) for j in ground])
    gap = (spots[:, None] - centre[ground, :2]).norm(dim=-1) - taken - _footprint(scale[thing])
    return spots[gap.amin(dim=1).argmax()]
