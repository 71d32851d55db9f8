"""Projection matrices in cameras.npz."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.data.formats import read_capture
from novelview.data.formats.npz import read_arrays
from novelview.data.formats.projections import decompose
from novelview.errors import DataError
from novelview.geometry.rigid import nearest_rotation, random_rotations

Make = Callable[..., Path]


def test_cameras_are_those_of_the_projections(idr: Make, opencv_poses: np.ndarray) -> None:
    capture = read_capture(idr())
    assert capture.format == "idr"
    np.testing.assert_allclose(capture.cameras.camera_to_world.numpy(), opencv_poses, atol=1e-6)
    assert capture.cameras.intrinsics[0].tolist() == pytest.approx([10.0, 11.0, 4.25, 2.5])
    assert capture.box is not None
    assert capture.box.tolist() == [[-1.0, 0.0, 1.0], [3.0, 4.0, 5.0]]


def test_masks_of_other_names_belong_in_order(idr: Make) -> None:
    files = read_capture(idr()).files
    assert [each.mask.name for each in files if each.mask] == ["00.png", "01.png", "02.png", "03.png"]
    assert read_capture(idr()).files[0].image.name == "0.png"


def test_images_may_be_called_rgb_and_masks_be_absent(idr: Make) -> None:
    root = idr()
    (root / "image").rename(root / "rgb")
    (root / "mask").rename(root / "other")
    assert [each.mask for each in read_capture(root).files] == [None] * 4


def test_neus_names_its_cameras_otherwise(idr: Make) -> None:
    root = idr()
    (root / "cameras.npz").rename(root / "cameras_sphere.npz")
    assert read_capture(root).format == "idr"


def test_without_a_scale_there_is_no_box(idr: Make) -> None:
    assert read_capture(idr(lambda arrays: [arrays.pop(f"scale_mat_{i}") for i in range(4)])).box is None


def test_random_projections_are_taken_apart(generator: torch.Generator) -> None:
    rotations = nearest_rotation(random_rotations(50, generator).double()).numpy()
    rng = np.random.default_rng(0)
    for rotation in rotations:
        focal, centre, position = (
            rng.uniform(100, 3000, 2),
            rng.uniform(-200, 900, 2),
            rng.normal(size=3) * 500,
        )
        upper = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
        motion = np.concatenate([rotation.T, -rotation.T @ position[:, None]], axis=1)
        found, pose = decompose(rng.uniform(0.01, 100) * upper @ motion, "P", Path())
        np.testing.assert_allclose(found, upper, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(pose, np.c_[rotation, position], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.update(world_mat_1=np.diag([1.0, -1, 1, 1]) @ a["world_mat_1"]), "determinant"),
        (lambda a: a.update(world_mat_1=np.zeros((3, 4))), "determinant"),
        (lambda a: a.update(world_mat_1=a["world_mat_1"] * [[1], [1], [1], [2]]), "its last row 0 0 0 1"),
        (lambda a: a.update(world_mat_1=np.array([[1, 0.1, 0, 0], *np.eye(4)[1:]])), "skewed"),
        (lambda a: a.update(world_mat_1=np.full((4, 4), np.nan)), "world_mat_1 is no camera matrix"),
        (lambda a: a.update(world_mat_1=np.eye(3)), r"shape is \(3, 3\)"),
        (lambda a: a.update(world_mat_1=np.array(["x"])), "instead of numbers"),
        (lambda a: a.update(world_mat_1=np.array([{"a": 1}], dtype=object)), "Cannot read the arrays"),
        (lambda a: a.pop("world_mat_2"), "missing: world_mat_2"),
        (lambda a: a.update(world_mat_4=np.eye(4)), "more cameras than images"),
        (lambda a: a.pop("scale_mat_3"), "missing: scale_mat_3"),
        (lambda a: a.update(scale_mat_1=np.eye(4)), "do not share one world frame"),
        (lambda a: a.update({f"scale_mat_{i}": np.zeros((3, 4)) for i in range(4)}), "region of interest"),
    ],
)
def test_what_makes_no_sense_is_said(idr: Make, change: Callable, says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        read_capture(idr(change))
    assert error.value.cure


def test_objects_are_never_unpickled(idr: Make) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (pytest.fail, ("a pickle was run",))

    with pytest.raises(DataError, match="allow_pickle"):
        read_capture(idr(lambda a: a.update(world_mat_0=np.array([Trap()], dtype=object))))


def test_a_damaged_file_is_said(idr: Make) -> None:
    root = idr()
    (root / "cameras.npz").write_bytes((root / "cameras.npz").read_bytes()[:500])
    with pytest.raises(DataError, match="Cannot read the arrays"):
        read_capture(root)


def test_an_array_that_is_absurdly_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", world_mat_0=np.zeros((64, 64)))
    monkeypatch.setattr("novelview.data.formats.npz._LARGEST", 4096)
    with pytest.raises(DataError, match="has 32896 bytes"):
        read_arrays(tmp_path / "a.npz", "world_mat_0")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        header = (
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + b"\n"
        )
        archive.writestr("world_mat_0.npy", b"\x93NUMPY\x01\x00v\x00" + header)
    with pytest.raises(DataError, match="Cannot read the arrays"):
        read_arrays(tmp_path / "b.npz", "world_mat_0")


def test_images_and_masks_must_be_as_many(idr: Make) -> None:
    root = idr()
    (root / "mask" / "03.png").unlink()
    with pytest.raises(DataError, match="4 images and 3 files in 'mask'"):
        read_capture(root)
    (root / "image").rename(root / "elsewhere")
    with pytest.raises(DataError, match="photographs of these cameras are missing"):
        read_capture(root)


def test_dtu_has_the_cameras_of_its_other_description(shared: Path) -> None:
    first, second = (read_capture(shared / "data/dtu_scan24", format=f) for f in ("transforms", "idr"))
    torch.testing.assert_close(first.cameras.intrinsics, second.cameras.intrinsics, rtol=1e-5, atol=0)
    torch.testing.assert_close(first.cameras.centres, second.cameras.centres, rtol=0, atol=1e-3)
    assert [each.mask for each in first.files] == [each.mask for each in second.files]
    assert second.box is not None
    assert second.box.mean(dim=0).tolist() == pytest.approx([-28.461, -13.186, 641.489], abs=1e-3)
