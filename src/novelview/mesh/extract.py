"""Meshes of implicit surfaces (MISE: Mescheder et al., Occupancy Networks, CVPR 2019; as in DVR, CVPR 2020).

The field is asked on a coarse lattice, and again, twice as finely, only in cells in which it changes its sign. Then
marching cubes on the finest lattice give triangles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.errors import ConfigError, MethodError, import_extra
from novelview.mesh.mesh import Mesh
from novelview.rendering.surface import Field

Corner = tuple[float, float, float]

# What lies around the box: so far outside that faces which close the mesh lie in the sides of the box.
_AROUND = -1e6
# Cells along the longest side with which a search begins; what is smaller than such a cell may be missed.
_START = 32
# Bounds the memory of one step where many cells are split.
_CELLS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Lattice:
    """A box in cells, each of which may be halved along all axes a number of times.

    Attributes:
        lower, upper: corners of the box.
        cells: along each axis, to begin with.
        refinements: how often a cell may be halved.
    """

    lower: Corner
    upper: Corner
    cells: tuple[int, int, int]
    refinements: int

    @staticmethod
    def of_resolution(lower: Corner, upper: Corner, resolution: int) -> Lattice:
        """About cubic cells that are, in the end, at least ``resolution`` along the longest side of a box.

        Raises:
            ConfigError: a resolution below 2, or a box without a volume.
        """
        sides = [high - low for low, high in zip(lower, upper, strict=True)]
        if resolution < 2:
            raise ConfigError(f"A resolution of {resolution} makes no mesh", cure="give at least 2")
        if not all(math.isfinite(side) and side > 0 for side in sides):
            raise ConfigError(
                f"The box from {lower} to {upper} has no volume", cure="give its lower corner first"
            )
        refinements = max(0, math.ceil(math.log2(resolution / _START)))
        most = math.ceil(resolution / 2**refinements)
        x, y, z = (max(1, math.ceil(most * side / max(sides) - 1e-6)) for side in sides)
        return Lattice(lower, upper, (x, y, z), refinements)

    @property
    def final(self) -> tuple[int, int, int]:
        """Cells along each axis when all are halved as often as they may be."""
        x, y, z = (count << self.refinements for count in self.cells)
        return x, y, z

    @property
    def step(self) -> Float[Tensor, " 3"]:
        """Sides of the smallest cells, float64."""
        sides = torch.tensor(self.upper).double() - torch.tensor(self.lower).double()
        return sides / torch.tensor(self.final)

    def points(self, places: Float[Tensor, "p 3"] | Int[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Where places are that are counted in smallest cells from the lower corner; float32."""
        return (torch.tensor(self.lower).double() + places * self.step).float()


def extract_mesh(
    field: Field,
    lattice: Lattice,
    *,
    device: torch.device | str = "cpu",
    points_at_once: int = 1 << 17,
) -> Mesh:
    """The surface of a field in a box, closed by the box's sides where it passes them.

    Memory is that of the finest lattice in float32, 540 MB for 512 cells along each side, and about 200 MB more.

    Args:
        field: asked for at most ``points_at_once`` points at a time, without gradient.
        lattice: where, how finely, and how finely to begin with.
        device: where the field is asked.

    Raises:
        MissingDependencyError: scikit-image is not installed.
        MethodError: the field has no surface in the box, or is no number somewhere.
    """
    measure = import_extra("skimage.measure", "mesh")
    values = sampled(field, lattice, device=device, points_at_once=points_at_once)
    places, faces, _, _ = measure.marching_cubes(values.numpy(), level=0.0, gradient_direction="ascent")
    vertices = lattice.points(torch.from_numpy(np.array(places)).double() - 1)
    return Mesh(vertices, torch.from_numpy(faces.astype(np.int64)))


@torch.no_grad()
def sampled(
    field: Field, lattice: Lattice, *, device: torch.device | str, points_at_once: int
) -> Float[Tensor, "x y z"]:
    """Values on the finest lattice and one layer around it; away from the surface, some that have the right sign."""
    x, y, z = lattice.final
    values = torch.full((x + 3, y + 3, z + 3), _AROUND)
    inner = values[1:-1, 1:-1, 1:-1]
    inner.fill_(math.nan)
    cells = _Cells(lattice)
    fresh = _grid((x, y, z), 1 << lattice.refinements)
    while len(fresh):
        for some in fresh.split(points_at_once):
            found = field(lattice.points(some).to(device)).float().cpu()
            _require_numbers(found)
            inner[some.unbind(dim=-1)] = found
            cells.note(some, found)
        fresh = torch.cat([fresh[:0], *(_unasked(inner, points) for points in cells.split())])
    _require_surface(cells, lattice)
    _fill(inner.numpy())
    return values


