"""What no learned method should lose to: pictures made of the training views by classical means alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import MethodError
from novelview.geometry.warp import sample_bilinear
from novelview.rendering.sweep import Agreement, blend, plane_cost, plane_depths
from novelview.types import Bounds, Frames, Views

PLANES = 64
SOURCES = 8


def baseline(name: str, views: Views, bounds: Bounds, cameras: Cameras) -> Frames:
    """New views by the baseline ``name``, one of ``BASELINES``.

    Args:
        name: "nearest-view" is the training photograph taken nearest to the camera; "sweep-average" is the
            mean of nearby photographs over all depths, a picture without any geometry; "sweep-argmin" gives
            each pixel the depth at which nearby photographs agree best, and their blended colour there.
        views: training views.
        bounds: near and far limit the depths that are searched.
        cameras: where to look from; all of one size.

    Raises:
        MethodError: there is no such baseline, or no training view.
    """
    if name not in BASELINES:
        raise MethodError(f"Unknown baseline {name!r}", cure=f"choose one of: {', '.join(BASELINES)}")
    if not len(views):
        raise MethodError("A baseline needs at least one training view")
    _ = cameras.common_size
    render = BASELINES[name]
    with torch.no_grad():
        return Frames.concatenate([render(views, bounds, cameras[i]) for i in range(len(cameras))])


def view_angles(camera: Cameras, cameras: Cameras, depth: float) -> Float[Tensor, " n"]:
    """How differently each of ``cameras`` sees a point at ``depth``: rotation plus parallax, in radians."""
    relative = camera.rotations[0].T @ cameras.rotations
    cosine = (relative.diagonal(dim1=1, dim2=2).sum(dim=-1) - 1) / 2
    shift = (cameras.centres - camera.centres).norm(dim=-1)
    return cosine.clamp(-1, 1).acos() + torch.atan(shift / depth)


def _nearest_view(views: Views, bounds: Bounds, camera: Cameras) -> Frames:
    nearest = int(view_angles(camera, views.cameras, bounds.middle_depth).argmin())
    width, height = camera.common_size
    image = views.image(nearest)
    if image.shape[:2] != (height, width):
        image = F.interpolate(image.permute(2, 0, 1)[None], (height, width), mode="bilinear", antialias=True)[
            0
        ].permute(1, 2, 0)
    return Frames(rgb=image[None])


def _sweep_average(views: Views, bounds: Bounds, camera: Cameras) -> Frames:
    chosen, _ = _sources(views, bounds, camera)
    rgb = _nearest_view(views, bounds, camera).rgb[0]
    total, count = torch.zeros_like(rgb), torch.zeros_like(rgb[..., :1])
    for _, colours, valid in _warped_planes(views[chosen.tolist()], bounds, camera):
        total += (colours * valid[..., None]).sum(dim=0)
        count += valid.sum(dim=0)[..., None]
    return Frames(rgb=torch.where(count > 0, total / count.clamp(min=1), rgb)[None])


def _sweep_argmin(views: Views, bounds: Bounds, camera: Cameras) -> Frames:
    chosen, weights = _sources(views, bounds, camera)
    rgb = _nearest_view(views, bounds, camera).rgb[0]
    depth = torch.full_like(rgb[..., 0], bounds.middle_depth)
    best = torch.full_like(depth, float("inf"))
    background = None if bounds.background is None else torch.tensor(bounds.background)
    for at, colours, valid in _warped_planes(views[chosen.tolist()], bounds, camera):
        cost = plane_cost(colours, valid, weights, Agreement(), background)
        better = cost < best
        best = torch.where(better, cost, best)
        depth = torch.where(better, at, depth)
        rgb = torch.where(better[..., None], blend(colours, valid, weights), rgb)
    return Frames(rgb=rgb[None], depth=depth[None])


def _sources(views: Views, bounds: Bounds, camera: Cameras) -> tuple[Int[Tensor, " v"], Float[Tensor, " v"]]:
    """The training views nearest to a camera, and blending weights that fall with the angle squared."""
    angles = view_angles(camera, views.cameras, bounds.middle_depth)
    chosen = angles.argsort()[:SOURCES]
    weights = (angles[chosen] + 1e-3) ** -2
    return chosen, weights / weights.sum()


def _warped_planes(
    views: Views, bounds: Bounds, camera: Cameras
) -> Iterator[tuple[float, Float[Tensor, "v h w 3"], Bool[Tensor, "v h w"]]]:
    """For each plane: its depth, the views warped to it as the camera sees them, and where they see it."""
    width, height = camera.common_size
    rays = camera.rays()
    images = [views.image(i) for i in range(len(views))]
    # Far planes first: where a single view sees all planes alike, it is distorted least on the farthest.
    for at in plane_depths(bounds.near, bounds.far, PLANES).flip(0).tolist():
        points = (rays.origins + at * rays.directions).reshape(-1, 3)
        pixels, depth = views.cameras.project(points)
        sampled = [sample_bilinear(image, where) for image, where in zip(images, pixels, strict=True)]
        colours = torch.stack([values for values, _ in sampled])
        valid = torch.stack([inside for _, inside in sampled]) & (depth > 0)
        yield at, colours.reshape(-1, height, width, 3), valid.reshape(-1, height, width)


BASELINES: dict[str, Callable[[Views, Bounds, Cameras], Frames]] = {
    "nearest-view": _nearest_view,
    "sweep-average": _sweep_average,
    "sweep-argmin": _sweep_argmin,
}
