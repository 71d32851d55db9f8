"""COLMAP's sparse models, against pycolmap."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.cameras.cameras import Cameras
from novelview.data.capture import Capture
from novelview.data.formats import read_capture
from novelview.data.formats.camera_models import COLMAP_NAMES, MODELS
from novelview.errors import DataError

pycolmap = pytest.importorskip("pycolmap")


def assert_equal_to_pycolmap(capture: Capture, model: Path) -> None:
    """Every posed image: pose, image size, and where its camera puts the points it sees."""
    reference = pycolmap.Reconstruction(str(model))
    images = {image.name: image for image in reference.images.values()}
    assert set(capture.names) == set(images)
    assert capture.points is not None
    assert len(capture.points) == reference.num_points3D()
    for i, name in enumerate(capture.names):
        image = images[name]
        camera = reference.cameras[image.camera_id]
        assert capture.cameras.sizes[i].tolist() == [camera.width, camera.height]
        seen = [p.point3D_id for p in image.points2D if p.has_point3D()]
        points = np.array([reference.points3D[number].xyz for number in seen])
        assert capture.seen is not None
        np.testing.assert_allclose(capture.points[capture.seen[i]].numpy(), points, rtol=1e-6)
        pixels, depths = capture.cameras[i].project(torch.from_numpy(points).float())
        local = (image.cam_from_world() * points)[:, 2]
        np.testing.assert_allclose(depths[0].numpy(), local, rtol=1e-4, atol=1e-5)
        expected = np.array([image.project_point(point) for point in points])
        np.testing.assert_allclose(pixels[0].numpy(), expected, rtol=1e-4, atol=0.02)
        assert capture.near_far is not None
        np.testing.assert_allclose(capture.near_far[i].numpy(), np.percentile(local, [1, 99]), rtol=1e-4)


def synthetic_model(root: Path, model: str, text: bool) -> Path:
    """Two cameras with three images each, photographs included, written by pycolmap."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 2, 1, 3
    options.num_points3D = 40
    options.camera_width, options.camera_height = 640, 480
    options.camera_model_id = getattr(pycolmap.CameraModelId, model)
    known = MODELS[model]
    coefficients = {
        "k1": 0.1,
        "k2": -0.05,
        "p1": 0.002,
        "p2": -0.003,
        "k3": 0.01,
        "k4": 0.02,
        "k5": 0.01,
        "k6": 0.005,
    }
    focal = [700.0, 710.0] if known.focals == 2 else [700.0]
    options.camera_params = [*focal, 321.0, 239.0, *(coefficients[name] for name in known.coefficients)]
    pycolmap.set_random_seed(1)
    reconstruction = pycolmap.synthesize_dataset(options)
    folder = root / "sparse"
    folder.mkdir()
    (reconstruction.write_text if text else reconstruction.write_binary)(str(folder))
    (root / "images").mkdir()
    for image in reconstruction.images.values():
        (root / "images" / image.name).write_bytes(b"not decoded here")
    return folder


@pytest.mark.parametrize("text", [True, False], ids=["text", "binary"])
@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_camera_model_projects_as_in_pycolmap(tmp_path: Path, model: str, text: bool) -> None:
    folder = synthetic_model(tmp_path, model, text)
    assert_equal_to_pycolmap(read_capture(tmp_path), folder)


def test_snowmiku_is_read_as_by_pycolmap(shared: Path) -> None:
    capture = read_capture(shared / "data/snowmiku", format="colmap")
    assert_equal_to_pycolmap(capture, shared / "data/snowmiku/sparse/0")
    assert any("1 of 49 photographs have no pose" in note for note in capture.notes)


def test_model_numbers_are_those_of_pycolmap() -> None:
    ours = {name: i for i, name in enumerate(COLMAP_NAMES)}
    theirs = {
        name: int(value) for name, value in pycolmap.CameraModelId.__members__.items() if int(value) >= 0
    }
    assert ours == {name: number for name, number in theirs.items() if name in ours}
    for name, model in MODELS.items():
        assert model.parameters == len(pycolmap.Camera.create_from_model_name(1, name, 1.0, 8, 6).params)


def test_depth_range_and_views_that_see_nothing(colmap: Path) -> None:
    capture = read_capture(colmap)
    assert capture.points is not None
    assert capture.near_far is not None
    # View 0 sees no point, so its range comes from all points in front of it.
    cameras: Cameras = capture.cameras
    _, depths = cameras.project(capture.points)
    np.testing.assert_allclose(capture.near_far, np.percentile(depths.numpy(), [1, 99], axis=1).T, rtol=1e-5)


def test_points_that_the_model_lacks_do_not_count(tmp_path: Path) -> None:
    seen = " ".join(f"1 2 {number}" for number in range(2, 30, 2))
    root = text_model(tmp_path, "1 PINHOLE 8 6 10 10 4 3\n", f"1 1 0 0 0 0 0 0 1 a.png\n{seen}\n")
    (root / "images/a.png").write_bytes(b"")
    # Odd points are far away and not seen; of the even ones that are, some do not exist.
    rows = [f"{i} 0 0 {100 if i % 2 else i} 0 0 0 0.1" for i in range(1, 24) if i != 12]
    (root / "sparse/points3D.txt").write_text("\n".join(rows))
    capture = read_capture(root)
    assert capture.near_far is not None
    expected = [2, 4, 6, 8, 10, 14, 16, 18, 20, 22]
    assert capture.near_far[0].tolist() == pytest.approx(np.percentile(expected, [1, 99]).tolist())
    assert capture.points is not None
    assert capture.seen is not None
    assert capture.points[capture.seen[0], 2].tolist() == expected


