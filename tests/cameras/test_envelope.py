"""Poses drawn from what the cameras of a capture span."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from novelview.cameras import Cameras
from novelview.cameras.arrangement import focus_point
from novelview.cameras.conventions import from_opengl, to_opengl
from novelview.cameras.envelope import Box, Envelope, Hemisphere, Hull, on_sphere
from novelview.cameras.paths import orbit
from novelview.cameras.shell import Shell
from novelview.errors import CameraError
from novelview.geometry.rigid import Similarity, look_at, random_rotations, so3_exp

INTRINSICS = torch.tensor([50.0, 50.0, 40.0, 30.0])
FORMS = (Hemisphere, Box, Hull, Shell)


def posed(poses: Tensor) -> Cameras:
    return Cameras.pinhole(poses.float(), INTRINSICS, 80, 60)


def around(azimuth: Tensor, elevation: Tensor, radius: Tensor) -> Cameras:
    """Cameras that look at the origin; degrees."""
    return posed(on_sphere(azimuth.double().deg2rad(), elevation.double().deg2rad(), radius.double()))


def ring(azimuth: Tensor, elevation: float = 20.0) -> Cameras:
    return around(azimuth, torch.full_like(azimuth, elevation), torch.full_like(azimuth, 2.0))


def wall(count: int = 20) -> Cameras:
    """Cameras in a plane that look along y, nearly."""
    numbers = torch.Generator().manual_seed(1)
    places = torch.rand(count, 3, generator=numbers) * torch.tensor([2.0, 0.1, 1.0])
    ahead = torch.tensor([0.0, 5.0, 0.0]) + torch.randn(count, 3, generator=numbers) * 0.2
    return posed(look_at(places, places + ahead, torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)))


def angles(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Azimuth and elevation of the centres around the origin, degrees."""
    x, y, z = cameras.centres.double().unbind(-1)
    return torch.atan2(y, x).rad2deg(), torch.atan2(z, torch.hypot(x, y)).rad2deg()


def drawn(envelope: Envelope, count: int = 500) -> Cameras:
    return envelope.cameras(count, torch.Generator().manual_seed(0))


def opengl(envelope: Envelope, draws: np.ndarray) -> Tensor:
    return to_opengl(envelope.draw(torch.from_numpy(draws)))


def recorded(stored: np.ndarray) -> Tensor:
    return torch.from_numpy(stored[:, :3, :4]).double()


def test_published_hemisphere(shared: Path) -> None:
    """Poses that the authors' program made of recorded uniform numbers, and those of its videos; OpenGL axes."""
    with np.load(shared / "fixtures/r2l/a/functions.npz") as stored:
        poses = opengl(Hemisphere(ring(torch.zeros(1))), stored["randpose_draws"])
        torch.testing.assert_close(poses, recorded(stored["randpose"]), rtol=0, atol=1e-6)
        turns = torch.linspace(-180, 180, 6, dtype=torch.float64)[:-1]
        grid = torch.cartesian_prod(
            torch.tensor([10 / 3, 14 / 3]).double(), torch.tensor([60.0, 30.0]).double(), turns
        )
        sixth = torch.linspace(-180, 180, 7, dtype=torch.float64)[:-1]
        circle = torch.stack([torch.full_like(sixth, 4), torch.full_like(sixth, 30), sixth], dim=-1)
        given = torch.from_numpy(stored["sph_args"]) * torch.tensor([1.0, -1.0, 1.0])
        for args, name in ((grid, "novel_5_2_2"), (circle, "novel_6"), (given.flip(-1), "sph_pose")):
            radius, elevation, azimuth = args.unbind(-1)
            made = on_sphere((90 - azimuth).deg2rad(), elevation.deg2rad(), radius)
            torch.testing.assert_close(to_opengl(made), recorded(stored[name]), rtol=0, atol=1e-6)


def test_published_box(shared: Path) -> None:
    with np.load(shared / "fixtures/r2l/a/llff_expected.npz") as stored:
        real = posed(from_opengl(recorded(stored["recenter_poses"])))
        poses = opengl(Box(real), stored["randpose_draws"])
        torch.testing.assert_close(poses, recorded(stored["randpose"]), rtol=0, atol=1e-6)


def test_published_circle_around_an_object_is_an_orbit(shared: Path) -> None:
    """The last of its 120 frames is the first one again."""
    with np.load(shared / "fixtures/r2l/a/llff_expected.npz") as stored:
        height = float(stored["spherify_poses"][:, 2, 3].mean())
        circle = recorded(stored["spherify_render_poses"])
    path = orbit(
        posed(from_opengl(circle[:1])),
        119,
        target=torch.zeros(3),
        up=torch.tensor([0.0, 0.0, 1.0]),
        radius=1.0,
        elevation=math.degrees(math.asin(height)),
    )
    made = to_opengl(path.camera_to_world[[*range(119), 0]].double())
    torch.testing.assert_close(made, circle, rtol=0, atol=1e-6)


