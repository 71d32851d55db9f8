"""Real captures: every one is read, and says the same as the other descriptions of the same scene."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.data.formats import read_capture
from novelview.errors import DataError

SCENES = {
    "bananas_re10k_pair": ("transforms", 2),
    "chair_synthetic": ("blender", 135),
    "co3d_apple": ("transforms", 20),
    "dtu_scan24": ("transforms", 49),
    "fern": ("transforms", 20),
    "fountain_p11": ("transforms", 11),
    "fox": ("transforms", 50),
    "maryrose": ("transforms", 69),
    "redkitchen_a": ("transforms", 41),
    "snowmiku": ("transforms", 48),
    "templering": ("transforms", 47),
}


@pytest.mark.parametrize("scene", SCENES)
def test_every_posed_scene_is_read(shared: Path, scene: str) -> None:
    format, count = SCENES[scene]
    capture = read_capture(shared / "data" / scene)
    assert (capture.format, len(capture.cameras)) == (format, count)
    rotations = capture.cameras.rotations
    torch.testing.assert_close(
        rotations.transpose(1, 2) @ rotations, torch.eye(3).expand(count, 3, 3), atol=1e-5, rtol=0
    )
    assert all(files.image.is_file() for files in capture.files)
    has_masks = scene in ("dtu_scan24", "maryrose", "templering")
    assert all((files.mask is not None) == has_masks for files in capture.files)


@pytest.mark.parametrize(
    ("scene", "other", "lens"),
    [
        ("fern", "llff", False),
        ("maryrose", "llff", True),
        ("snowmiku", "colmap", True),
        ("dtu_scan24", "idr", True),
    ],
)
def test_two_formats_of_one_scene_agree(shared: Path, scene: str, other: str, lens: bool) -> None:
    first, second = (read_capture(shared / "data" / scene, format=f) for f in ("transforms", other))
    assert first.names == second.names
    torch.testing.assert_close(
        first.cameras.camera_to_world, second.cameras.camera_to_world, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(first.cameras.intrinsics, second.cameras.intrinsics, atol=2e-3, rtol=0)
    assert torch.equal(first.cameras.sizes, second.cameras.sizes)
    # LLFF has no lens: fern's first radial coefficient is lost there.
    difference = (first.cameras.distortion - second.cameras.distortion).abs().max()
    assert (float(difference) < 1e-6) is lens
    if first.near_far is not None and second.near_far is not None:
        torch.testing.assert_close(first.near_far, second.near_far, atol=1e-3, rtol=0)


def strecha(folder: Path) -> np.ndarray:
    """World-to-camera out of .camera files: rotation camera-to-world in lines 5 to 7, centre in line 8."""
    motions = []
    for file in sorted(folder.glob("gt_dense*/*.camera")):
        rows = [list(map(float, line.split())) for line in file.read_text().splitlines()]
        rotation, centre = np.array(rows[4:7]), np.array(rows[7])
        motions.append(np.concatenate([rotation.T, -rotation.T @ centre[:, None]], axis=1))
    return np.array(motions)


def middlebury(folder: Path) -> np.ndarray:
    """World-to-camera out of name, K, R, t per line."""
    (file,) = folder.glob("*par*")
    rows = np.array([list(map(float, line.split()[1:])) for line in file.read_text().splitlines()[1:]])
    return np.concatenate([rows[:, 9:18].reshape(-1, 3, 3), rows[:, 18:, None]], axis=2)


def real_estate(folder: Path) -> np.ndarray:
    """World-to-camera in the last twelve numbers of each line."""
    rows = [line.split() for line in (folder / "redkitchen_a.txt").read_text().splitlines()[1:]]
    return np.array([list(map(float, row[7:])) for row in rows]).reshape(-1, 3, 4)


def lines_of_twelve(folder: Path) -> np.ndarray:
    return np.loadtxt(folder / "poses_w2c_3x4.txt").reshape(-1, 3, 4)


def pytorch3d(folder: Path) -> np.ndarray:
    """PyTorch3D's x R + T, axes left, up, forward."""
    cameras = np.load(folder / "gt_cameras.npz")
    motion = np.concatenate([cameras["gtR"].transpose(0, 2, 1), cameras["gtT"][..., None]], axis=2)
    return motion * np.array([-1.0, -1.0, 1.0])[:, None]


@pytest.mark.parametrize(
    ("scene", "world_to_camera", "tolerance"),
    [
        ("fountain_p11", strecha, 2e-5),
        ("templering", middlebury, 1e-5),
        ("redkitchen_a", real_estate, 1e-5),
        ("bananas_re10k_pair", lines_of_twelve, 1e-5),
        ("co3d_apple", pytorch3d, 1e-4),
    ],
)
def test_poses_are_those_of_the_original_files(
    shared: Path, scene: str, world_to_camera: Callable[[Path], np.ndarray], tolerance: float
) -> None:
    """World to camera and back is no motion at all."""
    poses = read_capture(shared / "data" / scene).cameras.camera_to_world.double().numpy()
    original = world_to_camera(shared / "data" / scene)
    assert len(poses) == len(original)
    identity = original[:, :, :3] @ poses
    identity[:, :, 3] += original[:, :, 3]
    np.testing.assert_allclose(identity, np.eye(3, 4)[None].repeat(len(poses), 0), atol=tolerance)


def test_dtu_projects_as_its_matrices_do(shared: Path) -> None:
    matrices = np.load(shared / "data/dtu_scan24/cameras.npz")
    cameras = read_capture(shared / "data/dtu_scan24").cameras
    scale = matrices["scale_mat_0"]
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3)) @ scale[:3, :3].T + scale[:3, 3]
    pixels, _ = cameras.project(torch.from_numpy(points).float())
    for i in range(len(cameras)):
        homogeneous = np.c_[points, np.ones(20)] @ matrices[f"world_mat_{i}"][:3].T
        np.testing.assert_allclose(pixels[i].numpy(), homogeneous[:, :2] / homogeneous[:, 2:], atol=0.02)


def test_original_fox_lists_images_that_are_not_there(shared: Path) -> None:
    file = shared / "data/fox/transforms_original_1080x1920_67frames.json"
    original, cleaned = read_capture(file), read_capture(shared / "data/fox")
    assert any("17 of 67 listed images are missing" in note for note in original.notes)
    assert original.names == cleaned.names
    torch.testing.assert_close(original.cameras.camera_to_world, cleaned.cameras.camera_to_world)
    torch.testing.assert_close(original.cameras.intrinsics / 2, cleaned.cameras.intrinsics, atol=1e-3, rtol=0)


def test_chair_is_split_as_its_files_are(shared: Path) -> None:
    capture = read_capture(shared / "data/chair_synthetic")
    assert capture.partition is not None
    assert {part: len(views) for part, views in capture.partition.items()} == {
        "train": 100,
        "val": 10,
        "test": 25,
    }
    assert capture.cameras.intrinsics[0, 0].item() == pytest.approx(200 / math.tan(0.6911112070083618 / 2))


def test_photographs_without_poses_are_told_so(shared: Path) -> None:
    with pytest.raises(DataError, match="poses of 11 photographs are missing"):
        read_capture(shared / "data/sceaux_unposed")
