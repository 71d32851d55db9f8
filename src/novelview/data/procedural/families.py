"""Four families of random scenes, each with the ranges it draws from and the cameras that suit it.

``object``: a toy of a few parts in the middle of nothing, seen from all around, with masks. ``table``: things on a
round table before nothing, with masks. ``room``: furniture in a room with pictures, cameras inside. ``forward``:
layers of things before a far wall, cameras that all look the same way. World axes: z up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.data.procedural import rigs
from novelview.data.procedural.arrange import hang, mirror, stand
from novelview.data.procedural.draw import Drawer, Look, Range, planes
from novelview.data.procedural.render import World
from novelview.data.procedural.solids import Shape, Solids
from novelview.errors import ConfigError
from novelview.random import generator_for
from novelview.types import Bounds

# (number of views, share of the rig, generator) -> poses (n, 3, 4)
Rig = Callable[[int, float, torch.Generator], Tensor]

THINGS = (Shape.ELLIPSOID, Shape.BOX, Shape.CYLINDER, Shape.FRUSTUM, Shape.RING)
WHITE = (1.0, 1.0, 1.0)
_LOOK, _BACKDROP = Look(), Look(backdrop=(0.3, 0.9))


@dataclass(frozen=True)
class Stage:
    """A world, the extent of what it shows, and how cameras stand in it.

    Attributes:
        world: what is rendered.
        bounds: extent as methods need it.
        rig: draws camera poses.
        field_of_view: horizontal, degrees.
        share: part of the rig that neighbouring views cover.
        masked: whether rays can miss everything.
    """

    world: World
    bounds: Bounds
    rig: Rig
    field_of_view: float
    share: Range
    masked: bool


@dataclass(frozen=True)
class ObjectRanges:
    """Toys: a body with parts on its surface, most of them in mirrored pairs, scaled to radius 1.

    Attributes:
        parts: number of parts besides the body, before mirroring.
        body: half extents of the body.
        part: half extents of the parts.
        mirrored: share of parts that have a twin on the other side.
        tumbled: share of parts that do not stand upright.
        field_of_view: horizontal, degrees.
        margin: distance from which the cameras look, times that at which the object just fills the view.
        elevation: of the cameras, degrees.
        light_distance: of the shadow-casting light, times the object's radius.
        light_elevation: degrees above the horizon.
        share: part of the orbit that neighbouring views cover.
    """

    parts: tuple[int, int] = (2, 5)
    body: Range = (0.4, 0.85)
    part: Range = (0.15, 0.5)
    mirrored: float = 0.6
    tumbled: float = 0.35
    field_of_view: Range = (32.0, 58.0)
    margin: Range = (0.8, 1.1)
    elevation: Range = (-20.0, 65.0)
    light_distance: Range = (4.0, 7.0)
    light_elevation: Range = (25.0, 70.0)
    share: Range = (0.1, 0.5)
    look: Look = _LOOK


@dataclass(frozen=True)
class TableRanges:
    """A round table, its top at height 0, radius 1, with things standing on it.

    Attributes:
        things: number of things, those that stand on others included.
        size: half extents.
        stacked: share of things that stand on another where one is flat on top.
        tumbled: share of things that lie askew; they may reach into the table.
        field_of_view: horizontal, degrees.
        margin: distance from which the cameras look, times that at which the table just fills the view.
        elevation: of the cameras, degrees.
        light_distance: of the shadow-casting light.
        light_elevation: degrees above the horizon.
        share: part of the orbit that neighbouring views cover.
    """

    things: tuple[int, int] = (5, 11)
    size: Range = (0.13, 0.34)
    stacked: float = 0.3
    tumbled: float = 0.08
    field_of_view: Range = (35.0, 55.0)
    margin: Range = (0.72, 0.9)
    elevation: Range = (8.0, 60.0)
    light_distance: Range = (4.0, 6.0)
    light_elevation: Range = (35.0, 65.0)
    share: Range = (0.1, 0.5)
    look: Look = _LOOK


@dataclass(frozen=True)
class RoomRanges:
    """A room with furniture in the middle and pictures on the walls; the cameras go round along the walls.

    Attributes:
        half_width: of the room, both ways.
        half_height: of the room.
        things: number of pieces of furniture, those that stand on others included.
        size: their half extents.
        stacked: share of them that stand on another where one is flat on top.
        tumbled: share that lies askew.
        pictures: number of pictures.
        picture: their half width and height.
        ring: radius of the cameras' circle, as a share of the smaller half width.
        field_of_view: horizontal, degrees.
        share: part of the circle that neighbouring views cover.
    """

    half_width: Range = (2.4, 4.0)
    half_height: Range = (1.2, 1.8)
    things: tuple[int, int] = (5, 11)
    size: Range = (0.15, 0.5)
    stacked: float = 0.3
    tumbled: float = 0.06
    pictures: tuple[int, int] = (1, 6)
    picture: Range = (0.25, 0.7)
    ring: Range = (0.68, 0.86)
    field_of_view: Range = (55.0, 78.0)
    share: Range = (0.06, 0.25)
    look: Look = _LOOK


@dataclass(frozen=True)
class ForwardRanges:
    """A far wall, sometimes a floor, and things at all depths in between, as many near as far in parallax.

    Attributes:
        wall: depth of the wall.
        turn: of the wall about the vertical, degrees either way.
        floored: share of scenes with a floor.
        floor: its depth below the lowest camera.
        things: number of things.
        near: depth at which things begin.
        size: half extents as a share of half the width of the view at that depth.
        tumbled: share of the things that stand askew; where there is no floor, things also float.
        spread: half width of the camera grid.
        focus: depth towards which the cameras are toed in.
        field_of_view: horizontal, degrees.
        share: part of the grid's width that neighbouring views cover.
    """

    wall: Range = (4.5, 9.0)
    turn: Range = (-20.0, 20.0)
    floored: float = 0.65
    floor: Range = (0.35, 1.1)
    things: tuple[int, int] = (9, 20)
    near: Range = (1.2, 2.2)
    size: Range = (0.06, 0.32)
    tumbled: float = 0.3
    spread: Range = (0.12, 0.45)
    focus: Range = (2.0, 5.0)
    field_of_view: Range = (42.0, 68.0)
    share: Range = (0.5, 1.0)
    look: Look = _BACKDROP


def make_stage(family: str, seed: int) -> Stage:
    """The world number ``seed`` of a family.

    Raises:
        ConfigError: there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError(f"There is no family {family!r}", cure=f"choose one of: {', '.join(FAMILIES)}")
    return FAMILIES[family](Drawer(generator_for(seed, "procedural", family)))