class _Cells:
    """Which cells of each size there are, and which signs were seen in each. Final.

    Attributes:
        leaves: for each size but the smallest, the largest first, whether a cell is there and not split.
        signs: for the same cells and one layer around them, whether a value >= 0 and whether one <= 0 was seen in
            it or on its border.
    """

    def __init__(self, lattice: Lattice) -> None:
        self.refinements = lattice.refinements
        sizes = [[count << level for count in lattice.cells] for level in range(max(1, lattice.refinements))]
        self.leaves = [torch.full(size, level == 0) for level, size in enumerate(sizes)]
        self.signs = [torch.zeros(2, *(count + 2 for count in size), dtype=torch.bool) for size in sizes]

    def note(self, places: Int[Tensor, "p 3"], values: Float[Tensor, " p"]) -> None:
        """Let all cells that touch these points of the finest lattice know the values there."""
        for level, signs in enumerate(self.signs):
            for aside in _cube(2):
                touching = ((places - aside) >> (self.refinements - level)) + 1
                for sign, seen in zip(signs, (values >= 0, values <= 0), strict=True):
                    sign[touching[seen].unbind(dim=-1)] = True

    def split(self) -> Iterator[Int[Tensor, "p 3"]]:
        """Halve all cells in which both signs were seen; yields the points that this asks for, with repetitions."""
        if not self.refinements:
            return
        mixed = [
            leaves & signs[:, 1:-1, 1:-1, 1:-1].all(dim=0)
            for leaves, signs in zip(self.leaves, self.signs, strict=True)
        ]
        for level, which in enumerate(mixed):
            self.leaves[level] &= ~which
            half = 1 << (self.refinements - level - 1)
            for some in which.nonzero().split(_CELLS_AT_ONCE):
                if level + 1 < self.refinements:
                    children = (2 * some[:, None] + _cube(2)).reshape(-1, 3)
                    self.leaves[level + 1][children.unbind(dim=-1)] = True
                yield ((2 * some[:, None] + _cube(3)) * half).reshape(-1, 3)


def _cube(side: int) -> Int[Tensor, "p 3"]:
    """All places (x, y, z) with coordinates below ``side``."""
    return torch.tensor(list(itertools.product(range(side), repeat=3)))


def _grid(size: tuple[int, int, int], step: int) -> Int[Tensor, "p 3"]:
    """Every ``step``-th place from 0 to ``size``, both included."""
    axes = [torch.arange(0, count + 1, step) for count in size]
    return torch.cartesian_prod(*axes)


def _unasked(inner: Float[Tensor, "x y z"], places: Int[Tensor, "p 3"]) -> Int[Tensor, "q 3"]:
    """Those of the places whose value is not known, each once; they are marked so that none is given again."""
    _, y, z = inner.shape
    flat = ((places[:, 0] * y + places[:, 1]) * z + places[:, 2])[
        inner[places.unbind(dim=-1)].isnan()
    ].unique()
    fresh = torch.stack([flat // (y * z), flat // z % y, flat % z], dim=-1)
    inner[fresh.unbind(dim=-1)] = math.inf
    return fresh


def _fill(values: np.ndarray) -> None:
    """Give unknown values the one before along x, then y, then z: within a cell that was not split all
    known ones have one sign."""
    for axis in range(3):
        planes = np.moveaxis(values, axis, 0)
        for before, here in itertools.pairwise(planes):
            np.copyto(here, before, where=np.isnan(here))


def _require_numbers(values: Float[Tensor, " p"]) -> None:
    if not bool(values.isfinite().all()):
        raise MethodError(
            "The surface's field is no number somewhere",
            why="its training may have diverged",
            cure="look at the run's curves, and train with a smaller learning rate",
        )


def _require_surface(cells: _Cells, lattice: Lattice) -> None:
    inside, outside = (bool(sign.any()) for sign in cells.signs[0])
    if not (inside and outside):
        all_of_it = "inside" if inside else "outside"
        raise MethodError(
            f"There is no surface in the box from {lattice.lower} to {lattice.upper}",
            why=f"at all points that were looked at it is {all_of_it}",
            cure="train for longer, or use a finer resolution where the object is small in its box",
        )
