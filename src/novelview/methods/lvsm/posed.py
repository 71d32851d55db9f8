"""Views as the network takes them: images, cameras, and the rays through their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras


@dataclass(frozen=True)
class Posed:
    """As many views of every scene, all of one size.

    Attributes:
        cameras: of each scene, in the frame that the network sees.
        rays: Plücker map of each view.
        images: colours in [0, 1]; None for targets.
    """

    cameras: list[Cameras]
    rays: Float[Tensor, "b v 6 h w"]
    images: Float[Tensor, "b v 3 h w"] | None = None

    @staticmethod
    def of(
        cameras: list[Cameras], device: torch.device, images: Float[Tensor, "b v 3 h w"] | None = None
    ) -> Posed:
        """Of pinhole cameras in the network's frame."""
        rays = torch.stack([plucker_map(each) for each in cameras]).to(device)
        return Posed(cameras, rays, None if images is None else images.to(device))

    @property
    def count(self) -> int:
        """Views of each scene."""
        return self.rays.shape[1]

    @property
    def height(self) -> int:
        """Of the images, in pixels."""
        return self.rays.shape[-2]


def plucker_map(cameras: Cameras) -> Float[Tensor, "v 6 h w"]:
    """Moment o x d, then unit direction d, of the ray through each pixel's centre (LVSM, section 3.1)."""
    rays = cameras.rays()
    direction = F.normalize(rays.directions, dim=-1)
    moment = torch.linalg.cross(rays.origins, direction)
    return torch.cat([moment, direction], dim=-1).permute(0, 3, 1, 2)
