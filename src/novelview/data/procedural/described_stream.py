"""Views of described objects before white: scenes of one, and endless samples out of a pool of many."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.described import Description, describe, draw_description
from novelview.data.procedural.described_objects import REACH, described_object
from novelview.data.procedural.object_views import FIELD_OF_VIEW, render_object
from novelview.data.procedural.objects import EDGE
from novelview.data.procedural.pictures import render_pictures
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.geometry.rigid import look_at
from novelview.random import generator_for
from novelview.types import Bounds, ImageSource, Sample, Views

DISTANCES = (2.0, 2.4)
"""Of the cameras from the origin, world units."""
ELEVATIONS = (-10.0, 60.0)
"""Of the cameras above the horizon, degrees."""

BOUNDS = Bounds(
    near=DISTANCES[0] - REACH,
    far=DISTANCES[1] + REACH,
    box_min=(-EDGE / 2,) * 3,
    box_max=(EDGE / 2,) * 3,
    unbounded=False,
    background=(1.0, 1.0, 1.0),
)
"""Of all described objects: whoever makes one out of words alone knows no narrower box."""


def described_scene(
    caption: str,
    seed: int = 0,
    *,
    views: int = 24,
    size: int = 64,
    test_every: int = 8,
    supersample: int = 2,
) -> Scene:
    """An object that a caption describes, seen from all around, with masks and exact depths; determined by its arguments.

    Args:
        caption: see :func:`~novelview.data.procedural.described.describe`.
        seed: draws all that the caption leaves open, and the cameras.
        views: number of views, held-out ones included.
        size: image width and height in pixels.
        test_every: every so many views one is held out, from between the others; 0: none.
        supersample: colours and masks are the mean over this many squared rays per pixel.

    Raises:
        ConfigError: the caption cannot be read, or a number makes no sense.
    """
    arguments = dict(locals())
    if views < 1 or size < 1 or test_every < 0 or test_every == 1 or supersample < 1:
        raise ConfigError(
            "This scene of an object cannot be made",
            why=f"views {views}, size {size}, test_every {test_every}, supersample {supersample}",
            cure="at least 1 view, 1 pixel, supersample 1, and test_every 0 or at least 2",
        )
    solid = described_object(describe(caption), seed)
    cameras = described_cameras(views, size, generator_for(seed, "described-cameras"))
    images, masks = render_pictures(solid, cameras, supersample=supersample)
    depths = render_object(solid, cameras, supersample=1).depths()
    everything = Views.from_tensors(cameras, images, masks, depths)
    held_out = [i for i in range(views) if test_every and i % test_every == test_every // 2]
    return Scene(
        name=solid.name,
        train=everything[[i for i in range(views) if i not in set(held_out)]],
        test=everything[held_out],
        bounds=BOUNDS,
        origin={"procedural_description": arguments},
        captions=(caption,),
    )


@dataclass(frozen=True)
class DescribedStream:
    """Endless samples out of a pool of described objects, each of which is rendered when it is first asked for and kept.

    Four bytes per pixel are kept: 3000 objects with 12 views of 64 pixels take 0.6 GB. Two threads may ask at once; at worst
    both make the same object.

    Attributes:
        seed: of the pool and of the draws.
        objects: in the pool; none has one of :data:`~novelview.data.procedural.described.HELD_OUT`.
        size: width and height of the views, pixels.
        frames: views of a sample, at least 2: the last is its target, the others are its sources.
        pool_views: views that are made of each object, at least ``frames``.
        supersample: colours and masks are the mean over this many squared rays per pixel.

    Raises:
        ConfigError: a number makes no sense.
    """

    seed: int = 0
    objects: int = 3000
    size: int = 64
    frames: int = 6
    pool_views: int = 12
    supersample: int = 2
    _pool: dict[int, _Member] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.objects, self.size, self.supersample) < 1 or not 2 <= self.frames <= self.pool_views:
            raise ConfigError(
                "This pool of objects cannot be made",
                why=f"objects {self.objects}, size {self.size}, supersample {self.supersample}, frames {self.frames}, "
                f"pool_views {self.pool_views}",
                cure="at least 1 object, 1 pixel, supersample 1, 2 frames, and as many pool_views as frames",
            )

    def item(self, index: int) -> Sample:
        """Sample number ``index``; depends on it and the attributes alone."""
        generator = generator_for(self.seed, "described", index)
        number = int(torch.randint(self.objects, (), generator=generator))
        if number not in self._pool:
            self._pool[number] = self._made(number)
        member = self._pool[number]
        chosen = torch.randperm(self.pool_views, generator=generator)[: self.frames].tolist()
        return Sample(
            sources=member.views[chosen[:-1]],
            targets=member.views[chosen[-1:]],
            bounds=BOUNDS,
            caption=member.description.caption_drawn(generator),
        )

    def _made(self, number: int) -> _Member:
        generator = generator_for(self.seed, "described-object", number)
        description = draw_description(generator)
        solid = described_object(description, int(torch.randint(2**31, (), generator=generator)))
        cameras = described_cameras(self.pool_views, self.size, generator)
        images, masks = render_pictures(solid, cameras, supersample=self.supersample)
        names = tuple(f"view_{i:04d}" for i in range(self.pool_views))
        source = _ByteImages(torch.cat([images, masks[..., None]], dim=-1))
        return _Member(description, Views(cameras, names, source, tuple(range(self.pool_views))))


@dataclass(frozen=True)
class _Member:
    """An object of the pool."""

    description: Description
    views: Views


class _ByteImages(ImageSource):
    """Colours and masks in memory at 8 bits."""

    has_masks = True

    def __init__(self, pixels: Float[Tensor, "n h w 4"]) -> None:
        self._pixels: UInt8[Tensor, "n h w 4"] = (255 * pixels).round().to(torch.uint8)

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._pixels[index, ..., :3].float() / 255

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return self._pixels[index, ..., 3].float() / 255


def described_cameras(count: int, size: int, generator: torch.Generator) -> Cameras:
    """Upright square cameras that look at the origin: half of all sets are rings at one height, the others scattered."""
    ring = bool(torch.rand((), generator=generator) < 0.5)
    start, level, reach = torch.rand(3, count, generator=generator)
    if ring:
        start = start[0] + torch.arange(count) / count
        level, reach = level[:1].expand(count), reach[:1].expand(count)
    azimuth = 2 * math.pi * start
    low, high = ELEVATIONS
    elevation = (low + (high - low) * level).deg2rad()
    across, up = elevation.cos(), elevation.sin()
    distance = DISTANCES[0] + (DISTANCES[1] - DISTANCES[0]) * reach
    centres = distance[:, None] * torch.stack([across * azimuth.cos(), across * azimuth.sin(), up], dim=-1)
    poses = look_at(centres, torch.zeros(count, 3), torch.tensor([0.0, 0.0, 1.0]).expand(count, 3))
    focal = size / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)
