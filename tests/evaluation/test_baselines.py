"""Baselines on a textured plane whose every view is known exactly, and on real photographs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import MethodError
from novelview.evaluation.baselines import BASELINES, baseline, view_angles
from novelview.evaluation.metrics import psnr
from novelview.geometry.lenses import Lens
from novelview.types import Bounds, Views

WIDTH, HEIGHT, DEPTH = 48, 36, 4.0
BOUNDS = Bounds(near=2.0, far=8.0, box_min=(-2.0, -2.0, 2.0), box_max=(2.0, 2.0, 8.0))


def texture(points: Tensor) -> Tensor:
    """A smooth colour for every point of the plane z = DEPTH."""
    x, y = points[..., 0], points[..., 1]
    waves = [torch.sin(3 * x + 1), torch.sin(4 * y + x), torch.cos(3 * x - 2 * y)]
    return 0.5 + 0.4 * torch.stack(waves, dim=-1)


def plane_cameras(shifts: list[tuple[float, float]], *, distorted: bool = False) -> Cameras:
    poses = torch.eye(3, 4).repeat(len(shifts), 1, 1)
    poses[:, :2, 3] = torch.tensor(shifts)
    cameras = Cameras.pinhole(poses, torch.tensor([40.0, 41.0, 24.0, 18.0]), WIDTH, HEIGHT)
    if not distorted:
        return cameras
    coefficients = torch.zeros(len(shifts), 8)
    coefficients[:, 0] = -0.1
    return replace(cameras, lens=torch.full((len(shifts),), int(Lens.OPENCV)), distortion=coefficients)


def plane_views(shifts: list[tuple[float, float]], *, distorted: bool = False) -> Views:
    cameras = plane_cameras(shifts, distorted=distorted)
    rays = cameras.rays()
    return Views.from_tensors(cameras, texture(rays.origins + DEPTH * rays.directions))


AROUND = [(-0.4, 0.0), (0.4, 0.05), (0.0, -0.4), (0.05, 0.4), (0.3, 0.3)]


@pytest.mark.parametrize("distorted", [False, True])
def test_argmin_finds_a_plane_and_its_colours(distorted: bool) -> None:
    views = plane_views(AROUND, distorted=distorted)
    target = plane_views([(0.07, -0.03)], distorted=distorted)
    frames = baseline("sweep-argmin", views, BOUNDS, target.cameras)
    inside = slice(6, -6), slice(6, -6)  # where all five views see the plane
    # Bilinear lookup errs by |second derivatives| * pixel² / 8 <= 0.01, half a plane's step by 0.01 more.
    assert float((frames.rgb[0] - target.image(0))[inside].abs().max()) < 0.02
    assert frames.depth is not None
    error = (1 / frames.depth[0] - 1 / DEPTH).abs()[inside]
    # Planes are 1/168 apart in disparity, so the nearest one is at most half of that away.
    assert float(error.median()) <= 0.5 / 168 + 1e-6


def test_the_baselines_are_in_the_expected_order() -> None:
    views, target = plane_views(AROUND), plane_views([(0.07, -0.03)])
    score = {
        name: psnr(baseline(name, views, BOUNDS, target.cameras).rgb[0], target.image(0))
        for name in BASELINES
    }
    assert score["sweep-argmin"] > score["sweep-average"] + 10
    assert score["sweep-argmin"] > score["nearest-view"] + 10


def test_far_may_be_infinite() -> None:
    views, target = plane_views(AROUND), plane_views([(0.07, -0.03)])
    frames = baseline("sweep-argmin", views, replace(BOUNDS, far=math.inf), target.cameras)
    assert psnr(frames.rgb[0], target.image(0)) > 32


def test_nearest_view_is_the_photograph_itself() -> None:
    views = plane_views(AROUND)
    frames = baseline("nearest-view", views, BOUNDS, plane_cameras([(0.38, 0.06)]))
    torch.testing.assert_close(frames.rgb[0], views.image(1))


def test_nearest_view_takes_the_size_of_the_camera() -> None:
    views = plane_views(AROUND)
    frames = baseline("nearest-view", views, BOUNDS, plane_cameras([(0.4, 0.05)]).resized(24, 18))
    expected = views.image(1).reshape(18, 2, 24, 2, 3).mean(dim=(1, 3))
    assert frames.rgb.shape == (1, 18, 24, 3)
    assert psnr(frames.rgb[0], expected) > 30


def test_nearness_counts_rotation_and_parallax() -> None:
    turned = torch.eye(3, 4)[None].clone()
    turned[0, :, :3] = torch.tensor([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    cameras = Cameras.concatenate(
        [plane_cameras([(4.0, 0.0)]), Cameras.pinhole(turned, torch.tensor([40.0, 41.0, 24.0, 18.0]), 48, 36)]
    )
    angles = view_angles(plane_cameras([(0.0, 0.0)]), cameras, depth=4.0)
    assert angles.tolist() == pytest.approx([math.pi / 4, math.pi], abs=1e-3)


@pytest.mark.parametrize("name", list(BASELINES))
def test_views_that_see_nothing_leave_a_finite_picture(name: str) -> None:
    views = plane_views([(-50.0, 0.0), (50.0, 0.0)])
    frames = baseline(name, views, BOUNDS, plane_cameras([(0.0, 0.0), (0.1, 0.0)]))
    assert frames.rgb.shape == (2, HEIGHT, WIDTH, 3)
    assert bool(frames.rgb.isfinite().all())
    assert float(frames.rgb.min()) >= 0
    assert float(frames.rgb.max()) <= 1


def test_one_training_view_is_shown_as_from_afar() -> None:
    frames = baseline("sweep-argmin", plane_views([(0.0, 0.0)]), BOUNDS, plane_cameras([(0.1, 0.0)]))
    assert bool(frames.rgb.isfinite().all())
    assert frames.depth is not None
    torch.testing.assert_close(frames.depth, torch.full_like(frames.depth, BOUNDS.far))


def test_what_cannot_be_rendered_is_refused() -> None:
    views = plane_views(AROUND)
    with pytest.raises(MethodError, match="Unknown baseline 'best'"):
        baseline("best", views, BOUNDS, views.cameras[0])
    with pytest.raises(MethodError, match="at least one"):
        baseline("nearest-view", views[[]], BOUNDS, views.cameras[0])


def test_argmin_beats_the_others_on_photographs(shared: Path) -> None:
    from novelview.data.open import open_scene

    scene = open_scene(shared / "data/fern", scale=0.1, split="every-8")
    target = scene.test[1]
    score = {
        name: psnr(baseline(name, scene.train, scene.bounds, target.cameras).rgb[0], target.image(0))
        for name in BASELINES
    }
    assert score["sweep-argmin"] > max(score["nearest-view"], score["sweep-average"]) + 2
