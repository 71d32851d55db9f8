"""Solids as descriptions say they are: shapes whose proportions a seed draws, upright, in one colour each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.data.procedural.described import Description
from novelview.data.procedural.distances import (
    Ball,
    Box,
    Cone,
    Cylinder,
    Handle,
    Placed,
    Pyramid,
    Solid,
    Torus,
    Triple,
    Vase,
    Vessel,
)
from novelview.data.procedural.draw import Drawer, Range, hsv_to_rgb
from novelview.data.procedural.objects import EDGE, Paint, SolidObject, at, chair_parts
from novelview.random import generator_for

# Hue in turns, saturation and value of each colour. Light takes some of the value, so orange is as bright as can be, and
# brown is not orange in the shade.
_HSV: dict[str, tuple[Range, Range, Range]] = {
    "red": ((-0.015, 0.01), (0.85, 0.97), (0.8, 0.95)),
    "green": ((0.32, 0.38), (0.7, 0.9), (0.5, 0.75)),
    "blue": ((0.6, 0.65), (0.78, 0.95), (0.75, 1.0)),
    "yellow": ((0.135, 0.16), (0.8, 0.95), (0.95, 1.0)),
    "orange": ((0.065, 0.085), (0.9, 1.0), (0.97, 1.0)),
    "purple": ((0.75, 0.79), (0.65, 0.85), (0.6, 0.8)),
    "turquoise": ((0.475, 0.51), (0.65, 0.9), (0.8, 0.95)),
    "pink": ((0.89, 0.94), (0.4, 0.55), (0.97, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.05), (0.5, 0.65)),
    "brown": ((0.05, 0.075), (0.6, 0.75), (0.36, 0.48)),
    "black": ((0.0, 1.0), (0.0, 0.1), (0.08, 0.16)),
}

REACH = 0.64
"""No corner of an object's box is farther from the origin, so that cameras at a distance of 2 see all of it."""

Parts = tuple[Placed, ...]


def described_object(description: Description, seed: int) -> SolidObject:
    """An object that a description fits: the seed draws proportions, shades and places.

    It is centred on the origin and as large as fits into a cube of edge :data:`~novelview.data.procedural.objects.EDGE` and
    into a ball of radius :data:`REACH`. A chair looks along -y.
    """
    draw = Drawer(generator_for(seed, "described-object", description.caption))
    things = [_sized(_MAKERS[thing.shape](draw), 1.0) for thing in description.things]
    colours = [_colour(thing.colour, draw) for thing in description.things]
    if description.relation == "on":
        things = _stacked(things[0], things[1], draw)
    elif description.relation == "beside":
        things = _side_by_side(things[0], things[1], draw)
    parts = _sized(tuple(part for thing in things for part in thing), EDGE)
    reach = float(_box_of(parts)[1].norm())
    parts = _sized(parts, EDGE * min(1.0, REACH / reach))
    lower, upper = _box_of(parts)
    counts = torch.tensor([len(thing) for thing in things])
    still = torch.zeros(1, 3)
    return SolidObject(
        name=f"{description.caption}-{seed}".replace(" ", "-"),
        parts=parts,
        blend=0.0,
        paint=Paint(
            torch.stack(colours).repeat_interleave(counts, dim=0), still, still[:, 0], still, seam=2e-3
        ),
        box_min=_triple(lower),
        box_max=_triple(upper),
    )


def _stacked(upper: Parts, lower: Parts, draw: Drawer) -> list[Parts]:
    """The first on the second, whole on it unless it is much wider."""
    low, high = _box_of(lower)
    room = float((high - low)[:2].min())
    upper = _sized(upper, draw.number((0.75, 1.0)) * max(room, 0.6))
    top_low, top_high = _box_of(upper)
    slack = ((high - low) - (top_high - top_low))[:2].clamp_min(0) / 2
    aside = slack * draw.uniform((-0.6, 0.6), 2)
    rise = high[2] - top_low[2]
    return [_moved(upper, torch.cat([aside.double(), rise[None]])), lower]


def _side_by_side(first: Parts, second: Parts, draw: Drawer) -> list[Parts]:
    """On the same ground along x, either of them on the left, with a gap."""
    pair = [_sized(first, draw.number((0.8, 1.0))), _sized(second, draw.number((0.8, 1.0)))]
    left = draw.integer((0, 1))
    gap, depth = draw.number((0.04, 0.15)), draw.number((-0.15, 0.15))
    (low, _), (_, high) = _box_of(pair[1 - left]), _box_of(pair[left])
    pair[left] = _moved(
        pair[left], torch.stack([low[0] - gap - high[0], low.new_tensor(depth), low.new_tensor(0.0)])
    )
    return [_moved(thing, torch.stack([low[0] * 0, low[1] * 0, -_box_of(thing)[0][2]])) for thing in pair]


def _ball(draw: Drawer) -> Parts:
    return (at(Ball(0.5), 0.0, 0.0, 0.0),)


def _box(draw: Drawer) -> Parts:
    wide, deep, high = draw.uniform((0.6, 1.0), 3).tolist()
    return (_turned(Box((wide, deep, 0.9 * high), 0.03), draw.number((-0.4, 0.4))),)