def one() -> Cameras:
    return wall(1)


def two_opposite() -> Cameras:
    return ring(torch.tensor([0.0, 180.0]))


def twins() -> Cameras:
    return wall(1)[[0] * 5]


def one_place() -> Cameras:
    turns = random_rotations(12, torch.Generator().manual_seed(3))
    return posed(torch.cat([turns, torch.ones(12, 3, 1)], dim=-1))


def line() -> Cameras:
    places = torch.linspace(0, 4, 9)[:, None] * torch.tensor([1.0, 2.0, 0.5])
    return posed(torch.cat([torch.eye(3).expand(9, 3, 3), places[..., None]], dim=-1))


def plane() -> Cameras:
    return ring(torch.arange(0.0, 360.0, 30.0), 0.0)


def upside_down() -> Cameras:
    real = ring(torch.arange(0.0, 360.0, 40.0))
    half_turn = so3_exp(torch.tensor([0.0, 0.0, math.pi]))
    poses = torch.cat([real.rotations @ half_turn, real.centres[..., None]], dim=-1)
    return replace(real, camera_to_world=poses)


def poles() -> Cameras:
    return around(torch.tensor([0.0, 10.0]), torch.tensor([90.0, -90.0]), torch.ones(2))


RIGS = (one, two_opposite, twins, one_place, line, plane, upside_down, poles)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rig", RIGS)
def test_every_form_gives_possible_cameras_of_every_rig(
    form: type[Envelope], rig: Callable[[], Cameras]
) -> None:
    envelope = form(rig())
    corners = torch.tensor([[0.0], [1.0]]).expand(2, envelope.numbers)
    poses = torch.cat([envelope.draw(corners), drawn(envelope, 50).camera_to_world.double()])
    assert bool(poses.isfinite().all())
    posed(poses).validated()
    turns = poses[:, :, :3]
    torch.testing.assert_close(turns.mT @ turns, torch.eye(3).double().expand_as(turns), rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_pose_depends_on_its_own_numbers_alone(form: type[Envelope]) -> None:
    envelope = form(wall())
    numbers = torch.rand(9, envelope.numbers, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = envelope.draw(numbers)
    torch.testing.assert_close(
        torch.cat([envelope.draw(row[None]) for row in numbers]), whole, rtol=0, atol=1e-12
    )
    assert len(whole.flatten(1).unique(dim=0)) == 9


def test_cameras_have_the_size_and_the_lenses_of_real_ones(generator: torch.Generator) -> None:
    focal = torch.tensor([[40.0, 40.0, 11.0, 12.0], [60.0, 60.0, 13.0, 14.0]])
    real = replace(wall(2), intrinsics=focal)
    large = real.resized(160, 120)
    cameras = Shell(Cameras.concatenate([real, real, large])).cameras(400, generator)
    assert cameras.common_size == (80, 60)
    assert bool((cameras.intrinsics[:, 2:] == torch.tensor([40.0, 30.0])).all())
    assert bool((cameras.intrinsics[:, 0] == cameras.intrinsics[:, 1]).all())
    low, high = cameras.intrinsics[:, 0].aminmax()
    assert 40 <= float(low) < 42
    assert 115 < float(high) < 120
    fixed = Box(real).cameras(100, generator)
    assert set(fixed.intrinsics[:, 0].tolist()) == {40.0, 60.0}
    twice = Box(real).cameras(100, generator, zoom=(2.0, 2.0))
    assert set(twice.intrinsics[:, 0].tolist()) == {80.0, 120.0}


def test_one_seed_gives_one_drawing() -> None:
    first, second = drawn(Hull(wall())), drawn(Hull(wall()))
    assert torch.equal(first.camera_to_world, second.camera_to_world)
    assert torch.equal(first.intrinsics, second.intrinsics)


@pytest.mark.parametrize(
    ("count", "zoom"), [(0, None), (3, (0.0, 1.0)), (3, (2.0, 1.0)), (3, (1.0, math.inf))]
)
def test_impossible_drawings_are_refused(
    count: int, zoom: tuple[float, float] | None, generator: torch.Generator
) -> None:
    with pytest.raises(CameraError, match=f"Cannot draw {count} cameras"):
        Box(wall()).cameras(count, generator, zoom)
    with pytest.raises(CameraError, match="Without a camera"):
        Shell(wall()[[]])
    with pytest.raises(CameraError, match="radius 0"):
        Hemisphere(wall(), radius=0.0)


def test_box_moves_with_the_world(generator: torch.Generator) -> None:
    numbers = torch.rand(20, Box.numbers, generator=generator, dtype=torch.float64)
    motion = Similarity(1.0, random_rotations(1, generator)[0], torch.tensor([1.0, -2.0, 0.5]))
    there = Box(wall().moved(motion)).draw(numbers)
    torch.testing.assert_close(there, motion.poses(Box(wall()).draw(numbers)), rtol=0, atol=1e-5)


def test_box_reaches_a_little_beyond_the_cameras() -> None:
    real = wall()
    at = drawn(Box(real), 2000).centres
    span = real.centres.amax(dim=0) - real.centres.amin(dim=0)
    made = at.amax(dim=0) - at.amin(dim=0)
    assert bool((made[[0, 2]] > 1.05 * span[[0, 2]]).all())
    assert bool((made[[0, 2]] < 1.2 * span[[0, 2]]).all())


def test_shell_goes_all_around_a_turntable_at_its_height() -> None:
    azimuth, elevation = angles(drawn(Shell(ring(torch.arange(0.0, 360.0, 30.0)))))
    assert float(elevation.min()) > 17.9
    assert float(elevation.max()) < 22.1
    assert int(((azimuth + 180) / 30).long().bincount(minlength=12).min()) > 20


def test_shell_stays_on_the_arc_of_the_cameras() -> None:
    # Half a circle that crosses the cut of the angles at 180 degrees.
    azimuth, _ = angles(drawn(Shell(ring(torch.arange(100.0, 270.0, 10.0)))))
    azimuth = azimuth % 360
    assert float(azimuth.min()) == pytest.approx(98, abs=1)
    assert float(azimuth.max()) == pytest.approx(262, abs=1)


def test_shell_covers_a_hemisphere_evenly(generator: torch.Generator) -> None:
    turn, height = torch.rand(2, 200, generator=generator)
    real = around(360 * turn, height.asin().rad2deg(), torch.full((200,), 2.0))
    cameras = drawn(Shell(real), 4000)
    z = cameras.centres[:, 2] / 2
    torch.testing.assert_close(cameras.centres.norm(dim=-1), torch.full((4000,), 2.0), rtol=0.03, atol=0)
    # By Archimedes, equal heights of a sphere have equal areas.
    share = ((z.clamp(0, 0.999) * 5).long().bincount() / 4000).tolist()
    assert share == pytest.approx([0.2] * 5, abs=0.03)
    assert float(z.min()) > -0.1


def test_shell_closes_over_a_pole() -> None:
    turn = torch.arange(0.0, 360.0, 20.0)
    high = ring(turn, 85.0)
    _, elevation = angles(drawn(Shell(Cameras.concatenate([high, ring(turn, 70.0)]))))
    assert float(elevation.min()) > 67.9
    azimuth, _ = angles(drawn(Shell(high)))
    assert int(((azimuth + 180) / 90).long().bincount(minlength=4).min()) > 80


def test_shell_leaves_holes_open() -> None:
    """Cameras around three quarters of the circle below, and one quarter above, leave three quarters above empty."""
    low, high = ring(torch.arange(0.0, 270.0, 10.0), 10.0), ring(torch.arange(0.0, 90.0, 10.0), 60.0)
    real = Cameras.concatenate([low, high])
    cameras = drawn(Shell(real), 2000)
    cosine = torch.nn.functional.normalize(cameras.centres, dim=-1) @ (real.centres / 2).T
    assert float(cosine.amax(dim=1).min().acos().rad2deg()) < 15.1
    azimuth, elevation = angles(cameras)
    assert int(((azimuth < -130) & (elevation > 40)).sum()) == 0
    assert int(((azimuth > 20) & (azimuth < 70) & (elevation > 40)).sum()) > 50


def test_shell_is_as_thick_as_the_rig_is_there() -> None:
    near = ring(torch.arange(0.0, 180.0, 10.0))
    far = ring(torch.arange(180.0, 360.0, 10.0))
    far = replace(far, camera_to_world=far.camera_to_world * torch.tensor([1.0, 1.0, 1.0, 2.0]))
    cameras = drawn(Shell(Cameras.concatenate([near, far])))
    azimuth, _ = angles(cameras)
    radius = cameras.centres.norm(dim=-1)
    assert float(radius[(azimuth > 30) & (azimuth < 150)].max()) < 2.05
    assert float(radius[(azimuth < -30) & (azimuth > -150)].min()) > 3.9
    assert float(radius.min()) > 1.95
    assert float(radius.max()) < 4.1


def test_shell_looks_past_the_focus_as_real_cameras_do() -> None:
    real = ring(torch.arange(0.0, 360.0, 10.0))
    aside = so3_exp(
        torch.tensor([0.0, math.radians(8), 0.0]).expand(36, 3)
        * torch.tensor([1.0, -1.0]).repeat(18)[:, None]
    )
    real = replace(real, camera_to_world=torch.cat([real.rotations @ aside, real.centres[..., None]], dim=-1))
    cameras = drawn(Shell(real))
    towards = torch.nn.functional.normalize(focus_point(real) - cameras.centres, dim=-1)
    off = (cameras.forward * towards).sum(dim=-1).acos().rad2deg()
    torch.testing.assert_close(off, torch.full_like(off, 8.0), rtol=0, atol=0.5)


@pytest.mark.parametrize("roll", [0.0, 90.0, 180.0])
def test_shell_is_rolled_as_the_photographs_are(roll: float) -> None:
    """Photographs on their side or upside down are drawn so too, or the images would show other corners."""
    real = ring(torch.arange(0.0, 360.0, 30.0))
    turn = so3_exp(torch.tensor([0.0, 0.0, math.radians(roll)]))
    real = replace(real, camera_to_world=torch.cat([real.rotations @ turn, real.centres[..., None]], dim=-1))
    cameras = drawn(Shell(real))
    level = on_sphere(*(angle.deg2rad() for angle in angles(cameras)), torch.ones(500).double())[:, :, :3]
    torch.testing.assert_close(level.float() @ turn, cameras.rotations, rtol=0, atol=1e-3)


def rooms() -> Cameras:
    """Two walks on both sides of a wall at x = 0, looking away from it."""
    y = torch.linspace(0, 3, 12)
    places = torch.stack([torch.ones(12), y, 0.1 * torch.sin(5 * y)], dim=-1)
    places = torch.cat([places, places * torch.tensor([-1.0, 1.0, 1.0])])
    ahead = torch.tensor([1.0, 0.3, 0.0]).repeat(24, 1) * places[:, :1].sign()
    return posed(look_at(places, places + ahead, torch.tensor([0.0, 0.0, 1.0]).expand(24, 3)))


def test_hull_never_crosses_a_wall() -> None:
    real = rooms()
    cameras = drawn(Hull(real), 1000)
    x, y, z = cameras.centres.unbind(-1)
    torch.testing.assert_close(x.abs(), torch.ones(1000), rtol=0, atol=1e-5)
    assert float(y.min()) >= 0
    assert float(y.max()) <= 3
    assert float(z.abs().max()) <= 0.1
    # They look away from the wall, as the real ones on their side.
    assert float((cameras.forward[:, 0] * x).min()) > 0.85


def test_hull_reaches_as_far_aside_as_it_may() -> None:
    real = wall()
    inside, beside = (drawn(Hull(real, aside), 1000) for aside in (0.0, 0.2))
    moved = beside.centres - inside.centres
    assert float(moved.abs().max()) <= 0.2 + 1e-6
    assert float(moved.abs().amax(dim=0).min()) > 0.19
    torch.testing.assert_close(beside.rotations, inside.rotations)


def test_hull_fills_the_way_between_cameras() -> None:
    real = rooms()
    gaps = torch.cdist(real.centres, drawn(Hull(real), 2000).centres).amin(dim=1)
    between = (real.centres[:11] + real.centres[1:12]) / 2
    assert float(torch.cdist(between, drawn(Hull(real), 2000).centres).amin(dim=1).max()) < 0.1
    assert float(gaps.max()) < 0.15


def test_hull_of_cameras_that_look_apart_does_not_mix_them() -> None:
    real = two_opposite()
    cameras = drawn(Hull(real), 100)
    assert float(torch.cdist(cameras.centres, real.centres).amin(dim=1).max()) < 1e-5
    assert float((cameras.forward @ real.forward.T).amax(dim=1).min()) > 0.99


def test_hull_of_a_film_is_wider_than_its_way_from_frame_to_frame() -> None:
    shares = torch.linspace(0, 1, 1000)
    places = torch.stack([4 * shares, torch.sin(20 * shares), torch.zeros(1000)], dim=-1)
    real = posed(torch.cat([torch.eye(3).expand(1000, 3, 3), places[..., None]], dim=-1))
    away = torch.cdist(drawn(Hull(real), 300).centres, real.centres).amin(dim=1)
    assert float(away.max()) > 2 * float(places.diff(dim=0).norm(dim=-1).max())
