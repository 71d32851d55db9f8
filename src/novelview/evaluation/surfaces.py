"""Surface points of files: meshes, point clouds, and the arrays that data sets of reconstruction ship."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.errors import DataError, import_extra
from novelview.geometry.triangles import sample_surface
from novelview.geometry.winding import WindingNumbers, open_edges


@dataclass(frozen=True)
class SurfacePoints:
    """Points on a surface.

    Attributes:
        points: in the file's own unit and frame.
        normals: one per point, where they are known.
    """

    points: Float[np.ndarray, "p 3"]
    normals: Float[np.ndarray, "p 3"] | None

    @property
    def longest_edge(self) -> float:
        """Of the points' bounding box; at least one point is needed."""
        return float(np.ptp(self.points, axis=0).max())

    @property
    def diagonal(self) -> float:
        """Of the points' bounding box; at least one point is needed."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))

    def chosen(self, which: Bool[np.ndarray, " p"]) -> SurfacePoints:
        """Some of the points."""
        return SurfacePoints(self.points[which], None if self.normals is None else self.normals[which])


@dataclass(frozen=True)
class Surface:
    """What a file holds: a mesh, or points.

    Attributes:
        path: the file.
        vertices: of the mesh, or the points themselves; in the file's own unit and frame.
        faces: corners counter-clockwise as seen from outside; points have none.
        normals: one per point, where the file has them.
    """

    path: Path
    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    normals: Float[Tensor, "v 3"] | None = None

    @property
    def is_mesh(self) -> bool:
        """Whether it has faces."""
        return len(self.faces) > 0

    def points(self, count: int, generator: torch.Generator) -> SurfacePoints:
        """Of a mesh as many as asked for, even in its area, with the normals of its faces; of points all there are."""
        if not self.is_mesh:
            return SurfacePoints(
                self.vertices.numpy(), None if self.normals is None else self.normals.numpy()
            )
        points, normals = sample_surface(self.vertices, self.faces, count, generator)
        return SurfacePoints(points.numpy(), normals.numpy())

    @cached_property
    def solid(self) -> Solid:
        """What a mesh encloses.

        Raises:
            DataError: it is no mesh, or not watertight.
        """
        if not self.is_mesh:
            raise DataError("Only a mesh has a volume", where=self.path, why="this file has no faces")
        # Formats such as .stl store the corners of each face apart.
        vertices, number = self.vertices.unique(dim=0, return_inverse=True)
        faces = number[self.faces]
        wrong = open_edges(faces)
        if wrong:
            raise DataError(
                "This mesh is not watertight, so it has no volume",
                where=self.path,
                why=f"{wrong} edges are not between two faces that both have their corners counter-clockwise",
                cure="close its holes and make its faces look outwards, or leave volumes out",
            )
        return Solid(WindingNumbers(vertices, faces), vertices.amin(dim=0), vertices.amax(dim=0))


@dataclass(frozen=True)
class Solid:
    """The inside of a closed mesh, as a field: 1 inside, -1 outside.

    Attributes:
        winding: asked for points.
        lower, upper: corners of the box around it.
    """

    winding: WindingNumbers
    lower: Float[Tensor, " 3"]
    upper: Float[Tensor, " 3"]

    def __call__(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        # Faces that all look inwards, or parts that overlap, enclose no less.
        return torch.where(self.winding(points) != 0, 1.0, -1.0)


def read_surface(path: str | Path) -> Surface:
    """The mesh (.ply, .obj, .off, .stl, .glb) or points (.ply without faces, .xyz, and .npz with ``points`` and perhaps
    ``normals``) of a file.

    Raises:
        DataError: there is no such file, or it holds no surface.
        MissingDependencyError: trimesh is not installed and the file is no .npz.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("There is no such file", where=path)
    if path.suffix == ".npz":
        return _read_arrays(path)
    held = _read_mesh(path)
    vertices = np.asarray(held.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(getattr(held, "faces", np.zeros((0, 3))), dtype=np.int64).reshape(-1, 3)
    if not np.isfinite(vertices).all():
        raise DataError("Some vertices are not finite", where=path)
    return Surface(path, torch.from_numpy(vertices), torch.from_numpy(faces))


def _read_mesh(path: Path) -> Any:
    trimesh = import_extra("trimesh", "mesh")
    try:
        held = trimesh.load(path, process=False)
    except Exception as error:  # Every format has its own reader, and each fails in its own way.
        raise DataError(
            "Cannot read this mesh", where=path, why=f"{type(error).__name__}: {error}"
        ) from error
    if isinstance(held, trimesh.Scene):
        held = held.to_geometry()
    if not hasattr(held, "vertices"):
        raise DataError("This file holds no surface", where=path, why=f"it holds a {type(held).__name__}")
    return held


def _read_arrays(path: Path) -> Surface:
    try:
        with np.load(path) as arrays:
            found = [arrays.get(name) for name in ("points", "normals")]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError("Cannot read these arrays", where=path, why=str(error)) from error
    points, normals = (None if each is None else each.astype(np.float64) for each in found)
    if points is None or points.ndim != 2 or points.shape[1] != 3:
        raise DataError(
            "This file holds no points", where=path, why="there is no array 'points' of shape (n, 3)"
        )
    if normals is not None and normals.shape != points.shape:
        raise DataError(
            "Normals and points differ in shape", where=path, why=f"{normals.shape} and {points.shape}"
        )
    if not np.isfinite(points).all():
        raise DataError("Some points are not finite", where=path)
    directions = None if normals is None else torch.from_numpy(normals)
    return Surface(path, torch.from_numpy(points), torch.zeros(0, 3, dtype=torch.long), directions)
