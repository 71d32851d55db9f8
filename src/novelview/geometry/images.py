"""Resampling images, with pixel centres at +0.5: pixel i covers the interval from i to i + 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize_area(image: Float[Tensor, "h w c"], width: int, height: int) -> Float[Tensor, "h2 w2 c"]:
    """The image in another size, free of aliasing: each new pixel is the mean of exactly the area it covers.

    What a camera that is :meth:`~novelview.cameras.cameras.Cameras.resized` sees. Enlarging repeats pixels.
    """
    return _averaged(_averaged(image, height).transpose(0, 1), width).transpose(0, 1)


def _averaged(image: Tensor, count: int) -> Tensor:
    """The first axis resampled to ``count`` cells."""
    before = image.shape[0]
    if before == count:
        return image
    if before % count == 0:
        return image.unflatten(0, (count, before // count)).mean(dim=1)
    # Differences of the integral, which is linear between the edges of cells.
    integral = F.pad(image.double().cumsum(dim=0), (0, 0, 0, 0, 1, 0))
    edges = torch.linspace(0, before, count + 1, dtype=torch.float64, device=image.device)
    below = edges.long().clamp(max=before - 1)
    share = (edges - below)[:, None, None]
    at_edges = integral[below] * (1 - share) + integral[below + 1] * share
    return (at_edges.diff(dim=0) * (count / before)).to(image.dtype)
