"""The choice between the readable renderer and the fast ones."""

from __future__ import annotations

import importlib.util

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.methods.quark.network import Layers
from novelview.methods.quark.picture import Picture, picture
from novelview.methods.quark.rig import Rig
from novelview.rendering.compiled import can_compile

# Samples of photographs that the readable renderer holds at once.
SAMPLES_AT_ONCE = 1 << 22


def fast_picture(
    layers: Layers, photographs: Float[Tensor, "b m 3 p q"], rig: Rig, xy: Float[Tensor, "b h w 2"]
) -> Picture:
    """What :func:`~novelview.methods.quark.picture.picture` gives, as fast as it can be had here; without gradients."""
    if photographs.is_cuda and importlib.util.find_spec("triton") is not None:
        from novelview.methods.quark import triton_kernel

        return triton_kernel.picture(layers, photographs, rig, xy)
    if photographs.device.type == "cpu" and can_compile():
        from novelview.methods.quark import fused

        return fused.picture(layers, photographs, rig, xy)
    return in_strips(layers, photographs, rig, xy)


def in_strips(
    layers: Layers, photographs: Float[Tensor, "b m 3 p q"], rig: Rig, xy: Float[Tensor, "b h w 2"]
) -> Picture:
    """The readable renderer, a few rows at a time."""
    parts = [picture(layers, photographs, rig, part) for part in strips(layers, xy)]
    rgb = torch.cat([part.rgb for part in parts], dim=2)
    return Picture(rgb, torch.cat([part.disparity for part in parts], dim=1))


def strips(layers: Layers, xy: Float[Tensor, "b h w 2"]) -> tuple[Tensor, ...]:
    """As many rows of points at a time as the readable renderer takes at once."""
    samples = layers.blend[..., 0, 0].numel() * xy.shape[2]
    return xy.split(max(1, SAMPLES_AT_ONCE // samples), dim=1)
