"""Rigid motions and similarities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
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
        return {
            "scale": self.scale,
            "rotation": self.rotation.tolist(),
            "translation": self.translation.tolist(),
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> Similarity:
        return Similarity(
            float(values["scale"]), torch.tensor(values["rotation"]), torch.tensor(values["translation"])
        )


def look_at(
    centres: Float[Tensor, "*b 3"], targets: Float[Tensor, "*b 3"], up: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b 3 4"]:
    """Camera-to-world poses (OpenCV axes) at ``centres`` that look at ``targets`` with ``up`` upwards in the image.

    Where ``up`` is parallel to the viewing direction, another axis takes its place.
    """
    forward = F.normalize(targets - centres, dim=-1)
    right = torch.linalg.cross(forward, up)
    spare = torch.linalg.cross(
        forward, torch.roll(forward, 1, dims=-1) * forward.new_tensor([1.0, -1.0, 1.0])
    )
    parallel = right.norm(dim=-1, keepdim=True) < 1e-6 * up.norm(dim=-1, keepdim=True)
    right = F.normalize(torch.where(parallel, spare, right), dim=-1)
    down = torch.linalg.cross(forward, right)
    return torch.stack([right, down, forward, centres], dim=-1)


def random_rotations(count: int, generator: torch.Generator) -> Float[Tensor, "n 3 3"]:
    """Rotations drawn uniformly (Shoemake: normalised Gaussian quaternions)."""
    return quaternion_to_matrix(F.normalize(torch.randn(count, 4, generator=generator), dim=-1))


def quaternion_to_matrix(quaternion: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation of a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion.unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
