"""Statistics of the colours of a photograph, of which ViewDiff tells its network two."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def intensities(images: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n 2"]:
    """Mean and unbiased variance of all values of each image, in [-1, 1] as the images are."""
    values = images.flatten(2)
    return torch.stack([values.mean(dim=-1), values.var(dim=-1)], dim=-1)


def intensity(image: Float[Tensor, "h w 3"]) -> tuple[float, float]:
    """Mean and unbiased variance of all values of an image in [0, 1], brought to [-1, 1] first."""
    mean, variance = intensities(2 * image.double().movedim(-1, 0)[None, None] - 1).flatten().tolist()
    return mean, variance
