"""What rays and the pixels behind them say about a shape (Niemeyer et al., CVPR 2020, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.geometry.rays import Rays, intersect_box
from novelview.methods.dvr import losses
from novelview.methods.dvr.config import HALF, LossConfig, SearchConfig
from novelview.methods.dvr.shape import Shape
from novelview.rendering.surface import Crossing, Empty, central_differences, first_crossing, implicit_depth


@dataclass(frozen=True)
class Seen:
    """Rays in the coordinates of the unit cube, and what the photographs show there.

    Attributes:
        rays: their parameter is depth along z, scene units.
        rgb: in [0, 1].
        mask: share of the pixel that the object covers.
        depth: ray parameter of the surface, 0 where unknown; None: nowhere known.
        hull: ray parameter of the visual hull, likewise; where rays should meet the shape if ``depth`` is not learnt from.
    """

    rays: Rays
    rgb: Float[Tensor, "r 3"]
    mask: Float[Tensor, " r"]
    depth: Float[Tensor, " r"] | None = None
    hull: Float[Tensor, " r"] | None = None

    def __len__(self) -> int:
        return len(self.rgb)


@dataclass(frozen=True)
class Chance:
    """All that is random in a step, uniform in [0, 1].

    Attributes:
        empty: where on a ray a point lies that must be outside.
        filled: where one lies that should be inside.
        aside: where the neighbour of a surface point is.
        anywhere: points of the cube.
    """

    NUMBERS: ClassVar[int] = 8

    empty: Float[Tensor, " r"]
    filled: Float[Tensor, " r"]
    aside: Float[Tensor, "r 3"]
    anywhere: Float[Tensor, "r 3"]

    @staticmethod
    def drawn(numbers: Float[Tensor, "r n"]) -> Chance:
        """Out of ``NUMBERS`` uniform numbers for each ray."""
        return Chance(numbers[:, 0], numbers[:, 1], numbers[:, 2:5], numbers[:, 5:])


def cube_span(
    rays: Rays, half: float, beyond: tuple[float, float] | None
) -> tuple[Float[Tensor, " r"], Float[Tensor, " r"], Bool[Tensor, " r"]]:
    """Between which parameters a ray is in the cube, in front of it, or the range ``beyond``; and whether there are any."""
    corner = rays.origins.new_full((3,), half)
    enter, leave = intersect_box(rays, -corner, corner)
    passes = leave > 0
    low, high = beyond or (0.0, 0.0)
    near = torch.where(passes, enter.clamp(min=0), low)
    far = torch.where(passes, leave, high)
    return near, far, passes if beyond is None else torch.ones_like(passes)


def search(
    shape: Shape, rays: Rays, config: SearchConfig, samples: int, empty: Empty | None = None
) -> Crossing:
    """Where rays meet the shape; those that miss the cube, and may not be searched beyond it, meet nothing.

    Where it is known to be ``empty``, the shape is not asked.
    """
    near, far, some = cube_span(rays, config.half, config.beyond)
    place = torch.nonzero(some)[:, 0]
    found = first_crossing(
        shape.field,
        rays[place],
        near[place],
        far[place],
        samples=samples,
        iterations=config.iterations,
        empty=empty,
    )
    nowhere = torch.zeros_like(some)
    return Crossing(
        torch.full_like(near, torch.inf).index_copy(0, place, found.depth),
        nowhere.index_copy(0, place, found.hit),
        nowhere.index_copy(0, place, found.inside),
        near.index_copy(0, place, found.deepest),
    )


def learn(
    shape: Shape,
    seen: Seen,
    chance: Chance,
    search_config: SearchConfig,
    weights: LossConfig,
    *,
    samples: int,
    sharpness: float,
) -> dict[str, Float[Tensor, ""]]:
    """The losses, by the names of their weights and multiplied by them; each summed over what it is of.

    Args:
        shape: in the unit cube.
        seen: rays with their pixels; in patches of four in a row where ``weights.change`` is not 0.
        chance: random numbers, a row for each ray.
        search_config: how the surface is searched for.
        weights: of the losses.
        samples: per ray.
        sharpness: see :class:`LossConfig`.
    """
    rays = seen.rays
    found = search(shape, rays, search_config, samples)
    wanted, met = seen.mask >= 0.5, found.hit | found.inside
    hits = torch.nonzero(found.hit)[:, 0]
    moving = implicit_depth(
        shape.field,
        rays[hits],
        found.depth[hits],
        floor=search_config.floor,
        keep_sign=search_config.keep_sign,
    )
    depth = torch.where(met, found.depth, 0.0).index_copy(0, hits, moving)
    parts = _where_both(shape, seen, depth, met & wanted, weights)
    places = rays.point(depth.detach())
    if weights.mask:
        passes = cube_span(rays, search_config.half, search_config.beyond)[2]
        parts["mask"] = _mask_loss(shape, seen, found, depth.detach(), passes & ~(met & wanted), sharpness)
    if weights.empty:
        empty = _empty_points(seen, chance.empty, places, met, search_config)
        parts["empty"] = losses.empty_loss(shape.field(empty))
    if weights.filled:
        exact = seen.depth if weights.depth or weights.place else seen.hull
        filled = _filled_points(seen, chance.filled, exact, ~met, search_config)
        parts["filled"] = losses.filled_loss(shape.field(filled))
    if weights.normal:
        aside = weights.normal_reach * (2 * chance.aside[met] - 1)
        parts["normal"] = losses.normal_loss(shape.field, places[met], aside, weights.normal_step)
    if weights.distance:
        anywhere = torch.cat([chance.anywhere - 0.5, places[met]])
        gradient = central_differences(shape.field, anywhere, weights.normal_step)
        parts["distance"] = (gradient.norm(dim=-1) - 1).square().sum()
    return {name: getattr(weights, name) * value for name, value in parts.items()}


def _where_both(
    shape: Shape,
    seen: Seen,
    depth: Float[Tensor, " r"],
    both: Bool[Tensor, " r"],
    weights: LossConfig,
) -> dict[str, Tensor]:
    """Losses of rays on which the object is seen and met."""
    rays, parts = seen.rays, {}
    points = rays.point(depth)
    if weights.colour or weights.change:
        rgb = seen.rgb.clone().index_copy(0, _places(both), shape.colour(points[both], rays.directions[both]))
        parts["colour"] = losses.colour_loss(rgb[both], seen.rgb[both])
        if weights.change:
            whole = losses.patches_within(both)
            patches = (each.reshape(-1, 2, 2, 3)[whole] for each in (rgb, seen.rgb))
            parts["change"] = losses.colour_change_loss(*patches)
    if seen.depth is not None and (weights.depth or weights.place):
        known = both & (seen.depth > 0)
        if weights.depth:
            parts["depth"] = losses.depth_loss(depth[known], seen.depth[known])
        if weights.place:
            true = rays[known].point(seen.depth[known])
            parts["place"] = losses.place_loss(points[known], true)
    return parts


def _mask_loss(
    shape: Shape,
    seen: Seen,
    found: Crossing,
    depth: Float[Tensor, " r"],
    apart: Bool[Tensor, " r"],
    sharpness: float,
) -> Float[Tensor, ""]:
    """Cross entropy of mask and field at the deepest place of each ray on which they disagree or nothing is met (IDR)."""
    place = torch.where(found.hit | found.inside, depth, found.deepest)[apart]
    logits = sharpness * shape.field(seen.rays[apart].point(place))
    return F.binary_cross_entropy_with_logits(logits, seen.mask[apart], reduction="sum") / sharpness


def _empty_points(
    seen: Seen,
    share: Float[Tensor, " r"],
    places: Float[Tensor, "r 3"],
    met: Bool[Tensor, " r"],
    config: SearchConfig,
) -> Float[Tensor, "p 3"]:
    """A point on each ray beside the object: where the shape is met wrongly, else anywhere in the cube."""
    beyond = None if config.beyond is None else (0.0, config.beyond[1])
    near, far, some = cube_span(seen.rays, config.half, beyond)
    points = seen.rays.point(torch.lerp(near, far, share))
    points = torch.where(met[:, None], places, points)
    return points[(seen.mask < 0.5) & (some | met)]


def _filled_points(
    seen: Seen,
    share: Float[Tensor, " r"],
    exact: Float[Tensor, " r"] | None,
    missed: Bool[Tensor, " r"],
    config: SearchConfig,
) -> Float[Tensor, "p 3"]:
    """A point on each ray that ought to meet the shape and does not: the true one if it is known, else any."""
    beyond = None if config.beyond is None else (0.0, config.beyond[1])
    near, far, some = cube_span(seen.rays, HALF, beyond)
    depth = torch.lerp(near, far, share)
    if exact is not None:
        depth, some = torch.where(exact > 0, exact, depth), some | (exact > 0)
    points = seen.rays.point(depth)
    return points[(seen.mask >= 0.5) & missed & some]


def _places(mask: Bool[Tensor, " r"]) -> Int[Tensor, " p"]:
    return torch.nonzero(mask)[:, 0]
