"""A layered depth map seen: each layer coloured by the photographs, one put over the other (equation 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.methods.quark.network import Layers
from novelview.methods.quark.rig import Rig
from novelview.rendering.layers import disparities, exact, gather, look_up, over_layers

# Share of a pixel's colour under which fast renderers leave out a layer, or a view of a layer; it would have looked like
# the rest.
LEAST = 1 / 1024


@dataclass(frozen=True)
class Picture:
    """What a target camera sees.

    Attributes:
        rgb: in [0, 1].
        disparity: 1 / depth along z.
    """

    rgb: Float[Tensor, "b 3 h w"]
    disparity: Float[Tensor, "b h w"]


@dataclass(frozen=True)
class Sheets:
    """What each layer shows; the farthest is opaque.

    Attributes:
        rgb: in [0, 1].
        alpha: opacity.
        disparity: 1 / depth along z.
    """

    rgb: Float[Tensor, "b l 3 h w"]
    alpha: Float[Tensor, "b l h w"]
    disparity: Float[Tensor, "b l h w"]


def picture(
    layers: Layers, photographs: Float[Tensor, "b m 3 p q"], rig: Rig, xy: Float[Tensor, "b h w 2"]
) -> Picture:
    """The target's image at some of its points.

    Args:
        layers: of the targets.
        photographs: of the input views, at any resolution.
        rig: cameras.
        xy: points of the targets' images, in parts of these.
    """
    shown = sheets(layers, photographs, rig, xy)
    opacity = shown.alpha[:, :, None]
    return Picture(
        over_layers(shown.rgb * opacity, opacity),
        over_layers(shown.disparity[:, :, None] * opacity, opacity)[:, 0],
    )


def sheets(
    layers: Layers, photographs: Float[Tensor, "b m 3 p q"], rig: Rig, xy: Float[Tensor, "b h w 2"]
) -> Sheets:
    """The layers at some points of the target's image; arguments as in :func:`picture`.

    Logits are interpolated first and activated then, which keeps edges sharp at any resolution (section 3.2.3).
    """
    with exact(xy):
        return _sheets(layers, photographs, rig, xy)


def _sheets(layers: Layers, photographs: Tensor, rig: Rig, xy: Tensor) -> Sheets:
    depth, alpha, blend = (
        look_up(logits, xy) for logits in (layers.depth, layers.alpha, layers.blend.flatten(1, 2))
    )
    disparity = disparities(depth.tanh(), rig.near, rig.far)
    places, seen = rig.projections().points(xy, disparity)
    logits = blend.unflatten(1, layers.blend.shape[1:3]) + rig.say(seen).transpose(1, 2)
    rgb = torch.einsum("blmhw,bmlchw->blchw", logits.softmax(dim=2), gather(photographs, places))
    return Sheets(rgb, torch.cat([torch.ones_like(alpha[:, :1]), alpha[:, 1:].sigmoid()], dim=1), disparity)
