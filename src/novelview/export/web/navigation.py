"""How far one may turn in a scene: a start, a point to turn around, and the angles from which photographs were taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import average_pose, focus_point, looks_inward, up_direction
from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import look_at
from novelview.light_field import Subject

# Cameras that leave a wider gap around their focus than this did not walk around it.
_WIDEST_GAP = math.radians(100)
# Turning stops short of the axis, around which left and right change places.
_STEEPEST = math.radians(88)
# Photographs beyond these shares of all do not widen the range.
_SHARES = (0.05, 0.95)


@dataclass(frozen=True)
class Navigation:
    """Poses that a page offers: the start, turned by yaw about ``up`` and by pitch about the start's horizontal axis,
    both through ``focus``: first pitch, then yaw. World frame and units of the subject; angles in radians.

    Attributes:
        start: camera-to-world, three rows of four.
        focus: stays in the middle of the image.
        up: unit length.
        radius: distance of the start from the focus.
        yaw: range around 0, counterclockwise as seen from above; None: all around.
        pitch: range around 0; more is seen from higher up.
        zoom: range of the factor on the focal length.
    """

    start: tuple[tuple[float, ...], ...]
    focus: tuple[float, ...]
    up: tuple[float, ...]
    radius: float
    yaw: tuple[float, float] | None
    pitch: tuple[float, float]
    zoom: tuple[float, float] = (1.0, 6.0)


def navigation(subject: Subject) -> Navigation:
    """The poses near which a subject was photographed.

    Cameras that look at one place are turned around it, all around where they were. Others sway: the point they turn
    around is in front of their mean camera, in the middle of what it sees in disparity.
    """
    cameras = subject.cameras.to("cpu")
    focus, up = _pivot(cameras, subject.near, subject.far)
    offsets = cameras.centres.double() - focus
    azimuth, elevation = _angles(offsets, up)
    gap, middle = _gap(azimuth)
    apart = (azimuth - middle + math.pi).remainder(2 * math.pi) - math.pi
    first = int((apart.abs() + (elevation - elevation.median()).abs()).argmin())
    low, high = torch.quantile(elevation, elevation.new_tensor(_SHARES)).tolist()
    aside = torch.quantile(apart - apart[first], apart.new_tensor(_SHARES)).tolist()
    here = float(elevation[first])
    pose = look_at(cameras.centres[first].double(), focus, up)
    return Navigation(
        start=tuple(tuple(row) for row in pose.tolist()),
        focus=tuple(focus.tolist()),
        up=tuple(up.tolist()),
        radius=float(offsets[first].norm()),
        yaw=None if gap <= _WIDEST_GAP else (min(aside[0], 0.0), max(aside[1], 0.0)),
        pitch=(min(max(low, -_STEEPEST) - here, 0.0), max(min(high, _STEEPEST) - here, 0.0)),
    )


def _pivot(cameras: Cameras, near: float, far: float) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """What is turned around, and the axis, in float64."""
    if looks_inward(cameras):
        return focus_point(cameras).double(), F.normalize(up_direction(cameras).double(), dim=0)
    mean = average_pose(cameras).double()
    depth = 2 / (1 / near + 1 / far)
    return mean[:, 3] + depth * mean[:, 2], -mean[:, 1]


def _angles(
    offsets: Float[Tensor, "n 3"], up: Float[Tensor, " 3"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Azimuth, counterclockwise as seen from above, and elevation of places around the origin."""
    right, _, _ = look_at(torch.zeros_like(up), offsets.mean(dim=0) + 1e-9 * offsets[0], up)[:, :3].T
    level = torch.linalg.cross(up, right)
    height = (F.normalize(offsets, dim=-1) @ up).clamp(-1, 1).asin()
    return torch.atan2(offsets @ level, offsets @ right), height


def _gap(azimuth: Float[Tensor, " n"]) -> tuple[float, float]:
    """The widest gap between neighbours on the circle, and the azimuth opposite to its middle."""
    around = azimuth.sort().values
    gaps = torch.cat([around, around[:1] + 2 * math.pi]).diff()
    widest = int(gaps.argmax())
    gap = float(gaps[widest])
    return gap, float(around[widest]) + gap / 2 + math.pi
