"""Camera paths: through the views they are made from, rigid, smooth, upright, near the capture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.cameras.arrangement import average_pose, focus_point, up_direction
from novelview.cameras.camera_file import read_cameras
from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import from_opengl, to_opengl
from novelview.cameras.paths import by_nearness, ellipse, interpolate, orbit, spiral, straight
from novelview.errors import CameraError
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import look_at, random_rotations

INTRINSICS = torch.tensor([90.0, 90.0, 40.0, 30.0])
PATHS: list[Callable[[Cameras, int], Cameras]] = [
    interpolate,
    straight,
    orbit,
    ellipse,
    lambda cameras, frames: spiral(cameras, frames, 1.0, 5.0),
]


def ring(
    count: int, *, azimuth: float = 360.0, elevation: float = 30.0, radius: float = 2.0, target: float = 0.0
) -> Cameras:
    """Cameras evenly on a level circle around (target, target, target), z up."""
    around = torch.arange(count) * math.radians(azimuth) / count
    high = math.radians(elevation)
    offset = torch.stack(
        [
            around.cos() * math.cos(high),
            around.sin() * math.cos(high),
            torch.full_like(around, math.sin(high)),
        ],
        -1,
    )
    middle = torch.full((count, 3), target)
    up = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    return Cameras.pinhole(look_at(middle + radius * offset, middle, up), INTRINSICS, 80, 60)


def scattered(count: int, seed: int) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    poses = torch.cat(
        [random_rotations(count, generator), torch.randn(count, 3, 1, generator=generator)], dim=-1
    )
    return Cameras.pinhole(poses, INTRINSICS, 80, 60)


def wall(seed: int = 0) -> Cameras:
    """A forward-facing capture: a jittered 5x4 grid that looks along +z, y down."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-0.6, 0.6, 4), indexing="ij")
    centres = torch.stack([x.flatten(), y.flatten(), torch.zeros(20)], -1)
    centres = centres + 0.05 * torch.randn(20, 3, generator=generator)
    up = torch.tensor([0.0, -1.0, 0.0]).expand(20, 3)
    targets = centres * torch.tensor([0.5, 0.5, 0.0]) + torch.tensor([0.0, 0.0, 6.0])
    return Cameras.pinhole(look_at(centres, targets, up), INTRINSICS, 80, 60)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 6), frames=st.integers(1, 9), seed=st.integers(0, 99), kind=st.integers(0, 4))
def test_every_path_has_its_frames_and_is_valid(count: int, frames: int, seed: int, kind: int) -> None:
    cameras = scattered(count, seed)
    lens = replace(
        cameras, lens=torch.full((count,), int(Lens.OPENCV)), distortion=torch.full((count, 8), 0.01)
    )
    path = PATHS[kind](lens, frames)
    assert len(path) == frames
    assert path.common_size == (80, 60)
    assert not path.lens.any()
    assert not path.distortion.any()
    torch.testing.assert_close(path.intrinsics, INTRINSICS.expand(frames, 4))
    path.validated()


@pytest.mark.parametrize("kind", range(5))
def test_nothing_to_make_a_path_of(kind: int) -> None:
    cameras = ring(4)
    for given_cameras, frames in ((cameras, 0), (cameras[[]], 5)):
        with pytest.raises(CameraError):
            PATHS[kind](given_cameras, frames)


@pytest.mark.parametrize("loop", [False, True])
def test_interpolation_passes_through_every_view(loop: bool) -> None:
    # Equal ways between views: every tenth frame is a view.
    views = ring(8)
    path = interpolate(views, 80 if loop else 71, loop=loop)
    torch.testing.assert_close(path[slice(0, None, 10)].camera_to_world, views.camera_to_world)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_interpolation_comes_close_to_uneven_views(seed: int, count: int) -> None:
    views = scattered(count, seed)
    path = interpolate(views, 600)
    torch.testing.assert_close(path[0].camera_to_world, views[0].camera_to_world)
    torch.testing.assert_close(path[599].camera_to_world, views[count - 1].camera_to_world)
    gap = (path.camera_to_world[:, None] - views.camera_to_world[None]).flatten(2).norm(dim=-1)
    steps = path.camera_to_world.diff(dim=0).flatten(1).norm(dim=-1)
    assert float(gap.amin(dim=0).max()) <= float(steps.max())
    assert bool((gap.argmin(dim=0).diff() > 0).all())


