"""Coloured solids whose surface is known exactly, for reconstruction: each is a signed distance and a colour in space.

``ball-and-box``, ``torus``, ``cup``, ``tumbler`` and ``vase`` are the same shape for every seed, in other colours; the
tumbler is so deep that few cameras see its bottom. Others have another shape for every seed: a ``chair`` has legs or a foot,
a back and perhaps arms, and always looks along -y; a ``shape`` is one to three boxes, ellipsoids, cylinders and rings,
molten together, in any position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.data.procedural.distances import (
    Ball,
    Box,
    Cylinder,
    Ellipsoid,
    Placed,
    Solid,
    Torus,
    Triple,
    Vase,
    Vessel,
    smooth_minimum,
)
from novelview.data.procedural.draw import Drawer, hsv_to_rgb
from novelview.errors import ConfigError
from novelview.random import generator_for

EDGE = 0.9
"""Longest edge of an object's box: a little less than the unit cube's, so that cameras and meshes have air around it."""
# Cells along an edge of the lattice that boxes are found with.
_CELLS = 48


@dataclass(frozen=True)
class Paint:
    """Colour as a function of place: one per part, with sines running across all of them.

    Attributes:
        colours: of the parts, [0, 1] sRGB.
        waves: periods per world unit along each axis.
        phases: where the waves begin, radians.
        strengths: by how much each wave changes red, green and blue.
        seam: colours of parts run into one another over about this distance, world units.
    """

    colours: Float[Tensor, "k 3"]
    waves: Float[Tensor, "w 3"]
    phases: Float[Tensor, " w"]
    strengths: Float[Tensor, "w 3"]
    seam: float = 0.02

    def at(self, points: Float[Tensor, "p 3"], distances: Float[Tensor, "k p"]) -> Float[Tensor, "p 3"]:
        """Colours in [0, 1] at points that have the given distances to the parts."""
        base = (-distances / self.seam).softmax(dim=0).T @ self.colours.to(points)
        angles = 2 * math.pi * points @ self.waves.to(points).T + self.phases.to(points)
        return (base + angles.sin() @ self.strengths.to(points)).clamp(0, 1)


@dataclass(frozen=True)
class SolidObject:
    """A solid made of parts, within the cube from -0.5 to 0.5; z is up.

    Attributes:
        name: for people.
        parts: what it is the union of.
        blend: how far the parts melt together, see :func:`~novelview.data.procedural.distances.smooth_minimum`.
        paint: its colours.
        box_min: lower corner of a box that holds it, up to 0.05 larger on each side than it must be.
        box_max: upper corner of that box.
    """

    name: str
    parts: tuple[Solid, ...]
    blend: float
    paint: Paint
    box_min: Triple
    box_max: Triple

    def field(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """Positive inside: the negated signed distance, or a bound of it that changes no faster than the place."""
        return -smooth_minimum(_distances(self.parts, points), self.blend)

    def colour(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Colours in [0, 1], the same from everywhere; defined in all of space, meant for the surface."""
        return self.paint.at(points, _distances(self.parts, points))


def make_object(name: str, seed: int) -> SolidObject:
    """An object by name; the seed draws its colours, and the shape of a ``shape``.

    Raises:
        ConfigError: there is no object of that name.
    """
    if name not in OBJECTS:
        raise ConfigError(f"There is no object {name!r}", cure=f"choose one of: {', '.join(OBJECTS)}")
    draw = Drawer(generator_for(seed, "procedural-object", name))
    parts, blend = OBJECTS[name](draw)
    lower, upper = extent(parts, blend, 0.5)
    return SolidObject(
        name=f"{name}-{seed}",
        parts=parts,
        blend=blend,
        paint=_paint(draw, len(parts)),
        box_min=_triple(lower),
        box_max=_triple(upper),
    )