def _object(draw: Drawer, ranges: ObjectRanges = ObjectRanges()) -> Stage:
    count = draw.integer(ranges.parts)
    body = Solids(
        shape=draw.among(THINGS[:4], 1),
        rotation=draw.rotations(1, ranges.tumbled / 2),
        scale=draw.uniform(ranges.body, 1, 3),
        centre=torch.zeros(1, 3),
    )
    outward = F.normalize(draw.normal(count, 3), dim=-1) * draw.uniform((0.8, 1.05), count, 1)
    parts = Solids(
        shape=draw.among(THINGS, count),
        rotation=draw.rotations(count, ranges.tumbled),
        scale=draw.uniform(ranges.part, count, 3),
        centre=(outward * body.scale) @ body.rotation[0].T,
    )
    twins = draw.chance(ranges.mirrored, count) & (parts.centre[:, 0].abs() > 0.15)
    solids = _to_unit_ball(Solids.concatenate([body, parts, mirror(parts[twins])]))
    light = draw.light(ranges.light_distance, ranges.light_elevation)
    world = draw.world(solids, ranges.look, light, background=1.0)
    return _orbited(draw, world, 1.0, ranges.field_of_view, ranges.margin, ranges.elevation, ranges.share)


def _table(draw: Drawer, ranges: TableRanges = TableRanges()) -> Stage:
    count, thickness = draw.integer(ranges.things), 0.06
    top = Solids(
        shape=torch.tensor([int(Shape.CYLINDER)]),
        rotation=draw.rotations(1, 0.0),
        scale=torch.tensor([[1.0, thickness, 1.0]]),
        centre=torch.tensor([[0.0, 0.0, -thickness]]),
    )
    things = Solids(
        shape=draw.among(THINGS, count),
        rotation=draw.rotations(count, ranges.tumbled),
        scale=draw.uniform(ranges.size, count, 3),
        centre=torch.zeros(count, 3),
    )
    stacked = draw.chance(ranges.stacked, count)
    solids = Solids.concatenate([top, stand(draw, things, stacked, 0.0, 0.88)])
    # The middle of what is to be seen lies a little above the table.
    solids = Solids(
        solids.shape, solids.rotation, solids.scale, solids.centre - torch.tensor([0.0, 0.0, 0.2])
    )
    light = draw.light(ranges.light_distance, ranges.light_elevation)
    world = draw.world(solids, ranges.look, light, background=1.0)
    radius = float((solids.centre.norm(dim=1) + solids.radius).max())
    return _orbited(draw, world, radius, ranges.field_of_view, ranges.margin, ranges.elevation, ranges.share)


