"""Procedural scenes as any other: posed views with depth, split for training and testing."""

from __future__ import annotations

import math

import torch

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.families import Stage, make_stage
from novelview.data.procedural.render import render
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.random import generator_for
from novelview.types import Views


def make_scene(
    family: str, seed: int, *, views: int = 60, size: int = 128, test_every: int = 8, supersample: int = 2
) -> Scene:
    """One procedural scene, rendered into memory.

    Args:
        family: "object", "table", "room" or "forward".
        seed: which scene; the same seed gives the same bits.
        views: number of views, held-out ones included.
        size: image width and height in pixels.
        test_every: every so many views one is held out, from between the others.
        supersample: colours are the mean over this many squared rays per pixel.

    Raises:
        ConfigError: there is no such family, or a number makes no sense.
    """
    if views < 2 or size < 1 or test_every < 2 or supersample < 1:
        raise ConfigError(
            "This procedural scene cannot be made",
            why=f"views {views}, size {size}, test_every {test_every}, supersample {supersample}",
            cure="at least 2 views, 1 pixel, test_every 2, supersample 1",
        )
    stage = make_stage(family, seed)
    everything = render_views(stage, stage_cameras(stage, views, size, seed), supersample)
    held_out = [i for i in range(views) if i % test_every == test_every // 2]
    return Scene(
        name=f"{family}-{seed}",
        train=everything[[i for i in range(views) if i not in set(held_out)]],
        test=everything[held_out],
        bounds=stage.bounds,
        origin={
            "procedural": {
                "family": family,
                "seed": seed,
                "views": views,
                "size": size,
                "test_every": test_every,
                "supersample": supersample,
            }
        },
    )


def demo_scene(size: int = 100) -> Scene:
    """The embedded default: things on a table in 91 views, 80 to learn from and 11 held out."""
    return make_scene("table", 37, views=91, size=size)


def stage_cameras(stage: Stage, views: int, size: int, seed: int, share: float = 1.0) -> Cameras:
    """Square cameras that stand as the family's do, over a share of its rig."""
    poses = stage.rig(views, share, generator_for(seed, "procedural-cameras"))
    focal = size / 2 / math.tan(math.radians(stage.field_of_view / 2))
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)


def render_views(
    stage: Stage, cameras: Cameras, supersample: int, device: torch.device | str = "cpu"
) -> Views:
    """Views with depths, and with masks where rays can miss everything; pixels are on ``device``."""
    shown = render(stage.world.to(device), cameras.to(device), supersample)
    return Views.from_tensors(cameras, shown.rgb, shown.mask if stage.masked else None, shown.depth)
