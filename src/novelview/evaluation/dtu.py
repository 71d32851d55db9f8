"""The protocol of the DTU data set: accuracy and completeness of a reconstruction against a structured-light scan.

Jensen et al., Large Scale Multi-view Stereopsis Evaluation, CVPR 2014; Aanæs et al., IJCV 2016. Everything is in
millimetres, in the scans' own frame. The scans, observability masks and ground planes are the data set's files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.errors import DataError, MissingDependencyError, import_extra
from novelview.evaluation.geometry import Vectors, as_vectors, nearest
from novelview.geometry.triangles import face_areas, sample_surface
from novelview.types import Views

DENSITY = 0.2
"""Smallest distance between two scored points, mm: the resolution of the scans."""
OUTLIER = 20.0
"""Distance, mm, from which on a point counts as an outlier."""

# Points whose neighbours are in memory at a time.
_CHUNK = 100_000


@dataclass(frozen=True)
class ObservedRegion:
    """Where the scanner could see something: a lattice of voxels.

    Attributes:
        seen: whether each voxel was.
        corner: place of the first voxel's centre, mm.
        spacing: of the voxels, mm.
    """

    seen: Bool[np.ndarray, "x y z"]
    corner: Float[np.ndarray, " 3"]
    spacing: float

    def holds(self, points: Float[np.ndarray, "p 3"]) -> Bool[np.ndarray, " p"]:
        """Whether the voxel nearest to each point was seen."""
        voxel = np.rint((points - self.corner) / self.spacing).astype(np.int64)
        within = ((voxel >= 0) & (voxel < self.seen.shape)).all(axis=1)
        held = np.zeros(len(points), dtype=bool)
        held[within] = self.seen[tuple(voxel[within].T)]
        return held


@dataclass(frozen=True)
class DtuReport:
    """Scores of one scan in millimetres.

    Attributes:
        accuracy: mean distance from the reconstruction to the scan.
        completeness: mean distance from the scan to the reconstruction.
        overall: mean of the two, the Chamfer-L1 of published tables.
        accuracy_points: number of points that ``accuracy`` is the mean of.
        completeness_points: the same of ``completeness``.
        beyond: what became of points ``outlier`` or farther away: left out, as in the official protocol, or counted as
            that far.
        outlier: that distance.
    """

    accuracy: float
    completeness: float
    overall: float
    accuracy_points: int
    completeness_points: int
    beyond: Literal["drop", "cap"]
    outlier: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"unit": "mm", **asdict(self)}


def score_scan(
    predicted: Vectors,
    scan: Vectors,
    generator: torch.Generator,
    *,
    region: ObservedRegion | None = None,
    plane: Float[np.ndarray, " 4"] | None = None,
    density: float = DENSITY,
    outlier: float = OUTLIER,
    beyond: Literal["drop", "cap"] = "drop",
) -> DtuReport:
    """Score a reconstruction's points against those of a scan.

    Args:
        predicted: points of the reconstruction, mm; of a mesh, those of :func:`mesh_points`.
        scan: points of the scan, mm; already as sparse as they should be.
        generator: decides which points are thinned out.
        region: predicted points outside of it do not count for accuracy.
        plane: a, b, c, d of the table; scanned points without ax + by + cz + d > 0 do not count for completeness.
        density: to which the prediction is thinned out, mm.
        outlier: distance from which on a point is one, mm.
        beyond: outliers are left out, as in the official protocol, or "cap": counted as ``outlier`` away, so that
            wild reconstructions are not rewarded.

    Raises:
        DataError: on one side no point is left to be scored.
        MissingDependencyError: scipy is not installed.
    """
    points, truth = as_vectors(predicted), as_vectors(scan)
    points = points[thin_out(points, density, generator)]
    scored = points if region is None else points[region.holds(points)]
    above = truth if plane is None else truth[truth @ plane[:3] + plane[3] > 0]
    accuracy, few = _mean_distance(scored, truth, outlier, beyond, "of the reconstruction")
    completeness, many = _mean_distance(above, points, outlier, beyond, "of the scan")
    return DtuReport(accuracy, completeness, (accuracy + completeness) / 2, few, many, beyond, outlier)


def _mean_distance(
    points: np.ndarray, others: np.ndarray, outlier: float, beyond: str, whose: str
) -> tuple[float, int]:
    distances = nearest(points, others)[0] if len(points) and len(others) else np.full(len(points), np.inf)
    distances = distances.clip(max=outlier) if beyond == "cap" else distances[distances < outlier]
    if not len(distances):
        raise DataError(
            f"No point {whose} is left to be scored",
            why=f"of {len(points)} none is nearer than {outlier:g} mm to the other side",
            cure="check that both are in millimetres and in the scan's frame, or score with beyond='cap'",
        )
    return float(distances.mean()), len(distances)


def thin_out(
    points: Float[np.ndarray, "p 3"], density: float, generator: torch.Generator
) -> Int[np.ndarray, " q"]:
    """Numbers, in order, of points that stay when points are visited at random and those near them are removed.

    Args:
        points: any unit.
        density: points up to this distance from one that stays are removed; same unit.
        generator: the order of the visits.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    tree = import_extra("scipy.spatial", "mesh").cKDTree(points)
    order = torch.randperm(len(points), generator=generator).numpy()
    stays = np.ones(len(points), dtype=bool)
    for begin in range(0, len(order), _CHUNK):
        visited = order[begin : begin + _CHUNK]
        visited = visited[stays[visited]]
        for point, around in zip(visited, tree.query_ball_point(points[visited], density), strict=True):
            if stays[point]:
                stays[around] = False
                stays[point] = True
    return np.nonzero(stays)[0]


