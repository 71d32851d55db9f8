"""Where rays from one point meet solids, exactly: closed forms per shape, on pairs of ray and solid that can meet.

Camera rays start at the camera's centre and shadow rays at the light, so all rays of a call share their origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.data.procedural.solids import HOLE, MIDDLE, SLOPE, Shape, Solids, unit

# A point is in shadow when something lies on the way from the light, short of the last two thousandths of it.
_BEFORE = 0.998


def first_hit(
    solids: Solids, origin: Float[Tensor, " 3"], directions: Float[Tensor, "3 n"], start: float = 1e-4
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Ray parameter of the first surface beyond ``start`` and the solid it belongs to; (inf, 0) for a miss."""
    distance = torch.full_like(directions[0], torch.inf)
    which = torch.zeros_like(distance, dtype=torch.long)
    planes = (solids.shape == Shape.PLANE).nonzero()[:, 0]
    found = torch.full((len(solids), directions.shape[1]), torch.inf, device=directions.device)
    found[planes] = _meet_planes(solids[planes], origin, directions, start)
    for solid, ray, parameter in _meetings(solids, origin, directions, start):
        found[solid, ray] = parameter
    # Row by row: torch's minimum with indices is several times slower on few long rows.
    for index, row in enumerate(found):
        closer = row < distance
        distance = torch.where(closer, row, distance)
        which.masked_fill_(closer, index)
    return distance, which


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
    table = torch.cat([to_unit.transpose(1, 2).flatten(1), local], dim=1).T.contiguous()
    near = _near(solids, origin, directions)
    for shape, meet in _MEET.items():
        members = (solids.shape == shape).nonzero()[:, 0]
        if len(members) == 0:
            continue
        row, ray = near[members].nonzero(as_tuple=True)
        solid = members[row]
        pair, d = table.index_select(1, solid), directions.index_select(1, ray)
        towards = pair[:3] * d[0] + pair[3:6] * d[1] + pair[6:9] * d[2]
        yield solid, ray, meet(pair[9:], towards, start)


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


def _round(o: Tensor, d: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the sphere, or in two dimensions the circle; NaN where they miss."""
    closest = _closest(o, d)
    p = o + closest * d
    half = ((radius * radius - (p * p).sum(dim=0)) / (d * d).sum(dim=0).clamp_min(1e-20)).sqrt()
    return closest - half, closest + half


def _meet_ellipsoid(o: Tensor, d: Tensor, start: float) -> Tensor:
    return _first_beyond(*_round(o, d, 1.0), start)


def _meet_box(o: Tensor, d: Tensor, start: float) -> Tensor:
    low, high = _slab(o, d)
    return _first_beyond(low.amax(0), high.amin(0), start)


def _meet_cylinder(o: Tensor, d: Tensor, start: float) -> Tensor:
    (enter, leave), (low, high) = _round(o[::2], d[::2], 1.0), _slab(o[1], d[1])
    return _first_beyond(torch.maximum(enter, low), torch.minimum(leave, high), start)


def _meet_ring(o: Tensor, d: Tensor, start: float) -> Tensor:
    (outer_in, outer_out), (low, high) = _round(o[::2], d[::2], 1.0), _slab(o[1], d[1])
    enter, leave = torch.maximum(outer_in, low), torch.minimum(outer_out, high)
    hole_in, hole_out = _round(o[::2], d[::2], HOLE)
    through_hole = (enter > hole_in) & (enter < hole_out)  # False where the ray misses the hole: NaN
    outside = (leave >= enter) & (enter > start) & ~through_hole
    inner = (hole_out > enter) & (hole_out > start) & (hole_out < leave)
    return torch.where(outside, enter, torch.where(inner, hole_out, torch.inf))


def _meet_frustum(o: Tensor, d: Tensor, start: float) -> Tensor:
    closest = _closest(o, d)
    x, y, z = o + closest * d
    rim, change = MIDDLE - SLOPE * y, -SLOPE * d[1]
    a = d[0] * d[0] + d[2] * d[2] - change * change
    a = torch.where(a.abs() < 1e-12, 1e-12, a)
    b = x * d[0] + z * d[2] - rim * change
    root = (b * b - a * (x * x + z * z - rim * rim)).sqrt()
    best = torch.full_like(rim, torch.inf)
    for t in (closest + (-b - root) / a, closest + (-b + root) / a):
        met = ((o[1] + t * d[1]).abs() <= 1) & (t > start)
        best = torch.where(met, torch.minimum(best, t), best)
    for t in _slab(o[1], d[1]):
        x, y, z = o + t * d
        radius = MIDDLE - SLOPE * y
        met = (x * x + z * z <= radius * radius) & (t > start)
        best = torch.where(met, torch.minimum(best, t), best)
    return best


def _meet_planes(solids: Solids, origin: Tensor, directions: Tensor, start: float) -> Tensor:
    """Parameter for every pair of plane and ray, (k, n)."""
    normal = solids.rotation[:, :, 1]
    height = ((origin - solids.centre) * normal).sum(dim=1)
    x, y, z = normal.T[:, :, None]
    fall = -(x * directions[0] + y * directions[1] + z * directions[2])
    t = height[:, None] / fall
    return torch.where((fall > 0) & (t > start), t, torch.inf)


_MEET: dict[Shape, Callable[[Tensor, Tensor, float], Tensor]] = {
    Shape.ELLIPSOID: _meet_ellipsoid,
    Shape.BOX: _meet_box,
    Shape.CYLINDER: _meet_cylinder,
    Shape.FRUSTUM: _meet_frustum,
    Shape.RING: _meet_ring,
}
