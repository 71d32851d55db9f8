"""Three families of random scenes, and how cameras stand in each.

``object``: a few solids in the middle of nothing, seen from an orbit, with masks. ``room``: solids in a textured
room, cameras inside. ``forward``: layers of solids before a far wall, cameras on a jittered grid that all look the
same way, rich in parallax. World axes: z up; one unit is about the size of an object.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.render import World, render
from novelview.data.procedural.solids import Shape, Solids, concatenate
from novelview.data.procedural.textures import WAVES, Pattern, Textures
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.geometry.rigid import look_at, random_rotations
from novelview.random import generator_for
from novelview.types import Bounds, Views

Range = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """What a family draws from, uniformly unless said otherwise.

    Attributes:
        solids: number of solids, both ends included.
        size: half extents of a solid, world units.
        frequency: texture periods per world unit.
        specular: strength of highlights; a third of the solids is matt.
        field_of_view: horizontal, degrees.
        distance: from camera to the middle of the scene, world units.
    """

    solids: tuple[int, int]
    size: Range
    frequency: Range
    specular: Range
    field_of_view: Range
    distance: Range


RANGES = {
    "object": Ranges((3, 6), (0.22, 0.6), (1.2, 2.6), (0.15, 0.5), (40.0, 55.0), (2.6, 3.2)),
    "room": Ranges((4, 8), (0.2, 0.55), (0.5, 1.6), (0.1, 0.5), (55.0, 75.0), (2.4, 3.2)),
    "forward": Ranges((7, 14), (0.2, 0.9), (0.6, 2.0), (0.1, 0.5), (45.0, 65.0), (2.5, 3.5)),
}


@dataclass(frozen=True)
class Stage:
    """A world, the extent of what it shows, and how cameras stand in it.

    Attributes:
        world: what is rendered.
        bounds: extent as methods need it.
        pose: draws camera poses (n, 3, 4): arguments are the number of views and a generator.
        field_of_view: horizontal, radians.
        masked: whether rays can miss everything.
    """

    world: World
    bounds: Bounds
    pose: Callable[[int, torch.Generator], Tensor]
    field_of_view: float
    masked: bool


def make_stage(family: str, seed: int) -> Stage:
    """The world number ``seed`` of a family.

    Raises:
        ConfigError: there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError(f"There is no family {family!r}", cure=f"choose one of: {', '.join(FAMILIES)}")
    return FAMILIES[family](generator_for(seed, "procedural", family))


def make_scene(
    family: str, seed: int, *, views: int = 60, size: int = 128, test_every: int = 8, supersample: int = 2
) -> Scene:
    """One procedural scene as any other: views split for training and testing, in memory.

    Args:
        family: "object", "room" or "forward".
        seed: which scene; the same seed gives the same bits.
        views: number of views, held-out ones included.
        size: image width and height in pixels.
        test_every: every so many views one is held out.
        supersample: colours are the mean over this many squared rays per pixel.
    """
    if views < 2 or size < 1:
        raise ConfigError(f"Cannot make {views} views of {size} pixels", cure="at least 2 views of 1 pixel")
    stage = make_stage(family, seed)
    everything = render_views(stage, stage_cameras(stage, views, size, seed), supersample)
    held_out = [i for i in range(views) if i % test_every == test_every // 2]
    return Scene(
        name=f"{family}-{seed}",
        train=everything[[i for i in range(views) if i not in set(held_out)]],
        test=everything[held_out],
        bounds=stage.bounds,
        origin={"procedural": {"family": family, "seed": seed, "views": views, "size": size}},
    )


def demo_scene(size: int = 100) -> Scene:
    """The embedded default: an object scene of 92 views, 80 to learn from and 12 held out."""
    return make_scene("object", 11, views=92, size=size)


def stage_cameras(stage: Stage, views: int, size: int, seed: int) -> Cameras:
    """Square cameras that stand as the family's do."""
    poses = stage.pose(views, generator_for(seed, "procedural-cameras"))
    focal = size / 2 / math.tan(stage.field_of_view / 2)
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)


def render_views(stage: Stage, cameras: Cameras, supersample: int) -> Views:
    """Views with depths, and with masks where rays can miss everything."""
    with torch.no_grad():
        shown = render(stage.world, cameras, supersample)
    return Views.from_tensors(cameras, shown.rgb, shown.mask if stage.masked else None, shown.depth)


