"""The extent of a scene, from whatever is known of it before a method has seen it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import average_pose, focus_point, looks_inward, up_direction
from novelview.cameras.cameras import Cameras
from novelview.data.hull import hull_points
from novelview.data.sweep import sweep_points
from novelview.geometry.rigid import Similarity
from novelview.types import Bounds, FrontView, Views

Evidence = Literal["masks", "points", "stated", "photographs", "cameras"]

FEWEST_POINTS = 200  # Fewer say little about the extent of a scene.
MOST_POINTS = 20_000  # More say nothing new.


@dataclass(frozen=True)
class Extent:
    """Where things are, in the frame and units of the cameras it was learned from.

    Attributes:
        evidence: what it was learned from: masks, sparse points of the format, a depth range stated by format
            or user, matches between photographs, or nothing but where the cameras look (a guess).
        near: smallest depth along z at which a camera sees something.
        far: largest such depth.
        points: on or in what the cameras see.
    """

    evidence: Evidence
    near: float
    far: float
    points: Float[Tensor, "p 3"]


def find_extent(
    views: Views,
    *,
    points: Float[Tensor, "p 3"] | None,
    near_far: tuple[float, float] | None,
    object: bool,
    box: Float[Tensor, "2 3"] | None = None,
    measure: bool = True,
) -> Extent:
    """The best that can be known of a scene's extent, from the strongest evidence at hand.

    Args:
        views: training views only; their pixels are read when nothing else tells.
        points: sparse points of the format.
        near_far: depth range stated by the format or the user.
        object: whether masks cut out the only thing that counts.
        box: region of interest stated by the format; the object is looked for in it.
        measure: whether photographs may be matched, where nothing else tells.
    """
    cameras = views.cameras
    if object:
        inside = _object_points(views, box)
        if len(inside):
            near, far = near_far or depth_range(cameras, inside, outliers=0.0, margin=0.05)
            return Extent("masks", near, far, inside)
    if points is not None and len(points) >= FEWEST_POINTS:
        near, far = near_far or depth_range(cameras, points)
        return Extent("points", near, far, points)
    if near_far is not None:
        return Extent("stated", *near_far, _frustum_points(cameras, *near_far))
    if measure and len(swept := sweep_points(views)) >= FEWEST_POINTS:
        return Extent("photographs", *depth_range(cameras, swept), swept)
    guess = _guess(cameras)
    return Extent("cameras", *guess, _frustum_points(cameras, *guess))


def depth_range(
    cameras: Cameras, points: Float[Tensor, "p 3"], *, outliers: float = 0.005, margin: float = 0.25
) -> tuple[float, float]:
    """Smallest and largest depth of points inside the images, but for a share of outliers, with a margin."""
    some = points[:: max(1, len(points) // MOST_POINTS)]
    depths = []
    for i in range(0, len(cameras), max(1, len(cameras) // 64)):
        pixels, depth = cameras[i].project(some)
        inside = ((pixels >= 0) & (pixels <= cameras.sizes[i])).all(dim=-1) & (depth > 0)
        depths.append(depth[inside])
    seen = torch.cat(depths).sort().values
    if not len(seen):
        return _guess(cameras)
    near, far = seen[int(outliers * (len(seen) - 1))], seen[int((1 - outliers) * (len(seen) - 1))]
    return float(near) * (1 - margin), float(far) * (1 + margin)


def looks_forward(cameras: Cameras, near: float) -> bool:
    """Whether all cameras stand before everything and the mean one, with a larger image, sees what all of them see."""
    front = front_view(cameras)
    pose, reach = torch.tensor(front.pose), FrontView.REACH * torch.tensor(front.half_size)
    x, y, z = ((_frustum_points(cameras, near, math.inf) - pose[:, 3]) @ pose[:, :3]).unbind(-1)
    inside = (x.abs() <= reach[0] * z) & (y.abs() <= reach[1] * z)
    along = cameras.centres @ pose[:, 2]
    return bool(inside.all()) and bool(along.max() - along.min() < near)


def front_view(cameras: Cameras) -> FrontView:
    """The mean camera, with the median field of view."""
    half = (cameras.sizes / 2 / cameras.intrinsics[:, :2]).median(dim=0).values
    pose = average_pose(cameras)
    return FrontView(tuple(tuple(row) for row in pose.tolist()), (float(half[0]), float(half[1])))


def scene_frame(cameras: Cameras, extent: Extent) -> Similarity:
    """The similarity from the input's frame to one that is kind to networks.

    Its z axis points up and all cameras lie within the unit ball. Its origin is what the cameras look at: the
    object that masks show, or their focus; cameras that look at no one place have it in their middle.
    """
    if extent.evidence == "masks":
        centre = (extent.points.amin(dim=0) + extent.points.amax(dim=0)) / 2
    elif looks_inward(cameras):
        centre = focus_point(cameras)
    else:
        centre = cameras.centres.mean(dim=0)
    radius = float((cameras.centres - centre).norm(dim=-1).max())
    if extent.evidence != "masks" and not looks_inward(cameras):
        # Cameras that hardly move would blow the scene up to hundreds of units.
        radius = max(radius, math.sqrt(extent.near * min(extent.far, 100 * extent.near)))
    rotation = _rotation_between(up_direction(cameras), torch.tensor([0.0, 0.0, 1.0]))
    return Similarity(1 / radius, rotation, -(rotation @ centre) / radius)


def scene_bounds(
    cameras: Cameras,
    extent: Extent,
    frame: Similarity,
    *,
    box: Float[Tensor, "2 3"] | None,
    background: tuple[float, float, float] | None,
    object: bool,
) -> Bounds:
    """Bounds in the scene frame.

    Args:
        cameras: in the scene frame.
        extent: in the frame of the input.
        frame: from the input's frame to the scene's.
        box: region of interest stated by the format, in the frame of the input.
        background: colour behind everything, if there is one.
        object: whether nothing outside the masks counts. Then a stated box shrinks to what the masks show of it.
    """
    near, far = extent.near * frame.scale, extent.far * frame.scale
    if box is not None:
        corners = torch.cartesian_prod(*box.T.contiguous())
        moved = frame.points(corners)
        lower, upper = moved.amin(dim=0), moved.amax(dim=0)
        if object and extent.evidence == "masks":
            lower, upper = _common((lower, upper), _corners(frame.points(extent.points), 0.0))
    else:
        points = frame.points(extent.points)
        if not object and looks_inward(cameras):
            centre = focus_point(cameras)
            around = (points - centre).norm(dim=-1) < (cameras.centres - centre).norm(dim=-1).median()
            points = points[around] if int(around.sum()) >= FEWEST_POINTS else points
        lower, upper = _corners(points, 0.0 if object else 0.02)
    forward_facing = looks_forward(cameras, near)
    return Bounds(
        near=near,
        far=far,
        box_min=(float(lower[0]), float(lower[1]), float(lower[2])),
        box_max=(float(upper[0]), float(upper[1]), float(upper[2])),
        unbounded=not object,
        background=background,
        forward_facing=forward_facing,
        front=front_view(cameras) if forward_facing else None,
    )


def _corners(points: Tensor, outliers: float) -> tuple[Tensor, Tensor]:
    """Box around all but a share of the points on each side, with a margin of a twentieth."""
    order = points.sort(dim=0).values
    lower = order[int(outliers * (len(order) - 1))]
    upper = order[int((1 - outliers) * (len(order) - 1))]
    margin = 0.05 * (upper - lower).max()
    return lower - margin, upper + margin


def _common(stated: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """What two boxes share; the stated one where they share nothing."""
    lower, upper = torch.maximum(stated[0], found[0]), torch.minimum(stated[1], found[1])
    return (lower, upper) if bool((lower < upper).all()) else stated


def _object_points(views: Views, box: Tensor | None) -> Tensor:
    """Points of the visual hull inside a stated box; where there are none, or no box, around the cameras' focus."""
    centre = focus_point(views.cameras)
    reach = _reach(views.cameras, centre)
    if box is not None:
        # The reach is a guess that a statement may exceed; but in a cube far too large, cells are too coarse for an object.
        lower, upper = torch.maximum(box[0], centre - 2 * reach), torch.minimum(box[1], centre + 2 * reach)
        if bool((lower < upper).all()):
            points = hull_points(views, (lower + upper) / 2, float((upper - lower).max()) / 2)
            points = points[((points >= box[0]) & (points <= box[1])).all(dim=-1)]
            if len(points):
                return points
    return hull_points(views, centre, reach)


