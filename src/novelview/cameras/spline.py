"""A smooth curve through camera poses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import slerp, so3_exp, so3_log


def passing_times(views: Cameras) -> Float[Tensor, " n"]:
    """Times at which the path passes the views, from 0."""
    rotations, centres = views.rotations.double(), views.centres.double()
    spread = (centres - centres.mean(dim=0)).norm(dim=-1).mean().clamp(min=1e-12)
    travelled = centres.diff(dim=0).norm(dim=-1) / spread
    cosine = ((rotations[:-1] * rotations[1:]).sum(dim=(1, 2)) - 1) / 2
    # Views at one place would share a time: a little of the mean way keeps them apart.
    way = travelled + cosine.clamp(-1, 1).acos()
    way = way + 1e-3 * way.mean() + 1e-9
    return torch.cat([way.new_zeros(1), way.cumsum(dim=0)])


def along(views: Cameras, knots: Float[Tensor, " n"], times: Float[Tensor, " f"], loop: bool) -> Cameras:
    """The spline at ``times``; with ``loop``, the first and last view are one."""
    poses, intrinsics = views.camera_to_world.double(), views.intrinsics.double()
    rotations, values = poses[:, :, :3], torch.cat([poses[:, :, 3], intrinsics], dim=-1)
    step = knots.diff()[:, None]
    spin = _velocities(so3_log(rotations[:-1].mT @ rotations[1:]) / step, step, loop)
    speed = _velocities(values.diff(dim=0) / step, step, loop)
    start = (torch.searchsorted(knots, times, right=True) - 1).clamp(0, len(knots) - 2)
    end, third = start + 1, step[start] / 3
    share = (times - knots[start]) / step[start, 0]
    bent = _bezier(
        [
            rotations[start],
            rotations[start] @ so3_exp(spin[start] * third),
            rotations[end] @ so3_exp(-spin[end] * third),
            rotations[end],
        ],
        share,
        slerp,
    )
    moved = _bezier(
        [values[start], values[start] + speed[start] * third, values[end] - speed[end] * third, values[end]],
        share,
        lambda a, b, s: torch.lerp(a, b, s[:, None]),
    )
    pose = torch.cat([bent, moved[:, :3, None]], dim=-1)
    width, height = views.common_size
    return Cameras.pinhole(pose.to(views.camera_to_world), moved[:, 3:].to(views.intrinsics), width, height)


def _velocities(slopes: Tensor, step: Tensor, loop: bool) -> Tensor:
    """Velocity at every knot: that of the parabola through it and its two neighbours (Catmull-Rom)."""
    first, last = (slopes[-1:], slopes[:1]) if loop else (slopes[:1], slopes[-1:])
    before, after = torch.cat([first, slopes]), torch.cat([slopes, last])
    step_before, step_after = torch.cat([step[-1:], step]), torch.cat([step, step[:1]])
    return (before * step_after + after * step_before) / (step_before + step_after)


def _bezier(points: list[Tensor], share: Tensor, blend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """De Casteljau's algorithm: works on whatever can be blended, rotations too (Shoemake, SIGGRAPH 1985)."""
    while len(points) > 1:
        points = [blend(a, b, share) for a, b in pairwise(points)]
    return points[0]
