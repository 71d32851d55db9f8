"""Surface points of files: meshes, point clouds, and the arrays that data sets of reconstruction ship."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from novelview.errors import DataError, import_extra
from novelview.geometry.triangles import sample_surface


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


def read_surface(path: str | Path, count: int, generator: torch.Generator) -> SurfacePoints:
    """Points on what a file holds.

    Of a mesh (.ply, .obj, .off, .stl, .glb), as many as asked for, even in its area, with the normals of its faces.
    Of a point cloud (.ply without faces, .xyz) and of .npz with ``points`` and perhaps ``normals``, all there are.

    Args:
        path: the file.
        count: number of points on a mesh; a mesh without faces and vertices has none.
        generator: of these points.

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
    if not len(faces):
        return SurfacePoints(vertices, None)
    points, normals = sample_surface(torch.from_numpy(vertices), torch.from_numpy(faces), count, generator)
    return SurfacePoints(points.numpy(), normals.numpy())


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


def _read_arrays(path: Path) -> SurfacePoints:
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
    return SurfacePoints(points, normals)
