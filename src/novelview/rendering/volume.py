"""Volume rendering: from densities along rays to colours, depths and opacities.

The samples of a ray are ordered from the eye outwards along the last axis (the last but one of ``values``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def alpha_from_density(
    density: Float[Tensor, "*b s"], deltas: Float[Tensor, "*b s"]
) -> Float[Tensor, "*b s"]:
    """Part of the light that each interval stops, 1 - exp(-density * length) (NeRF, equation 3).

    Args:
        density: at least 0, per unit of length.
        deltas: lengths of the intervals.
    """
    return 1 - torch.exp(-density * deltas)


def thickness_from_field(values: Float[Tensor, "*b n"], sharpness: float) -> Float[Tensor, "*b s"]:
    """How much light stops between neighbouring places if the surface is somewhere around a field's zero.

    A place is outside with probability sigmoid(-sharpness * value); light stops where this falls (NeuS, Wang et al.,
    NeurIPS 2021, equation 13): :func:`weights_from_density` makes weights of it, with intervals of length 1. The higher the
    sharpness, the closer they are to one weight at the first crossing.

    Args:
        values: of the field, positive inside, at n = s + 1 places.
        sharpness: positive; 1 / sharpness is how blurred the surface is, in the field's unit.
    """
    outside = F.logsigmoid(-sharpness * values)
    return F.relu(outside[..., :-1] - outside[..., 1:])


def weights_from_alpha(alpha: Float[Tensor, "*b s"], epsilon: float = 0.0) -> Float[Tensor, "*b s"]:
    """How much each sample contributes to the ray: its alpha times the light that reaches it.

    Args:
        alpha: in [0, 1].
        epsilon: light that leaks through every sample, however opaque; NeRF's code uses 1e-10.
    """
    passed = torch.cumprod(1 - alpha + epsilon, dim=-1)
    transmittance = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], dim=-1)
    return alpha * transmittance


def weights_from_density(
    density: Float[Tensor, "*b s"], deltas: Float[Tensor, "*b s"]
) -> Float[Tensor, "*b s"]:
    """``weights_from_alpha(alpha_from_density(...))``, the product of exponentials made a sum of exponents.

    Faster, and precise for thin media, where 1 - exp(-x) would round to 0.
    """
    thickness = density * deltas
    before = torch.cumsum(thickness[..., :-1], dim=-1)
    before = torch.cat([torch.zeros_like(thickness[..., :1]), before], dim=-1)
    return torch.exp(-before) * -torch.expm1(-thickness)


def composite(weights: Float[Tensor, "*b s"], values: Float[Tensor, "*b s c"]) -> Float[Tensor, "*b c"]:
    """Weighted sum of the samples' values: colours, features, normals."""
    return (weights[..., None] * values).sum(dim=-2)


def opacity(weights: Float[Tensor, "*b s"]) -> Float[Tensor, "*b"]:
    """Part of the light that did not come from the background."""
    return weights.sum(dim=-1)


def over(
    colour: Float[Tensor, "*b c"], opacity: Float[Tensor, "*b"], background: Float[Tensor, "*#b c"]
) -> Float[Tensor, "*b c"]:
    """Composited colours in front of a background."""
    return colour + (1 - opacity)[..., None] * background


def mean_depth(weights: Float[Tensor, "*b s"], depths: Float[Tensor, "*b s"]) -> Float[Tensor, "*b"]:
    """Mean depth of what the ray met; 0 where it met nothing."""
    total = weights.sum(dim=-1)
    mean = (weights * depths).sum(dim=-1) / torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, mean, torch.zeros_like(mean))


def disparity(weights: Float[Tensor, "*b s"], depths: Float[Tensor, "*b s"]) -> Float[Tensor, "*b"]:
    """Inverse of the mean depth; 0, infinitely far, where the ray met nothing."""
    mean = mean_depth(weights, depths)
    return torch.where(opacity(weights) > 0, 1 / mean.clamp(min=1e-10), torch.zeros_like(mean))
