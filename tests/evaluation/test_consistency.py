"""Distances from cameras on exact points, and the order of views that agree and that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import make_object
from novelview.data.procedural.object_views import render_object
from novelview.errors import CameraError, DataError
from novelview.evaluation.consistency import (
    ReprojectionReport,
    closest_points,
    epipolar_distance,
    neighbour_pairs,
    reprojection_error,
    third_view_distance,
)
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import look_at
from novelview.types import Views

if TYPE_CHECKING:
    from conftest import Ring

DEPTHS = (1.0, 4.0)


def three_cameras() -> Cameras:
    centres = torch.tensor([[0.0, -2.0, 0.3], [0.8, -1.9, 0.1], [-0.7, -1.8, -0.4]])
    poses = look_at(centres, torch.zeros(3, 3), torch.tensor([0.0, 0.0, 1.0]).expand(3, 3))
    return Cameras.pinhole(poses, torch.tensor([50.0, 50.0, 32.0, 32.0]), 64, 64)


def places(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points, and their pixels in each camera."""
    points = torch.rand(20, 3, generator=generator) - 0.5
    pixels, _ = three_cameras().project(points)
    return points, pixels


def measured(ring: Ring, name: str, count: int | None = None) -> ReprojectionReport:
    views = ring.sets[name]
    return reprojection_error(views[:count], ring.bounds, torch.Generator().manual_seed(0))


def test_true_pixels_are_on_their_epipolar_lines(generator: torch.Generator) -> None:
    cameras, (_, pixels) = three_cameras(), places(generator)
    for i, j in ((0, 1), (1, 0), (2, 1)):
        distance = epipolar_distance(cameras[i], pixels[i], cameras[j], pixels[j], DEPTHS)
        assert float(distance.max()) < 1e-3


def test_a_step_off_the_line_is_measured(generator: torch.Generator) -> None:
    cameras, (points, pixels) = three_cameras(), places(generator)
    rays = cameras[0].rays_through(pixels[:1])
    behind, _ = cameras[1].project((rays.origins + 1.1 * (points - rays.origins))[0])
    along = torch.nn.functional.normalize(behind[0] - pixels[1], dim=-1)
    aside = pixels[1] + 3 * torch.stack([-along[:, 1], along[:, 0]], dim=-1)
    distance = epipolar_distance(cameras[0], pixels[0], cameras[1], aside, DEPTHS)
    torch.testing.assert_close(distance, torch.full((20,), 3.0), atol=1e-3, rtol=0)


def test_the_line_ends_at_the_nearest_and_farthest_depth(generator: torch.Generator) -> None:
    cameras, (points, pixels) = three_cameras(), places(generator)
    _, (depth, *_) = cameras.project(points)
    for far, sign in ((0.8, 1), (4.0, 0)):
        limits = (0.5, far * float(depth.min()))
        distance = epipolar_distance(cameras[0], pixels[0], cameras[1], pixels[1], limits)
        assert (float(distance.min()) > 1) == bool(sign)


def test_what_is_behind_a_camera_is_a_diagonal_away() -> None:
    cameras = three_cameras()
    away = replace(cameras[1], camera_to_world=cameras[1].camera_to_world * torch.tensor([-1, 1, -1, 1]))
    middle = torch.full((1, 2), 32.0)
    distance = epipolar_distance(cameras[0], middle, away, middle, (1.0, 2.0))
    assert distance.tolist() == pytest.approx([64 * 2**0.5])


def test_a_ray_that_comes_out_of_the_other_camera_has_a_line() -> None:
    """One camera before the other, both looking ahead: the near part of the ray is behind the one in front."""
    poses = torch.eye(4)[:3].repeat(2, 1, 1)
    poses[1, 2, 3] = 2.0
    cameras = Cameras.pinhole(poses, torch.tensor([50.0, 50.0, 32.0, 32.0]), 64, 64)
    pixels, _ = cameras.project(torch.tensor([[0.5, 0.2, 4.0]]))
    distance = epipolar_distance(cameras[0], pixels[0], cameras[1], pixels[1], (0.5, 8.0))
    assert float(distance) < 1e-3


def test_points_are_found_where_rays_meet(generator: torch.Generator) -> None:
    points, pixels = places(generator)
    torch.testing.assert_close(
        closest_points(three_cameras().rays_through(pixels)), points, atol=1e-4, rtol=0
    )


