"""The cameras of the authors' generation scripts: on a sphere around the subject, in their world, where its up is -z."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.errors import CameraError
from novelview.geometry.rigid import invert, look_at


def sphere_poses(azimuths: Sequence[float], polar: float, radius: float) -> Float[Tensor, "n 4 4"]:
    """World-to-camera poses (OpenCV axes) that look at the origin, the subject's up direction -z.

    Centres are the negatives of radius (sin p cos a, sin p sin a, cos p): so does the authors' look-at.

    Args:
        azimuths: a, degrees.
        polar: p, degrees from the subject's up direction: 60 is 30 above its horizon.
        radius: distance from the origin, world units.

    Raises:
        CameraError: a radius that is not positive, or a polar angle that is not between 0 and 180, both excluded.
    """
    if not (radius > 0 and 0 < polar < 180):
        raise CameraError(
            f"No camera can stand at radius {radius:g} and polar angle {polar:g}",
            cure="give a positive radius and degrees between 0 and 180",
        )
    around = torch.deg2rad(torch.tensor(azimuths, dtype=torch.float64))
    down = torch.deg2rad(torch.full_like(around, polar))
    eyes = radius * torch.stack([down.sin() * around.cos(), down.sin() * around.sin(), down.cos()], dim=-1)
    up = eyes.new_tensor([0.0, 0.0, -1.0]).expand_as(eyes)
    poses = F.pad(invert(look_at(-eyes, torch.zeros_like(eyes), up)), (0, 0, 0, 1))
    poses[:, 3, 3] = 1
    return poses.float()


def azimuths_between(start: float, end: float, count: int) -> tuple[float, ...]:
    """Evenly spaced from ``start`` on, in degrees; ``end`` is one step after the last."""
    return tuple(start + (end - start) * i / count for i in range(count))