def test_without_points_there_is_no_depth_range(colmap: Path) -> None:
    for file in colmap.glob("sparse/0/points3D.*"):
        file.unlink()
    capture = read_capture(colmap)
    assert capture.points is None
    assert capture.seen is None
    assert capture.near_far is None


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_places_of_the_model(colmap: Path, place: str) -> None:
    (colmap / "sparse").rename(colmap / "moved")
    (colmap / place).mkdir(parents=True, exist_ok=True)
    for file in (colmap / "moved/0").iterdir():
        file.rename(colmap / place / file.name)
    assert len(read_capture(colmap).cameras) == 4
    assert len(read_capture(colmap / place).cameras) == 4


def test_photographs_without_pose_and_other_models_are_noted(colmap: Path) -> None:
    (colmap / "images/extra.jpg").write_bytes(b"")
    (colmap / "sparse/1").mkdir()
    notes = " ".join(read_capture(colmap).notes)
    assert "1 of 5 photographs have no pose and were left out: extra.jpg" in notes
    assert "other models too, which were not read: 1" in notes


def test_missing_photographs_are_left_out(colmap: Path) -> None:
    (colmap / "images/2.png").unlink()
    capture = read_capture(colmap)
    assert capture.names == ("0.png", "1.png", "3.png")
    assert capture.seen is not None
    assert [len(rows) for rows in capture.seen] == [0, 20, 20]
    assert any("1 of 4 listed images are missing" in note for note in capture.notes)


def test_no_photographs_at_all(colmap: Path) -> None:
    for file in (colmap / "images").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="4 of 4 listed images are missing"):
        read_capture(colmap)
    (colmap / "images").rmdir()
    with pytest.raises(DataError, match="no folder 'images' beside it"):
        read_capture(colmap)


def text_model(root: Path, cameras: str, images: str) -> Path:
    (root / "sparse").mkdir()
    (root / "images").mkdir()
    (root / "sparse/cameras.txt").write_text(cameras)
    (root / "sparse/images.txt").write_text(images)
    return root


def test_names_with_spaces_and_folders(tmp_path: Path) -> None:
    text = "1 1 0 0 0 0 0 0 1 left/my photo.png\n\n2 1 0 0 0 1 0 0 1 right/my photo.png\n"
    root = text_model(tmp_path, "1 PINHOLE 8 6 10 10 4 3\n", text)
    for side in ("left", "right"):
        (root / "images" / side).mkdir()
        (root / "images" / side / "my photo.png").write_bytes(b"")
    assert read_capture(root).names == ("left/my photo.png", "right/my photo.png")


@pytest.mark.parametrize(
    ("cameras", "images", "message"),
    [
        ("1 FOV 8 6 10 10 4 3 1", "1 1 0 0 0 0 0 0 1 a.png\n", "'FOV' is not supported"),
        ("1 PINHOLE 8 6 10 10 4", "1 1 0 0 0 0 0 0 1 a.png\n", "has 3 parameters, PINHOLE has 4"),
        ("1 PINHOLE 8 6 10 10 4 three", "1 1 0 0 0 0 0 0 1 a.png\n", "could not convert"),
        ("1 PINHOLE 8 6 0 10 4 3", "1 1 0 0 0 0 0 0 1 a.png\n", "camera of view 'a.png' is impossible"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 1 0 0 0 0 0 0 2 a.png\n", "camera of a.png is missing"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 2 0 0 0 0 0 0 1 a.png\n", "not a unit quaternion"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 nan 0 0 0 0 0 0 1 a.png\n", "not a unit quaternion"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 1 0 0 0 0 inf 0 1 a.png\n", "not finite"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 1 0 0 0 0\n", "Cannot read a COLMAP model"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 1 0 0 0 0 0 0 1 a.png\n1 2 99999999999999999999\n", "COLMAP model"),
        ("1 PINHOLE 8 6 10 10 4 3", "1 1 0 0 0 0 0 0 1 ../../a.png\n", "leads out of the capture's folder"),
        ("1 PINHOLE 8 6 10 10 4 3", "", "no posed view"),
    ],
)
def test_broken_text_is_refused(tmp_path: Path, cameras: str, images: str, message: str) -> None:
    root = text_model(tmp_path, cameras, images)
    (root / "images/a.png").write_bytes(b"")
    with pytest.raises(DataError, match=message):
        read_capture(root)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_binary_counts_never_reach_past_the_file(tmp_path: Path, name: str) -> None:
    folder = synthetic_model(tmp_path, "PINHOLE", text=False)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(struct.pack("<Q", 1 << 62) + whole[8:])
    with pytest.raises(DataError, match=f"COLMAP model: .*{name}\n.*announces {1 << 62} records"):
        read_capture(tmp_path)
    for cut in (0, 7, 20, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:cut])
        with pytest.raises(DataError, match=f"COLMAP model: .*{name}"):
            read_capture(tmp_path)
    (folder / name).write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="1 bytes follow"):
        read_capture(tmp_path)
