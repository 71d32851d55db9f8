"""Cameras and layers that the tests of the projection layer share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from novelview.geometry.rigid import invert, look_at
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.layer import ProjectionLayer, Rendered

TIME = 12
CHANNELS = 6


def ring(
    frames: int,
    groups: int = 1,
    *,
    middle: tuple[float, float, float] = (0.0, 0.0, 0.0),
    half: float = 1.0,
    radius: float = 4.0,
    arc: float = 2 * torch.pi,
    size: tuple[int, int] = (256, 256),
) -> GroupCameras:
    """Cameras that look at the middle of a box, from all around, or an arc about the x axis, and a little above."""
    centre = torch.tensor(middle)
    angles = ((torch.arange(groups * frames) + 0.5) / (groups * frames) - 0.5) * arc
    away = torch.stack([angles.cos(), angles.sin(), torch.full_like(angles, 0.4)], dim=-1)
    eyes = centre + radius * half * away / away.norm(dim=-1, keepdim=True)
    poses = torch.eye(4).repeat(groups, frames, 1, 1)
    motions = look_at(eyes, centre.expand_as(eyes), torch.tensor([0.0, 0.0, 1.0]).expand_as(eyes))
    poses[:, :, :3] = invert(motions).unflatten(0, (groups, frames))
    width, height = size
    focal = 1.1 * height
    intrinsics = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    corners = torch.tensor([middle]) + half * torch.tensor([[-1.0], [1.0]])
    box = corners.expand(groups, 2, 3).contiguous()
    return GroupCameras(poses, intrinsics.expand(groups, frames, 3, 3).contiguous(), width, height, box)


def small_layer(cells: int = 6, **options: Any) -> ProjectionLayer:
    """A layer with random weights that renders something opaque."""
    torch.manual_seed(0)
    config = ProjectionConfig(**{"latent": 4, "layers": 3, "samples": 8, **options})
    layer = ProjectionLayer(CHANNELS, TIME, cells, config).eval()
    with torch.no_grad():
        layer.volume_renderer.bias_opacity.fill_(-3.0)
        layer.volume_renderer.weight_opacity.abs_().mul_(20)
        layer.volume_renderer.mlp_weights.mul_(3)
    return layer


def inputs(cameras: GroupCameras, generator: torch.Generator, size: tuple[int, int] = (5, 5)) -> list[Tensor]:
    """Features of a height and a width, timesteps and time embeddings for all frames."""
    shape = (len(cameras), cameras.frames)
    return [
        torch.randn(*shape, CHANNELS, *size, generator=generator),
        torch.randint(0, 1000, shape, generator=generator),
        torch.randn(*shape, TIME, generator=generator),
    ]


def seen(layer: ProjectionLayer, cameras: GroupCameras, values: list[Tensor], **options: Any) -> Rendered:
    """What a layer makes of such inputs, without gradients."""
    features, timesteps, time = values
    with torch.no_grad():
        return layer(features, cameras, timesteps, time, **options)
