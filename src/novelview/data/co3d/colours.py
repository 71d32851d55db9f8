"""Statistics of the colours of a photograph, of which ViewDiff tells its network two."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def intensity(image: Float[Tensor, "h w 3"]) -> tuple[float, float]:
    """Mean and unbiased variance of all values of an image in [0, 1], brought to [-1, 1] first."""
    values = image.double() * 2 - 1
    return float(values.mean()), float(values.var())
