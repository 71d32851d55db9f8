"""A layered depth map: what is seen from about one place, kept so that places nearby need no network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import Similarity
from novelview.rendering.layers import march
from novelview.types import Frames


@dataclass(frozen=True)
class LayeredDepthMap:
    """Layers of colour, opacity and depth in front of one camera; layer 0 is the farthest and opaque.

    Attributes:
        camera: a pinhole camera with the size of the layers.
        near, far: disparities (1 / depth) between which the layers lie; each owns an equal part of this range.
        rgb: colours in [0, 1].
        alpha: opacity in [0, 1].
        disparity: 1 / depth along z of the camera.
    """

    camera: Cameras
    near: float
    far: float
    rgb: Float[Tensor, "l h w 3"]
    alpha: Float[Tensor, "l h w"]
    disparity: Float[Tensor, "l h w"]

    def render(self, cameras: Cameras) -> Frames:
        """The scene as cameras near the layers' own see it, of any lens; beyond the layers' borders these go on."""
        return Frames.concatenate([self._frame(cameras[i]) for i in range(len(cameras))])

    def moved(self, by: Similarity) -> LayeredDepthMap:
        """The same layers in another world frame."""
        return replace(
            self,
            camera=replace(self.camera, camera_to_world=by.poses(self.camera.camera_to_world)),
            near=self.near / by.scale,
            far=self.far / by.scale,
            disparity=self.disparity / by.scale,
        )

    def _frame(self, camera: Cameras) -> Frames:
        camera = camera.to(self.camera.device)
        rays = camera.rays()[0]
        inward = self.camera.rotations[0]
        origin = (camera.centres[0] - self.camera.centres[0]) @ inward
        rgb, disparity = march(
            self.rgb.permute(0, 3, 1, 2),
            self.alpha,
            self.disparity,
            self.camera.relative_intrinsics()[0],
            origin,
            rays.directions @ inward,
        )
        return Frames(rgb.permute(1, 2, 0)[None], (1 / disparity.clamp(min=1e-9))[None])
