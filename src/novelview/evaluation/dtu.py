"""The protocol of the DTU data set: accuracy and completeness of a reconstruction against a structured-light scan.

Jensen et al., Large Scale Multi-view Stereopsis Evaluation, CVPR 2014; Aanæs et al., IJCV 2016. Everything is in
millimetres, in the scans' own frame. The scans, observability masks and ground planes are the data set's files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.errors import DataError, import_extra
from novelview.evaluation.geometry import Vectors, as_vectors, nearest
from novelview.geometry.triangles import face_areas, sample_surface
from novelview.types import Views

DENSITY = 0.2
"""Smallest distance between two scored points, mm: the resolution of the scans."""
OUTLIER = 20.0
"""Distance, mm, from which on a point counts as an outlier."""

# Of a square metre of mesh; sampling takes some 250 bytes for each.
_MOST_POINTS = 50_000_000
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
            cure="check that both are in millimetres and in the scan's frame, or score with beyond='cap' (--outliers cap)",
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
    """Points all over a mesh, dense enough to be thinned out to ``density``: two on every square of that edge.

    Raises:
        DataError: they would not fit into the memory.
    """
    area = float(face_areas(vertices, faces).sum())
    count = 2 * int(area / density**2) + 1
    if count > _MOST_POINTS:
        raise DataError(
            "This mesh is too large to be scored",
            why=f"its area of {area:.4g} mm² takes {count:,} points",
            cure="check that it is in millimetres, and cut off what is not part of the object",
        )
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
