"""What every form of the light field offers: from a ray, in one go, to its colour."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from novelview.geometry.rays import Rays


class Student(nn.Module, ABC):
    """A light field of one scene. Abstract.

    ``forward`` and ``picture`` are traced to other runtimes with any number of rays: no control flow in them may depend
    on data or on sizes.

    Attributes:
        jitter_samples: how many random numbers per ray training wants; 0: none.
    """

    jitter_samples: int = 0

    @abstractmethod
    def forward(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 3"]:
        """Colours in [0, 1].

        Args:
            rays: in scene coordinates, ``t`` is depth along z.
            jitter: uniform in [0, 1), ``jitter_samples`` for each ray; None, as while rendering: no jitter.
        """

    def picture(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "a b 3"]:
        """Colours of an image of rays, which may have more pixels than rays."""
        rgb: Tensor = self(Rays(origins, directions).reshape(-1))
        return rgb.reshape(directions.shape)

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per ray of the linear layers: two per weight."""
        return sum(2 * layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear))
