"""Whether posed views show one and the same thing, by geometry alone: what looks alike must be where the cameras say.

Corners are matched between neighbouring views by looks alone; the cameras only say which views are neighbours. Then the
cameras are held against the matches. A wrong match counts as an error like any other, so every number is told beside its
chance level: that of the same matches when the views' cameras are exchanged. On outlines of smooth things the same place
is not seen twice, which costs true views a little, the more, the farther neighbours are apart; and the outlines of a vase
agree however it is turned, which only a fitted scene tells (``fitted.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import DataError
from novelview.evaluation.baselines import view_angles
from novelview.evaluation.matching import LocalFeatures, local_features, match_features
from novelview.geometry.rays import Rays
from novelview.types import Bounds, Views

# Depths beyond this multiple of the nearest are as good as infinite.
_FARTHEST = 1e3

Pair = tuple[int, int]
Matches = Mapping[Pair, Int[Tensor, "_ 2"]]


@dataclass(frozen=True)
class PixelErrors:
    """Distances in images, at most the image's diagonal each; None where there was nothing to measure.

    Attributes:
        count: how many.
        median: in pixels.
        mean: in pixels.
        median_share: in parts of the image's width.
        mean_share: in parts of the image's width.
        within: share of them below each of the report's thresholds.
    """

    count: int
    median: float | None
    mean: float | None
    median_share: float | None
    mean_share: float | None
    within: tuple[float, ...] | None


@dataclass(frozen=True)
class ReprojectionReport:
    """How well matches between neighbouring views agree with the cameras.

    Attributes:
        views: their number.
        width: of the images, pixels.
        pairs: how many pairs of neighbouring views were matched.
        angle: median angle between the viewing directions of a pair, degrees.
        corners: mean number of corners in a view.
        thresholds: of ``within``, in parts of the image's width.
        two_views: of every match, the distance to the segment of the epipolar line between the nearest and the
            farthest depth, meaned over both directions.
        two_views_chance: the same with exchanged cameras.
        three_views: of matches that go on into a third view, the distance there from the point that the first two
            views' rays pass closest by.
        three_views_chance: the same with exchanged cameras.
    """

    views: int
    width: int
    pairs: int
    angle: float
    corners: float
    thresholds: tuple[float, ...]
    two_views: PixelErrors
    two_views_chance: PixelErrors
    three_views: PixelErrors
    three_views_chance: PixelErrors

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@torch.no_grad()
def reprojection_error(
    views: Views,
    bounds: Bounds,
    generator: torch.Generator,
    *,
    neighbours: int = 2,
    thresholds: Sequence[float] = (0.01, 0.02, 0.04),
    exchanges: int = 4,
) -> ReprojectionReport:
    """Match corners between neighbouring views and measure by how much the cameras miss them.

    Args:
        views: at least two, of one size.
        bounds: near and far limit where on its ray a corner can be.
        generator: of the exchanges, on the CPU.
        neighbours: each view is matched with so many others, which see most nearly the same.
        thresholds: in parts of the image's width.
        exchanges: how often the cameras are exchanged for the chance level; no view keeps its own.

    Raises:
        DataError: there are fewer than two views.
        CameraError: they differ in size.
    """
    if len(views) < 2:
        raise DataError("Consistency is between views", why=f"there are {len(views)}", cure="give at least 2")
    width, _ = views.cameras.common_size
    features = [local_features(views.image(i)) for i in range(len(views))]
    pairs = neighbour_pairs(views.cameras, bounds.middle_depth, neighbours)
    matches = {(i, j): match_features(features[i], features[j]) for i, j in pairs}
    depths = bounds.near, min(bounds.far, _FARTHEST * bounds.near)
    two, three = _errors(views.cameras, features, matches, depths)
    chance = [
        _errors(views.cameras[_exchanged(len(views), generator)], features, matches, depths)
        for _ in range(exchanges)
    ]
    cosines = torch.stack([views.cameras.forward[i] @ views.cameras.forward[j] for i, j in pairs])

    def summary(errors: Sequence[Tensor]) -> PixelErrors:
        return _summary(torch.cat(list(errors)), width, thresholds)

    return ReprojectionReport(
        views=len(views),
        width=width,
        pairs=len(pairs),
        angle=float(cosines.clamp(-1, 1).acos().rad2deg().median()),
        corners=sum(map(len, features)) / len(views),
        thresholds=tuple(thresholds),
        two_views=summary([two]),
        two_views_chance=summary([errors for errors, _ in chance]),
        three_views=summary([three]),
        three_views_chance=summary([errors for _, errors in chance]),
    )


def neighbour_pairs(cameras: Cameras, depth: float, count: int) -> list[Pair]:
    """Every view with the ``count`` others that see a point at ``depth`` most alike; each pair once, in rising order."""
    pairs: set[Pair] = set()
    for i in range(len(cameras)):
        angles = view_angles(cameras[i], cameras, depth)
        angles[i] = torch.inf
        nearest = angles.argsort(stable=True)[: min(count, len(cameras) - 1)].tolist()
        pairs |= {(min(i, j), max(i, j)) for j in nearest}
    return sorted(pairs)


def epipolar_distance(
    camera: Cameras,
    pixels: Float[Tensor, "m 2"],
    other: Cameras,
    other_pixels: Float[Tensor, "m 2"],
    depths: tuple[float, float],
) -> Float[Tensor, " m"]:
    """Distances in the other image from pixels to where what is seen in the first can be, at most the image's diagonal.

    Args:
        camera: one pinhole camera.
        pixels: seen by it.
        other: another pinhole camera.
        other_pixels: seen by that one, of the same places as is claimed.
        depths: nearest and farthest along z of ``camera``.
    """
    rays = camera.rays_through(pixels[None]).reshape(-1)
    towards = other.forward[0]
    start, rate = (rays.origins - other.centres) @ towards, rays.directions @ towards
    # Only the part of the ray that is before the other camera has an image there, and near to it pixels are imprecise.
    closest = 0.1 * depths[0]
    crossing = (closest - start) / torch.where(rate == 0, 1e-12, rate)
    low = torch.where(rate > 0, crossing, -torch.inf).clamp_min(depths[0])
    high = torch.where(rate < 0, crossing, torch.inf).clamp_max(depths[1])
    visible = (low <= high) & ((rate != 0) | (start >= closest))
    (begin,), _ = other.project(rays.point(low))
    (end,), _ = other.project(rays.point(high))
    along = end - begin
    share = ((other_pixels - begin) * along).sum(dim=-1) / along.square().sum(dim=-1).clamp_min(1e-12)
    nearest = begin + share.clamp(0, 1)[:, None] * along
    return _limited((other_pixels - nearest).norm(dim=-1), visible, other)


def third_view_distance(cameras: Cameras, pixels: Float[Tensor, "3 m 2"]) -> Float[Tensor, " m"]:
    """Distances in the third image from pixels to the points that the first two see there, at most the diagonal.

    Args:
        cameras: three pinhole cameras.
        pixels: of the same places in each, as is claimed.
    """
    points = closest_points(cameras[:2].rays_through(pixels[:2]))
    (place,), (depth,) = cameras[2].project(points)
    return _limited((pixels[2] - place).norm(dim=-1), depth > 0, cameras[2])


def closest_points(rays: Rays) -> Float[Tensor, "m 3"]:
    """Points whose squared distances to the lines of ``m`` bundles of rays, of shape (lines, m), have the least sum."""
    unit = torch.nn.functional.normalize(rays.directions, dim=-1)
    across = torch.eye(3).to(unit) - unit[..., :, None] * unit[..., None, :]
    total = (across @ rays.origins[..., None]).sum(dim=0)
    # Parallel lines have no closest point; a little weight on each axis gives them one somewhere.
    matrix = across.sum(dim=0) + 1e-6 * torch.eye(3).to(unit)
    return torch.linalg.solve(matrix, total)[..., 0]


def _limited(distance: Tensor, visible: Tensor, camera: Cameras) -> Tensor:
    diagonal = camera.sizes[0].to(distance).norm()
    return torch.where(visible, distance.nan_to_num(torch.inf), torch.inf).clamp_max(diagonal)


def _errors(
    cameras: Cameras, features: Sequence[LocalFeatures], matches: Matches, depths: tuple[float, float]
) -> tuple[Float[Tensor, " m"], Float[Tensor, " t"]]:
    """Distances of all matches in two views, and of all that go on into a third."""
    # Rays are straight lines in the image of a pinhole only.
    pinholes = cameras.undistorted()
    straight = []
    for i, each in enumerate(features):
        rays = cameras[i].rays_through(each.pixels[None])
        straight.append(pinholes[i].project((rays.origins + rays.directions)[0])[0][0])
    two, three = [torch.zeros(0)], [torch.zeros(0)]
    for (i, j), found in matches.items():
        a, b = straight[i][found[:, 0]], straight[j][found[:, 1]]
        forth = epipolar_distance(pinholes[i], a, pinholes[j], b, depths)
        back = epipolar_distance(pinholes[j], b, pinholes[i], a, depths)
        two.append((forth + back) / 2)
    for numbers, places in _tracks(matches, len(features)):
        pixels = torch.stack([straight[i][which] for i, which in zip(numbers, places, strict=True)])
        three.append(third_view_distance(pinholes[list(numbers)], pixels))
    return torch.cat(two), torch.cat(three)


def _tracks(matches: Matches, count: int) -> list[tuple[tuple[int, int, int], tuple[Tensor, Tensor, Tensor]]]:
    """Corners that are matched from one view into two others: the views, the one between second, and which corners."""
    found = []
    for middle in range(count):
        partners = [
            (j, pairs) if i == middle else (i, pairs.flip(1))
            for (i, j), pairs in matches.items()
            if middle in (i, j)
        ]
        for (first, a), (third, c) in combinations(partners, 2):
            one, other = (a[:, None, 0] == c[None, :, 0]).nonzero(as_tuple=True)
            found.append(((first, middle, third), (a[one, 1], a[one, 0], c[other, 1])))
    return found


def _exchanged(count: int, generator: torch.Generator) -> list[int]:
    """A permutation in which nothing keeps its place: all along one random cycle."""
    order = torch.randperm(count, generator=generator)
    places = torch.empty_like(order)
    places[order] = order.roll(1)
    numbers: list[int] = places.tolist()
    return numbers


def _summary(errors: Tensor, width: int, thresholds: Sequence[float]) -> PixelErrors:
    if not len(errors):
        return PixelErrors(0, None, None, None, None, None)
    median, mean = float(errors.median()), float(errors.mean())
    within = tuple(float((errors < share * width).float().mean()) for share in thresholds)
    return PixelErrors(len(errors), median, mean, median / width, mean / width, within)
