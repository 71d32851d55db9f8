"""Normalised device coordinates: a forward-facing scene of any depth, bent into a cube (NeRF, appendix C)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import MethodError
from novelview.geometry.rays import Rays, ndc
from novelview.types import Bounds

# Distance of the near plane over the scene's smallest depth, as the authors scale their photographs.
MARGIN = 0.75


class FrontFrame(nn.Module):
    """The frame of the mean camera: x right, y up, looking along -z, and the near plane at z = -1.

    Ray parameters in it are still depths along z in scene units.
    """

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        if bounds.front is None:
            raise MethodError(
                "Normalised device coordinates do not fit this scene",
                why="its cameras do not all look the same way from before everything they see",
                cure='use the preset "default", or set ndc to False',
            )
        pose = torch.tensor(bounds.front.pose)
        axes = pose[:, :3] * torch.tensor([1.0, -1.0, -1.0])
        self.to_front: Tensor
        self.centre: Tensor
        self.register_buffer("to_front", axes.T / (MARGIN * bounds.near), persistent=False)
        self.register_buffer("centre", pose[:, 3], persistent=False)
        self.half_size = bounds.front.half_size

    def forward(self, rays: Rays) -> Rays:
        """Rays of the scene's frame in the front frame."""
        return Rays(self._turned(rays.origins - self.centre), self._turned(rays.directions))

    def ndc(self, rays: Rays) -> Rays:
        """Rays of the front frame in NDC, with parameter 0 at the near plane and 1 at infinity."""
        # The front frame has OpenGL's axes, the formula those of our cameras.
        turn = rays.origins.new_tensor([1.0, -1.0, -1.0])
        return ndc(Rays(rays.origins * turn, rays.directions * turn), self.half_size)

    def depth(self, rays: Rays, parameter: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
        """Depth along z, in scene units, of a parameter of the NDC ray; what is at infinity is put very far.

        Args:
            rays: in the front frame.
            parameter: in [0, 1].
        """
        beyond = 1 / (1 - parameter).clamp(min=1e-6)
        return (beyond + rays.origins[..., 2]) / -rays.directions[..., 2]

    def _turned(self, vectors: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        # Not a matrix product: those are rounded to 16 bits under automatic mixed precision.
        return (vectors[..., None, :] * self.to_front).sum(dim=-1)
