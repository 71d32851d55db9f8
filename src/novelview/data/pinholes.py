"""From photographs and cameras of any lens and size to what networks take: pinhole images of one size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.straighten import straightened
from novelview.geometry.lenses import Lens
from novelview.rendering.layers import pixel_centres
from novelview.types import Views

# Tangent of the largest angle off a target's axis, along rows or columns, that a pinhole image covers.
WIDEST = 3.0

Image = Float[Tensor, "3 _ _"]


def photographs(views: Views) -> list[Image]:
    """The views' colours without lens distortion."""
    return [straightened(views, i).permute(2, 0, 1) for i in range(len(views))]


def of_one_size(images: list[Image]) -> Float[Tensor, "m 3 h w"]:
    """Photographs as one tensor; those of another size are brought to the first's."""
    size = (images[0].shape[-2], images[0].shape[-1])
    return torch.stack([image if image.shape[-2:] == size else resized(image, size) for image in images])


def resized(image: Float[Tensor, "*c h w"], size: tuple[int, int]) -> Float[Tensor, "*c p q"]:
    """An image at another size, without aliasing."""
    planes = image.reshape(1, -1, *image.shape[-2:])
    result = F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)
    return result.view(*image.shape[:-2], *size)


def covering(camera: Cameras) -> tuple[Cameras, Float[Tensor, "h w 2"]]:
    """A pinhole camera whose image holds all that one camera sees, and where in it that camera's pixels are seen.

    What is more than ``WIDEST`` off the axis of a wide lens is taken from the border of that image.
    """
    width, height = camera.common_size
    if int(camera.lens[0]) == Lens.PINHOLE:
        return camera, pixel_centres(height, width, camera.intrinsics)
    pinhole = camera.undistorted()
    directions = camera.rays()[0].directions @ camera.rotations[0]
    across, ahead = directions[..., :2], directions[..., 2:]
    off_axis = (across / ahead.clamp(min=1e-6)).nan_to_num(0).clamp(-WIDEST, WIDEST)
    pixels = off_axis.view(height, width, 2) * pinhole.intrinsics[0, :2] + pinhole.intrinsics[0, 2:]
    size = pixels.new_tensor([width, height])
    # Pixel centres lie half a pixel inside of what the camera sees; rounding is not worth another pixel.
    low = (pixels.amin(dim=(0, 1)) - 0.499).clamp(max=0).floor()
    high = torch.maximum(pixels.amax(dim=(0, 1)) + 0.499, size).ceil()
    left, top = low.int().tolist()
    across, down = (high - low).int().tolist()
    wide = pinhole.cropped(left, top, across, down)
    return wide, (pixels - low) / (high - low)
