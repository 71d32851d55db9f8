"""Other programs' conventions: there and back, against their definitions, and against real captures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import (
    focal_from_fov,
    fov_from_focal,
    from_colmap,
    from_llff,
    from_opengl,
    from_pytorch3d,
    to_colmap,
    to_llff,
    to_opengl,
    to_pytorch3d,
)
from novelview.errors import CameraError
from novelview.geometry.rigid import random_rotations

SEEDS = st.integers(0, 2**31)


def random_cameras(seed: int, width: int = 60, height: int = 80) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    poses = torch.cat([random_rotations(5, generator), torch.randn(5, 3, 1, generator=generator)], dim=-1)
    intrinsics = torch.tensor([90.0, 85.0, 28.0, 43.0]) + torch.rand(5, 4, generator=generator)
    return Cameras.pinhole(poses, intrinsics, width, height)


def transforms(folder: Path) -> tuple[dict, torch.Tensor]:
    """A capture's transforms.json, and its OpenGL poses in the order of the file names."""
    values = json.loads((folder / "transforms.json").read_text())
    frames = sorted(values["frames"], key=lambda frame: frame["file_path"])
    poses = torch.tensor([frame["transform_matrix"] for frame in frames], dtype=torch.float64)[:, :3]
    return {**values, "frames": frames}, poses


def close(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=atol)


@settings(deadline=None)
@given(SEEDS)
def test_there_and_back(seed: int) -> None:
    cameras = random_cameras(seed)
    poses = cameras.camera_to_world
    close(from_opengl(to_opengl(poses)), poses)
    close(from_colmap(*to_colmap(poses)), poses)
    again = from_pytorch3d(*to_pytorch3d(cameras), 60, 80)
    close(again.camera_to_world, poses)
    close(again.intrinsics, cameras.intrinsics, atol=1e-4)
    simple = Cameras.pinhole(poses, torch.tensor([85.0, 85.0, 30.0, 40.0]), 60, 80)
    again = from_llff(to_llff(simple))
    close(again.camera_to_world, poses)
    close(again.intrinsics, simple.intrinsics)
    assert again.common_size == (60, 80)


def test_opengl_axes() -> None:
    """A Blender camera at rest looks down: along -z, with y up in the image."""
    pose = from_opengl(torch.eye(3, 4)[None])[0]
    assert pose[:, 2].tolist() == [0.0, 0.0, -1.0]  # forward
    assert pose[:, 1].tolist() == [0.0, -1.0, 0.0]  # down
    assert pose[:, 0].tolist() == [1.0, 0.0, 0.0]


@settings(deadline=None)
@given(SEEDS)
def test_colmap_against_pycolmap(seed: int) -> None:
    cameras = random_cameras(seed)
    quaternion, translation = to_colmap(cameras.camera_to_world.double())
    for i in range(5):
        w, x, y, z = quaternion[i].tolist()
        motion = pycolmap.Rigid3d(pycolmap.Rotation3d(np.array([x, y, z, w])), translation[i].numpy())
        close(torch.from_numpy(motion.inverse().matrix()), cameras.camera_to_world[i])
    stretched = from_colmap(-2 * quaternion, translation)
    close(stretched, cameras.camera_to_world)


@settings(deadline=None)
@given(SEEDS, st.sampled_from([(60, 80), (80, 60), (64, 64)]))
def test_pytorch3d_projects_as_we_do(seed: int, size: tuple[int, int]) -> None:
    """PyTorch3D by its definition: x R + T, NDC in units of half the short side, +x left and +y up."""
    width, height = size
    cameras = random_cameras(seed, width, height)
    rotation, translation, focal, principal = to_pytorch3d(cameras)
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed))
    pixels, depth = cameras.project(points)
    for i in range(5):
        for k, point in enumerate(points):
            x, y, z = (point @ rotation[i] + translation[i]).tolist()
            assert abs(z - float(depth[i, k])) < 1e-4
            if z < 0.2:
                continue
            ndc_x = float(focal[i, 0]) * x / z + float(principal[i, 0])
            ndc_y = float(focal[i, 1]) * y / z + float(principal[i, 1])
            unit = min(width, height) / 2
            expected = torch.tensor([width / 2 - unit * ndc_x, height / 2 - unit * ndc_y])
            torch.testing.assert_close(pixels[i, k], expected, rtol=1e-3, atol=1e-2)


@given(st.floats(1.0, 1e5), st.integers(1, 10_000))
def test_fields_of_view(focal: float, side: int) -> None:
    assert math.isclose(focal_from_fov(fov_from_focal(focal, side), side), focal, rel_tol=1e-9)
    assert math.isclose(fov_from_focal(side / 2, side), math.pi / 2)


def test_llff_refuses_what_it_cannot_hold() -> None:
    cameras = random_cameras(0)
    with pytest.raises(CameraError, match="LLFF"):
        to_llff(cameras)
    simple = Cameras.pinhole(cameras.camera_to_world, torch.tensor([85.0, 85.0, 30.0, 40.0]), 60, 80)
    with pytest.raises(CameraError, match="LLFF"):
        to_llff(replace(simple, lens=torch.ones_like(simple.lens)))
    matrices = to_llff(simple)
    for place, value in (((2, 0, 4), 81.0), ((0, 1, 4), 0.5)):
        bad = matrices.clone()
        bad[place] = value
        with pytest.raises(CameraError, match="size"):
            from_llff(bad)
    with pytest.raises(CameraError, match="size"):
        from_llff(matrices[:0])


def test_pytorch3d_on_co3d(shared: Path) -> None:
    folder = shared / "data" / "co3d_apple"
    values, poses = transforms(folder)
    stored = {key: torch.from_numpy(value) for key, value in np.load(folder / "gt_cameras.npz").items()}
    principal = torch.zeros_like(stored["gtFL"])
    cameras = from_pytorch3d(
        stored["gtR"], stored["gtT"], stored["gtFL"], principal, values["w"], values["h"]
    )
    close(cameras.camera_to_world, from_opengl(poses), atol=1e-4)
    focal = torch.tensor([[frame["fl_x"], frame["fl_y"]] for frame in values["frames"]])
    close(cameras.intrinsics[:, :2], focal, atol=1e-2)


def test_llff_on_fern(shared: Path) -> None:
    folder = shared / "data" / "fern"
    values, poses = transforms(folder)
    rows = torch.from_numpy(np.load(folder / "poses_bounds.npy"))
    cameras = from_llff(rows[:, :15].reshape(-1, 3, 5)).resized(values["w"], values["h"])
    close(cameras.camera_to_world, from_opengl(poses))
    close(cameras.intrinsics[:, 0], torch.full((20,), values["fl_x"]), atol=1e-3)


def test_colmap_on_snowmiku(shared: Path) -> None:
    folder = shared / "data" / "snowmiku"
    values, poses = transforms(folder)
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    motions = {image.name: image.cam_from_world() for image in model.images.values()}
    ordered = [motions[Path(frame["file_path"]).name] for frame in values["frames"]]
    quaternion = torch.tensor(np.array([motion.rotation.quat[[3, 0, 1, 2]] for motion in ordered]))
    translation = torch.tensor(np.array([motion.translation for motion in ordered]))
    close(from_colmap(quaternion, translation), from_opengl(poses))