def test_interpolation_has_no_corner() -> None:
    views = scattered(6, 3)
    coarse, fine = (interpolate(views, frames).camera_to_world.double() for frames in (401, 801))
    # A corner would keep its change of velocity when steps halve; a smooth curve's change falls with the square.
    bends = [float(path.diff(dim=0).diff(dim=0).flatten(1).norm(dim=-1).max()) for path in (coarse, fine)]
    assert bends[1] < 0.35 * bends[0]


def test_interpolation_of_intrinsics_and_sizes() -> None:
    views = ring(2, azimuth=60)
    views = replace(
        views,
        intrinsics=torch.stack([INTRINSICS, 4 * INTRINSICS]),
        sizes=torch.tensor([[80, 60], [160, 120]]),
    )
    path = interpolate(views, 3)
    assert path.common_size == (80, 60)
    # The second view has twice the focal length of the first once both have one size.
    torch.testing.assert_close(path.intrinsics[:, 0], torch.tensor([90.0, 135.0, 180.0]))


def test_straight_paths_have_both_ends_of_every_pair() -> None:
    views = replace(scattered(3, 0), intrinsics=INTRINSICS * torch.tensor([[1.0], [2.0], [4.0]]))
    path = straight(views, 10)
    for frame, view in ((0, 0), (4, 1), (5, 1), (9, 2)):
        torch.testing.assert_close(path[frame].camera_to_world, views[view].camera_to_world)
    torch.testing.assert_close(path.intrinsics[2], 1.5 * INTRINSICS)
    torch.testing.assert_close(path.centres[7], views.centres[1:].mean(dim=0))
    steps = path.rotations[:-1].mT @ path.rotations[1:]
    torch.testing.assert_close(steps[1:4], steps[:1].expand(3, 3, 3), rtol=0, atol=1e-5)
    around = straight(views, 15, loop=True)
    torch.testing.assert_close(around[14].camera_to_world, views[0].camera_to_world)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 9), frames=st.integers(1, 40))
def test_straight_paths_divide_frames_evenly(count: int, frames: int) -> None:
    views = ring(count)
    path = straight(views, frames)
    torch.testing.assert_close(path[0].camera_to_world, views[0].camera_to_world)
    gap = (path.camera_to_world[:, None] - views.camera_to_world[None]).flatten(2).norm(dim=-1)
    # Where every pair has two frames, every view is among them.
    assert bool((gap.amin(dim=0) < 1e-5).all()) or frames < 2 * (count - 1)


def test_straight_is_the_path_of_recorded_videos(shared: Path) -> None:
    """Four frames from the first input to the second and four back, as the published re-implementation made them."""
    with np.load(shared / "fixtures/lvsm/a/decoder_only_io.npz") as recorded:
        poses, intrinsics = (torch.from_numpy(recorded[f"input_{key}"][0]) for key in ("c2w", "fxfycxcy"))
        expected = {key: torch.from_numpy(recorded[f"trajectory_{key}"][0]) for key in ("c2w", "fxfycxcy")}
    path = straight(Cameras.pinhole(poses, intrinsics, 32, 32), 8, loop=True)
    torch.testing.assert_close(path.camera_to_world, expected["c2w"], rtol=0, atol=1e-6)
    torch.testing.assert_close(path.intrinsics, expected["fxfycxcy"], rtol=2e-7, atol=0)


def test_the_order_by_nearness_begins_at_the_first_camera() -> None:
    views = ring(8, azimuth=280)
    shuffled = views[[0, 5, 3, 1, 7, 2, 6, 4]]
    assert torch.equal(by_nearness(shuffled).centres, views.centres)
    assert len(by_nearness(views[[]])) == 0


