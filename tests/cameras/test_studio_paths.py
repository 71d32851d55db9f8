"""Trajectories around a subject that no capture shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from novelview.cameras.cameras import Cameras
from novelview.cameras.studio_paths import Tripod, arc, once_around, orbit, spiral, tour, tour_arcs
from novelview.errors import CameraError

TRIPOD = Tripod(distance=2.0, field_of_view=40.0, width=64, height=48)
PATHS = {
    "orbit": partial(orbit, TRIPOD, elevation=20.0),
    "arc": partial(arc, TRIPOD, elevation=20.0, sweep=90.0),
    "spiral": partial(spiral, TRIPOD, elevation=20.0, rise=30.0),
}


def _azimuths(cameras: Cameras) -> torch.Tensor:
    return torch.rad2deg(torch.atan2(cameras.centres[:, 1], cameras.centres[:, 0])) % 360


def _elevations(cameras: Cameras) -> torch.Tensor:
    return torch.rad2deg(torch.asin(cameras.centres[:, 2] / cameras.centres.norm(dim=-1)))


@pytest.mark.parametrize("name", PATHS)
def test_cameras_look_at_the_origin_from_the_distance(name: str) -> None:
    cameras = PATHS[name](9).validated()
    torch.testing.assert_close(cameras.centres.norm(dim=-1), torch.full((9,), 2.0))
    pixels, depth = cameras.project(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.1]]))
    middle = torch.tensor([32.0, 24.0]).expand(9, 2)
    torch.testing.assert_close(pixels[:, 0], middle, atol=1e-4, rtol=0)
    torch.testing.assert_close(depth[:, 0], torch.full((9,), 2.0))
    # z is up.
    assert bool((pixels[:, 1, 1] < 23).all())


@pytest.mark.parametrize("name", PATHS)
def test_paths_begin_at_one_place_whatever_their_length(name: str) -> None:
    first = orbit(TRIPOD, 1, 20.0)
    for count in (1, 5):
        torch.testing.assert_close(PATHS[name](count)[0].camera_to_world, first.camera_to_world)
    expected = 2.0 * torch.tensor([math.cos(math.radians(20)), 0.0, math.sin(math.radians(20))])
    torch.testing.assert_close(first.centres[0], expected)


def test_the_field_of_view_is_that_of_the_width() -> None:
    ray = PATHS["orbit"](1).rays_through(torch.tensor([[[0.0, 24.0], [64.0, 24.0]]])).directions[0]
    angle = torch.rad2deg(torch.acos(torch.cosine_similarity(ray[0], ray[1], dim=0)))
    assert float(angle) == pytest.approx(40, abs=1e-3)


def test_an_orbit_is_a_ring() -> None:
    cameras = orbit(TRIPOD, 8, -15.0)
    torch.testing.assert_close(_azimuths(cameras), torch.arange(8) * 45.0, atol=1e-3, rtol=0)
    torch.testing.assert_close(_elevations(cameras), torch.full((8,), -15.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("sweep", [90.0, -90.0])
def test_an_arc_has_both_ends(sweep: float) -> None:
    azimuths = _azimuths(arc(TRIPOD, 4, 0.0, sweep))
    torch.testing.assert_close(azimuths, torch.linspace(0, sweep, 4) % 360, atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [7, 8])
def test_a_spiral_rises_evenly_through_two_turns_that_interleave(count: int) -> None:
    cameras = spiral(TRIPOD, count, -10.0, 40.0)
    torch.testing.assert_close(_elevations(cameras), torch.linspace(-10, 30, count), atol=1e-3, rtol=0)
    azimuths = _azimuths(cameras)
    steps = azimuths.diff() % 360
    torch.testing.assert_close(steps, torch.full_like(steps, 720 / (7 if count == 7 else 9)))
    # A ring of as many cameras would have 51 or 45 degrees between neighbours.
    assert float(azimuths.sort().values.diff().min()) > 39


def test_a_tour_has_a_ring_and_then_arcs_that_meet_behind() -> None:
    cameras = tour(TRIPOD, 5, 20.0)
    assert len(cameras) == 40
    ring = orbit(TRIPOD, 5, 20.0).camera_to_world
    torch.testing.assert_close(cameras.camera_to_world[:5], ring)
    begins = (_azimuths(cameras)[5::5] + 180) % 360 - 180
    expected = torch.tensor([-30.0, -30, 30, -80, 80, -130, 130])
    torch.testing.assert_close(begins, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(_elevations(cameras), torch.full((40,), 20.0), atol=1e-3, rtol=0)


def test_a_video_of_a_tour_goes_once_around() -> None:
    azimuths = _azimuths(tour(TRIPOD, 5, 20.0)[list(once_around(40))])
    steps = azimuths.diff() % 360
    assert len(azimuths) == 35
    # The two last arcs begin on their outer sides, one step from behind.
    assert float(steps.max()) < 20.1
    assert float(steps.sum()) == pytest.approx(360, abs=0.1)


def test_the_pole_is_a_place_to_stand() -> None:
    assert bool(orbit(TRIPOD, 4, 90.0).validated().camera_to_world.isfinite().all())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: orbit(TRIPOD, 0, 20.0), "none"),
        (lambda: orbit(TRIPOD, 4, 91.0), "over the pole"),
        (lambda: spiral(TRIPOD, 4, 70.0, 30.0), "over the pole"),
        (lambda: orbit(TRIPOD, 4, math.nan), "over the pole"),
        (lambda: tour(TRIPOD, 0, 20.0), "none"),
        (lambda: tour_arcs(0.0), "No tour"),
        (lambda: tour_arcs(360.0), "No tour"),
        (lambda: tour_arcs(60.0, 0.0), "No tour"),
        (lambda: Tripod(0.0, 40.0, 64, 64), "impossible"),
        (lambda: Tripod(2.0, 180.0, 64, 64), "impossible"),
        (lambda: Tripod(2.0, 40.0, 0, 64), "impossible"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(CameraError, match=said):
        make()
