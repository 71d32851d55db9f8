"""LLFF captures and the frame in which NeRF trains on them."""

from __future__ import annotations

import io
import pickle
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.data.formats import llff_normalise, most_central_view, read_capture
from novelview.data.open import open_scene
from novelview.errors import DataError


def test_focal_length_belongs_to_the_images_that_are_there(llff: Path) -> None:
    # The file says 16x12 and focal length 20, the images are half that size.
    capture = read_capture(llff)
    assert capture.cameras.sizes.tolist() == [[8, 6]] * 4
    assert capture.cameras.intrinsics[0].tolist() == [10, 10, 4, 3]
    assert capture.near_far is not None
    assert capture.near_far.tolist() == [[1 + i, 9] for i in range(4)]
    assert "Images are those of images, 8x6." in capture.notes


def test_the_largest_images_that_fit_are_taken(llff: Path, image: Callable[..., Path]) -> None:
    for i in range(4):
        image(llff / "images" / f"{i}.png", (16, 10))
        image(llff / "images_8" / f"{i}.png", (2, 2))
        image(llff / "images_4" / f"{i}.png", (4, 3))
    capture = read_capture(llff)
    assert capture.files[0].image == llff / "images_4/0.png"
    assert capture.cameras.intrinsics[0].tolist() == [5, 5, 2, 1.5]
    shutil.rmtree(llff / "images_4")
    shutil.rmtree(llff / "images_8")
    with pytest.raises(DataError, match="expected 16x12 or smaller by one factor; images has 16x10"):
        read_capture(llff)


def test_sizes_may_be_rounded(llff: Path, image: Callable[..., Path]) -> None:
    rows = np.load(llff / "poses_bounds.npy")
    rows[:, [4, 9]] = [1091, 1957]
    np.save(llff / "poses_bounds.npy", rows)
    for i in range(4):
        image(llff / "images" / f"{i}.png", (489, 273))
    fx, fy, *_ = read_capture(llff).cameras.intrinsics[0].tolist()
    assert (fx, fy) == pytest.approx((20 * 489 / 1957, 20 * 273 / 1091))


def test_count_of_images_must_match(llff: Path) -> None:
    (llff / "images/3.png").unlink()
    with pytest.raises(DataError, match="4 poses and 3 images"):
        read_capture(llff)
    shutil.rmtree(llff / "images")
    with pytest.raises(DataError, match="found none"):
        read_capture(llff)


class _Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(array))
    return stream.getvalue()


def lying_header(rows: int) -> bytes:
    stream = io.BytesIO()
    shape = (rows, 17)
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(17 * 8)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        npy(np.zeros(17)),
        npy(np.zeros((4, 15))),
        npy(np.zeros((0, 17))),
        npy([["a"] * 17]),
        npy(np.zeros((1, 17), complex)),
        npy(np.zeros((3, 17))),
        npy(np.arange(34.0).reshape(2, 17)),
        npy(np.ones((3, 17)))[:-1],
        lying_header(1 << 40),
        lying_header(1 << 62),
        pickle.dumps(_Evil()),
        npy(np.ones((2, 17))).replace(b"shape", b"shame"),
    ],
)
def test_broken_files_are_refused_and_nothing_is_executed(
    llff: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(llff)
    (llff / "poses_bounds.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"Cannot read LLFF poses: .*poses_bounds\.npy"):
        read_capture(llff)
    assert not Path("executed").exists()


def test_a_lying_header_takes_no_memory(llff: Path) -> None:
    (llff / "poses_bounds.npy").write_bytes(lying_header(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="Cannot read LLFF poses"):
            read_capture(llff)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_bounds_must_make_sense(llff: Path, near: float, far: float) -> None:
    rows = np.load(llff / "poses_bounds.npy")
    rows[2, 15:] = near, far
    np.save(llff / "poses_bounds.npy", rows)
    with pytest.raises(DataError, match=r"depth range of view '2\.png'"):
        read_capture(llff)


@pytest.mark.parametrize(
    ("case", "options"),
    [("raw", {"recentre": False}), ("recenter", {}), ("spherify", {"spherify": True})],
)
def test_frame_of_the_official_loader(shared: Path, case: str, options: dict[str, bool]) -> None:
    expected = np.load(shared / "fixtures/r2l/a/llff_expected.npz")
    capture = read_capture(shared / "fixtures/r2l/a/llff")
    assert capture.near_far is not None
    frame = llff_normalise(capture.cameras.camera_to_world, capture.near_far, **options)
    poses = frame.poses(capture.cameras.camera_to_world)
    opengl = poses * torch.tensor([1.0, -1.0, -1.0, 1.0])
    np.testing.assert_allclose(opengl.numpy(), expected[f"{case}_poses"][:, :, :4], atol=1e-6)
    bounds = (capture.near_far * frame.scale).numpy()
    np.testing.assert_allclose(bounds, expected[f"{case}_bds"], rtol=1e-6)
    assert most_central_view(poses) == expected[f"{case}_holdout"]
    # The official loader reads images_8, an eighth of the size.
    height, width, focal = expected[f"{case}_poses"][0, :, 4].tolist()
    eighth = capture.cameras.resized(int(width), int(height))
    assert eighth.intrinsics[0].tolist() == pytest.approx([focal, focal, width / 2, height / 2])


def test_pixels_and_split_of_the_official_loader(shared: Path, tmp_path: Path) -> None:
    """Images at an eighth of the size, every 8th one held out."""
    expected = np.load(shared / "fixtures/r2l/a/llff_expected.npz")
    # Larger images would be taken first.
    folder = shared / "fixtures/r2l/a/llff"
    shutil.copytree(folder, tmp_path, ignore=shutil.ignore_patterns("images"), dirs_exist_ok=True)
    whole = open_scene(tmp_path, split="none", normalise=False).train
    found = torch.stack([whole.image(i) for i in range(len(whole))]).numpy()
    np.testing.assert_allclose(found, expected["images"], atol=1e-6, rtol=0)
    height, width, focal = expected["raw_poses"][0, :, 4].tolist()
    assert whole.cameras.common_size == (width, height)
    np.testing.assert_allclose(whole.cameras.intrinsics[:, :2].numpy(), focal, rtol=1e-6)
    scene = open_scene(tmp_path, normalise=False)
    held_out = range(0, len(expected["images"]), 8)
    assert scene.test.names == tuple(whole.names[i] for i in held_out)
    assert scene.train.names == tuple(name for i, name in enumerate(whole.names) if i not in held_out)
    seen = torch.stack([scene.test.image(i) for i in range(len(scene.test))]).numpy()
    np.testing.assert_allclose(seen, expected["images"][::8], atol=1e-6, rtol=0)


def test_normalised_frame_has_the_stated_invariants(opencv_poses: np.ndarray) -> None:
    poses, near_far = torch.from_numpy(opencv_poses).float(), torch.tensor([[3.0, 9.0]]).repeat(4, 1)
    frame = llff_normalise(poses, near_far)
    assert float(near_far.min()) * frame.scale == pytest.approx(4 / 3)
    moved = frame.poses(poses)
    torch.testing.assert_close(moved[:, :, 3].mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    back = -moved[:, :, 2].mean(dim=0)
    torch.testing.assert_close(back / back.norm(), torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    # All cameras of the tiny capture look at one point, which becomes the origin.
    around = llff_normalise(poses, near_far, spherify=True)
    torch.testing.assert_close(around.points(torch.zeros(1, 3)), torch.zeros(1, 3), atol=1e-5, rtol=0)
    assert float(around.poses(poses)[:, :, 3].square().sum(dim=-1).mean()) == pytest.approx(1, abs=1e-5)