@pytest.mark.parametrize("target", [0.0, 7.0])
def test_orbit_is_the_circle_of_a_ring(target: float) -> None:
    views = ring(12, target=target)
    torch.testing.assert_close(orbit(views, 12).camera_to_world, views.camera_to_world, rtol=1e-4, atol=1e-4)


def test_orbit_obeys() -> None:
    target, up = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 0.0])
    path = orbit(ring(5), 7, target=target, up=up, radius=4.0, elevation=-20.0)
    offsets = path.centres - target
    torch.testing.assert_close(offsets.norm(dim=-1), torch.full((7,), 4.0))
    torch.testing.assert_close(offsets @ up, torch.full((7,), 4 * math.sin(math.radians(-20))))
    pixels, _ = path.project(target[None])
    torch.testing.assert_close(pixels[:, 0], torch.tensor([40.0, 30.0]).expand(7, 2), rtol=0, atol=1e-3)
    for wrong in ({"radius": 0.0}, {"radius": math.nan}, {"elevation": 91.0}):
        with pytest.raises(CameraError):
            orbit(ring(5), 7, **wrong)


def test_a_capture_that_turns_on_the_spot_has_nothing_to_go_around() -> None:
    views = ring(6)
    on_the_spot = replace(views, camera_to_world=views.camera_to_world * torch.tensor([1.0, 1.0, 1.0, 0.0]))
    with pytest.raises(CameraError, match="nothing to go around"):
        orbit(on_the_spot, 5)


def test_ellipse_of_a_ring_is_level_and_near() -> None:
    views = ring(24)
    path = ellipse(views, 60)
    torch.testing.assert_close(path.centres[:, 2], views.centres[0, 2].expand(60), rtol=1e-3, atol=1e-3)
    assert float(torch.cdist(path.centres, views.centres).amin(dim=1).max()) < 0.4


@pytest.mark.parametrize("azimuth", [60.0, 120.0, 200.0])
def test_ellipse_of_a_walk_stays_in_the_arc(azimuth: float) -> None:
    views = ring(30, azimuth=azimuth)
    path = ellipse(views, 90)
    assert float(torch.cdist(path.centres, views.centres).amin(dim=1).max()) < 0.15
    # Most of the arc is shown, and the path is closed without a jump.
    assert float(torch.cdist(views.centres, path.centres).amin(dim=1).max()) < 0.2 * 2 * math.radians(azimuth)
    steps = path.centres[[*range(90), 0]].diff(dim=0).norm(dim=-1)
    assert float(steps[-1]) <= float(steps.max()) * 1.001
    assert float(steps.max()) < 0.1 * 2 * math.radians(azimuth)


def test_spiral_is_the_published_one() -> None:
    views, near, far, frames = wall(), 2.0, 9.0, 12
    path = spiral(views, frames, near, far)
    # LLFF's own frame: columns right, up, back of the mean camera.
    mean = average_pose(views).double() * torch.tensor([1.0, -1.0, -1.0, 1.0])
    offsets = (views.centres.double() - mean[:, 3]) @ mean[:, :3]
    radii = offsets.abs().quantile(0.9, dim=0)
    focus = 1 / (0.25 / (0.9 * near) + 0.75 / (5 * far))
    target = mean[:, 3] - focus * mean[:, 2]
    for i in range(frames):
        angle = 2 * math.pi * 2 * i / frames
        local = torch.tensor([math.cos(angle), -math.sin(angle), -math.sin(angle * 0.5)]).double() * radii
        centre = mean[:, :3] @ local + mean[:, 3]
        torch.testing.assert_close(path.centres[i].double(), centre, rtol=0, atol=1e-5)
        towards = (target - centre) / (target - centre).norm()
        torch.testing.assert_close(path.forward[i].double(), towards, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (-1.0, 3.0)])
def test_spiral_refuses_depths(near: float, far: float) -> None:
    with pytest.raises(CameraError, match="0 < near <= far"):
        spiral(wall(), 5, near, far)


def test_spiral_of_an_infinite_scene() -> None:
    spiral(wall(), 5, 1.0, math.inf).validated()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100.0))
