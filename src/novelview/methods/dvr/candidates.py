"""A beginning of the training in which every place along a ray may be the surface.

Each candidate must have the pixel's colour by itself, as far as it is likely to be the surface: colours are not blended, as
in volume rendering, and errors are compared along the whole ray, so that a surface finds its way into a hollow from the lid
that masks leave on it. (Many-worlds inverse rendering, Zhang et al., 2024; Radiance Surfaces, Zhang et al., SIGGRAPH 2025.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.intervals import linear_depths
from novelview.geometry.rays import Rays
from novelview.methods.dvr.config import HALF, LossConfig, SearchConfig, StartConfig
from novelview.methods.dvr.learning import Chance, Seen, cube_span
from novelview.methods.dvr.shape import Shape
from novelview.rendering.surface import central_differences
from novelview.rendering.volume import thickness_from_field, weights_from_density

# Candidates with less than this part of the mean weight are not coloured.
_LEAST = 0.25
# Rays of which less stops than this share weigh the less.
_STOPPED = 0.05
# One in so many of the coloured ones is asked for its slope.
_SLOPES = 8


def learn_candidates(
    shape: Shape,
    seen: Seen,
    chance: Chance,
    search: SearchConfig,
    losses: LossConfig,
    start: StartConfig,
    *,
    sharpness: float,
) -> dict[str, Float[Tensor, ""]]:
    """The losses, by name and multiplied by their weights; each summed over rays.

    Args:
        shape: in the unit cube.
        seen: rays with their pixels.
        chance: random numbers, a row for each ray.
        search: in which cube.
        losses: their weights; those of colour, depth, place and distance are used.
        start: this beginning.
        sharpness: see :class:`StartConfig`.
    """
    near, far, some = cube_span(seen.rays, search.half, None)
    inside = torch.nonzero(some)[:, 0]
    rays, rgb, mask = seen.rays[inside], seen.rgb[inside], seen.mask[inside]
    depths = _places(near[inside], far[inside], chance.empty[inside], start.samples)
    values = shape.field(rays.at(depths).reshape(-1, 3)).reshape(depths.shape)
    thickness = thickness_from_field(values, sharpness)
    weights = weights_from_density(thickness, torch.ones_like(thickness))
    middles = (depths[:, :-1] + depths[:, 1:]) / 2
    stopped = weights.sum(dim=-1).clamp(1e-4, 1 - 1e-4)
    # Written out: torch's own refuses to run where layers are told to be less precise.
    surprise = -(mask * stopped.log() + (1 - mask) * (-stopped).log1p()).sum()
    parts = {"opacity": start.opacity * surprise}

    ray, place = torch.nonzero(
        (weights.detach() > _LEAST / start.samples) & (mask[:, None] > 0), as_tuple=True
    )
    candidates = rays[ray].point(middles[ray, place])
    # Where light stops, not whether: otherwise rays would rather pass through than stop at a wrong place.
    likely = weights * (mask / stopped.clamp(min=_STOPPED))[:, None]
    if losses.colour:
        error = (shape.colour(candidates, rays.directions[ray]) - rgb[ray]).abs().sum(dim=-1)
        parts["colour"] = losses.colour * (likely[ray, place] * error).sum()
    if losses.distance:
        around = torch.cat([chance.anywhere - HALF, candidates[::_SLOPES].detach()])
        slopes = central_differences(shape.field, around, losses.normal_step).norm(dim=-1)
        parts["distance"] = losses.distance * (slopes - 1).square().mean() * len(seen)
    if seen.depth is not None and (losses.depth or losses.place):
        wrong = _depth_error(rays, seen.depth[inside], middles, losses)
        parts["depth"] = (likely * wrong).sum()
    return parts


def _places(
    near: Float[Tensor, " r"], far: Float[Tensor, " r"], share: Float[Tensor, " r"], samples: int
) -> Float[Tensor, "r n"]:
    """Depths between which a ray's candidates lie, in order: even ones, all moved by the same part of a gap."""
    depths = linear_depths(near, far, samples + 1)
    moved = depths + ((share - 0.5) * (far - near) / samples)[:, None]
    return torch.minimum(torch.maximum(moved, near[:, None]), far[:, None])


def _depth_error(
    rays: Rays, known: Float[Tensor, " r"], middles: Float[Tensor, "r s"], losses: LossConfig
) -> Float[Tensor, "r s"]:
    """How far each candidate is from the known surface, weighed as in the losses of depth; 0 where it is unknown."""
    unit = losses.depth + losses.place * rays.directions.norm(dim=-1)
    return unit[:, None] * (middles - known[:, None]).abs() * (known > 0)[:, None]
