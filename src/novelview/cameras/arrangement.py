"""How the cameras of a capture stand: what they look at, where up is, and their mean."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import look_at

# Of the mean up on the up direction: enough to decide for parallel cameras; more tilts arcs seen from above.
_PULL = 0.02


def focus_point(cameras: Cameras) -> Float[Tensor, " 3"]:
    """The point nearest to all optical axes in the least-squares sense; near the cameras where these are parallel."""
    forward, centres = cameras.forward.double(), cameras.centres.double()
    identity = torch.eye(3, dtype=torch.float64, device=cameras.device)
    across = identity - forward[:, :, None] * forward[:, None, :]
    mean = centres.mean(dim=0)
    right = (across @ (centres - mean)[..., None]).mean(dim=0)
    # A hair of ridge keeps parallel axes solvable: the answer then stays near the cameras.
    point = mean + torch.linalg.solve(across.mean(dim=0) + 1e-6 * identity, right)[:, 0]
    return point.to(cameras.centres)


def up_direction(cameras: Cameras) -> Float[Tensor, " 3"]:
    """The direction most at right angles to the cameras' horizontal axes, on the side of their mean up.

    Photographers tilt up and down more than they roll; for parallel cameras the mean up decides. Photographs
    stored on their side show by horizontal axes that point along one line all around.
    """
    axes = torch.stack([cameras.rotations[:, :, 0], -cameras.rotations[:, :, 1]]).double()
    moments = axes.transpose(1, 2) @ axes / len(cameras)
    spread = torch.linalg.eigvalsh(moments)[:, -1]
    sideways = bool(spread[0] > spread[1] + 0.3)
    level, mean = moments[int(sideways)], axes[1 - int(sideways)].mean(dim=0)
    found = torch.linalg.eigh(level - _PULL * torch.outer(mean, mean)).eigenvectors[:, 0]
    return (found if found @ mean >= 0 else -found).to(cameras.centres)


def looks_inward(cameras: Cameras) -> bool:
    """Whether the cameras look, from clearly different sides, at one place."""
    offset = focus_point(cameras) - cameras.centres
    towards = (cameras.forward * offset).sum(dim=-1) / offset.norm(dim=-1).clamp(min=1e-12)
    mean = cameras.forward.mean(dim=0)
    widest = (cameras.forward @ mean / mean.norm().clamp(min=1e-12)).min()
    return bool((towards > 0.87).float().mean() > 0.9) and bool(widest < 0.87)


def average_pose(cameras: Cameras) -> Float[Tensor, "3 4"]:
    """The mean camera: mean centre, mean viewing direction, and the mean up as far as that allows.

    Where the viewing directions cancel out, the first camera's takes the place of their mean.
    """
    poses = cameras.camera_to_world.double()
    forward, centre = poses[:, :, 2].mean(dim=0), poses[:, :, 3].mean(dim=0)
    if float(forward.norm()) < 1e-3:
        forward = poses[0, :, 2]
    down = poses[:, :, 1].mean(dim=0)
    # Looking from the origin, so that a far-away centre costs no digits.
    axes = look_at(torch.zeros_like(centre), forward, -down)[:, :3]
    return torch.cat([axes, centre[:, None]], dim=-1).to(cameras.camera_to_world)
