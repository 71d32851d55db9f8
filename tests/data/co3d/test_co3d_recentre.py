"""Every sequence ends upright, about the origin, with a box of side 2, however its world was turned."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from co3d_toy import HALF, MIDDLE, Toy, turned

from novelview.cameras.cameras import Cameras
from novelview.data.co3d.recentre import Recentring, recentring
from novelview.errors import DataError
from novelview.geometry.rigid import look_at

FLIP = np.diag([1.0, -1.0, -1.0])


def cameras_of(toy: Toy) -> Cameras:
    poses = []
    for i in range(toy.frames):
        rotation = toy.turn @ toy.axes(i).T
        poses.append(np.concatenate([rotation, toy.world(toy.centres()[i : i + 1]).T], axis=1))
    intrinsics = torch.tensor([90.0, 90.0, 48.0, 32.0], dtype=torch.float64)
    return Cameras.pinhole(torch.from_numpy(np.stack(poses)), intrinsics, 96, 64)


def centred(toy: Toy, outliers: float = 0.0) -> Recentring:
    return recentring(cameras_of(toy), torch.from_numpy(toy.cloud()), outliers)


@pytest.mark.parametrize("turn", [np.eye(3), FLIP, *map(turned, range(12))])
def test_any_world_comes_out_the_same(turn: np.ndarray) -> None:
    toy = Toy(turn=turn, scale=7.0, shift=np.array([40.0, -3.0, 11.0]))
    found = centred(toy)
    assert found.level
    assert float(torch.linalg.det(found.motion.rotation)) == pytest.approx(1)
    # In the upright frame, the first camera is at x > 0 and cameras spread most along x: only the world's turn is undone.
    upright = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    expected = (upright - torch.from_numpy(MIDDLE)) / HALF.max()
    there = found.motion.points(torch.from_numpy(toy.world(upright.numpy())))
    torch.testing.assert_close(there, expected, rtol=0, atol=1e-6)
    half = torch.from_numpy(HALF / HALF.max())
    torch.testing.assert_close(found.box, torch.stack([-half, half]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("turn", [np.eye(3), FLIP, turned(3)])
def test_cameras_stand_above_and_hold_their_heads_up(turn: np.ndarray) -> None:
    toy = Toy(turn=turn)
    moved = cameras_of(toy).moved(centred(toy).motion)
    assert bool((moved.centres[:, 2] > 1).all())
    assert bool((moved.rotations[:, 2, 1] < -0.8).all())


@pytest.mark.parametrize("turn", [np.eye(3), FLIP, turned(5)])
def test_cameras_in_an_upright_arc_tell_what_is_up(turn: np.ndarray) -> None:
    angles = torch.linspace(-0.6, 0.9, 9, dtype=torch.float64)
    centres = torch.stack([3 * angles.cos(), torch.zeros(9), 3 * angles.sin()], dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(9, 3)
    poses = torch.from_numpy(turn) @ look_at(centres, torch.zeros_like(centres), up)
    cameras = Cameras.pinhole(poses, torch.tensor([90.0, 90.0, 48.0, 32.0], dtype=torch.float64), 96, 64)
    found = recentring(cameras, torch.from_numpy(turn @ np.eye(3)))
    assert not found.level
    moved = cameras.moved(found.motion)
    assert bool((moved.rotations[:, 2, 1] < 0).all())
    heights = moved.centres[:, 2]
    assert bool((heights.diff() > 0).all())


def test_cameras_on_an_upright_line_have_a_frame_as_well() -> None:
    centres = torch.zeros(5, 3, dtype=torch.float64)
    centres[:, 0], centres[:, 2] = 3.0, torch.arange(5)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(5, 3)
    poses = look_at(centres, centres - torch.tensor([1.0, 0, 0], dtype=torch.float64), up)
    cameras = Cameras.pinhole(poses, torch.tensor([90.0, 90.0, 48.0, 32.0], dtype=torch.float64), 96, 64)
    rotation = recentring(cameras, torch.eye(3, dtype=torch.float64)).motion.rotation
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert float(rotation[2, 2]) == pytest.approx(1)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1)


def test_outliers_may_lie_outside() -> None:
    toy = Toy(turn=turned(2))
    far = toy.world(MIDDLE + np.array([[30.0, 0, 0], [-30.0, 20, 5]]))
    cloud = torch.from_numpy(np.concatenate([toy.cloud(), far, np.full((3, 3), math.nan)]))
    cameras = cameras_of(toy)
    assert recentring(cameras, cloud).motion.scale == pytest.approx(2 / 60)
    assert recentring(cameras, cloud, 0.01).motion.scale == pytest.approx(1 / HALF.max(), rel=0.03)


@pytest.mark.parametrize(
    "points", [torch.zeros(0, 3), torch.ones(9, 3), torch.full((9, 3), math.nan), torch.zeros(1, 3)]
)
def test_points_without_extent(points: torch.Tensor) -> None:
    with pytest.raises(DataError, match="no extent"):
        recentring(cameras_of(Toy()), points)