def extent(
    parts: tuple[Solid, ...], blend: float, reach: float
) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Corners of a box that surely holds what the parts make between -reach and reach; at least one point must be inside.

    A lattice point whose distance is more than half a cell's diagonal has nothing of the solid in its cell.
    """
    half = reach / _CELLS
    middles = torch.linspace(-reach + half, reach - half, _CELLS, dtype=torch.float64)
    lattice = torch.cartesian_prod(middles, middles, middles)
    near = lattice[smooth_minimum(_distances(parts, lattice), blend) <= math.sqrt(3) * half]
    return near.amin(dim=0) - half, near.amax(dim=0) + half


def _distances(parts: tuple[Solid, ...], points: Float[Tensor, "p 3"]) -> Float[Tensor, "k p"]:
    return torch.stack([part.distance(points) for part in parts])


def _triple(values: Tensor) -> Triple:
    x, y, z = values.tolist()
    return x, y, z


def at(solid: Solid, x: float, y: float, z: float) -> Placed:
    """The solid with its origin at a place, neither turned nor scaled."""
    return Placed(solid, torch.eye(3, dtype=torch.float64), torch.tensor([x, y, z], dtype=torch.float64))


Made = tuple[tuple[Solid, ...], float]


def _ball_and_box(draw: Drawer) -> Made:
    ball, box = Ball(0.25), Box((0.38, 0.22, 0.16))
    return (at(ball, 0.1, 0.05, 0.15), at(box, 0.0, 0.0, -0.2)), 0.0


def _torus(draw: Drawer) -> Made:
    tilt = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]], dtype=torch.float64)
    return (Placed(Torus(0.3, 0.12), tilt, torch.zeros(3, dtype=torch.float64)),), 0.0


def _cup(draw: Drawer) -> Made:
    return (Vessel(((0.0, -0.24), (0.24, -0.24), (0.38, 0.24)), thickness=0.08),), 0.0


def _tumbler(draw: Drawer) -> Made:
    return (Vessel(((0.0, -0.36), (0.2, -0.36), (0.32, 0.36)), thickness=0.08),), 0.0


def _vase(draw: Drawer) -> Made:
    return (Vase(radius=0.24, swell=0.1, waves=1.2, phase=0.55, half_height=0.42),), 0.0


def _chair(draw: Drawer) -> Made:
    return fitted(*fitted(chair_parts(draw), 0.0, 1.5), 0.5)


def chair_parts(draw: Drawer) -> tuple[Placed, ...]:
    """A chair that looks along -y, with its seat at height 0, in any unit."""
    # Numbers are half edges.
    wide, deep = draw.uniform((0.2, 0.35), 2).tolist()
    legs, back = draw.uniform((0.12, 0.3), 2).tolist()
    seat, slab, leg = draw.uniform((0.03, 0.07), 3).tolist()
    parts = [
        at(Box((wide, deep, seat), 0.02), 0.0, 0.0, 0.0),
        at(Box((wide, slab, back), 0.02), 0.0, deep - slab, back),
    ]
    if draw.integer((0, 3)):
        corners = [(x, y) for x in (leg - wide, wide - leg) for y in (leg - deep, deep - leg)]
        parts += [at(Box((leg, leg, legs), 0.01), x, y, -legs) for x, y in corners]
    else:
        parts += [at(Cylinder(leg, legs), 0.0, 0.0, -legs)]
        parts += [at(Cylinder(0.8 * min(wide, deep), 0.04, 0.02), 0.0, 0.0, -2 * legs)]
    if draw.integer((0, 1)):
        height = draw.number((0.3, 0.7)) * back
        parts += [at(Box((leg, deep, height), 0.01), x, 0.0, height) for x in (leg - wide, wide - leg)]
    return tuple(parts)


def _shape(draw: Drawer) -> Made:
    """Parts around the origin, moved and scaled together so that their box fills the unit cube but for some air."""
    count = draw.integer((1, 3))
    rotations = draw.rotations(count, free=1.0).double()
    centres = draw.uniform((-0.3, 0.3), count, 3).double() * (count > 1)
    solids = [_part(draw) for _ in range(count)]
    parts = tuple(map(Placed, solids, rotations, centres))
    # A second time on a finer lattice, where the box is tight.
    return fitted(*fitted(parts, draw.number((0.03, 0.15)), 1.5), 0.5)


def fitted(parts: tuple[Placed, ...], blend: float, reach: float) -> tuple[tuple[Placed, ...], float]:
    """Moved and scaled so that their box is about the origin and has the longest edge that objects have."""
    lower, upper = extent(parts, blend, reach)
    middle, grow = (lower + upper) / 2, EDGE / float((upper - lower).max())
    moved = (
        Placed(part.solid, part.rotation, (part.centre - middle) * grow, part.scale * grow) for part in parts
    )
    return tuple(moved), blend * grow


def _part(draw: Drawer) -> Solid:
    a, b, c = draw.uniform((0.15, 0.5), 3).tolist()
    round_share = draw.number((0.1, 0.6))
    kind = draw.integer((0, 3))
    if kind == 0:
        return Box((a, b, c), round_share * min(a, b, c))
    if kind == 1:
        return Ellipsoid((a, b, c))
    if kind == 2:
        return Cylinder(a, b, round_share * min(a, b))
    return Torus(0.15 + a / 2, 0.1 + 0.2 * b)


def _paint(draw: Drawer, parts: int, waves: int = 4) -> Paint:
    """Colours far enough from black and white that waves are rarely cut off."""
    hue = draw.number((0.0, 1.0)) + torch.arange(parts) / max(parts, 2) + draw.uniform((-0.1, 0.1), parts)
    colours = hsv_to_rgb(hue, draw.uniform((0.3, 0.65), parts), draw.uniform((0.6, 0.85), parts))
    return Paint(
        colours=colours,
        waves=draw.normal(waves, 3) * draw.uniform((0.8, 2.0), waves, 1),
        phases=draw.uniform((0.0, 2 * math.pi), waves),
        strengths=draw.uniform((-0.1, 0.1), waves, 3),
    )


OBJECTS: dict[str, Callable[[Drawer], Made]] = {
    "ball-and-box": _ball_and_box,
    "torus": _torus,
    "cup": _cup,
    "tumbler": _tumbler,
    "vase": _vase,
    "chair": _chair,
    "shape": _shape,
}
