"""How close a shape is to the true one: distances between surface points, agreement of normals, overlap of volumes.

Points carry the unit of their coordinates, and so does every distance; no number is multiplied by ten, as published
tables of Chamfer-L1 in units of a tenth of the bounding box are (Mescheder et al., Occupancy Networks, 2019). Surface
points of a mesh come from :func:`novelview.geometry.triangles.sample_surface`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.errors import DataError, import_extra
from novelview.rendering.surface import Field

Vectors: TypeAlias = Float[np.ndarray, "_ 3"] | Float[Tensor, "_ 3"]
"""Points or normals, as an array or a tensor on any device."""

UNIT_CUBE_DIAGONAL = math.sqrt(3)


@dataclass(frozen=True)
class ThresholdScores:
    """Shares of points that lie within a distance of the other surface.

    Attributes:
        distance: the threshold.
        precision: share of the predicted points within it.
        recall: share of the reference points within it.
        f_score: harmonic mean of the two, 0 where both are.
    """

    distance: float
    precision: float
    recall: float
    f_score: float


@dataclass(frozen=True)
class GeometryReport:
    """A shape against its reference. Distances are Euclidean, means are over points.

    Attributes:
        unit: of all distances; squared distances have it squared.
        predicted_points: their number; 0 for an empty shape.
        reference_points: their number.
        accuracy: mean distance from a predicted point to the nearest reference point.
        completeness: mean distance from a reference point to the nearest predicted point.
        chamfer_l1: mean of the two.
        accuracy_squared: mean squared distance from predicted to reference.
        completeness_squared: mean squared distance from reference to predicted.
        chamfer_squared: mean of the two.
        normal_accuracy: mean |cosine| between the normals of a predicted point and its nearest reference point; None
            where normals are not known. A normal's sign does not count.
        normal_completeness: the same from reference to predicted.
        normal_consistency: mean of the two.
        thresholds: precision, recall and F-score.
        volume_iou: of :func:`volume_iou`, where it was measured.
    """

    unit: str
    predicted_points: int
    reference_points: int
    accuracy: float
    completeness: float
    chamfer_l1: float
    accuracy_squared: float
    completeness_squared: float
    chamfer_squared: float
    normal_accuracy: float | None
    normal_completeness: float | None
    normal_consistency: float | None
    thresholds: tuple[ThresholdScores, ...]
    volume_iou: float | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "thresholds": [asdict(each) for each in self.thresholds]}

    @staticmethod
    def from_json(values: dict[str, Any]) -> GeometryReport:
        thresholds = tuple(ThresholdScores(**each) for each in values["thresholds"])
        return GeometryReport(**{**values, "thresholds": thresholds})


def nearest(points: Vectors, others: Vectors) -> tuple[Float[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """Distance of every point to the nearest of ``others``, and which one that is.

    Raises:
        DataError: there are no others, or a coordinate is not finite.
        MissingDependencyError: scipy is not installed.
    """
    points, others = as_vectors(points), as_vectors(others)
    if not len(others):
        raise DataError("There are no points to measure distances to")
    tree = import_extra("scipy.spatial", "mesh").cKDTree(others)
    distances, which = tree.query(points)
    return distances, which


def compare_points(
    predicted: Vectors,
    reference: Vectors,
    *,
    predicted_normals: Vectors | None = None,
    reference_normals: Vectors | None = None,
    thresholds: Sequence[float] = (0.01,),
    unit: str = "unit",
    missing: float = UNIT_CUBE_DIAGONAL,
) -> GeometryReport:
    """Score points of a predicted surface against points of the true one.

    An empty prediction is at distance ``missing`` of everything, its normals agree with none (0), and precision, recall
    and F-score are 0.

    Args:
        predicted: points all over the predicted surface, or none.
        reference: points all over the true surface.
        predicted_normals: one per point, of any length but 0; normals are compared where both sides have them.
        reference_normals: the same of the reference.
        thresholds: distances at which precision and recall are measured, in the points' unit.
        unit: what the report calls it.
        missing: distance that stands for a missing surface, by convention the diagonal of the box that shapes lie in.

    Raises:
        DataError: there is no reference point, a coordinate is not finite, or normals and points differ in number.
        MissingDependencyError: scipy is not installed.
    """
    points, truth = as_vectors(predicted), as_vectors(reference)
    if not len(truth):
        raise DataError(
            "The reference has no points to compare with", cure="give a surface that is not empty"
        )
    here, there = _unit(predicted_normals, len(points)), _unit(reference_normals, len(truth))
    forth, forth_agreement = _one_way(points, truth, here, there, missing)
    back, back_agreement = _one_way(truth, points, there, here, missing)
    accuracy, completeness = float(forth.mean()), float(back.mean())
    squared = float(np.square(forth).mean()), float(np.square(back).mean())
    return GeometryReport(
        unit=unit,
        predicted_points=len(points),
        reference_points=len(truth),
        accuracy=accuracy,
        completeness=completeness,
        chamfer_l1=(accuracy + completeness) / 2,
        accuracy_squared=squared[0],
        completeness_squared=squared[1],
        chamfer_squared=sum(squared) / 2,
        normal_accuracy=forth_agreement,
        normal_completeness=back_agreement,
        normal_consistency=_mean(forth_agreement, back_agreement),
        thresholds=tuple(_within(each, forth, back, bool(len(points))) for each in thresholds),
    )


def volume_iou(
    first: Field,
    second: Field,
    lower: Float[Tensor, " 3"],
    upper: Float[Tensor, " 3"],
    generator: torch.Generator,
    *,
    count: int = 100_000,
    points_at_once: int = 1 << 17,
) -> float:
    """Volume that two solids share, as a part of the volume of both together, from random points in a box.

    Its standard error is at most 0.5 / sqrt(points inside either). Two solids of which no point is inside are alike: 1.

    Args:
        first: positive inside.
        second: positive inside.
        lower: corner of a box that holds both solids; points are drawn on its device, where the generator is too.
        upper: the opposite corner.
        generator: of the points.
        count: number of points.
        points_at_once: bounds the memory.
    """
    share = torch.rand(count, 3, generator=generator, device=lower.device, dtype=lower.dtype)
    both = either = 0
    with torch.no_grad():
        for points in (lower + (upper - lower) * share).split(points_at_once):
            a, b = first(points) > 0, second(points) > 0
            both += int((a & b).sum())
            either += int((a | b).sum())
    return both / either if either else 1.0


def as_vectors(values: Vectors) -> Float[np.ndarray, "p 3"]:
    """The same numbers in float64 on the CPU.

    Raises:
        DataError: one of them is not finite.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise DataError(
            "Points or normals are not finite", why=f"{bad} of {len(array)}", cure="remove them first"
        )
    return array


def _unit(normals: Vectors | None, count: int) -> np.ndarray | None:
    if normals is None:
        return None
    vectors = as_vectors(normals)
    if len(vectors) != count:
        raise DataError("Normals and points differ in number", why=f"{len(vectors)} normals, {count} points")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-300)


def _one_way(
    points: np.ndarray,
    others: np.ndarray,
    normals: np.ndarray | None,
    other_normals: np.ndarray | None,
    missing: float,
) -> tuple[np.ndarray, float | None]:
    """Distances from each point to the nearest other, and the mean |cosine| between their normals where known."""
    known = normals is not None and other_normals is not None
    if not len(points) or not len(others):
        return np.full(max(len(points), 1), missing), 0.0 if known else None
    distances, which = nearest(points, others)
    if normals is None or other_normals is None:
        return distances, None
    return distances, float(np.abs((normals * other_normals[which]).sum(axis=1)).mean())


def _mean(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else (first + second) / 2


def _within(distance: float, forth: np.ndarray, back: np.ndarray, found: bool) -> ThresholdScores:
    precision, recall = (float((part <= distance).mean()) if found else 0.0 for part in (forth, back))
    both = precision + recall
    return ThresholdScores(distance, precision, recall, 2 * precision * recall / both if both else 0.0)