def _object(generator: torch.Generator) -> Stage:
    ranges = RANGES["object"]
    draw = _Drawer(generator)
    count = draw.integer(*ranges.solids)
    size = draw.uniform(count, 3, bounds=ranges.size)
    # Solids that overlap in the middle make one object with concavities rather than a heap.
    centre = F.normalize(draw.normal(count, 3), dim=-1) * draw.uniform(count, 1, bounds=(0.15, 0.6))
    solids = draw.solids(size, centre)
    distance = draw.number(*ranges.distance)
    world = draw.world(solids, ranges.frequency, ranges.specular, light=(2.5, -2.0, 4.0), background=1.0)

    def pose(views: int, generator: torch.Generator) -> Tensor:
        return _orbit(views, distance, generator)

    lower, upper = solids.corners()
    radius = float(torch.maximum(lower.abs(), upper.abs()).norm())
    bounds = Bounds(
        near=max(distance - radius, 0.1),
        far=distance + radius,
        box_min=_triple(lower),
        box_max=_triple(upper),
        unbounded=False,
        background=(1.0, 1.0, 1.0),
    )
    return Stage(world, bounds, pose, math.radians(draw.number(*ranges.field_of_view)), masked=True)


def _room(generator: torch.Generator) -> Stage:
    ranges = RANGES["room"]
    draw = _Drawer(generator)
    half = torch.tensor([draw.number(2.8, 3.8), draw.number(2.8, 3.8), draw.number(1.4, 1.9)])
    count = draw.integer(*ranges.solids)
    size = draw.uniform(count, 3, bounds=ranges.size)
    angle = torch.linspace(0, 2 * math.pi, count + 1)[:-1] + draw.number(0.0, 2 * math.pi)
    # All solids stand in the middle, clear of the ring of cameras around them.
    radius = draw.uniform(count, bounds=(0.2, 1.0))
    centre = torch.stack([radius * angle.cos(), radius * angle.sin(), size[:, 2] - half[2]], dim=-1)
    shell = Solids(torch.tensor([Shape.ROOM]), torch.eye(3)[None], half[None], torch.zeros(1, 3))
    solids = concatenate([shell, draw.solids(size, centre, upright=True)])
    light = (draw.number(-1.0, 1.0), draw.number(-1.0, 1.0), float(half[2]) - 0.2)
    world = draw.world(solids, ranges.frequency, ranges.specular, light=light, background=0.0)
    distance = min(draw.number(*ranges.distance), float(half[:2].min()) - 0.3)
    target = torch.tensor([0.0, 0.0, -0.6 * float(half[2])])

    def pose(views: int, generator: torch.Generator) -> Tensor:
        angles = torch.linspace(0, 2 * math.pi, views + 1)[:-1]
        height = torch.rand(views, generator=generator) * 1.0 - 0.5
        centres = torch.stack([distance * angles.cos(), distance * angles.sin(), height], dim=-1)
        aim = target + 0.3 * torch.randn(views, 3, generator=generator)
        return look_at(centres, aim, torch.tensor([0.0, 0.0, 1.0]).expand(views, 3))

    bounds = Bounds(
        near=0.15,
        far=float(2 * half.norm()),
        box_min=_triple(-half),
        box_max=_triple(half),
        unbounded=False,
    )
    return Stage(world, bounds, pose, math.radians(draw.number(*ranges.field_of_view)), masked=False)


def _forward(generator: torch.Generator) -> Stage:
    ranges = RANGES["forward"]
    draw = _Drawer(generator)
    wall = draw.number(5.0, 9.0)
    fov = math.radians(draw.number(*ranges.field_of_view))
    count = draw.integer(*ranges.solids)
    # Uniform in disparity, as parallax is: near solids are rare in depth but not in the picture.
    near = draw.number(1.2, 2.0)
    depth = 1 / draw.uniform(count, bounds=(1 / (0.9 * wall), 1 / near))
    across = draw.uniform(count, 2, bounds=(-0.9, 0.9)) * (depth * math.tan(fov / 2))[:, None]
    size = draw.uniform(count, 3, bounds=ranges.size) * (0.25 + 0.3 * depth[:, None]).clamp(max=1.6)
    centre = torch.stack([across[:, 0], depth + size.amax(dim=-1), across[:, 1]], dim=-1)
    half = torch.tensor([3.0 * wall, wall, 3.0 * wall])
    shell = Solids(torch.tensor([Shape.ROOM]), torch.eye(3)[None], half[None], torch.zeros(1, 3))
    solids = concatenate([shell, draw.solids(size, centre)])
    light = (draw.number(-3.0, 3.0), draw.number(-3.0, -1.0), draw.number(2.0, 4.0))
    world = draw.world(solids, ranges.frequency, ranges.specular, light=light, background=0.0)
    spread = draw.number(0.15, 0.45)
    focus = draw.number(*ranges.distance)

    def pose(views: int, generator: torch.Generator) -> Tensor:
        return _grid_rig(views, spread, focus, generator)

    bounds = Bounds(
        near=0.6 * near,
        far=1.4 * wall,
        box_min=(-2 * wall, 0.0, -2 * wall),
        box_max=(2 * wall, wall, 2 * wall),
        unbounded=True,
        forward_facing=True,
    )
    return Stage(world, bounds, pose, fov, masked=False)


FAMILIES: dict[str, Callable[[torch.Generator], Stage]] = {
    "object": _object,
    "room": _room,
    "forward": _forward,
}


