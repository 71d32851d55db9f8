"""Layers of depth in front of a camera: where they are seen in other images, and how they are put together.

Layer 0 is the farthest. Everything is done in disparity, 1 / depth, so that layers may lie at infinity. Image coordinates
are in parts of the image: (0, 0) is the upper left corner of an image and (1, 1) its lower right one, so that a centre
of a pixel lies half a pixel inside and images of all resolutions share one system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

# Depth, in units of what the point's depth in the first camera is, under which it counts as behind the other one.
IN_FRONT = 1e-4
# Image coordinates of what a camera cannot see: far outside of its image, finite.
NOWHERE = -10.0
# Rounds in which a ray finds a layer.
MARCH_STEPS = 6


@dataclass(frozen=True)
class Projections:
    """How points of one image with their disparities are seen by other cameras.

    A point (x, y) with disparity d is seen at the homogeneous image coordinates ``turn @ (x, y, 1) + d * shift``.

    Attributes:
        turn: 3x3 matrices.
        shift: where the centre of the first camera is seen, times the scale of its third coordinate.
    """

    turn: Float[Tensor, "b m 3 3"]
    shift: Float[Tensor, "b m 3"]

    @staticmethod
    def between(
        camera: Float[Tensor, "b 3 3"],
        pose: Float[Tensor, "b 3 4"],
        cameras: Float[Tensor, "b m 3 3"],
        poses: Float[Tensor, "b m 3 4"],
    ) -> Projections:
        """From one camera to ``m`` others; intrinsics for coordinates in parts of the image, camera-to-world poses."""
        with exact(pose):
            inward = poses[..., :3].transpose(-1, -2)
            turn = cameras @ inward @ (pose[:, None, :, :3] @ torch.linalg.inv(camera)[:, None])
            between = pose[:, None, :, 3] - poses[..., 3]
            shift = (cameras @ inward @ between[..., None])[..., 0]
        return Projections(turn, shift)

    def points(
        self, xy: Float[Tensor, "b h w 2"], disparity: Float[Tensor, "b l h w"]
    ) -> tuple[Float[Tensor, "b m l h w 2"], Bool[Tensor, "b m l h w"]]:
        """Where points are seen, and whether they lie in front of the camera and inside its image."""
        with exact(xy):
            turned = torch.einsum("bmij,bhwj->bmihw", self.turn[..., :2], xy)
        turned = turned + self.turn[..., 2, None, None]
        moved = turned[:, :, :, None] + disparity[:, None, None] * self.shift[..., None, None, None]
        depth = moved[:, :, 2]
        places = moved[:, :, :2] / depth.clamp(min=IN_FRONT)[:, :, None]
        seen = ((places > 0) & (places < 1)).all(dim=2) & (depth > IN_FRONT)
        places = places.masked_fill((depth <= IN_FRONT)[:, :, None], NOWHERE)
        return places.movedim(2, -1), seen


def exact(like: Tensor) -> torch.autocast:
    """A context in which matrix products keep their numbers' precision, also where a network computes in bfloat16.

    With its 8 bits, points would be seen whole pixels away from where they are.
    """
    return torch.autocast(like.device.type, enabled=False)


def pixel_centres(height: int, width: int, like: Tensor) -> Float[Tensor, "h w 2"]:
    """Centres of an image's pixels, in parts of the image."""
    y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height
    x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def disparities(
    share: Float[Tensor, "b l h w"], near: Float[Tensor, " b"], far: Float[Tensor, " b"]
) -> Float[Tensor, "b l h w"]:
    """Disparity of layers that each own an equal band of the range and move inside it (Quark, equation of section 3.1).

    Args:
        share: place in the layer's band, from -1 (its far end) to 1 (its near end).
        near: disparity of the near end of the range.
        far: of the far end, 0 for infinity.
    """
    count = share.shape[1]
    anchor = torch.arange(count, dtype=share.dtype, device=share.device)[:, None, None] + 0.5
    near, far = near[:, None, None, None], far[:, None, None, None]
    return far + (anchor + share / 2) / count * (near - far)


