"""Photographs without lens distortion, for methods that think in pinhole cameras."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.lenses import Lens
from novelview.geometry.warp import sample_bilinear
from novelview.types import Views

# Steps of 5 % in which pixels that a lens does not see are brought towards the middle: to a twentieth.
TOWARDS_MIDDLE = 60


def straightened(views: Views, i: int) -> Float[Tensor, "h w 3"]:
    """The photograph of view ``i`` as a pinhole camera of the same intrinsics and size had taken it.

    What the pinhole camera would see beyond the photograph is repeated from its border.
    """
    return straighten(views.cameras[i], views.image(i))


def straighten(camera: Cameras, image: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    """The image of one camera, colours or a mask, as :func:`straightened` does it."""
    if int(camera.lens[0]) == Lens.PINHOLE:
        return image
    pinhole = camera.undistorted()
    middle, pixels = pinhole.intrinsics[:, 2:], pinhole.pixel_grid().reshape(1, -1, 2)
    places = _seen_through(camera, pinhole, pixels)
    for _ in range(TOWARDS_MIDDLE):
        lost = ~places.isfinite().all(dim=-1)
        if not bool(lost.any()):
            break
        # Lenses have no image of what is too far from their axis; what is nearer to it stands in.
        pixels = torch.where(lost[..., None], middle + 0.95 * (pixels - middle), pixels)
        places = torch.where(lost[..., None], _seen_through(camera, pinhole, pixels), places)
    inside = torch.minimum(places[0].clamp(min=0), camera.sizes)
    return sample_bilinear(image, inside)[0].view_as(image)


def _seen_through(
    camera: Cameras, pinhole: Cameras, pixels: Float[Tensor, "1 p 2"]
) -> Float[Tensor, "1 p 2"]:
    """Where a camera with a lens sees what a pinhole camera sees at its pixels."""
    rays = pinhole.rays_through(pixels)
    return camera.project((rays.origins + rays.directions)[0])[0]
