"""One look of the multi-view U-Net at noisy views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Bool, Float, Real
from torch import Tensor

from novelview.geometry.rays import Rays, plucker
from novelview.methods.viewdiff.conditions import Conditions
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.unet import set_frames_at_once


@dataclass(frozen=True)
class Scenery:
    """What stays the same while views are denoised.

    Attributes:
        cameras: of the views.
        vectors: ten numbers for each frame, see :func:`~novelview.methods.viewdiff.conditions.camera_vectors`.
        given: which views are known.
        rays: Plücker coordinates of the latents' places and the mask of known views, where the U-Net is told them.
        left_out: last views that do not feed the voxel grid.
        noise: of the volume's density.
        frames_at_once: as :class:`~novelview.methods.viewdiff.conditions.Conditions` has it.
        shown: likewise.
    """

    cameras: GroupCameras
    vectors: Float[Tensor, "f 10"] | None
    given: Bool[Tensor, "b n"]
    rays: Float[Tensor, "f 7 p q"] | None = None
    left_out: int = 0
    noise: Callable[[int, tuple[int, ...]], Tensor] | None = None
    frames_at_once: int | None = None
    shown: list[Tensor] | None = None


def predict(
    unet: UNet2DConditionModel,
    noisy: Float[Tensor, "b n c p q"],
    timesteps: Real[Tensor, "b n"],
    text: Float[Tensor, "f l d"],
    scenery: Scenery,
) -> Float[Tensor, "b n c p q"]:
    """What the U-Net says of b groups of n noisy views.

    Args:
        unet: an augmented one.
        noisy: latents.
        timesteps: of each view; 0 for those that are known.
        text: of each view.
        scenery: all else.
    """
    groups, frames = noisy.shape[:2]
    flat = timesteps.flatten()
    embedding = unet.time_proj(flat).to(noisy.dtype)
    conditions = Conditions(
        cameras=scenery.cameras,
        vectors=scenery.vectors,
        time=unet.time_embedding(embedding),
        timesteps=timesteps,
        height=noisy.shape[-2],
        width=noisy.shape[-1],
        left_out=scenery.left_out,
        noise=scenery.noise,
        frames_at_once=scenery.frames_at_once,
        shown=scenery.shown,
    )
    seen = noisy.flatten(0, 1)
    if scenery.rays is not None:
        seen = torch.cat([seen, scenery.rays.to(seen)], dim=1)
    set_frames_at_once(unet, scenery.frames_at_once, groups * frames)
    found = unet(seen, flat, text, cross_attention_kwargs={"conditions": conditions}).sample
    return found.unflatten(0, (groups, frames))


def input_rays(
    cameras: GroupCameras, given: Bool[Tensor, "b n"], height: int, width: int
) -> Float[Tensor, "f 7 p q"]:
    """What a U-Net's input is told of its pixels: Plücker coordinates in units of half the subject's box, and the mask.

    Args:
        cameras: of the views.
        given: which views are known.
        height: of the latents.
        width: likewise.
    """
    rays = latent_rays(cameras, height, width)
    lines = plucker(rays).movedim(-1, 2)
    mask = given.to(lines)[:, :, None, None, None].expand_as(lines[:, :, :1])
    return torch.cat([lines, mask], dim=2).flatten(0, 1)


def latent_rays(cameras: GroupCameras, height: int, width: int) -> Rays:
    """Rays through the middle of each place of the latents, (b, n, p, q), directions of length 1, the subject's box being 2
    long and around the origin."""
    size = cameras.intrinsics.new_tensor([width / cameras.width, height / cameras.height])
    focal = cameras.intrinsics[..., (0, 1), (0, 1)] * size
    middle = (cameras.intrinsics[..., :2, 2] + 0.5) * size
    x = torch.arange(width, device=size.device) + 0.5
    y = torch.arange(height, device=size.device) + 0.5
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    flat = (grid - middle[:, :, None, None]) / focal[:, :, None, None]
    local = torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)
    rotation, translation = cameras.poses[..., :3, :3], cameras.poses[..., :3, 3]
    directions = local @ rotation[:, :, None]
    centres = -(rotation.mT @ translation[..., None])[..., 0]
    sides = cameras.box[:, 1] - cameras.box[:, 0]
    scaled = (centres - cameras.box.mean(dim=1)[:, None]) * (2 / sides.amax(dim=-1))[:, None, None]
    return Rays(scaled[:, :, None, None].expand_as(directions), directions).normalised()
