"""Solids and where rays meet them: unit shapes under an affine map each, so that one formula serves all of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Shape(IntEnum):
    """Unit shapes: all fit into the cube [-1, 1]³. A ROOM is that cube seen from inside."""

    ELLIPSOID = 0
    BOX = 1
    CYLINDER = 2
    ROOM = 3


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

    def select(self, index: Tensor) -> Solids:
        """Some of the solids."""
        return Solids(self.shape[index], self.rotation[index], self.scale[index], self.centre[index])

    def corners(self) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
        """Lower and upper corner of a box that holds all solids; tight for boxes."""
        reach = torch.einsum("kij,kj->ki", self.rotation.abs(), self.scale)
        return (self.centre - reach).amin(0), (self.centre + reach).amax(0)

    def local(self, points: Float[Tensor, "n 3"], which: Int[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """Points in the unit frame of the solid that each lies on."""
        rotated = torch.einsum("nij,ni->nj", self.rotation[which], points - self.centre[which])
        return rotated / self.scale[which]

    def normals(self, points: Float[Tensor, "n 3"], which: Int[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """Outward unit normals (inward for a room) at surface points; world coordinates."""
        local = self.local(points, which)
        shape = self.shape[which][:, None]
        face = local.abs().argmax(dim=-1, keepdim=True)
        cube = torch.zeros_like(local).scatter_(1, face, local.gather(1, face).sign())
        cap = local[:, 1:2].abs() > local[:, ::2].norm(dim=-1, keepdim=True)
        side = local * local.new_tensor([1.0, 0.0, 1.0])
        tube = torch.where(cap, local * local.new_tensor([0.0, 1.0, 0.0]), side)
        unit = torch.where(shape == Shape.ELLIPSOID, local, cube)
        unit = torch.where(shape == Shape.CYLINDER, tube, unit)
        unit = torch.where(shape == Shape.ROOM, -cube, unit)
        world = torch.einsum("nij,nj->ni", self.rotation[which], unit / self.scale[which])
        return torch.nn.functional.normalize(world, dim=-1)


def concatenate(parts: Sequence[Solids]) -> Solids:
    """All solids of ``parts`` in order."""
    return Solids(
        shape=torch.cat([part.shape for part in parts]),
        rotation=torch.cat([part.rotation for part in parts]),
        scale=torch.cat([part.scale for part in parts]),
        centre=torch.cat([part.centre for part in parts]),
    )


def first_hit(
    solids: Solids, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], start: float = 1e-4
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Ray parameter of the first surface beyond ``start`` and the solid it belongs to; (inf, 0) for a miss."""
    entries = _intersections(solids, origins, directions, start)
    distance, which = entries.min(dim=1)
    return distance, torch.where(distance.isinf(), torch.zeros_like(which), which)


def occluded(
    solids: Solids, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], start: float = 1e-3
) -> Bool[Tensor, " n"]:
    """Whether something other than a room lies between ``start`` and 1 on each ray (1: the light)."""
    blockers = solids.select((solids.shape != Shape.ROOM).nonzero()[:, 0])
    if len(blockers) == 0:
        return torch.zeros(origins.shape[0], dtype=torch.bool, device=origins.device)
    return (_intersections(blockers, origins, directions, start) < 1).any(dim=1)


def _intersections(solids: Solids, origins: Tensor, directions: Tensor, start: float) -> Tensor:
    """Parameter of each solid's first surface beyond ``start`` on each ray (n, k); inf where there is none."""
    found = origins.new_full((origins.shape[0], len(solids)), torch.inf)
    for shape, meet in _MEET.items():
        index = (solids.shape == shape).nonzero()[:, 0]
        if index.numel():
            o, d = _to_local(solids.select(index), origins, directions)
            found[:, index] = meet(o, d, start)
    return found


def _to_local(solids: Solids, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Rays in the unit frame of every solid, component-first (3, n, k); the ray parameter stays the same."""
    to_unit = solids.rotation.transpose(1, 2) / solids.scale[:, :, None]
    offset = torch.einsum("kij,kj->ki", to_unit, solids.centre)
    matrix = to_unit.permute(2, 1, 0).reshape(3, -1)
    count = len(solids)
    o = (origins @ matrix).view(-1, 3, count).permute(1, 0, 2) - offset.T[:, None]
    d = (directions @ matrix).view(-1, 3, count).permute(1, 0, 2)
    return o, d


def _first_beyond(enter: Tensor, leave: Tensor, start: float) -> Tensor:
    first = torch.where(enter > start, enter, leave)
    return first.masked_fill((leave < enter) | (first <= start) | first.isnan(), torch.inf)


def _meet_ellipsoid(o: Tensor, d: Tensor, start: float) -> Tensor:
    a = (d * d).sum(0)
    b = (o * d).sum(0)
    c = (o * o).sum(0) - 1
    root = (b * b - a * c).sqrt()  # NaN for a miss, which _first_beyond removes.
    return _first_beyond((-b - root) / a, (-b + root) / a, start)


def _slabs(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    inverse = 1 / torch.where(d.abs() < 1e-12, torch.full_like(d, 1e-12), d)
    low, high = (-1 - o) * inverse, (1 - o) * inverse
    return torch.minimum(low, high).amax(0), torch.maximum(low, high).amin(0)


def _meet_box(o: Tensor, d: Tensor, start: float) -> Tensor:
    return _first_beyond(*_slabs(o, d), start)


def _meet_room(o: Tensor, d: Tensor, start: float) -> Tensor:
    enter, leave = _slabs(o, d)
    return leave.masked_fill((leave < enter) | (leave <= start), torch.inf)


def _meet_cylinder(o: Tensor, d: Tensor, start: float) -> Tensor:
    across_o, across_d = o[::2], d[::2]
    a = (across_d * across_d).sum(0).clamp_min(1e-12)
    b = (across_o * across_d).sum(0)
    c = (across_o * across_o).sum(0) - 1
    root = (b * b - a * c).sqrt()
    enter, leave = _slabs(o[1:2], d[1:2])
    return _first_beyond(torch.maximum(enter, (-b - root) / a), torch.minimum(leave, (-b + root) / a), start)


_MEET = {
    Shape.ELLIPSOID: _meet_ellipsoid,
    Shape.BOX: _meet_box,
    Shape.CYLINDER: _meet_cylinder,
    Shape.ROOM: _meet_room,
}
