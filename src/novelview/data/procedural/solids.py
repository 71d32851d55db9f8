"""Solids: unit shapes under an affine map each, so that one formula serves all of a kind.

Vectors are component-first, (3, n), inside this package: every operation then runs over long contiguous rows, and
each number depends on its own ray alone, bit for bit, however rays are cut into chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Shape(IntEnum):
    """Unit shapes. All but the plane fill the cube [-1, 1]³; round ones turn about the local y axis.

    A FRUSTUM is a cut cone, wide at y = -1; a RING is a tube with a round hole; a PLANE is y = 0, infinite, seen
    from above only and casts no shadow.
    """

    ELLIPSOID = 0
    BOX = 1
    CYLINDER = 2
    FRUSTUM = 3
    RING = 4
    PLANE = 5


# Of the shapes turned about y: radius at the middle, by how much it shrinks per unit of height, radius of the hole.
_PROFILES = {Shape.FRUSTUM: (0.7, 0.3, 0.0), Shape.RING: (1.0, 0.0, 0.62)}
_STRAIGHT = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Solids:
    """``k`` solids: unit shapes, scaled along their own axes, rotated and moved.

    Attributes:
        shape: a :class:`Shape` each.
        rotation: local-to-world.
        scale: half extents along the local axes, world units.
        centre: world coordinates.
    """

    shape: Int[Tensor, " k"]
    rotation: Float[Tensor, "k 3 3"]
    scale: Float[Tensor, "k 3"]
    centre: Float[Tensor, "k 3"]

    def __len__(self) -> int:
        return self.shape.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Solids:
        """Some of the solids."""
        return Solids(self.shape[index], self.rotation[index], self.scale[index], self.centre[index])

    def to(self, device: torch.device | str) -> Solids:
        return Solids(
            self.shape.to(device), self.rotation.to(device), self.scale.to(device), self.centre.to(device)
        )

    @staticmethod
    def concatenate(parts: Sequence[Solids]) -> Solids:
        """All solids of ``parts`` in order."""
        return Solids(
            shape=torch.cat([part.shape for part in parts]),
            rotation=torch.cat([part.rotation for part in parts]),
            scale=torch.cat([part.scale for part in parts]),
            centre=torch.cat([part.centre for part in parts]),
        )

    @property
    def radius(self) -> Float[Tensor, " k"]:
        """Radius of a sphere about the centre that holds the solid; infinite for a plane."""
        across = torch.maximum(self.scale[:, 0], self.scale[:, 2])
        radius = torch.hypot(across, self.scale[:, 1])
        radius = torch.where(self.shape == Shape.ELLIPSOID, self.scale.amax(dim=1), radius)
        radius = torch.where(self.shape == Shape.BOX, self.scale.norm(dim=1), radius)
        return radius.masked_fill(self.shape == Shape.PLANE, torch.inf)

    @property
    def profile(self) -> Float[Tensor, "k 3"]:
        """Of round shapes: radius at y = 0, decrease of it per unit of y, radius of the hole."""
        profiles = [_PROFILES.get(shape, _STRAIGHT) for shape in Shape]
        return torch.tensor(profiles, device=self.scale.device)[self.shape]

    def corners(self) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
        """Lower and upper corner of a box that holds all solids but planes; tight for ellipsoids and boxes."""
        bounded = self[self.shape != Shape.PLANE]
        axes = bounded.rotation * bounded.scale[:, None, :]
        round_ = (bounded.shape == Shape.ELLIPSOID)[:, None]
        reach = torch.where(round_, axes.norm(dim=2), axes.abs().sum(dim=2))
        return (bounded.centre - reach).amin(0), (bounded.centre + reach).amax(0)

    def surface(
        self, points: Float[Tensor, "3 n"], which: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "3 n"], Float[Tensor, "3 n"]]:
        """Position in the frame of the solid that each point lies on (not scaled), and outward unit normal in the world."""
        columns = [self.rotation.flatten(1), self.centre, 1 / self.scale]
        row = torch.cat(columns, dim=1).T.contiguous().index_select(1, which)
        rotation, inverse = row[:9].view(3, 3, -1), row[12:]
        offset = points - row[9:12]
        local = rotation[0] * offset[0] + rotation[1] * offset[1] + rotation[2] * offset[2]
        slope = self._unit_normal(local * inverse, which) * inverse
        normal = rotation[:, 0] * slope[0] + rotation[:, 1] * slope[1] + rotation[:, 2] * slope[2]
        return local, unit(normal)

    def _unit_normal(self, local: Tensor, which: Tensor) -> Tensor:
        """Gradient direction of the unit shape's surface nearest to each point, (3, n)."""
        shape = self.shape[which]
        normal = local.clone()  # right for the ellipsoid
        normal[:, shape == Shape.PLANE] = local.new_tensor([[0.0], [1.0], [0.0]])
        boxes = (shape == Shape.BOX).nonzero()[:, 0]
        normal[:, boxes] = _box_normal(local[:, boxes])
        turned = ((shape >= Shape.CYLINDER) & (shape <= Shape.RING)).nonzero()[:, 0]
        profile = self.profile.T.index_select(1, which[turned])
        normal[:, turned] = _turned_normal(local[:, turned], profile)
        return normal


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of component-first vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(vectors: Float[Tensor, "3 n"]) -> Float[Tensor, "3 n"]:
    """Vectors of length one."""
    return vectors * dot(vectors, vectors).clamp_min(1e-20).rsqrt()


def _box_normal(local: Tensor) -> Tensor:
    size = local.abs()
    outermost = size == size.amax(dim=0)
    return local.sign() * outermost


def _turned_normal(local: Tensor, profile: Tensor) -> Tensor:
    """Of the solids of revolution: lid, outer side or hole, whichever is nearest."""
    x, y, z = local
    middle, slope, hole = profile
    radius, rim = (x * x + z * z).sqrt(), middle - slope * y
    outer_gap, inner_gap = (radius - rim).abs(), (radius - hole).abs()
    inside = (hole > 0) & (inner_gap < outer_gap)
    inward = torch.where(inside, -1.0, 1.0)
    side = torch.stack([x * inward, slope * rim, z * inward])
    lid = (1 - y.abs()).abs() < torch.where(inside, inner_gap, outer_gap)
    return torch.where(lid, torch.stack([torch.zeros_like(y), y.sign(), torch.zeros_like(y)]), side)