def test_the_third_view_sees_what_two_say(generator: torch.Generator) -> None:
    _, pixels = places(generator)
    assert float(third_view_distance(three_cameras(), pixels).max()) < 0.02
    moved = pixels + torch.tensor([0.0, 0.0, 1.0])[:, None, None] * torch.tensor([3.0, 4.0])
    torch.testing.assert_close(
        third_view_distance(three_cameras(), moved), torch.full((20,), 5.0), atol=0.02, rtol=0
    )


def test_neighbours_on_a_ring_are_next_to_each_other(ring: Ring) -> None:
    pairs = neighbour_pairs(ring.sets["true"].cameras, 2.2, 2)
    assert pairs == sorted([(i, i + 1) for i in range(11)] + [(0, 11)])


def test_true_views_are_far_below_chance(ring: Ring) -> None:
    found = measured(ring, "true")
    two, chance = found.two_views, found.two_views_chance
    assert two.count > 150
    assert chance.count == 4 * two.count
    assert two.median < 1 < 5 < chance.median
    assert two.within[1] > 0.6 > 0.25 > chance.within[1]
    assert found.three_views.median < 2 < 10 < found.three_views_chance.median
    assert (found.views, found.width, found.pairs) == (12, 64, 12)
    assert found.angle == pytest.approx(28.2, abs=0.1)


def test_views_that_disagree_are_told_from_true_ones(ring: Ring) -> None:
    reports = {name: measured(ring, name) for name in ring.sets}
    median = {name: each.two_views.median for name, each in reports.items()}
    third = {name: each.three_views.median for name, each in reports.items()}
    within = {name: each.two_views.within[1] for name, each in reports.items()}
    for damaged in ("shifted", "spun", "others"):
        assert median[damaged] > 2 * median["true"]
        assert third[damaged] > 2 * third["true"]
        assert within[damaged] < 0.7 * within["true"]
    assert median["shifted"] < min(median["spun"], median["others"])
    assert reports["others"].two_views.count < reports["true"].two_views.count / 3


def test_colours_do_not_matter_to_geometry(ring: Ring) -> None:
    true, recoloured = measured(ring, "true"), measured(ring, "recoloured")
    assert recoloured.two_views.median == pytest.approx(true.two_views.median, rel=0.3)


def test_the_same_is_found_again(ring: Ring) -> None:
    assert measured(ring, "true", 6) == measured(ring, "true", 6)


def test_a_lens_is_taken_into_account(ring: Ring) -> None:
    """Views through a strong lens agree with cameras that have it, and not with those that do not."""
    straight = ring.sets["true"].cameras[:4]
    bent = torch.zeros(4, 8)
    bent[:, 0] = 2.0
    cameras = replace(straight, lens=torch.full((4,), int(Lens.OPENCV)), distortion=bent)
    views = render_object(make_object("chair", 1), cameras, supersample=1)
    right, wrong = (
        reprojection_error(each, ring.bounds, torch.Generator().manual_seed(0)).two_views.median
        for each in (views, views.with_cameras(straight))
    )
    assert right < 1
    assert wrong > 1.3 * right


def test_views_without_structure_have_no_errors(ring: Ring) -> None:
    cameras = ring.sets["true"].cameras[:3]
    found = reprojection_error(
        Views.from_tensors(cameras, torch.ones(3, 64, 64, 3)), ring.bounds, torch.Generator()
    )
    assert (found.corners, found.two_views.count, found.three_views.count) == (0, 0, 0)
    assert found.two_views.median is None
    assert found.three_views_chance.within is None
    assert found.to_json()["two_views"]["mean"] is None


def test_two_views_are_enough(ring: Ring) -> None:
    found = measured(ring, "true", 2)
    assert (found.pairs, found.three_views.count) == (1, 0)
    assert found.two_views.median < 1


def test_one_view_agrees_with_nothing(ring: Ring) -> None:
    with pytest.raises(DataError, match="between views"):
        measured(ring, "true", 1)


def test_views_must_have_one_size(ring: Ring) -> None:
    views = ring.sets["true"][:2]
    sizes = torch.tensor([[64, 64], [32, 32]])
    with pytest.raises(CameraError, match="differ in image size"):
        reprojection_error(
            views.with_cameras(replace(views.cameras, sizes=sizes)), ring.bounds, torch.Generator()
        )
