"""What the layers of a multi-view U-Net are told besides features, text and time: cameras, and which frames go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor

from novelview.methods.viewdiff.projection.cameras import GroupCameras

# What the authors tell of pictures that are not there: mean and variance of their values in [-1, 1].
UNKNOWN_INTENSITY = (0.0, 0.0)


@dataclass(frozen=True)
class Conditions:
    """Of b groups of n frames, which lie one after another in the batch (frame ``g * n + i`` is frame i of group g).

    Attributes:
        cameras: of the frames, as the projection layers read them.
        vectors: what the attention layers are told of each frame (:func:`camera_vectors`); None: nothing.
        time: the U-Net's embedding of each frame's timestep.
        timesteps: each frame's own.
        height: of the U-Net's input.
        width: likewise.
        left_out: so many last frames of each group do not feed the voxel grid, and must be explained by the others.
        noise: draws standard normal numbers for the density of a layer of that number, of a shape; None: none are added.
        frames_at_once: attention and blocks of the network work through so many frames at a time, which bounds memory;
            None: through all.
        shown: where projection layers put the colours that they render, one tensor (b, n, 3, h, w) each; None: nowhere.
    """

    cameras: GroupCameras
    vectors: Float[Tensor, "f k"] | None
    time: Float[Tensor, "f t"]
    timesteps: Real[Tensor, "b n"]
    height: int
    width: int
    left_out: int = 0
    noise: Callable[[int, tuple[int, ...]], Tensor] | None = None
    frames_at_once: int | None = None
    shown: list[Tensor] | None = None

    @property
    def frames(self) -> int:
        """In each group."""
        return self.timesteps.shape[1]


def camera_vectors(
    cameras: GroupCameras, intensity: Float[Tensor, "b n 2"], *, relative: bool = False
) -> Float[Tensor, "f 10"]:
    """Pose, intrinsics and intensity of each frame in ten numbers (ViewDiff, section 3.2).

    Args:
        cameras: world-to-camera poses, the subject around the origin, its up direction -z.
        intensity: mean and unbiased variance of the frame's values in [-1, 1].
        relative: angles and radius against the first frame of the group instead of against the world's axes. (The authors
            take the first frame of the batch, which is the same for one group.)

    Returns:
        Four numbers of the camera's centre in spherical coordinates: the polar angle less pi, minus sine and minus cosine of
        the azimuth, and the radius; focal lengths and principal point over the image's size; mean and variance.
    """
    rotation, translation = cameras.poses[..., :3, :3], cameras.poses[..., :3, 3]
    centre = -(rotation.mT @ translation[..., None])[..., 0]
    polar = torch.atan2(centre[..., :2].norm(dim=-1), centre[..., 2])
    azimuth = torch.atan2(centre[..., 1], centre[..., 0])
    radius = centre.norm(dim=-1)
    if relative:
        polar, azimuth, radius = (value - value[:, :1] for value in (polar, azimuth, radius))
    else:
        # The authors subtract the angles of a camera at the origin, which signed zeros make pi.
        polar, azimuth = polar - torch.pi, azimuth - torch.pi
    pose = torch.stack([polar, azimuth.sin(), azimuth.cos(), radius], dim=-1)
    size = cameras.intrinsics.new_tensor([cameras.width, cameras.height])
    focal = cameras.intrinsics[..., (0, 1), (0, 1)] / size
    middle = cameras.intrinsics[..., :2, 2] / size
    return torch.cat([pose, focal, middle, intensity.to(pose)], dim=-1).flatten(0, 1)
