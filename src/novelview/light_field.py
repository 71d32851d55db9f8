"""A light field: a network that answers rays with colours, kept so that pictures need no method any more."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.geometry.rays import Rays
from novelview.geometry.rigid import Similarity
from novelview.types import Frames


@dataclass(frozen=True)
class LightField:
    """A network that makes a picture of the rays of a picture.

    Attributes:
        module: called with origins and directions, both (h, w, 3), it gives colours (factor * h, factor * w, 3), about
            in [0, 1]. Directions are as cameras give them, with z-component 1 in the camera: not normalised.
        factor: 1 where every ray is answered by itself; else each ray passes through the middle of a block of
            ``factor`` x ``factor`` pixels, all of which the network makes.
    """

    module: nn.Module
    factor: int = 1

    def rays(self, camera: Cameras) -> Rays:
        """What the network is asked for one camera, shapes (h, w, 3): blocks that cover the image, of any lens."""
        return camera.blocks(self.factor).rays()[0]

    @torch.no_grad()
    def render(self, cameras: Cameras) -> Frames:
        """Pictures, clamped to [0, 1]; each is made at once."""
        width, height = cameras.common_size
        pictures = []
        for i in range(len(cameras)):
            rays = self.rays(cameras[i])
            pictures.append(self.module(rays.origins, rays.directions)[:height, :width].clamp(0, 1))
        return Frames(torch.stack(pictures))

    def moved(self, by: Similarity) -> LightField:
        """The same light field in another world frame."""
        return replace(self, module=_Moved(self.module, by))


@dataclass(frozen=True)
class Subject:
    """What a light field is of: where pictures of it make sense.

    Attributes:
        name: of the scene, for people.
        cameras: of photographs it was learnt from, the first one being typical.
        near, far: depths along z between which something is seen; far may be infinite.
    """

    name: str
    cameras: Cameras
    near: float
    far: float

    def moved(self, by: Similarity) -> Subject:
        """The same subject in another world frame."""
        return replace(
            self, cameras=self.cameras.moved(by), near=self.near * by.scale, far=self.far * by.scale
        )


class _Moved(nn.Module):
    """A picture network that is asked in another world frame.

    Origins go back through the similarity, directions are rotated only. So the ray parameter stays depth along z in
    the units of the network's own frame, where its near and far lie.
    """

    translation: Tensor
    rotation: Tensor

    def __init__(self, module: nn.Module, by: Similarity) -> None:
        super().__init__()
        self.module = module
        self.scale = by.scale
        device = next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
        self.register_buffer("translation", by.translation.float().to(device))
        self.register_buffer("rotation", by.rotation.float().to(device))

    def forward(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "H W 3"]:
        # The difference first: far from the frame's origin it is exact, where a product would lose the digits.
        inside = _turned(origins - self.translation, self.rotation) / self.scale
        return self.module(inside, _turned(directions, self.rotation))


def _turned(rows: Float[Tensor, "h w 3"], matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "h w 3"]:
    """``rows @ matrix`` in an order that every runtime keeps: encodings in high octaves show the last bit."""
    x, y, z = rows[..., 0:1], rows[..., 1:2], rows[..., 2:3]
    return x * matrix[0] + y * matrix[1] + z * matrix[2]
