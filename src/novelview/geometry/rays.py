"""Rays: where they start, where they go, their coordinates, and where they meet boxes and spheres."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
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

    def point(self, depth: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3"]:
        """One point on each ray."""
        return self.origins + depth[..., None] * self.directions

    def normalised(self) -> Rays:
        """The same half-lines with directions of unit length, so that the parameter is distance."""
        return Rays(self.origins, F.normalize(self.directions, dim=-1))

    def to(self, device: object) -> Rays:
        return Rays(self.origins.to(device), self.directions.to(device))  # type: ignore[call-overload]


def plucker(rays: Rays) -> Float[Tensor, "*b 6"]:
    """Plücker coordinates (d, o x d): direction, then moment.

    The same for every origin on the line. They scale with the direction: R2L takes directions as cameras give
    them (depth 1), LVSM :meth:`Rays.normalised` ones.
    """
    return torch.cat([rays.directions, torch.linalg.cross(rays.origins, rays.directions)], dim=-1)


def ndc(rays: Rays, half_size: tuple[float, float], near: float = 1.0) -> Rays:
    """Rays of a forward-facing scene in NDC, where parameter 0 is the near plane and 1 infinity (NeRF, appendix C).

    NDC has x right, y up and z from -1 (near) to 1, as in the paper; the paper's rays have OpenGL axes, these
    OpenCV's, which moves a few signs.

    Args:
        rays: in the frame of the scene's front camera: x right, y down, z forward; directions with z > 0.
        half_size: half width and half height of the image of that camera at depth 1, for example W / 2f.
        near: depth of the near plane.
    """
    dx, dy, dz = rays.directions.unbind(-1)
    start = (near - rays.origins[..., 2]) / dz
    x, y, z = (rays.origins + start[..., None] * rays.directions).unbind(-1)
    sx, sy = 1 / half_size[0], -1 / half_size[1]
    return Rays(
        torch.stack([sx * x / z, sy * y / z, 1 - 2 * near / z], dim=-1),
        torch.stack([sx * (dx / dz - x / z), sy * (dy / dz - y / z), 2 * near / z], dim=-1),
    )


def intersect_box(
    rays: Rays, lower: Float[Tensor, " 3"], upper: Float[Tensor, " 3"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Ray parameters at which rays enter and leave an axis-aligned box (slab method, Kay and Kajiya 1986).

    Parameters may be negative: a ray that starts inside has entered behind its origin. Where a ray's line misses
    the box, both are NaN.
    """
    inverse = 1 / rays.directions
    a, b = (lower - rays.origins) * inverse, (upper - rays.origins) * inverse
    # A ray within the plane of a slab's face divides zero by zero: that slab does not limit it.
    enter = torch.minimum(a, b).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).amax(dim=-1)
    leave = torch.maximum(a, b).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(dim=-1)
    missed = enter > leave
    return enter.masked_fill(missed, torch.nan), leave.masked_fill(missed, torch.nan)


def intersect_sphere(
    rays: Rays, centre: Float[Tensor, " 3"], radius: float
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Ray parameters at which rays enter and leave a sphere.

    Parameters may be negative: a ray that starts inside has entered behind its origin. Where a ray's line misses
    the sphere, both are NaN.
    """
    squared = rays.directions.square().sum(dim=-1)
    offset = centre - rays.origins
    nearest = (offset * rays.directions).sum(dim=-1) / squared
    # The distance of the line, from the foot of the perpendicular: squares of long offsets would lose its digits.
    foot = offset - nearest[..., None] * rays.directions
    half = ((radius**2 - foot.square().sum(dim=-1)) / squared).sqrt()
    return nearest - half, nearest + half
