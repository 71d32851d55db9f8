"""Rays: where they start, where they go, and the encodings and boxes that go with them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Rays:
    """Half-lines ``origin + t * direction`` in world coordinates.

    A camera gives directions whose component along its optical axis is 1, so ``t`` is depth along z;
    ``t * |direction|`` is the distance.

    Attributes:
        origins: starting points, world units.
        directions: not normalised.
    """

    origins: Float[Tensor, "*b 3"]
    directions: Float[Tensor, "*b 3"]

    def __getitem__(self, index: object) -> Rays:
        return Rays(self.origins[index], self.directions[index])  # type: ignore[index]

    def __len__(self) -> int:
        return self.origins.shape[0]

    def reshape(self, *shape: int) -> Rays:
        """The same rays with batch shape ``shape``."""
        return Rays(self.origins.reshape(*shape, 3), self.directions.reshape(*shape, 3))

    def at(self, depth: Float[Tensor, "*b s"]) -> Float[Tensor, "*b s 3"]:
        """Points at the given depths."""
        return self.origins[..., None, :] + depth[..., None] * self.directions[..., None, :]

    def to(self, device: object) -> Rays:
        return Rays(self.origins.to(device), self.directions.to(device))  # type: ignore[call-overload]
