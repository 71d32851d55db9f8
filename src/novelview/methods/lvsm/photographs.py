"""Photographs and new views in the sizes that the network takes: whole patches, about as high as it was trained for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.pinholes import covering, resized
from novelview.data.straighten import straightened
from novelview.types import Views


def photographs(views: Views, size: int, patch: int) -> tuple[Float[Tensor, "v 3 h w"], Cameras]:
    """Photographs without lens distortion in the size that the first one gets, and their cameras.

    Of those of another shape the middle is taken.

    Args:
        views: at least one.
        size: height in pixels to which larger ones are reduced; 0: none is.
        patch: sides become multiples of it.
    """
    wanted = fitted_size(views.cameras[0], size, patch)
    images, cameras = [], []
    for i in range(len(views)):
        camera, image = views.cameras[i].undistorted(), straightened(views, i)
        if fitted_size(camera, size, patch) != wanted:
            left, top, width, height = _middle(camera, wanted)
            camera = camera.cropped(left, top, width, height)
            image = image[top : top + height, left : left + width]
        cameras.append(camera.resized(*wanted))
        images.append(resized(image.permute(2, 0, 1), (wanted[1], wanted[0])))
    return torch.stack(images), Cameras.concatenate(cameras)


def fitted_size(camera: Cameras, size: int, patch: int) -> tuple[int, int]:
    """Width and height in whole patches of an image of about the same shape, at most ``size`` high (0: as it is)."""
    width, height = camera.common_size
    scale = min(1.0, size / height) if size else 1.0
    across, down = (max(1, round(scale * side / patch)) * patch for side in (width, height))
    return across, down


@dataclass(frozen=True)
class Canvas:
    """What the network shows in place of one camera, whatever its lens and size.

    Attributes:
        camera: a pinhole of whole patches that sees all that the camera sees.
        xy: where in its image the camera's pixels are seen, in parts of the image.
        exact: whether its pixels are the camera's.
    """

    camera: Cameras
    xy: Float[Tensor, "h w 2"]
    exact: bool

    @staticmethod
    def of(camera: Cameras, size: int, patch: int) -> Canvas:
        wide, xy = covering(camera)
        width, height = fitted_size(wide, size, patch)
        exact = wide is camera and wide.common_size == (width, height)
        return Canvas(wide.resized(width, height), xy, exact)

    def seen(self, image: Float[Tensor, "3 p q"]) -> Float[Tensor, "h w 3"]:
        """What the camera sees of the canvas."""
        if not self.exact:
            grid = 2 * self.xy[None].to(image) - 1
            image = F.grid_sample(
                image[None], grid, mode="bicubic", padding_mode="border", align_corners=False
            )[0]
        return image.permute(1, 2, 0).clamp(0, 1)


def _middle(camera: Cameras, wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the largest window in the middle that has the wanted shape."""
    width, height = camera.common_size
    scale = min(width / wanted[0], height / wanted[1])
    across, down = max(1, round(scale * wanted[0])), max(1, round(scale * wanted[1]))
    return (width - across) // 2, (height - down) // 2, across, down