def look_up(images: Float[Tensor, "b c p q"], places: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """Bilinear values of images, of any precision, at places in parts of these; borders go on."""
    values = F.grid_sample(
        images.to(places.dtype), 2 * places - 1, padding_mode="border", align_corners=False
    )
    return values.to(images.dtype)


def gather(
    images: Float[Tensor, "b m c p q"], places: Float[Tensor, "b m l h w 2"]
) -> Float[Tensor, "b m l c h w"]:
    """Back-projection: bilinear values of images where the layers' points are seen, of their borders beyond these."""
    b, m, layers, h, w, _ = places.shape
    values = look_up(images.flatten(0, 1), places.reshape(b * m, layers * h, w, 2))
    return values.view(b, m, -1, layers, h, w).transpose(2, 3)


def splat(
    values: Float[Tensor, "b l c h w"], places: Float[Tensor, "b m l h w 2"], size: tuple[int, int]
) -> Float[Tensor, "b m l c p q"]:
    """Projection: each point's values added to the four pixels around the place where it is seen, bilinearly.

    The exact adjoint of :func:`gather` where nothing lies within half a pixel of a border or beyond it; what is
    seen outside of an image is lost.

    Args:
        values: of the layers' points.
        places: where they are seen.
        size: height and width of the images that are made.
    """
    b, m, layers, h, w, _ = places.shape
    grid = (2 * places - 1).reshape(b * m * layers, h, w, 2)
    spread = values[:, None].expand(-1, m, -1, -1, -1, -1).reshape(b * m * layers, -1, h, w)
    made: Tensor = _Splat.apply(spread, grid, size)
    return made.view(b, m, layers, -1, *size)


class _Splat(torch.autograd.Function):
    """What ``grid_sample`` does to gradients of its image on the way back, done on the way forth."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, size: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(values, grid)
        image = values.new_zeros(1).expand(*values.shape[:2], *size)
        return _adjoint(values, image, grid, (True, False))[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, grid = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        by_values = F.grid_sample(gradient, grid, padding_mode="zeros", align_corners=False)
        by_grid = _adjoint(values, gradient, grid, (False, True))[1] if ctx.needs_input_grad[1] else None
        return by_values, by_grid, None


def _adjoint(gradient: Tensor, image: Tensor, grid: Tensor, wanted: tuple[bool, bool]) -> tuple[Any, Any]:
    bilinear, zeros = 0, 0
    found: tuple[Any, Any] = torch.ops.aten.grid_sampler_2d_backward(
        gradient.contiguous(), image, grid, bilinear, zeros, False, list(wanted)
    )
    return found


def over_layers(
    premultiplied: Float[Tensor, "*b l c h w"], alpha: Float[Tensor, "*b l 1 h w"]
) -> Float[Tensor, "*b c h w"]:
    """Layers put one over the other, the last in front; values are multiplied by their opacity already."""
    passed = torch.cat([1 - alpha[..., 1:, :, :, :], torch.ones_like(alpha[..., :1, :, :, :])], dim=-4)
    light = passed.flip(-4).cumprod(dim=-4).flip(-4)
    return (premultiplied * light).sum(dim=-4)


def march(
    rgb: Float[Tensor, "l 3 h w"],
    alpha: Float[Tensor, "l h w"],
    disparity: Float[Tensor, "l h w"],
    camera: Float[Tensor, "3 3"],
    origin: Float[Tensor, " 3"],
    directions: Float[Tensor, "p q 3"],
) -> tuple[Float[Tensor, "3 p q"], Float[Tensor, "p q"]]:
    """Layers of depth seen from another place: where each ray meets each layer is found by iteration.

    Nothing but planes at the layer's present disparity is ever met, so rays find surfaces that are not too steep.

    Args:
        rgb, alpha, disparity: of the layers, the farthest first; it is taken as opaque and goes on beyond its borders.
        camera: intrinsics of the layers' camera for coordinates in parts of the image.
        origin: of the rays, in the layers' camera's coordinates.
        directions: of the rays, likewise; disparity is returned in their unit.

    Returns:
        Colours, and disparity along the rays: 1 over the multiple of the direction.
    """
    start, ahead = camera @ origin, directions @ camera.T
    forward = directions[..., 2].clamp(min=IN_FRONT)
    colour, seen_disparity = rgb.new_zeros(3, *directions.shape[:2]), torch.zeros_like(forward)
    # Rays that look backwards see nothing.
    light = (directions[..., 2] > IN_FRONT).to(forward)
    for layer in range(len(rgb) - 1, -1, -1):
        met = disparity[layer].mean().expand_as(forward)
        for _ in range(MARCH_STEPS):
            places, _ = _met(start, ahead, forward, origin[2], met)
            met = look_up(disparity[layer][None, None], places[None])[0, 0]
        places, steps = _met(start, ahead, forward, origin[2], met)
        opacity = torch.ones_like(light)
        if layer:
            inside = ((places > 0) & (places < 1)).all(dim=-1)
            opacity = look_up(alpha[layer][None, None], places[None])[0, 0] * inside
        # What lies behind the eye is not seen.
        weight = light * opacity * (steps > 0)
        colour = colour + weight * look_up(rgb[layer][None], places[None])[0]
        seen_disparity = seen_disparity + weight * met / steps.clamp(min=IN_FRONT)
        light = light - weight
    return colour, seen_disparity


def _met(
    start: Tensor, ahead: Tensor, forward: Tensor, depth: Tensor, disparity: Tensor
) -> tuple[Float[Tensor, "p q 2"], Float[Tensor, "p q"]]:
    """Where rays meet planes of given disparities, in parts of the image, and how far along times the disparity."""
    steps = (1 - disparity * depth) / forward
    return (disparity[..., None] * start + steps[..., None] * ahead)[..., :2], steps
