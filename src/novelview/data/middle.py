"""The middle squares of photographs, at the size of a network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.straighten import straighten, straightened
from novelview.types import Views


def middle_squares(views: Views, size: int) -> Views:
    """The middle square of each view at ``size`` pixels, with the pinhole camera that sees it; pixels are in memory.

    Views with a lens are straightened first. Resampling is bilinear with antialiasing; depths are left out.

    Args:
        views: one at least, of any sizes.
        size: side of the squares, pixels.
    """
    images, masks, cameras = [], [], []
    for i in range(len(views)):
        images.append(_square(straightened(views, i), size))
        if views.has_masks:
            masks.append(_square(straighten(views.cameras[i], views.mask(i)[..., None]), size)[..., 0])
        width, height = views.cameras[i].common_size
        side = min(width, height)
        window = views.cameras[i].undistorted().cropped((width - side) // 2, (height - side) // 2, side, side)
        cameras.append(window.resized(size, size))
    covered = torch.stack(masks) if masks else None
    return Views.from_tensors(Cameras.concatenate(cameras), torch.stack(images), covered, names=views.names)


def _square(image: Float[Tensor, "h w c"], size: int) -> Float[Tensor, "s s c"]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    window = image[top : top + side, left : left + side].movedim(-1, 0)
    if side != size:
        window = F.interpolate(window[None], (size, size), mode="bilinear", antialias=True)[0]
    return window.clamp(0, 1).movedim(0, -1)
