"""Spherical harmonics: how colour depends on the viewing direction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def harmonics(directions: Float[Tensor, "r 3"], degree: int) -> Float[Tensor, "r b"]:
    """Real spherical harmonics of degree 0 to at most 2, (degree + 1)² of them, without their constant factors.

    The factors would only scale the coefficients; without them all coefficients share one learning rate.
    """
    x, y, z = F.normalize(directions, dim=-1).unbind(-1)
    basis = [torch.ones_like(x)]
    if degree >= 1:
        basis += [x, y, z]
    if degree >= 2:
        basis += [x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1]
    return torch.stack(basis, dim=-1)
