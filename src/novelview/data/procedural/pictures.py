"""Fast pictures of solids, for training: surfaces are met to a fraction of a pixel, exactly where it does not show."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.distances import Placed, Solid
from novelview.data.procedural.objects import SolidObject
from novelview.geometry.rays import Rays, intersect_box
from novelview.rendering.surface import outward_normals

# A ray has arrived where the distance is below this, world units: a tenth of a pixel of a view of 128 pixels.
_ARRIVED = 1e-3
# Rays that have not arrived after so many steps have missed. Those along a flat side take short steps: 48 leave white
# specks in a third of all views, and the few rays that are still under way cost next to nothing.
_STEPS = 160
# Where the light comes from. It is soft: what faces it is brightest, what looks away from it darkest, at this share.
_LIGHT, _DARKEST = (0.4, -0.5, 0.77), 0.45


# Cameras at a time: many short tensors cost more than few long ones, up to what fits into a processor's cache.
_AT_ONCE = 16


@torch.no_grad()
def render_pictures(
    solid: SolidObject, cameras: Cameras, *, supersample: int = 2
) -> tuple[Float[Tensor, "n h w 3"], Float[Tensor, "n h w"]]:
    """Shaded views of a solid before white and how much of each pixel it covers, both in [0, 1].

    Args:
        solid: what is seen, of placed parts; no camera stands in its box.
        cameras: of one size, at least one.
        supersample: colours and coverage are the mean over this many squared rays per pixel.
    """
    width, height = cameras.common_size
    fine = cameras.resized(width * supersample, height * supersample)
    # Once, and not at each of their many uses.
    light = replace(solid, parts=tuple(_in_single_precision(part) for part in solid.parts))
    pictures = []
    for some in torch.arange(len(cameras)).split(_AT_ONCE):
        seen = _seen(light, fine[some].rays().reshape(-1))
        seen = seen.view(4, len(some), height * supersample, width * supersample)
        pictures.append(F.avg_pool2d(seen, supersample))
    shown = torch.cat(pictures, dim=1).movedim(0, -1)
    return shown[..., :3], shown[..., 3]


def _in_single_precision(part: Solid) -> Solid:
    if not isinstance(part, Placed):
        return part
    return replace(part, rotation=part.rotation.float(), centre=part.centre.float())


def _seen(solid: SolidObject, rays: Rays) -> Float[Tensor, "4 r"]:
    """Colour and coverage."""
    lower, upper = (rays.origins.new_tensor(corner) for corner in (solid.box_min, solid.box_max))
    near, far = intersect_box(rays, lower, upper)
    walking = torch.nonzero(near < far)[:, 0]
    points, hit = _met(solid, rays[walking], near[walking], far[walking])
    normals = outward_normals(solid.field, points)
    facing = 0.5 + 0.5 * (normals @ F.normalize(points.new_tensor(_LIGHT), dim=0))
    colour = solid.colour(points) * (_DARKEST + (1 - _DARKEST) * facing)[:, None]
    seen = torch.ones(4, len(rays))
    seen[3] = 0
    seen[:, walking[hit]] = torch.cat([colour.T, torch.ones(1, len(points))])
    return seen


def _met(
    solid: SolidObject, rays: Rays, near: Float[Tensor, " r"], far: Float[Tensor, " r"]
) -> tuple[Float[Tensor, "p 3"], Int[Tensor, " p"]]:
    """Where rays meet the solid, and which rays these are (sphere tracing, Hart 1996)."""
    pace = 1 / rays.directions.norm(dim=-1)
    walking, found, which = torch.arange(len(rays)), [near[:0, None].expand(0, 3)], [torch.arange(0)]
    depth = near
    for _ in range(_STEPS):
        points = rays.point(depth)
        gap = -solid.field(points)
        arrived = gap < _ARRIVED
        found.append(points[arrived])
        which.append(walking[arrived])
        depth = depth + gap * pace
        onward = torch.nonzero(~arrived & (depth < far))[:, 0]
        if not len(onward):
            break
        walking, depth, far, pace, rays = (
            walking[onward],
            depth[onward],
            far[onward],
            pace[onward],
            rays[onward],
        )
    return torch.cat(found), torch.cat(which)