def _orbited(
    draw: Drawer, world: World, radius: float, view: Range, margin: Range, elevation: Range, share: Range
) -> Stage:
    """Cameras all around a thing of the given radius at the origin."""
    field_of_view = draw.number(view)
    nearest = max(radius / math.sin(math.radians(field_of_view / 2)) * draw.number(margin), 1.3 * radius)
    distance = (nearest, 1.15 * nearest)

    def rig(views: int, part: float, generator: torch.Generator) -> Tensor:
        return rigs.orbit(views, part, generator, distance=distance, elevation=elevation)

    lower, upper = world.solids.corners()
    bounds = Bounds(
        near=0.97 * (distance[0] - radius),
        far=1.01 * (distance[1] + radius),
        box_min=_triple(lower),
        box_max=_triple(upper),
        unbounded=False,
        background=WHITE,
    )
    return Stage(world, bounds, rig, field_of_view, share, masked=True)


def _room(draw: Drawer, ranges: RoomRanges = RoomRanges()) -> Stage:
    x, y, z = draw.number(ranges.half_width), draw.number(ranges.half_width), draw.number(ranges.half_height)
    shell = planes(
        [
            [0.0, 0.0, 1.0],
            [0.0, 0.0, -1.0],
            [1.0, 0.0, 0.0],
            [-1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, -1.0, 0.0],
        ],
        [[0.0, 0.0, -z], [0.0, 0.0, z], [-x, 0.0, 0.0], [x, 0.0, 0.0], [0.0, -y, 0.0], [0.0, y, 0.0]],
    )
    radius = draw.number(ranges.ring) * min(x, y)
    count = draw.integer(ranges.things)
    things = Solids(
        shape=draw.among(THINGS, count),
        rotation=draw.rotations(count, ranges.tumbled),
        scale=draw.uniform(ranges.size, count, 3),
        centre=torch.zeros(count, 3),
    )
    # Clear of the cameras, which come as near to the middle as 0.85 of their circle.
    things = stand(draw, things, draw.chance(ranges.stacked, count), -z, 0.85 * radius - 0.35)
    pictures = hang(draw, draw.integer(ranges.pictures), ranges.picture, (x, y, z))
    solids = Solids.concatenate([shell, things, pictures])
    light = torch.cat([draw.uniform((-0.6, 0.6), 2) * torch.tensor([x, y]), torch.tensor([0.93 * z])])
    world = draw.world(solids, ranges.look, light, background=0.0)

    def rig(views: int, part: float, generator: torch.Generator) -> Tensor:
        target, height = (0.0, 0.0, -0.45 * z), (-0.25 * z, 0.6 * z)
        return rigs.ring(views, part, generator, radius=radius, height=height, target=target)

    bounds = Bounds(
        near=0.1, far=2 * math.hypot(x, y, z), box_min=(-x, -y, -z), box_max=(x, y, z), unbounded=False
    )
    return Stage(world, bounds, rig, draw.number(ranges.field_of_view), ranges.share, masked=False)


