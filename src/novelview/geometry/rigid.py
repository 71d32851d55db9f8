"""Rigid motions and similarities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Similarity:
    """The map x -> scale * rotation @ x + translation between two world frames.

    Attributes:
        scale: positive.
        rotation: proper rotation.
        translation: in units of the target frame.
    """

    scale: float
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, " 3"]

    @staticmethod
    def identity() -> Similarity:
        return Similarity(1.0, torch.eye(3), torch.zeros(3))

    def points(self, points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Points carried to the target frame."""
        return self.scale * points @ self.rotation.to(points).T + self.translation.to(points)

    def poses(self, camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3 4"]:
        """Camera poses carried to the target frame; they stay rigid, depths scale by ``scale``."""
        rotation = self.rotation.to(camera_to_world) @ camera_to_world[:, :, :3]
        return torch.cat([rotation, self.points(camera_to_world[:, :, 3])[..., None]], dim=-1)

    def inverse(self) -> Similarity:
        """The map back."""
        rotation = self.rotation.T
        return Similarity(1.0 / self.scale, rotation, -(rotation @ self.translation) / self.scale)

    def then(self, other: Similarity) -> Similarity:
        """First this map, then ``other``."""
        return Similarity(
            scale=self.scale * other.scale,
            rotation=other.rotation @ self.rotation,
            translation=other.points(self.translation),
        )

    def to_json(self) -> dict[str, Any]:
        return {"scale": self.scale, "rotation": self.rotation.tolist(), "translation": self.translation.tolist()}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Similarity:
        return Similarity(
            float(values["scale"]), torch.tensor(values["rotation"]), torch.tensor(values["translation"])
        )
