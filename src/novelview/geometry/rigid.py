"""Rigid motions and similarities.

A rotation is a 3x3 matrix, a rigid motion ("pose") three rows of four: rotation and translation, x -> R x + t.
Everything works on any batch shape, in float32 and float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
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


def so3_exp(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about the axis ``vector`` by the angle ``|vector|`` in radians."""
    half = _length(vector) / 2
    xyz = vector * torch.sinc(half / math.pi) / 2
    return quaternion_to_matrix(torch.cat([half.cos(), xyz], dim=-1))


def so3_log(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Axis times angle in [0, pi]: the inverse of :func:`so3_exp`. At pi, either of the two axes."""
    quaternion = matrix_to_quaternion(rotation)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    sine = _length(xyz)
    return xyz * (2 * torch.atan2(sine, w) / sine)


def se3_exp(twist: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 4"]:
    """Motion of a screw: ``twist`` is velocity, then angular velocity, over one unit of time."""
    rotation = so3_exp(twist[..., 3:])
    translation = _screw(twist[..., 3:]) @ twist[..., :3, None]
    return torch.cat([rotation, translation], dim=-1)


def se3_log(pose: Float[Tensor, "*b 3 4"]) -> Float[Tensor, "*b 6"]:
    """The twist of a rigid motion, rotating by at most pi: the inverse of :func:`se3_exp`."""
    vector = so3_log(pose[..., :3])
    velocity = torch.linalg.solve(_screw(vector), pose[..., 3])
    return torch.cat([velocity, vector], dim=-1)


def compose(second: Float[Tensor, "*#b 3 4"], first: Float[Tensor, "*#b 3 4"]) -> Float[Tensor, "*b 3 4"]:
    """The motion that does ``first`` and then ``second``, as the product of 4x4 matrices would."""
    rotation = second[..., :3] @ first[..., :3]
    translation = second[..., :3] @ first[..., 3:] + second[..., 3:]
    return torch.cat([rotation, translation], dim=-1)


def invert(pose: Float[Tensor, "*b 3 4"]) -> Float[Tensor, "*b 3 4"]:
    """The motion back: world-to-camera from camera-to-world and the other way round."""
    rotation = pose[..., :3].mT
    return torch.cat([rotation, -rotation @ pose[..., 3:]], dim=-1)


def slerp(
    start: Float[Tensor, "*b 3 3"], end: Float[Tensor, "*b 3 3"], share: Float[Tensor, "*b"]
) -> Float[Tensor, "*b 3 3"]:
    """The rotation at ``share`` of the shortest way from ``start`` (0) to ``end`` (1); beyond, it goes on."""
    return start @ so3_exp(share[..., None] * so3_log(start.mT @ end))


def nearest_rotation(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The proper rotation nearest in Frobenius norm (Kabsch: polar decomposition with the sign put right)."""
    u, _, vt = torch.linalg.svd(matrix)
    signs = torch.ones_like(matrix[..., 0])
    signs[..., 2] = torch.linalg.det(u @ vt).sign()
    return (u * signs[..., None, :]) @ vt


def is_rigid(pose: Float[Tensor, "*b 3 4"], tolerance: float) -> Bool[Tensor, "*b"]:
    """Whether the pose is finite and its left block a proper rotation, up to ``tolerance`` in R^T R."""
    rotation = pose[..., :3]
    drift = (rotation.mT @ rotation - torch.eye(3, dtype=pose.dtype, device=pose.device)).abs().amax((-2, -1))
    proper = torch.linalg.det(rotation.nan_to_num()) > 0
    return pose.isfinite().all(dim=-1).all(dim=-1) & (drift <= tolerance) & proper


def look_at(
    centres: Float[Tensor, "*b 3"], targets: Float[Tensor, "*b 3"], up: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b 3 4"]:
    """Camera-to-world poses (OpenCV axes) at ``centres`` that look at ``targets`` with ``up`` upwards in the image.

    Where ``up`` is parallel to the viewing direction, a coordinate axis takes its place. A target must not be at
    its centre.
    """
    forward = F.normalize(targets - centres, dim=-1)
    right = torch.linalg.cross(forward, up)
    aside = F.one_hot(forward.abs().argmin(dim=-1), 3).to(forward)
    parallel = right.norm(dim=-1, keepdim=True) <= 1e-6 * up.norm(dim=-1, keepdim=True)
    right = torch.where(parallel, torch.linalg.cross(forward, aside), right)
    # The short product of nearly parallel vectors is mostly rounding: what is left of it along forward goes here.
    down = F.normalize(torch.linalg.cross(forward, F.normalize(right, dim=-1)), dim=-1)
    right = torch.linalg.cross(down, forward)
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


def matrix_to_quaternion(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternion (w, x, y, z) of a rotation, with w >= 0.

    Of the four ways to compute it, each divides by another component: the largest is taken (Shepperd, 1978).
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in rotation.unbind(-2))
    # Four times the products of every component with every other one.
    products = torch.stack(
        [
            torch.stack([1 + a + e + i, h - f, c - g, d - b], dim=-1),
            torch.stack([h - f, 1 + a - e - i, d + b, c + g], dim=-1),
            torch.stack([c - g, d + b, 1 - a + e - i, h + f], dim=-1),
            torch.stack([d - b, c + g, h + f, 1 - a - e + i], dim=-1),
        ],
        dim=-2,
    )
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = torch.take_along_dim(products, largest[..., None, None], dim=-2)[..., 0, :]
    quaternion = F.normalize(row, dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def _length(vector: Tensor) -> Tensor:
    """|vector|, kept off zero by so little that no digit changes, so that the gradient there is finite."""
    tiny = torch.finfo(vector.dtype).tiny
    return vector.square().sum(dim=-1, keepdim=True).clamp(min=tiny).sqrt()


def _screw(vector: Tensor) -> Tensor:
    """The matrix V of SE(3): mean over time of the rotations so3_exp(s * vector), s in [0, 1]."""
    angle = _length(vector)[..., None]
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    first = torch.sinc(angle / (2 * math.pi)).square() / 2
    # (angle - sin(angle)) / angle^3: a series where the difference would lose its digits.
    square = angle.square()
    series = sum((-square) ** k / math.factorial(2 * k + 3) for k in range(7))
    exact = (angle - angle.sin()) / (angle * square).clamp(min=torch.finfo(vector.dtype).tiny)
    second = torch.where(angle < 0.5, series, exact)
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + first * skew + second * skew @ skew
