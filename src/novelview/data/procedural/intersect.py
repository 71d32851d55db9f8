"""Where rays from one point meet solids, exactly: closed forms per shape, on pairs of ray and solid that can meet.

Camera rays start at the camera's centre and shadow rays at the light, so all rays of a call share their origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.data.procedural.solids import Shape, Solids, unit

# A point is in shadow when something lies on the way from the light, short of the last two thousandths of it.
_BEFORE = 0.998


def first_hit(
    solids: Solids, origin: Float[Tensor, " 3"], directions: Float[Tensor, "3 n"], start: float = 1e-4
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Ray parameter of the first surface beyond ``start`` and the solid it belongs to; (inf, 0) for a miss."""
    found = torch.full((len(solids), directions.shape[1]), torch.inf, device=directions.device)
    planes = (solids.shape == Shape.PLANE).nonzero()[:, 0]
    found[planes] = _meet_planes(solids[planes], origin, directions, start)
    for solid, ray, parameter in _meetings(solids, origin, directions, start):
        found[solid, ray] = parameter
    # Two reductions: torch's minimum with indices is slower on few long rows.
    distance = found.amin(dim=0)
    index = torch.arange(len(solids), dtype=found.dtype, device=found.device)[:, None]
    which = torch.where(found == distance, index, -1.0).amax(dim=0).long()
    return distance, which.masked_fill(distance.isinf(), 0)


def shadowed(solids: Solids, points: Float[Tensor, "3 n"], light: Float[Tensor, " 3"]) -> Bool[Tensor, " n"]:
    """Whether a solid other than a plane lies between each point and the light."""
    dark = torch.zeros_like(points[0], dtype=torch.bool)
    for _solid, ray, parameter in _meetings(solids, light, points - light[:, None], 0.0):
        dark[ray[parameter < _BEFORE]] = True
    return dark


def _meetings(
    solids: Solids, origin: Tensor, directions: Tensor, start: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Solid, ray and parameter of the first surface beyond ``start`` (inf: none), shape by shape, planes left out.

    Of all pairs only those are looked at whose ray comes near the solid's bounding sphere.
    """
    to_unit = solids.rotation.transpose(1, 2) / solids.scale[:, :, None]  # rows: local axes over half extents
    local = (to_unit * (origin - solids.centre)[:, None, :]).sum(dim=2)
    table = torch.cat([to_unit.transpose(1, 2).flatten(1), local, solids.profile], dim=1).T.contiguous()
    near = _near(solids, origin, directions)
    for first, last, meet in _MEET:
        members = ((solids.shape >= first) & (solids.shape <= last)).nonzero()[:, 0]
        if len(members) == 0:
            continue
        row, ray = near[members].nonzero(as_tuple=True)
        solid = members[row]
        pair, d = table.index_select(1, solid), directions.index_select(1, ray)
        towards = pair[:3] * d[0] + pair[3:6] * d[1] + pair[6:9] * d[2]
        yield solid, ray, meet(pair[9:12], towards, pair[12:], start)


def _near(solids: Solids, origin: Tensor, directions: Tensor) -> Bool[Tensor, "k n"]:
    """Whether the ray meets the solid's bounding sphere; generous, so rounding never loses a hit."""
    ahead = unit(directions)
    offset = solids.centre - origin
    distance = offset.square().sum(dim=1)
    # The cone of directions that touch the sphere; every direction does from inside of it.
    tangent = (distance - (1.01 * solids.radius + 1e-3) ** 2).clamp_min(0).sqrt()
    # The margin covers TF32, in which a GPU may multiply matrices.
    tangent = torch.where(tangent > 0, tangent - 4e-3 * distance.sqrt(), -torch.inf)
    return offset @ ahead >= tangent[:, None]


def _first_beyond(enter: Tensor, leave: Tensor, start: float) -> Tensor:
    first = torch.where(enter > start, enter, leave)
    # Written so that NaN, which stands for a miss, is refused.
    return torch.where((leave >= enter) & (first > start), first, torch.inf)


def _slab(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave [-1, 1] along one axis or several (leading)."""
    inverse = 1 / torch.where(d.abs() < 1e-12, 1e-12, d)
    low, high = (-1 - o) * inverse, (1 - o) * inverse
    return torch.minimum(low, high), torch.maximum(low, high)


def _closest(o: Tensor, d: Tensor) -> Tensor:
    """Parameter of the point nearest to the origin; about it, a quadratic loses no digits to a distant start."""
    return -(o * d).sum(dim=0) / (d * d).sum(dim=0).clamp_min(1e-20)


def _round(o: Tensor, d: Tensor, radius: Tensor | float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the sphere, or in two dimensions the circle; NaN where they miss."""
    closest = _closest(o, d)
    p = o + closest * d
    half = ((radius * radius - (p * p).sum(dim=0)) / (d * d).sum(dim=0).clamp_min(1e-20)).sqrt()
    return closest - half, closest + half


def _meet_ellipsoid(o: Tensor, d: Tensor, profile: Tensor, start: float) -> Tensor:
    return _first_beyond(*_round(o, d, 1.0), start)


def _meet_box(o: Tensor, d: Tensor, profile: Tensor, start: float) -> Tensor:
    low, high = _slab(o, d)
    return _first_beyond(low.amax(0), high.amin(0), start)


def _meet_turned(o: Tensor, d: Tensor, profile: Tensor, start: float) -> Tensor:
    """The nearest of a cone's two sides, two lids and the far side of the hole."""
    middle, slope, hole = profile
    closest = _closest(o, d)
    x, y, z = o + closest * d
    rim, change = middle - slope * y, -slope * d[1]
    a = d[0] * d[0] + d[2] * d[2] - change * change
    a = torch.where(a.abs() < 1e-12, 1e-12, a)
    b = x * d[0] + z * d[2] - rim * change
    root = (b * b - a * (x * x + z * z - rim * rim)).sqrt()
    bore = _round(o[::2], d[::2], hole)[1]
    sides = torch.stack([closest + (-b - root) / a, closest + (-b + root) / a, bore])
    on_side = (o[1] + sides * d[1]).abs() <= 1
    lids = torch.stack(_slab(o[1], d[1]))
    x, y, z = o[:, None] + lids * d[:, None]
    rim, square = middle - slope * y, x * x + z * z
    on_lid = (square <= rim * rim) & (square >= hole * hole)
    t, met = torch.cat([sides, lids]), torch.cat([on_side, on_lid])
    return torch.where(met & (t > start), t, torch.inf).amin(dim=0)


def _meet_planes(solids: Solids, origin: Tensor, directions: Tensor, start: float) -> Tensor:
    """Parameter for every pair of plane and ray, (k, n)."""
    normal = solids.rotation[:, :, 1]
    height = ((origin - solids.centre) * normal).sum(dim=1)
    x, y, z = normal.T[:, :, None]
    fall = -(x * directions[0] + y * directions[1] + z * directions[2])
    t = height[:, None] / fall
    return torch.where((fall > 0) & (t > start), t, torch.inf)


# First and last shape that a formula serves.
_MEET: tuple[tuple[Shape, Shape, Callable[[Tensor, Tensor, Tensor, float], Tensor]], ...] = (
    (Shape.ELLIPSOID, Shape.ELLIPSOID, _meet_ellipsoid),
    (Shape.BOX, Shape.BOX, _meet_box),
    (Shape.CYLINDER, Shape.RING, _meet_turned),
)
