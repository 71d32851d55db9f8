"""Photographs without lens distortion, for methods that think in pinhole cameras."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.lenses import Lens
from novelview.geometry.warp import sample_bilinear
from novelview.types import Views


def straightened(views: Views, i: int) -> Float[Tensor, "h w 3"]:
    """The photograph of view ``i`` as a pinhole camera of the same intrinsics and size had taken it.

    What the pinhole camera would see beyond the photograph is repeated from its border.
    """
    camera, image = views.cameras[i], views.image(i)
    if int(camera.lens[0]) == Lens.PINHOLE:
        return image
    rays = camera.undistorted().rays()[0].reshape(-1)
    places, _ = camera.project(rays.origins + rays.directions)
    inside = torch.minimum(places[0].clamp(min=0), camera.sizes)
    return sample_bilinear(image, inside)[0].view_as(image)