def _cone(draw: Drawer) -> Parts:
    return (at(Cone(draw.number((0.38, 0.55)), 0.5), 0.0, 0.0, 0.0),)


def _cylinder(draw: Drawer) -> Parts:
    return (at(Cylinder(draw.number((0.3, 0.5)), draw.number((0.35, 0.6)), 0.02), 0.0, 0.0, 0.0),)


def _torus(draw: Drawer) -> Parts:
    """Lying."""
    return (at(Torus(0.36, draw.number((0.1, 0.16))), 0.0, 0.0, 0.0),)


def _cup(draw: Drawer) -> Parts:
    """With a handle towards +x."""
    foot, rim, high = draw.number((0.24, 0.32)), draw.number((0.32, 0.4)), draw.number((0.32, 0.42))
    vessel = Vessel(((0.0, -high), (foot, -high), (rim, high)), thickness=0.08)
    bow = draw.number((0.5, 0.65)) * high
    return at(vessel, 0.0, 0.0, 0.0), at(Handle(bow, 0.05), (foot + rim) / 2, 0.0, 0.0)


def _vase(draw: Drawer) -> Parts:
    """A belly below, a neck, and a wider mouth."""
    return (
        at(
            Vase(
                radius=draw.number((0.2, 0.26)),
                swell=draw.number((0.09, 0.13)),
                waves=draw.number((1.15, 1.3)),
                phase=draw.number((0.52, 0.6)),
                half_height=draw.number((0.45, 0.55)),
            ),
            0.0,
            0.0,
            0.0,
        ),
    )


def _pyramid(draw: Drawer) -> Parts:
    return (_turned(Pyramid(draw.number((0.42, 0.58)), draw.number((0.38, 0.5))), draw.number((-0.4, 0.4))),)


def _capsule(draw: Drawer) -> Parts:
    radius = draw.number((0.18, 0.25))
    return (at(Cylinder(radius, 0.5, radius), 0.0, 0.0, 0.0),)


def _table(draw: Drawer) -> Parts:
    wide, deep, high = draw.number((0.45, 0.55)), draw.number((0.32, 0.5)), draw.number((0.28, 0.38))
    slab, leg = draw.number((0.04, 0.06)), draw.number((0.04, 0.06))
    corners = [(x, y) for x in (leg - wide, wide - leg) for y in (leg - deep, deep - leg)]
    legs = [at(Box((leg, leg, high)), x, y, -high) for x, y in corners]
    return at(Box((wide, deep, slab), 0.01), 0.0, 0.0, 0.0), *legs


_MAKERS: dict[str, Callable[[Drawer], Parts]] = {
    "ball": _ball,
    "box": _box,
    "cone": _cone,
    "cylinder": _cylinder,
    "torus": _torus,
    "cup": _cup,
    "vase": _vase,
    "chair": chair_parts,
    "pyramid": _pyramid,
    "capsule": _capsule,
    "table": _table,
}


def _colour(name: str, draw: Drawer) -> Float[Tensor, " 3"]:
    hue, saturation, value = (draw.uniform(bounds) for bounds in _HSV[name])
    return hsv_to_rgb(hue, saturation, value)


def _turned(solid: Solid, angle: float) -> Placed:
    """Turned about z."""
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
    return Placed(solid, torch.tensor(rotation, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))


def _moved(parts: Parts, by: Float[Tensor, " 3"]) -> Parts:
    return tuple(replace(part, centre=part.centre + by) for part in parts)


def _sized(parts: Parts, edge: float) -> Parts:
    """Scaled so that the longest edge of their box is ``edge``, and centred on the origin."""
    lower, upper = _box_of(parts)
    grow, middle = edge / float((upper - lower).max()), (lower + upper) / 2
    return tuple(replace(p, centre=(p.centre - middle) * grow, scale=p.scale * grow) for p in parts)


def _box_of(parts: Parts) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Corners of the box around all parts: tight, as solids of revolution stand upright."""
    halves = [part.scale * part.rotation.abs() @ part.centre.new_tensor(_half(part.solid)) for part in parts]
    centres, half = torch.stack([part.centre for part in parts]), torch.stack(halves)
    return (centres - half).amin(dim=0), (centres + half).amax(dim=0)


def _half(solid: Solid) -> Triple:
    """Half edges of a box about the origin that holds a solid."""
    match solid:
        case Box(half=half):
            return half
        case Ball(radius=r):
            return r, r, r
        case (
            Cylinder(radius=r, half_height=h)
            | Cone(radius=r, half_height=h)
            | Pyramid(half_edge=r, half_height=h)
        ):
            return r, r, h
        case Torus(radius=r, tube=t):
            return r + t, r + t, t
        case Handle(radius=r, tube=t):
            return r + t, t, r + t
        case Vase(radius=r, swell=s, half_height=h):
            return r + s, r + s, h
        case Vessel(profile=profile, thickness=t):
            r, h = (max(abs(corner[i]) for corner in profile) + t / 2 for i in (0, 1))
            return r, r, h
    raise TypeError(f"no box is known of {type(solid).__name__}")


def _triple(values: Float[Tensor, " 3"]) -> Triple:
    x, y, z = values.tolist()
    return x, y, z