def _reach(cameras: Cameras, centre: Tensor) -> float:
    """Half the side of a cube around ``centre`` that holds whatever most cameras see completely."""
    half = (cameras.sizes / 2 / cameras.intrinsics[:, :2]).norm(dim=-1)
    return float(((cameras.centres - centre).norm(dim=-1) * half).median())


def _frustum_points(cameras: Cameras, near: float, far: float) -> Tensor:
    """Points that fill what the cameras see between two depths, evenly in inverse depth."""
    share = torch.linspace(0, 1, 5)
    pixels = torch.cartesian_prod(share, share) * cameras.sizes[:, None]
    depths = 1 / torch.linspace(1 / near, 1 / min(far, 100 * near), 8)
    rays = cameras.rays_through(pixels)
    return rays.at(depths.expand(*rays.origins.shape[:-1], 8)).reshape(-1, 3)


def _guess(cameras: Cameras) -> tuple[float, float]:
    """A depth range from the cameras alone: around their focus, or in proportion to how far they moved."""
    distance = (cameras.centres - focus_point(cameras)).norm(dim=-1)
    if looks_inward(cameras):
        return 0.2 * float(distance.min()), 4 * float(distance.max())
    moved = float((cameras.centres - cameras.centres.mean(dim=0)).norm(dim=-1).max())
    return (moved, 100 * moved) if moved > 0 else (0.1, 10.0)


def _rotation_between(a: Tensor, b: Tensor) -> Tensor:
    """The shortest rotation that carries unit vector ``a`` to unit vector ``b``."""
    axis, cosine = torch.linalg.cross(a, b), float(a @ b)
    if cosine < -0.999999:
        aside = torch.eye(3)[int(a.abs().argmin())]
        axis = torch.linalg.cross(a, aside)
        axis = axis / axis.norm()
        return 2 * torch.outer(axis, axis) - torch.eye(3)
    zero = torch.zeros(())
    skew = torch.stack([zero, -axis[2], axis[1], axis[2], zero, -axis[0], -axis[1], axis[0], zero]).reshape(
        3, 3
    )
    return torch.eye(3) + skew + skew @ skew / (1 + cosine)