def _forward(draw: Drawer, ranges: ForwardRanges = ForwardRanges()) -> Stage:
    wall, turn = draw.number(ranges.wall), math.radians(draw.number(ranges.turn))
    spread, focus = draw.number(ranges.spread), draw.number(ranges.focus)
    floored, height = bool(draw.chance(ranges.floored)), draw.number(ranges.floor)
    floor = -spread - height
    near, field_of_view = draw.number(ranges.near), draw.number(ranges.field_of_view)
    half_width = math.tan(math.radians(field_of_view / 2))
    count = draw.integer(ranges.things)
    # Uniform in disparity, as parallax is: near things are rare in depth but not in the picture.
    depth = 1 / draw.uniform((1 / (0.85 * wall), 1 / near), count)
    across = draw.uniform((-0.95, 0.95), count, 2) * (depth * half_width)[:, None]
    scale = draw.uniform(ranges.size, count, 3) * (depth * half_width)[:, None]
    things = Solids(
        shape=draw.among(THINGS, count),
        rotation=draw.rotations(count, ranges.tumbled if floored else 1.0),
        scale=scale,
        centre=torch.stack([across[:, 0], depth, across[:, 1]], dim=-1),
    )
    things.centre[:, 1] += things.radius
    if floored:
        things.centre[:, 2] = torch.maximum(things.centre[:, 2], floor + scale[:, 1])
        standing = draw.chance(0.7, count)
        things.centre[:, 2] = torch.where(standing, floor + scale[:, 1], things.centre[:, 2])
    shell = planes(
        [(math.sin(turn), -math.cos(turn), 0.0), (0.0, 0.0, 1.0)], [(0.0, wall, 0.0), (0.0, 0.0, floor)]
    )
    solids = Solids.concatenate([shell[: 2 if floored else 1], things])
    light = torch.cat(
        [draw.uniform((-3.0, 3.0), 1), draw.uniform((-3.0, 0.0), 1), draw.uniform((2.0, 4.0), 1)]
    )
    world = draw.world(solids, ranges.look, light, background=0.0)

    def rig(views: int, part: float, generator: torch.Generator) -> Tensor:
        return rigs.grid(views, part, generator, spread=spread, focus=focus)

    # The outermost ray, with the toe-in, and where it meets the floor and the turned wall.
    widest = math.tan(math.radians(field_of_view / 2) + 0.7 * spread / focus + 0.05)
    far = 1.15 * (wall + 2 * spread) / (1 - widest * math.tan(abs(turn)))
    bounds = Bounds(
        near=0.8 * min(near - 0.2 * spread, height / widest if floored else near),
        far=far,
        box_min=(-widest * far, 0.0, -widest * far),
        box_max=(widest * far, far, widest * far),
        unbounded=True,
        forward_facing=True,
    )
    return Stage(world, bounds, rig, field_of_view, ranges.share, masked=False)


FAMILIES: dict[str, Callable[[Drawer], Stage]] = {
    "object": _object,
    "table": _table,
    "room": _room,
    "forward": _forward,
}


def _to_unit_ball(solids: Solids) -> Solids:
    """Moved and scaled so that a ball of radius 1 about the origin just holds them."""
    lower, upper = solids.corners()
    centre = solids.centre - (lower + upper) / 2
    size = float((centre.norm(dim=1) + solids.radius).max())
    return Solids(solids.shape, solids.rotation, solids.scale / size, centre / size)


def _triple(values: Tensor) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