def mesh_points(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    generator: torch.Generator,
    density: float = DENSITY,
) -> Float[Tensor, "p 3"]:
    """Points all over a mesh, dense enough to be thinned out to ``density``: two on every square of that edge."""
    count = 2 * int(float(face_areas(vertices, faces).sum()) / density**2) + 1
    return sample_surface(vertices, faces, count, generator)[0]


def inside_masks(points: Float[Tensor, "p 3"], views: Views, radius: float = 12.0) -> Bool[Tensor, " p"]:
    """Which points belong to the object by its masks; restricts baselines that reconstruct everything (DVR, CVPR 2020).

    A point stays if it is in the image of at least one view, and in every such image within ``radius`` of the mask.

    Args:
        points: in the frame of the cameras, on their device.
        views: with masks; whatever is not 0 belongs to the object.
        radius: of the disk that the masks are dilated by, pixels.

    Raises:
        DataError: the views have no masks.
        MissingDependencyError: scipy is not installed.
    """
    if not views.has_masks:
        raise DataError("These views have no masks", cure="give views with masks of the object")
    image = import_extra("scipy.ndimage", "mesh")
    stays = torch.ones(len(points), dtype=torch.bool, device=points.device)
    seen = torch.zeros_like(stays)
    for i in range(len(views)):
        pixels, depth = views.cameras[i].project(points)
        mask = (views.mask(i) > 0).cpu().numpy()
        distance = image.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
        near = torch.as_tensor(distance <= radius, device=points.device)
        x, y = pixels[0].floor().unbind(dim=-1)
        within = (depth[0] > 0) & (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
        stays[within] &= near[y[within].long(), x[within].long()]
        seen |= within
    return stays & seen


def read_region(path: str | Path) -> ObservedRegion:
    """The observability mask of a scan, from ``ObsMask*_10.mat`` of the data set.

    Raises:
        DataError: the file cannot be read or holds something else.
        MissingDependencyError: scipy is not installed.
    """
    seen, box, spacing = _read_matlab(path, "ObsMask", "BB", "Res")
    if seen.ndim != 3 or box.shape != (2, 3) or spacing.size != 1 or not float(spacing.item()) > 0:
        raise DataError(
            "This is no observability mask",
            where=path,
            why=f"ObsMask {seen.shape}, BB {box.shape}, Res {spacing.shape}",
            cure="give ObsMask<scan>_10.mat",
        )
    return ObservedRegion(seen.astype(bool), box[0].astype(np.float64), float(spacing.item()))


def read_plane(path: str | Path) -> Float[np.ndarray, " 4"]:
    """The table that a scan stands on, from ``Plane*.mat`` of the data set: a, b, c, d with the object where
    ax + by + cz + d > 0.

    Raises:
        DataError: the file cannot be read or holds something else.
        MissingDependencyError: scipy is not installed.
    """
    (plane,) = _read_matlab(path, "P")
    if plane.size != 4:
        raise DataError("This is no plane", where=path, why=f"P {plane.shape}", cure="give Plane<scan>.mat")
    return plane.astype(np.float64).reshape(4)


def _read_matlab(path: str | Path, *names: str) -> list[np.ndarray]:
    try:
        values = import_extra("scipy.io", "mesh").loadmat(str(path))
    except MissingDependencyError:
        raise
    except Exception as error:  # scipy's readers fail on a damaged file in many ways.
        raise DataError("Cannot read this MATLAB file", where=path, why=str(error)) from error
    missing = [name for name in names if not isinstance(values.get(name), np.ndarray)]
    if missing:
        raise DataError("A variable is missing in this MATLAB file", where=path, why=", ".join(missing))
    return [values[name] for name in names]
