"""What every form of the light field offers: from a ray, in one go, to its colour."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.geometry.rays import Rays
from novelview.methods.chunks import look_through


class Student(nn.Module, ABC):
    """A light field of one scene. Abstract.

    ``picture`` is traced to other runtimes for any number of rays: no control flow in it may depend on data or on sizes.

    Attributes:
        jitter_samples: how many random numbers per ray training wants; 0: none.
        rays_at_once: how many rays are looked at at a time while rendering, by the kind of device.
        factor: each ray of a ``picture`` is answered with a block of ``factor`` x ``factor`` pixels.
    """

    jitter_samples: int = 0
    # Hidden layers that stay in the CPU's cache are faster there; a GPU wants more work at once.
    rays_at_once: Mapping[str, int] = MappingProxyType({"cpu": 2048, "cuda": 65_536})
    factor: int = 1

    @abstractmethod
    def forward(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 3"]:
        """Colours in [0, 1].

        Args:
            rays: in scene coordinates, ``t`` is depth along z.
            jitter: uniform in [0, 1), ``jitter_samples`` for each ray; None, as while rendering: no jitter.
        """

    def pixels(self, rays: Rays) -> Float[Tensor, "r c"]:
        """What is rendered of rays: colours, and depth along z and opacity where the student knows them."""
        pixels: Tensor = self(rays)
        return pixels

    def learn(
        self, rays: Rays, jitter: Float[Tensor, "r s"] | None, step: int
    ) -> tuple[Float[Tensor, "r 3"], Float[Tensor, ""], dict[str, Tensor]]:
        """Colours while training, what their error is to be added to, and parts of that worth a curve.

        Args:
            rays: as for ``forward``.
            jitter: as for ``forward``.
            step: of the training.
        """
        rgb: Tensor = self(rays, jitter)
        return rgb, rgb.new_zeros(()), {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups, see :meth:`novelview.methods.method.Method.parameter_groups`."""
        return [{"params": list(self.parameters())}]

    def advance(self, step: int, steps: int) -> bool:
        """Grow when it is due, see :meth:`novelview.methods.method.Method.advance`."""
        return False

    def structure(self) -> dict[str, Any]:
        """JSON facts that fix the shapes of the parameters."""
        return {}

    def restructure(self, structure: dict[str, Any]) -> None:
        """Take on the shapes that ``structure`` describes."""

    def picture(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "a b 3"]:
        """Colours of an image of rays: ``factor`` times as high and wide."""
        rgb: Tensor = self(Rays(origins, directions).reshape(-1))
        return rgb.reshape(directions.shape)

    def frame(self, camera: Cameras, at_once: int, device: torch.device) -> Float[Tensor, "h w c"]:
        """What one camera sees, as ``pixels`` has it.

        Args:
            camera: one.
            at_once: about how many rays are looked at at a time.
            device: where the student is.
        """
        return look_through(camera, device, at_once, self.pixels)

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per pixel of the linear layers: two per weight."""
        return sum(2 * layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear))
