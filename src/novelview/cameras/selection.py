"""Which photographs to look at for a new view: those that together show best what it will see."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras

# Points along each axis of the target's image, and depths, at which coverage is judged.
ACROSS, DEPTHS = 7, 6
# Angle in radians between two views of a point at which one is worth half as much to the other.
HALF_ANGLE = 0.1
# What a further view of a point is worth, beside the one before it: matching takes two, occlusion more.
NEXT_VIEW = 0.5
# Angle in radians under which two views of a point tell nearly the same: the second is worth as little as a third one.
ALIKE = 0.02
# Relative difference of two views' worth below which neither is clearly the better one.
CLOSE = 0.1
# Share of an image's side over which a point at its border comes into view.
BORDER = 0.05
# Depths beyond this multiple of the nearest are as good as infinite.
FARTHEST = 1e3
# More views than this many times as many as are wanted are not compared with each other.
CANDIDATES = 8


@dataclass(frozen=True)
class Selection:
    """Chosen views, the most useful first.

    Attributes:
        indices: of the views.
        weights: how much say each has, the most 1: it falls to 0 where another view is about to take its place.
        scores: how useful each is, in parts of what a photograph from the target itself would be without others.
        seen: share of the target's points that each sees.
        angles: mean angle in degrees between its rays and the target's, over the points that it sees.
        coverage: share of the target's points that at least one chosen view sees.
    """

    indices: tuple[int, ...]
    weights: tuple[float, ...]
    scores: tuple[float, ...]
    seen: tuple[float, ...]
    angles: tuple[float, ...]
    coverage: float


def select_views(
    target: Cameras, cameras: Cameras, near: float, far: float, count: int, fade: float = 0.0
) -> Selection:
    """The views that together show best what one camera will see.

    Points fill the target's frustum, evenly in disparity. A view is worth the more to a point, the more its ray agrees
    with the target's, and the less, the more views of that point are better, above all from nearly the same place. So
    chosen views are near the target, but not all on one side of it, and none looks elsewhere. All scores change
    continuously with the target's pose.

    Args:
        target: one camera.
        cameras: of the photographs.
        near, far: depths between which something is seen.
        count: how many to choose; all where there are fewer.
        fade: relative distance to the best view that is left out within which a chosen one has less than full
            weight; 0: all have the same.
    """
    sight = view_worth(target, cameras, near, far)
    worth, angle = sight.worth, sight.angle
    candidates = worth.mean(dim=1).argsort(descending=True, stable=True)[: CANDIDATES * count]
    scores = _scores(worth[candidates], sight.direction[candidates])
    order = scores.argsort(descending=True, stable=True)
    chosen, kept = candidates[order[:count]], scores[order[:count]]
    left_out = float(scores[order[count]]) if len(order) > count else 0.0
    sees = worth[chosen] > 0
    mean_angle = (angle[chosen] * sees).sum(dim=1) / sees.sum(dim=1).clamp(min=1)
    return Selection(
        indices=tuple(chosen.tolist()),
        weights=tuple(_weights(kept, left_out, fade).tolist()),
        scores=tuple(kept.tolist()),
        seen=tuple(sees.float().mean(dim=1).tolist()),
        angles=tuple(mean_angle.rad2deg().tolist()),
        coverage=float(sees.any(dim=0).float().mean()),
    )


def spread_views(cameras: Cameras, count: int) -> list[int]:
    """So many views, or all where there are fewer, that stand and look as differently as possible, in their order.

    The first is the most central one; then always the one farthest from those chosen (farthest-point sampling), by
    place, in parts of the rig's size, and viewing direction.
    """
    centres = cameras.centres - cameras.centres.mean(dim=0)
    size = centres.norm(dim=-1).max().clamp(min=1e-12)
    places = torch.cat([centres / size, cameras.forward], dim=-1)
    chosen = [int(centres.norm(dim=-1).argmin())]
    away = (places - places[chosen[0]]).norm(dim=-1)
    while len(chosen) < min(count, len(cameras)):
        # Never one that is chosen already, even where all stand in one place.
        away[chosen] = -1.0
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (places - places[chosen[-1]]).norm(dim=-1))
    return sorted(chosen)


@dataclass(frozen=True)
class Sight:
    """Points in a target's frustum as views see them.

    Attributes:
        worth: how much a view tells of a point: 1 from the target's place, 0 where it does not see the point.
        angle: between its ray to the point and the target's, in radians.
        direction: of its ray to the point.
    """

    worth: Float[Tensor, "n p"]
    angle: Float[Tensor, "n p"]
    direction: Float[Tensor, "n p 3"]


def view_worth(target: Cameras, cameras: Cameras, near: float, far: float) -> Sight:
    """How much each view tells of points in the target's frustum."""
    width, height = target.common_size
    share = (torch.arange(ACROSS) + 0.5) / ACROSS
    pixels = torch.cartesian_prod(share * width, share * height)
    ends = torch.linspace(1 / near, 1 / min(far, FARTHEST * near), DEPTHS)
    points = target.rays_through(pixels[None]).at((1 / ends).expand(1, len(pixels), DEPTHS)).reshape(-1, 3)
    places, depth = cameras.project(points)
    inside = torch.minimum(places, cameras.sizes[:, None] - places) / cameras.sizes[:, None]
    # Lenses have no image of what is too far from their axis.
    seen = (inside.amin(dim=-1) / BORDER).nan_to_num(0).clamp(0, 1) * (depth > 0)
    towards = torch.nn.functional.normalize(points - cameras.centres[:, None], dim=-1)
    straight = torch.nn.functional.normalize(points - target.centres, dim=-1)
    # Chords are exact where the cosine of a small angle is 1 but for rounding.
    angle = 2 * ((towards - straight).norm(dim=-1) / 2).clamp(max=1).asin()
    return Sight(seen / (1 + angle / HALF_ANGLE), angle, towards)


def _scores(worth: Float[Tensor, "n p"], direction: Float[Tensor, "n p 3"]) -> Float[Tensor, " n"]:
    """Mean worth to the points, halved for every view that is worth more to the same point, twice for one beside it."""
    one, other = worth[:, None], worth[None]
    better = torch.sigmoid((other - one) / (CLOSE * (one + other)).clamp(min=1e-6))
    apart = (2 - 2 * torch.einsum("npi,mpi->nmp", direction, direction)).clamp(min=0).sqrt()
    better = better * (1 + 1 / (1 + apart / ALIKE))
    # A view is neither better than itself nor beside itself.
    better.diagonal().zero_()
    return (worth * NEXT_VIEW ** better.sum(dim=1)).mean(dim=1)


def _weights(scores: Float[Tensor, " n"], left_out: float, fade: float) -> Float[Tensor, " n"]:
    if not fade or not left_out:
        return torch.ones_like(scores)
    ahead = ((1 - left_out / scores.clamp(min=1e-12)) / fade).clamp(0, 1)
    return torch.ones_like(scores) if float(ahead.max()) == 0 else ahead / ahead.max()