def _triple(values: Tensor) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _orbit(views: int, distance: float, generator: torch.Generator) -> Tensor:
    """Cameras on a sphere, evenly spread by a spiral with jitter, from below the horizon to near the top."""
    step = torch.arange(views) + torch.rand(views, generator=generator)
    angles = 2.399963 * step  # the golden angle
    height = -0.3 + 1.2 * step / views
    across = (1 - height * height).sqrt()
    centres = distance * torch.stack([across * angles.cos(), across * angles.sin(), height], dim=-1)
    return look_at(centres, torch.zeros(views, 3), torch.tensor([0.0, 0.0, 1.0]).expand(views, 3))


def _grid_rig(views: int, spread: float, focus: float, generator: torch.Generator) -> Tensor:
    """Cameras on a jittered grid in the plane y = 0, toed in slightly towards a common focus."""
    columns = math.ceil(math.sqrt(views))
    index = torch.arange(views)
    cell = torch.stack([index % columns, index // columns], dim=-1) + torch.rand(
        views, 2, generator=generator
    )
    offset = (cell / columns * 2 - 1) * spread
    depth = 0.2 * spread * torch.randn(views, generator=generator)
    centres = torch.stack([offset[:, 0], depth, offset[:, 1]], dim=-1)
    aim = centres * 0.3 + torch.tensor([0.0, focus, 0.0])
    return look_at(centres, aim, torch.tensor([0.0, 0.0, 1.0]).expand(views, 3))


class _Drawer:
    """Random numbers of one scene, in a fixed order."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def uniform(self, *shape: int, bounds: Range) -> Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(shape, generator=self._generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def number(self, low: float, high: float) -> float:
        return float(self.uniform(1, bounds=(low, high)))

    def integer(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=self._generator))

    def solids(self, size: Tensor, centre: Tensor, upright: bool = False) -> Solids:
        """Random shapes of given half extents and places; upright ones turn about the vertical only."""
        count = size.shape[0]
        shape = torch.randint(0, 3, (count,), generator=self._generator)
        rotation = random_rotations(count, self._generator)
        if upright:
            angle = self.uniform(count, bounds=(0.0, 2 * math.pi))
            zero, one = torch.zeros(count), torch.ones(count)
            # Columns: the local axes x, y, z in the world; a cylinder's axis is local y, so y goes up.
            rotation = torch.stack(
                [
                    torch.stack([angle.cos(), angle.sin(), zero], -1),
                    torch.stack([zero, zero, one], -1),
                    torch.stack([angle.sin(), -angle.cos(), zero], -1),
                ],
                dim=-1,
            )
            size = size[:, [0, 2, 1]]
        return Solids(shape, rotation, size, centre)

    def world(
        self,
        solids: Solids,
        frequency: Range,
        specular: Range,
        light: tuple[float, float, float],
        background: float,
    ) -> World:
        """Solids with random textures under a key and a fill light."""
        textures = self._textures(len(solids), frequency, specular)
        fill = F.normalize(self.normal(3) + torch.tensor([0.0, 0.0, 0.5]), dim=-1)
        return World(
            solids=solids,
            textures=textures,
            light=torch.tensor(light),
            fill=fill,
            ambient=self.number(0.35, 0.5),
            background=torch.full((3,), background),
        )

    def _textures(self, count: int, frequency: Range, specular: Range) -> Textures:
        periods = self.uniform(count, bounds=frequency)
        waves = F.normalize(self.normal(count, WAVES, 3), dim=-1)
        waves = (
            waves * (2 * math.pi * periods)[:, None, None] * self.uniform(count, WAVES, 1, bounds=(0.4, 1.1))
        )
        matt = torch.rand(count, generator=self._generator) < 1 / 3
        return Textures(
            pattern=torch.randint(0, len(Pattern), (count,), generator=self._generator),
            colours=self._colours(count),
            frequency=periods,
            waves=waves,
            phases=self.uniform(count, WAVES, bounds=(0.0, 2 * math.pi)),
            specular=self.uniform(count, bounds=specular) * (~matt),
            shininess=self.uniform(count, bounds=(10.0, 60.0)),
        )

    def _colours(self, count: int) -> Tensor:
        """Pairs of a saturated and a contrasting, mostly pale or dark colour."""
        hue = self.uniform(count, 1, bounds=(0.0, 1.0)) + torch.tensor([0.0, 1 / 3, 2 / 3])
        pure = (0.5 + 0.5 * torch.cos(2 * math.pi * hue)).clamp(0, 1)
        first = 0.15 + 0.75 * pure
        grey = torch.where(self.uniform(count, 1, bounds=(0.0, 1.0)) < 0.6, 0.85, 0.2)
        second = (grey + 0.12 * self.normal(count, 3)).clamp(0.05, 0.95)
        return torch.stack([first, second], dim=1)
