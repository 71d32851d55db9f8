"""The frame in which the network sees cameras: common to a set of them, and kept with what it was made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import Similarity
from novelview.methods.lvsm.config import LVSMConfig
from novelview.types import Bounds

# The largest coordinate of a camera's centre becomes 1 / MARGIN.
MARGIN = 1.35
# Centres nearer to one another than this part of the depth are one centre, and no measure of the scene.
COINCIDENT = 1e-5


def network_frame(inputs: Cameras, targets: Cameras | None, bounds: Bounds, config: LVSMConfig) -> Similarity:
    """From scene coordinates to those that the network sees, as its configuration asks.

    Args:
        inputs: cameras of the photographs.
        targets: cameras that are asked for; they have a say where the configuration's frame is "all".
        bounds: of the scene.
        config: of the network.
    """
    if config.frame == "world":
        return Similarity.identity()
    everyone = [inputs] if targets is None or config.frame == "inputs" else [inputs, targets]
    cameras = Cameras.concatenate([each.undistorted() for each in everyone])
    return common_frame(cameras, bounds.middle_depth, by_depth=config.unit == "depth")


def common_frame(cameras: Cameras, depth: float, *, by_depth: bool = False) -> Similarity:
    """The mean pose of some cameras in the middle, and the farthest of them at 1 / 1.35 (LVSM, section 4.1).

    Args:
        cameras: at least one.
        depth: of what they see. Where all centres are one, as a single camera's, it takes the place of the farthest.
        by_depth: it does so always.
    """
    rotation, centre = _mean_axes(cameras).T, cameras.centres.mean(dim=0)
    farthest = float(((cameras.centres - centre) @ rotation.T).abs().max())
    if by_depth or farthest <= COINCIDENT * depth:
        farthest = depth
    scale = 1 / (MARGIN * farthest)
    return Similarity(scale, rotation, -scale * (rotation @ centre))


def _mean_axes(cameras: Cameras) -> Float[Tensor, "3 3"]:
    """Right, down and forward of the mean camera, as columns."""
    forward = F.normalize(cameras.forward.mean(dim=0), dim=-1)
    right = F.normalize(torch.linalg.cross(cameras.rotations[:, :, 1].mean(dim=0), forward), dim=-1)
    axes = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-1)
    drift = (axes.T @ axes - torch.eye(3).to(axes)).abs().max()
    # Cameras that look in opposite directions have no mean; the first one's axes do as well as any.
    return axes if bool(drift < 1e-3) else cameras.rotations[0]
