"""Cameras of groups of frames in the convention of the published network."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import invert

T = TypeVar("T")


@dataclass(frozen=True)
class GroupCameras:
    """Cameras of b groups of n frames of one size.

    What is made of them alone is made once and kept with them (:meth:`remember`): layers and denoising steps share it, and
    it goes when they go. So their tensors must not be changed in place.

    Attributes:
        poses: WORLD-TO-CAMERA, OpenCV axes: the convention of this network, not of the project.
        intrinsics: pixels of the full image with their centres at INTEGERS, likewise; without skew.
        width: of the full image, pixels.
        height: likewise.
        box: lower and upper corner of what the voxel grid shall hold, world units.
    """

    poses: Float[Tensor, "b n 4 4"]
    intrinsics: Float[Tensor, "b n 3 3"]
    width: int
    height: int
    box: Float[Tensor, "b 2 3"]
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        """Groups."""
        return self.poses.shape[0]

    @property
    def frames(self) -> int:
        """In each group."""
        return self.poses.shape[1]

    @property
    def device(self) -> torch.device:
        return self.poses.device

    def to(self, device: torch.device | str) -> GroupCameras:
        """The same cameras on a device; themselves where they are there already, with all they remember."""
        poses = self.poses.to(device)
        if poses is self.poses:
            return self
        return GroupCameras(
            poses,
            self.intrinsics.to(device),
            self.width,
            self.height,
            self.box.to(device),
        )

    def group(self, index: int) -> Cameras:
        """One group's cameras in the project's convention, float32."""
        intrinsics = self.intrinsics[index].float()
        focal, middle = intrinsics[:, (0, 1), (0, 1)], intrinsics[:, :2, 2] + 0.5
        poses = invert(self.poses[index, :, :3].float())
        return Cameras.pinhole(poses, torch.cat([focal, middle], dim=-1), self.width, self.height)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` makes, the same for the same key; it may depend on these cameras and the key alone."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made
