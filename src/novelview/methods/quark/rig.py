"""The cameras of one target and its input views, in the coordinates the network works in: parts of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.rendering.layers import Projections, exact, pixel_centres

# Rays that run along the target's image plane meet no plane in front of it.
LEAST_DEPTH = 1e-3
# An end of the range farther than so many times the near one is as good as this far.
FARTHEST = 1e4
# What views that do not see something count there, beside a view of full weight that does.
UNSEEN = 1e-13
# How little say a view can have.
LEAST_WEIGHT = 1e-20
_TENSORS = ("camera", "pose", "cameras", "poses", "weights", "near", "far")


@dataclass(frozen=True)
class Rig:
    """Targets and their input views.

    Attributes:
        camera: the targets' intrinsics for coordinates in parts of the image.
        pose: their camera-to-world matrices.
        cameras, poses: those of each target's input views.
        weights: how much say each input view has, 1 for all of it.
        near, far: disparities between which layers lie; 0 is infinity.
        aspect: width of the targets' images in parts of their height.
    """

    camera: Float[Tensor, "b 3 3"]
    pose: Float[Tensor, "b 3 4"]
    cameras: Float[Tensor, "b m 3 3"]
    poses: Float[Tensor, "b m 3 4"]
    weights: Float[Tensor, "b m"]
    near: Float[Tensor, " b"]
    far: Float[Tensor, " b"]
    aspect: float

    @staticmethod
    def of(
        target: Cameras,
        sources: Cameras,
        near: float,
        far: float,
        weights: Float[Tensor, " m"] | None = None,
    ) -> Rig:
        """One target and its views, between two depths. Lenses are ignored: undistort first."""
        width, height = target.common_size
        weights = torch.ones(len(sources)) if weights is None else weights.clamp(min=LEAST_WEIGHT)
        return Rig(
            camera=target.relative_intrinsics(),
            pose=target.camera_to_world,
            cameras=sources.relative_intrinsics()[None],
            poses=sources.camera_to_world[None],
            weights=weights[None].to(target.camera_to_world),
            near=torch.tensor([1 / near]).to(target.camera_to_world),
            far=torch.tensor([1 / far]).to(target.camera_to_world),
            aspect=width / height,
        )

    @staticmethod
    def stack(rigs: list[Rig]) -> Rig:
        """Several targets as one batch."""
        joined = {name: torch.cat([getattr(rig, name) for rig in rigs]) for name in _TENSORS}
        return Rig(**joined, aspect=rigs[0].aspect)

    def to(self, like: Tensor) -> Rig:
        """On another device, or of another precision."""
        moved = {name: getattr(self, name).to(like) for name in _TENSORS}
        return Rig(**moved, aspect=self.aspect)

    def say(self, seen: Bool[Tensor, "b m l h w"]) -> Float[Tensor, "b m l h w"]:
        """What is added to the views' logits: a view without weight counts as if it were not there.

        Views that do not see something count there only as much as those that do lack of full weight. So what one view
        alone sees fades with it, instead of being lost with its last trace of weight.
        """
        weights = self.weights[..., None, None, None]
        most = (weights * seen).amax(dim=1, keepdim=True)
        return weights.log() + torch.where(seen, 0.0, (1 - most).clamp(min=UNSEEN).log())

    def projections(self) -> Projections:
        """From the targets to their views."""
        return Projections.between(self.camera, self.pose, self.cameras, self.poses)

    def rays(self, height: int, width: int, octaves: int) -> Float[Tensor, "n k h w"]:
        """The ray encoding of every pixel of the input views (section 3.2.1), views one after the other.

        What of the target's image a ray passes on its way from the near to the far end of the range, through tanh, as
        sines and cosines: zero for rays through the target's centre.
        """
        with exact(self.pose):
            return self._rays(height, width, octaves)

    def _rays(self, height: int, width: int, octaves: int) -> Float[Tensor, "n k h w"]:
        relative = self.pose[:, None, :, :3].transpose(-1, -2)
        start = (relative @ (self.poses[..., 3] - self.pose[:, None, :, 3])[..., None])[..., 0]
        turn = relative @ self.poses[..., :3] @ torch.linalg.inv(self.cameras)
        xy = pixel_centres(height, width, self.pose)
        direction = torch.einsum("bmij,hwj->bmhwi", turn[..., :2], xy) + turn[..., None, None, :, 2]
        start = start[..., None, None, :]
        steep = direction[..., 2:].clamp(min=LEAST_DEPTH)

        def met(disparity: Tensor) -> Tensor:
            depth = (1 / disparity)[:, None, None, None, None]
            point = start + (depth - start[..., 2:]) / steep * direction
            return torch.einsum("bij,bmhwj->bmhwi", self.camera, point)[..., :2] / depth

        passed = torch.tanh(2 * (met(self.near) - met(torch.maximum(self.far, self.near / FARTHEST))))
        scales = math.pi * 2.0 ** torch.arange(octaves, dtype=passed.dtype, device=passed.device)
        angles = passed[..., None] * scales
        return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2).flatten(0, 1).movedim(-1, 1)