def test_arrangement_moves_with_the_world(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    turn, shift = random_rotations(1, generator)[0], torch.randn(3, generator=generator)
    views = ring(9, azimuth=300, target=1.0)
    poses = views.camera_to_world
    moved = torch.cat([turn @ poses[:, :, :3], (scale * (turn @ poses[:, :, 3:]) + shift[:, None])], dim=-1)
    there = replace(views, camera_to_world=moved)
    focus = scale * (turn @ torch.ones(3)) + shift
    torch.testing.assert_close(focus_point(there), focus, rtol=1e-3, atol=1e-3 * (1 + scale))
    torch.testing.assert_close(up_direction(there), turn @ up_direction(views), rtol=1e-3, atol=1e-3)
    here = average_pose(views)
    expected = torch.cat([turn @ here[:, :3], (scale * (turn @ here[:, 3:]) + shift[:, None])], dim=-1)
    torch.testing.assert_close(average_pose(there), expected, rtol=1e-3, atol=1e-3 * (1 + scale))


def test_one_camera() -> None:
    view = scattered(1, 0)
    for path in (
        interpolate(view, 4),
        straight(view, 4),
        straight(view, 4, loop=True),
        spiral(view, 4, 1.0, 5.0),
    ):
        torch.testing.assert_close(path.camera_to_world, view.camera_to_world.expand(4, 3, 4))
    # A single optical axis has no point that stands out.
    for kind in (orbit, ellipse):
        with pytest.raises(CameraError, match="nothing to go around"):
            kind(view, 4)


def test_up_is_where_tilted_cameras_agree() -> None:
    for azimuth in (90.0, 180.0, 360.0):
        views = ring(16, azimuth=azimuth, elevation=60)
        assert float(up_direction(views)[2]) > math.cos(math.radians(5))
    sideways = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rolled = torch.cat([views.rotations @ sideways, views.camera_to_world[:, :, 3:]], dim=-1)
    assert abs(float(up_direction(replace(views, camera_to_world=rolled))[2])) > math.cos(math.radians(5))


def test_focus_of_parallel_axes_is_near_the_cameras() -> None:
    views = wall()
    parallel = replace(
        views,
        camera_to_world=torch.cat([torch.eye(3).expand(20, 3, 3), views.camera_to_world[:, :, 3:]], dim=-1),
    )
    assert float((focus_point(parallel) - views.centres.mean(dim=0)).norm()) < 1.0


@pytest.mark.parametrize("case", ["recenter", "raw"])
def test_spiral_against_recorded_poses(shared: Path, case: str) -> None:
    """What the authors' program made of a capture, moved to its mean camera or not; OpenGL axes."""
    with np.load(shared / "fixtures" / "r2l" / "a" / "llff_expected.npz") as stored:
        poses = torch.from_numpy(stored[f"{case}_poses"][:, :, :4])
        expected = torch.from_numpy(stored[f"{case}_render_poses"][:, :, :4])
        bounds = stored[f"{case}_bds"]
    cameras = Cameras.pinhole(from_opengl(poses), INTRINSICS, 80, 60)
    # The program takes the world's axes and origin for those of the mean camera.
    radii = torch.quantile(cameras.centres.abs(), 0.9, dim=0)
    options = {} if case == "recenter" else {"radii": radii}
    path = spiral(cameras, len(expected), float(bounds.min()), float(bounds.max()), **options)
    torch.testing.assert_close(to_opengl(path.camera_to_world), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["fox", "fern", "templering", "redkitchen_a", "snowmiku"])
def test_paths_of_real_captures_stay_near_them(shared: Path, name: str) -> None:
    views, _ = read_cameras(shared / "data" / name / "transforms.json")
    reach = (views.centres - views.centres.mean(dim=0)).norm(dim=-1).max()
    for path in (interpolate(views, 90), interpolate(views, 90, loop=True), ellipse(views, 90)):
        path.validated()
        away = torch.cdist(path.centres, views.centres).amin(dim=1).max()
        steps = path.centres.diff(dim=0).norm(dim=-1)
        assert float(away) < 0.95 * float(reach)
        assert float(steps.max()) < 0.35 * float(reach)
