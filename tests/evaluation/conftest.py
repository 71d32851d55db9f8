"""Views of a known thing from all around, and the same views with what generated ones suffer from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import make_object
from novelview.data.procedural.object_views import DISTANCE, FIELD_OF_VIEW, render_object
from novelview.geometry.rigid import Similarity, look_at, so3_exp
from novelview.types import Bounds, Views


@dataclass(frozen=True)
class Ring:
    """A chair seen from a ring of cameras, which look down by 20 degrees.

    Attributes:
        sets: views of the same cameras that agree, and that do not.
        bounds: of the chair.
    """

    sets: dict[str, Views]
    bounds: Bounds


def ring_cameras(count: int, size: int) -> Cameras:
    turn, elevation = torch.arange(count) * 2 * math.pi / count, math.radians(20)
    flat = torch.stack([turn.cos(), turn.sin(), torch.zeros(count)], dim=-1)
    centres = DISTANCE * (math.cos(elevation) * flat + torch.tensor([0, 0, math.sin(elevation)]))
    poses = look_at(centres, torch.zeros(count, 3), torch.tensor([0.0, 0.0, 1.0]).expand(count, 3))
    focal = size / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)


def turned(cameras: Cameras, angles: Tensor) -> Cameras:
    """Each camera moved around the vertical axis, so that it sees the thing turned."""
    parts = []
    for i, angle in enumerate(angles.tolist()):
        motion = Similarity(1.0, so3_exp(torch.tensor([0.0, 0.0, angle])), torch.zeros(3))
        parts.append(cameras[i].moved(motion))
    return Cameras.concatenate(parts)


def shifted(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Each image moved by so many pixels in a direction of its own."""
    angles = 2 * math.pi * torch.rand(len(images), generator=generator)
    steps = (pixels * torch.stack([angles.sin(), angles.cos()], dim=-1)).round().int().tolist()
    return torch.stack([torch.roll(image, step, (0, 1)) for image, step in zip(images, steps, strict=True)])


def others(cameras: Cameras) -> Tensor:
    """Each view of another chair than its neighbours, of four in turn."""
    kinds = [
        render_object(make_object("chair", 2 + i), cameras[i::4], supersample=1).images() for i in range(4)
    ]
    return torch.stack(kinds, dim=1).flatten(0, 1)


def make_ring(count: int, size: int) -> Ring:
    cameras, generator = ring_cameras(count, size), torch.Generator().manual_seed(0)
    chair = make_object("chair", 1)
    true = render_object(chair, cameras).images()
    spun = turned(cameras, 2 * math.pi * torch.rand(count, generator=generator))
    gains = 0.8 + 0.4 * torch.rand(count, 1, 1, 3, generator=generator)
    images = {
        "true": true,
        "recoloured": (true * gains).clamp(0, 1),
        "shifted": shifted(true, 2, generator),
        "spun": render_object(chair, spun, supersample=1).images(),
        "others": others(cameras),
    }
    bounds = Bounds(
        near=1.4,
        far=3.0,
        box_min=chair.box_min,
        box_max=chair.box_max,
        unbounded=False,
        background=(1.0, 1.0, 1.0),
    )
    return Ring({name: Views.from_tensors(cameras, each) for name, each in images.items()}, bounds)


@pytest.fixture(scope="session")
def ring() -> Ring:
    """12 views of 64x64 pixels, 30 degrees apart."""
    return make_ring(12, 64)
