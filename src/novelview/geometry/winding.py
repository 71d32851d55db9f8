"""What is inside of closed triangle meshes: winding numbers, exact up to the rounding of single intersections."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Pairs of a point and a face that are in memory at a time.
_PAIRS_AT_ONCE = 1 << 21


def open_edges(faces: Int[Tensor, "f 3"]) -> int:
    """Number of edges that faces do not pass as often in one direction as in the other; none where a mesh is closed.

    Args:
        faces: numbers of the corners; corners at the same place must have the same number.
    """
    if not len(faces):
        return 0
    ends = torch.stack([faces, faces.roll(-1, dims=1)], dim=-1).reshape(-1, 2).long()
    key = ends.amin(dim=1) * (int(ends.max()) + 1) + ends.amax(dim=1)
    _, edge = torch.unique(key, return_inverse=True)
    direction = (ends[:, 1] - ends[:, 0]).sign()
    return int(
        torch.zeros(int(edge.max()) + 1, dtype=torch.long).index_add_(0, edge, direction).count_nonzero()
    )


class WindingNumbers:
    """How often a closed mesh winds around points: 1 inside, 0 outside, -1 inside of a mesh whose faces look inwards.

    A ray from the point along z is followed, and faces that it leaves through count 1, those that it enters through -1.
    Faces are found by the cell of a flat grid that the ray goes through.

    Args:
        vertices: places.
        faces: of a closed mesh, see :func:`open_edges`; corners at the same place have the same number.
    """

    def __init__(self, vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> None:
        self._corners, self._numbers = vertices.double()[faces.long()], faces.long()
        if not len(faces):
            return
        flat = self._corners[..., :2]
        self._lower = flat.amin(dim=(0, 1))
        # About as many cells as faces, so that neither holds many of the other.
        self._cells = max(1, min(2048, round(math.sqrt(len(faces)))))
        extent = (flat.amax(dim=(0, 1)) - self._lower).clamp(min=torch.finfo(torch.double).tiny)
        self._size = extent / self._cells
        first, last = self._cell(flat.amin(dim=1)), self._cell(flat.amax(dim=1))
        span = last - first + 1
        face, offset = _expanded(span.prod(dim=1))
        columns = span[face, 1]
        x, y = first[face, 0] + offset // columns, first[face, 1] + offset % columns
        cell, order = (x * self._cells + y).sort(stable=True)
        self._faces = face[order]
        self._begin = torch.searchsorted(cell, torch.arange(self._cells**2 + 1))

    def __call__(self, points: Float[Tensor, "p 3"]) -> Int[Tensor, " p"]:
        """Winding numbers; points on a face count to either side of it."""
        numbers = torch.zeros(len(points), dtype=torch.long)
        if not len(self._corners) or not len(points):
            return numbers
        points = points.double()
        x, y = self._cell(points[:, :2]).unbind(dim=1)
        cell = x * self._cells + y
        counts = self._begin[cell + 1] - self._begin[cell]
        part = (counts.cumsum(dim=0) - counts) // _PAIRS_AT_ONCE
        for some in torch.arange(len(points)).split(torch.bincount(part).tolist()):
            point, offset = _expanded(counts[some])
            face = self._faces[self._begin[cell[some]][point] + offset]
            turns = self._turns(points[some][point], face)
            numbers.index_add_(0, some[point], turns)
        return numbers

    def _cell(self, places: Float[Tensor, "n 2"]) -> Int[Tensor, "n 2"]:
        # Points beside the mesh share its outermost cells, where no face is above or below them.
        return ((places - self._lower) / self._size).clamp(0, self._cells - 1).long()

    def _turns(self, points: Float[Tensor, "n 3"], faces: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """How each face, seen from above, winds around its point, where it is above it."""
        corners, numbers = self._corners[faces], self._numbers[faces]
        turns = torch.zeros(len(points), dtype=torch.long)
        for i in range(3):
            j = (i + 1) % 3
            # From the lower number to the higher, so that both faces of an edge round alike and no ray slips through.
            swap = (numbers[:, i] > numbers[:, j])[:, None]
            a = torch.where(swap, corners[:, j], corners[:, i])
            b = torch.where(swap, corners[:, i], corners[:, j])
            up = (a[:, 1] <= points[:, 1]) & (points[:, 1] < b[:, 1])
            down = (b[:, 1] <= points[:, 1]) & (points[:, 1] < a[:, 1])
            share = (points[:, 1] - a[:, 1]) / torch.where(up | down, b[:, 1] - a[:, 1], 1.0)
            right = a[:, 0] + share * (b[:, 0] - a[:, 0]) > points[:, 0]
            sign = (up & right).long() - (down & right).long()
            turns += torch.where(swap[:, 0], -sign, sign)
        return torch.where(_height(corners, points) > points[:, 2], turns, 0)


def _height(corners: Float[Tensor, "n 3 3"], points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    """Where a line along z through each point meets the plane of its face, at most as high and low as that face."""
    a, b, c = corners.unbind(dim=1)
    normal = torch.linalg.cross(b - a, c - a)
    aside = ((points - a)[:, :2] * normal[:, :2]).sum(dim=1)
    steep = normal[:, 2] == 0
    height = a[:, 2] - aside / torch.where(steep, 1.0, normal[:, 2])
    z = corners[..., 2]
    return height.clamp(z.amin(dim=1), z.amax(dim=1))


def _expanded(counts: Int[Tensor, " n"]) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """For each of n things that have so many parts: the thing's number and the part's number within it."""
    owner = torch.repeat_interleave(counts)
    begin = counts.cumsum(dim=0) - counts
    return owner, torch.arange(len(owner)) - begin[owner]
