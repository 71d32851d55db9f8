"""DVR: ``cameras.npz`` with pose and intrinsics apart, and folders of images, masks and depth maps beside it.

world_mat_i takes world to camera coordinates, camera_mat_i these to image coordinates in which the centres of the corner
pixels are at -1 and +1. In DTU's files world_mat_i is the whole projection and camera_mat_i maps its pixels; only the
product counts. scale_mat_i takes the cube from -0.5 to 0.5, in which the object is, to the world. Renderings of ShapeNet
have the same layout. Niemeyer et al., Differentiable Volumetric Rendering, CVPR 2020.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import read_header
from novelview.data.formats.npz import array_names, matrices, read_arrays
from novelview.data.formats.projections import camera_file, decompose, image_files, object_frame, partners
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import PosedView, assemble
from novelview.errors import DataError

_POINTS = "pcl.npz"
# Arrays of it: a truth value for each point; rows that a view sees, with the view's number behind.
_IN_HULL, _VISIBILITY = "is_in_visual_hull", "visibility_"


class DvrReader(Reader):
    """Reads ``cameras.npz`` with matrices of both kinds."""

    name = "dvr"
    title = "DVR and its ShapeNet renderings"
    looks_for = "cameras.npz with world_mat_0 and camera_mat_0"

    def detect(self, path: Path) -> bool:
        file = camera_file(path)
        return file is not None and {"world_mat_0", "camera_mat_0"} <= array_names(file)

    def read(self, path: Path) -> Capture:
        """The capture of such a folder, or of its file of cameras; its frame is that of world_mat.

        Depth maps are those of ``depth``, sparse points those of ``pcl.npz``, of which a view sees those that
        ``visibility_0000`` and so on list, and ``is_in_visual_hull`` keeps. Depths of the visual hull are not read:
        :func:`~novelview.data.visual_hull.hull_depth` finds them for any camera.
        """
        file = camera_file(path)
        if file is None:
            raise DataError(
                "There are no cameras of DVR's format", where=path, why=f"looked for {self.looks_for}"
            )
        images = image_files(file)
        masks, depths = partners(file, images, "mask"), partners(file, images, "depth", (".exr",))
        arrays = read_arrays(file, r"(world|camera|scale)_mat_\d+")
        world, camera = (matrices(arrays, kind, len(images), file) for kind in ("world_mat", "camera_mat"))
        points, seen = _points(file.parent / _POINTS)
        views = [
            _view((camera[i] @ world[i])[:3], i, file, ImageFiles(image, mask, depth), seen.get(i))
            for i, (image, mask, depth) in enumerate(zip(images, masks, depths, strict=True))
        ]
        # Without a scale_mat, the object's frame is the world.
        frame = np.eye(4)
        if "scale_mat_0" in arrays:
            frame = object_frame(matrices(arrays, "scale_mat", len(images), file), file)
        return assemble(path, self.name, views, points=points, box=_around_cube(frame))


def pixel_intrinsics(
    matrix: Float64[np.ndarray, "3 3"], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels whose centres are at +0.5.

    Args:
        matrix: intrinsics for image coordinates with the centres of the corner pixels at -1 and +1.
        size: width and height.
    """
    half_x, half_y = (size[0] - 1) / 2, (size[1] - 1) / 2
    return (
        matrix[0, 0] * half_x,
        matrix[1, 1] * half_y,
        (matrix[0, 2] + 1) * half_x + 0.5,
        (matrix[1, 2] + 1) * half_y + 0.5,
    )


def _view(
    projection: Float64[np.ndarray, "3 4"],
    i: int,
    path: Path,
    files: ImageFiles,
    seen: Int64[np.ndarray, " _"] | None,
) -> PosedView:
    intrinsics, pose = decompose(projection, f"camera_mat_{i} @ world_mat_{i}", path)
    size = read_header(files.image).size
    return PosedView(files, pose, pixel_intrinsics(intrinsics, size), size, seen=seen)


def _points(file: Path) -> tuple[Float64[np.ndarray, "p 3"] | None, dict[int, Int64[np.ndarray, " _"]]]:
    """Sparse points in world coordinates, where there are any, and their rows that views see, by the views' numbers."""
    if not file.is_file():
        return None, {}
    arrays = read_arrays(file, rf"points|{_IN_HULL}|{_VISIBILITY}\d+")
    points = arrays.pop("points", np.zeros(0))
    if points.ndim != 2 or points.shape[1] != 3:
        raise DataError(
            "There are no points in a sparse point cloud",
            where=file,
            why=f"the shape of its array 'points' is {points.shape}, expected (points, 3)",
            cure="store one row of three numbers per point, or remove the file",
        )
    in_hull = arrays.pop(_IN_HULL, np.ones(len(points)))
    if in_hull.shape != (len(points),):
        raise DataError(
            f"{_IN_HULL} of a sparse point cloud does not fit its points",
            where=file,
            why=f"its shape is {in_hull.shape}, and there are {len(points)} points",
            cure="store one truth value per point, or leave the array out",
        )
    seen = {
        int(name.removeprefix(_VISIBILITY)): _rows(a, len(points), name, file) for name, a in arrays.items()
    }
    return points, {view: rows[in_hull[rows] != 0] for view, rows in seen.items()}


def _rows(values: Float64[np.ndarray, ...], count: int, name: str, file: Path) -> Int64[np.ndarray, " _"]:
    """Numbers of an array as rows of ``count`` points."""
    good = (values == np.floor(values)) & (values >= 0) & (values < count)
    if values.ndim != 1 or not good.all():
        wrong = f"{values[~good][0]:g} is among them" if not good.all() else f"its shape is {values.shape}"
        raise DataError(
            f"{name} does not list points that a view sees",
            where=file,
            why=f"rows of {count} points are numbered from 0, and {wrong}",
            cure="store the rows of 'points' that the view sees, or leave the array out",
        )
    return values.astype(np.int64)


def _around_cube(frame: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "2 3"]:
    """Corners of the box around the cube from -0.5 to 0.5, carried over by ``frame``."""
    half = np.abs(frame[:3, :3]).sum(axis=1) / 2
    return np.stack([frame[:3, 3] - half, frame[:3, 3] + half])
