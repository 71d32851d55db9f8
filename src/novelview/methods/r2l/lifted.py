"""The practical light field: rays lifted into features by small grids, and one short network per ray."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.methods.r2l.config import LiftedConfig, NetworkConfig
from novelview.methods.r2l.network import Network
from novelview.methods.r2l.student import Student
from novelview.nn.encodings import frequency_encoding, frequency_width
from novelview.types import Bounds
from novelview.volumes import traceable
from novelview.volumes.volume import GREY, SMOOTH_VIEWS, Seen, Volume


class LiftedStudent(Student):
    """Features along the ray, weighed by what stands before them, then R2L's network once.

    The published student must learn from nothing which of a ray's points are seen; here a grid of densities says so.
    The first three features are a colour, to which the network adds what depends on the direction and on the rest.
    """

    jitter_samples = 1
    # Look-ups are cut in parts by themselves, one for each thread.
    rays_at_once = MappingProxyType({"cpu": 20_000, "cuda": 65_536})

    def __init__(self, network: NetworkConfig, lifted: LiftedConfig, bounds: Bounds) -> None:
        super().__init__()
        self.octaves, self.network_rate = lifted.direction_octaves, lifted.network_rate
        self.background: Tensor
        self.register_buffer("background", torch.tensor(bounds.background or GREY), persistent=False)
        self.volume = Volume(lifted.volume, bounds, lifted.features)
        self.network = Network(network, lifted.features + 1 + frequency_width(3, lifted.direction_octaves))

    def forward(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 3"]:
        return self.pixels(rays, jitter)[:, :3]

    def pixels(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 5"]:
        """Colour, depth along z and opacity."""
        return self._seen(rays, jitter)[0]

    def learn(
        self, rays: Rays, jitter: Float[Tensor, "r s"] | None, step: int
    ) -> tuple[Float[Tensor, "r 3"], Float[Tensor, ""], dict[str, Tensor]]:
        pixels, seen = self._seen(rays, jitter)
        # A student has as many pictures as it wants: how many views there are says nothing.
        return pixels[:, :3], *self.volume.regularisation(seen, step, SMOOTH_VIEWS)

    def picture(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "h w 3"]:
        rays = Rays(origins, directions).reshape(-1)
        seen, values, covered = traceable.look(self.volume, rays)
        rgb = self._colours(values, covered, rays.directions[seen])
        # Nothing but the background where a ray meets nothing.
        return (
            torch.zeros_like(rays.directions).index_copy(0, seen, rgb).reshape(directions.shape)
            + self.background
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        network = {"params": list(self.network.parameters()), "scale": self.network_rate}
        return [*self.volume.parameter_groups(), network]

    def advance(self, step: int, steps: int) -> bool:
        return self.volume.advance(step, steps)

    def structure(self) -> dict[str, Any]:
        return {"stage": self.volume.stage}

    def restructure(self, structure: dict[str, Any]) -> None:
        self.volume.grow_to(int(structure["stage"]))

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per pixel of the linear layers and of the look-ups."""
        return super().flops_per_ray + self.volume.flops_per_ray

    def _seen(self, rays: Rays, jitter: Float[Tensor, "r s"] | None) -> tuple[Float[Tensor, "r 5"], Seen]:
        if jitter is None:
            jitter = rays.origins.new_full((len(rays), 1), 0.5)
        seen = self.volume.look(rays, self.volume.field.coarse, jitter)
        rgb = self._colours(seen.values, seen.opacity, rays.directions[seen.rays])
        rgb, depth, covered = seen.pixels(rgb, self.background)
        return torch.cat([rgb, depth[:, None], covered[:, None]], dim=-1), seen

    def _colours(
        self, values: Float[Tensor, "r c"], opacity: Float[Tensor, " r"], directions: Float[Tensor, "r 3"]
    ) -> Float[Tensor, "r 3"]:
        """What rays add to the background's colour; not clamped."""
        towards = frequency_encoding(F.normalize(directions, dim=-1), self.octaves)
        added = self.network(torch.cat([values, opacity[:, None], towards], dim=-1))
        return values[:, :3] + opacity[:, None] * (added - self.background)
