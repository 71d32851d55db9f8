"""What happens along rays, in plain torch: where to look, and what is seen there.

:mod:`novelview.volumes.fused` does the same, about twice as fast, on a CPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.rendering.volume import opacity, weights_from_density
from novelview.volumes.lookup import Coordinates, flat, nearest, trilinear
from novelview.volumes.sampling import importance_shares

# Samples that contribute less to their pixel are not given a colour.
LEAST_WEIGHT = 1e-3
# A ray ends where no more than this is left of its light.
LEAST_LIGHT = 1e-4


def guide(
    coarse: Float[Tensor, "x y z"],
    position: Coordinates,
    length: Float[Tensor, "r b"],
    even_share: float,
    count: int,
    jitter: Float[Tensor, "r 1"],
) -> tuple[Float[Tensor, " r"], Float[Tensor, "r count"]]:
    """Where along rays to look, by a rough idea of the density.

    Args:
        coarse: densities of the cells that fill the unit cube.
        position: of the middles of equally long parts of every ray, each (r, b).
        length: of these parts.
        even_share: part of the looks that is spread evenly, whatever the density.
        count: number of places.
        jitter: where in its stratum each place lies, in [0, 1].

    Returns:
        the opacity of each ray, and increasing shares of the way along it, dense where light is stopped. No gradients.
    """
    with torch.no_grad():
        weights = weights_from_density(nearest(coarse, position), length)
        return opacity(weights), importance_shares(weights, even_share, count, jitter)


def composite(
    density: Float[Tensor, "x y z"],
    colour: Float[Tensor, "u v w c"],
    shift: float,
    position: Coordinates,
    length: Float[Tensor, "r s"],
) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r s"]]:
    """What is seen along rays: sums of colour coefficients, weighted by the light that each sample sends to the eye.

    Args:
        density: values at the grid's nodes. Activated after interpolation, softplus(value + shift), so that a surface
            can lie anywhere between two nodes (DirectVoxGO, section 4).
        colour: coefficients at the nodes of their own grid.
        shift: added to the density's values.
        position: of the samples in the unit cube, each (r, s).
        length: of the intervals around them.

    Returns:
        the sums, and the samples' weights. Gradients reach both tables, nothing else.
    """
    values = F.softplus(trilinear(density[..., None], flat(position))[:, 0] + shift)
    weights = weights_from_density(values.view(length.shape), length)
    light = 1 - weights.detach().cumsum(dim=-1)
    arrived = torch.cat([torch.ones_like(light[:, :1]), light[:, :-1]], dim=-1)
    weights = weights * (arrived >= LEAST_LIGHT)
    along = weights.reshape(-1)
    kept = torch.nonzero(along.detach() > LEAST_WEIGHT)[:, 0]
    x, y, z = (axis[kept] for axis in flat(position))
    seen = trilinear(colour, (x, y, z)) * along[kept, None]
    ray = kept // length.shape[1]
    return colour.new_zeros(len(length), colour.shape[-1]).index_add(0, ray, seen), weights
