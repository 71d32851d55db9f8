"""Distances between surfaces: against slow loops, closed forms, recorded numbers, and what must always hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.errors import DataError, MissingDependencyError, import_extra
from novelview.evaluation.geometry import GeometryReport, compare_points, nearest, volume_iou
from novelview.geometry.triangles import face_areas, sample_surface

pytest.importorskip("scipy.spatial", reason="the extra mesh is not installed")


def sphere(count: int, radius: float, generator: torch.Generator) -> Tensor:
    return radius * F.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)


def test_nearest_is_that_of_a_loop(generator: torch.Generator) -> None:
    points, others = torch.rand(70, 3, generator=generator), torch.rand(50, 3, generator=generator)
    distances, which = nearest(points, others)
    table = (points[:, None].double() - others.double()).norm(dim=-1)
    np.testing.assert_allclose(distances, table.amin(dim=1), atol=1e-12)
    np.testing.assert_array_equal(which, table.argmin(dim=1))


def test_numbers_are_the_recorded_ones(shared: Path) -> None:
    folder = shared / "fixtures" / "dvr" / "a"
    arrays = np.load(folder / "misc.npz")
    expected = json.loads((folder / "config.json").read_text())["eval_pointcloud"]
    report = compare_points(
        arrays["eval_pred"],
        arrays["eval_gt"],
        predicted_normals=arrays["eval_pred_normals"],
        reference_normals=arrays["eval_gt_normals"],
        thresholds=(0.01,),
    )
    (within,) = report.thresholds
    found = {
        "completeness": report.completeness,
        "accuracy": report.accuracy,
        "normals completeness": report.normal_completeness,
        "normals accuracy": report.normal_accuracy,
        "normals": report.normal_consistency,
        "completeness2": report.completeness_squared,
        "accuracy2": report.accuracy_squared,
        "chamfer": report.chamfer_squared,
        "chamferL1": report.chamfer_l1,
        "precision@0.0100": within.precision,
        "recall@0.0100": within.recall,
        "F@0.0100": within.f_score,
    }
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_spheres_are_as_far_apart_as_their_radii(generator: torch.Generator) -> None:
    small, large = sphere(40_000, 0.4, generator), sphere(40_000, 0.5, generator)
    report = compare_points(
        small, large, predicted_normals=small, reference_normals=-large, thresholds=(0.09, 0.12)
    )
    assert report.chamfer_l1 == pytest.approx(0.1, rel=2e-3)
    assert report.chamfer_squared == pytest.approx(0.01, rel=4e-3)
    assert report.normal_consistency == pytest.approx(1.0, abs=1e-3)
    assert [each.f_score for each in report.thresholds] == [0.0, 1.0]


def test_a_shifted_plane_is_at_its_shift() -> None:
    flat = torch.cartesian_prod(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20), torch.zeros(1))
    report = compare_points(flat, flat + torch.tensor([0.0, 0.0, 0.03]), thresholds=(0.02, 0.04), unit="mm")
    assert (report.accuracy, report.completeness) == pytest.approx((0.03, 0.03))
    assert report.unit == "mm"
    assert report.normal_consistency is None


def test_both_sides_swap(generator: torch.Generator) -> None:
    a, b = torch.rand(60, 3, generator=generator), torch.rand(45, 3, generator=generator)
    forth, back = compare_points(a, b, thresholds=(0.1,)), compare_points(b, a, thresholds=(0.1,))
    assert (forth.accuracy, forth.completeness) == (back.completeness, back.accuracy)
    assert forth.chamfer_l1 == back.chamfer_l1
    assert forth.thresholds[0].precision == back.thresholds[0].recall
    assert forth.thresholds[0].f_score == back.thresholds[0].f_score


def test_an_empty_prediction_is_a_diagonal_away() -> None:
    truth = torch.rand(10, 3)
    report = compare_points(
        torch.zeros(0, 3), truth, predicted_normals=torch.zeros(0, 3), reference_normals=truth
    )
    assert report.accuracy == report.completeness == pytest.approx(math.sqrt(3))
    assert report.chamfer_squared == pytest.approx(3)
    assert report.normal_consistency == 0.0
    assert report.thresholds[0].f_score == 0.0
    assert compare_points(torch.zeros(0, 3), truth, missing=0.001).thresholds[0].recall == 0.0


def test_reports_survive_json(generator: torch.Generator) -> None:
    report = compare_points(torch.rand(5, 3, generator=generator), torch.rand(6, 3, generator=generator))
    assert GeometryReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_errors_say_what_is_wrong() -> None:
    some = torch.rand(4, 3)
    with pytest.raises(DataError, match="no points"):
        compare_points(some, torch.zeros(0, 3))
    with pytest.raises(DataError, match="not finite"):
        compare_points(torch.full((2, 3), math.nan), some)
    with pytest.raises(DataError, match="3 normals, 4 points"):
        compare_points(some, some, predicted_normals=some[:3])
    with pytest.raises(MissingDependencyError, match=r"pip install 'novelview\[mesh\]'"):
        import_extra("no_such_package", "mesh")


def test_points_of_a_mesh_are_even_in_area(generator: torch.Generator) -> None:
    vertices = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1], [5, 5, 5]])
    # The second face is turned, the third has no area.
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 4, 4]])
    points, normals = sample_surface(vertices, faces, 40_000, generator)
    assert face_areas(vertices, faces).tolist() == pytest.approx([1.5, 0.5, 0.0])
    first = points[:, 2] == 0
    assert float(first.double().mean()) == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(normals[first], torch.tensor([0.0, 0, 1]).double().expand(int(first.sum()), 3))
    torch.testing.assert_close(
        points[first].mean(dim=0), torch.tensor([1.0, 1 / 3, 0]).double(), atol=0.02, rtol=0
    )
    assert bool((points[first] @ torch.tensor([1 / 3, 1, 0]).double() <= 1 + 1e-12).all())


def test_a_mesh_without_area_has_no_points(generator: torch.Generator) -> None:
    for faces in (torch.zeros(0, 3, dtype=torch.long), torch.tensor([[0, 1, 1]])):
        points, normals = sample_surface(torch.rand(2, 3), faces, 10, generator)
        assert points.shape == normals.shape == (0, 3)


def test_boxes_overlap_by_their_common_part(generator: torch.Generator) -> None:
    def box(shift: float):  # type: ignore[no-untyped-def]
        return lambda points: 0.25 - (points - torch.tensor([shift, 0.0, 0.0])).abs().amax(dim=-1)

    lower, upper = -torch.ones(3) / 2, torch.ones(3) / 2
    # Two cubes of edge 0.5, moved by 0.125 against each other, share 3/4 of one: 3/5 of both together.
    found = volume_iou(box(0.0), box(0.125), lower, upper, generator, count=200_000)
    assert found == pytest.approx(0.6, abs=0.01)
    assert volume_iou(box(0.0), box(0.0), lower, upper, generator, count=1000) == 1.0
    assert volume_iou(box(0.0), box(9.0), lower, upper, generator, count=1000) == 0.0
    assert volume_iou(box(9.0), box(9.0), lower, upper, generator, count=1000) == 1.0
