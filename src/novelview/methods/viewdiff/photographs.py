"""Photographs as squares of the network's size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.straighten import straightened
from novelview.types import Views


def square_photographs(views: Views, size: int) -> tuple[Float[Tensor, "n 3 s s"], Cameras]:
    """The middle square of each view at ``size`` pixels, in [-1, 1], and the cameras that see it.

    Views with a lens are straightened first.
    """
    images, cameras = [], []
    for i in range(len(views)):
        image = straightened(views, i).movedim(-1, 0)
        height, width = image.shape[1:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        window = image[:, top : top + side, left : left + side]
        if side != size:
            window = F.interpolate(window[None], (size, size), mode="bilinear", antialias=True)[0]
        images.append(2 * window.clamp(0, 1) - 1)
        cameras.append(views.cameras[i].undistorted().cropped(left, top, side, side).resized(size, size))
    return torch.stack(images), Cameras.concatenate(cameras)
