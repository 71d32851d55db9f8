"""The extent of a scene, from whatever is known of it before a method has seen a pixel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras


def focus_point(cameras: Cameras) -> Float[Tensor, " 3"]:
    """The point nearest to all optical axes in the least-squares sense."""
    forward = cameras.forward.double()
    projector = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None, :]
    # A hair of ridge keeps parallel axes solvable: the answer then stays near the cameras.
    ridge = 1e-6 * len(cameras) * torch.eye(3, dtype=torch.float64)
    mean = cameras.centres.double().mean(dim=0)
    right = (projector @ (cameras.centres.double() - mean)[..., None]).sum(dim=0)
    return (mean + torch.linalg.solve(projector.sum(dim=0) + ridge, right)[:, 0]).float()
