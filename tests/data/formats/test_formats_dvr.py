"""DVR's layout: pose and intrinsics apart, depth in EXR files, lists of ShapeNet's objects."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.data.decode import read_depth, read_image
from novelview.data.exr import read_exr
from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.data.scene_list import is_scene_list, read_scene_list
from novelview.errors import DataError, MissingDependencyError
from novelview.methods.dvr.pairs import pairs_of

Make = Callable[..., Path]


def test_corner_pixels_have_their_centres_at_one(dvr: Make, opencv_poses: np.ndarray) -> None:
    capture = read_capture(dvr())
    assert capture.format == "dvr"
    np.testing.assert_allclose(capture.cameras.camera_to_world.numpy(), opencv_poses, atol=1e-6)
    assert capture.cameras.intrinsics[0].tolist() == pytest.approx([10.0, 11.0, 4.25, 2.5])
    # What the matrices say of a point in the world is what the camera sees.
    arrays = np.load(capture.path / "cameras.npz")
    point = np.array([0.1, -0.2, 0.3, 1.0])
    u, v, depth, _ = arrays["camera_mat_1"] @ arrays["world_mat_1"] @ point
    pixels, z = capture.cameras[1].project(torch.tensor(point[None, :3]).float())
    assert z[0, 0].item() == pytest.approx(depth, rel=1e-6)
    expected = [(u / depth + 1) / 2 * 7 + 0.5, (v / depth + 1) / 2 * 5 + 0.5]
    assert pixels[0, 0].tolist() == pytest.approx(expected, rel=1e-5)


def test_only_the_product_of_the_matrices_counts(dvr: Make) -> None:
    def as_in_dtu(arrays: dict[str, np.ndarray]) -> None:
        to_image = np.array([[2 / 7, 0, -1, 0], [0, 2 / 5, -1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        for i in range(4):
            product = arrays[f"camera_mat_{i}"] @ arrays[f"world_mat_{i}"]
            arrays[f"camera_mat_{i}"] = to_image
            arrays[f"world_mat_{i}"] = np.linalg.inv(to_image) @ product

    first, second = read_capture(dvr()).cameras, read_capture(dvr(as_in_dtu)).cameras
    torch.testing.assert_close(first.camera_to_world, second.camera_to_world)
    torch.testing.assert_close(first.intrinsics, second.intrinsics)


def test_the_object_is_in_the_unit_cube_of_its_frame(dvr: Make) -> None:
    box = read_capture(dvr()).box
    assert box is not None
    assert box.tolist() == [[-0.5] * 3, [0.5] * 3]
    turned = np.array([[0.0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])
    box = read_capture(dvr(lambda a: a.update({f"scale_mat_{i}": turned for i in range(4)}))).box
    assert box is not None
    assert box.tolist() == [[0.0, 1.0, 1.0], [2.0, 3.0, 5.0]]


def test_sparse_points(dvr: Make) -> None:
    root = dvr()
    points = read_capture(root).points
    assert points is not None
    assert points.tolist() == np.eye(3).tolist()
    np.savez(root / "pcl.npz", points=np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"shape of its array 'points' is \(2, 2\)"):
        read_capture(root)
    (root / "pcl.npz").unlink()
    assert read_capture(root).points is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.pop("camera_mat_3"), "missing: camera_mat_3"),
        (
            lambda a: a.update(camera_mat_1=np.diag([1.0, -1, 1, 1])),
            "camera_mat_1 @ world_mat_1 is no projection",
        ),
        (lambda a: a.update(camera_mat_1=np.ones(3)), "camera_mat_1 is no camera matrix"),
        (lambda a: a.update(camera_mat_1=np.array([None])), "Cannot read the arrays"),
    ],
)
def test_what_makes_no_sense_is_said(dvr: Make, change: Callable, says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        read_capture(dvr(change))
    assert error.value.cure


def write_exr(path: Path, channels: dict[str, np.ndarray]) -> Path:
    openexr = pytest.importorskip("OpenEXR", reason="reading EXR files needs the extra exr")
    path.parent.mkdir(exist_ok=True)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with openexr.File(header, channels) as file:
        file.write(str(path))
    return path


def test_depth_maps_are_read_with_their_scene(dvr: Make) -> None:
    root = dvr()
    for i in range(4):
        depth = np.full((6, 8), 2.0 + i, dtype=np.float32)
        depth[0] = np.inf
        write_exr(root / "depth" / f"{i}.exr", {"R": depth, "G": depth + 1, "B": depth + 2})
    scene = open_scene(root, normalise=False, split="none")
    assert scene.train.has_depths
    found = scene.train.depth(3)
    assert found.shape == (6, 8)
    assert found[0].tolist() == [0.0] * 8
    assert found[1:].unique().tolist() == [5.0]


@pytest.mark.parametrize(
    ("names", "taken"), [("RGB", "R"), ("AZ", "Z"), ("V", "V"), ("GB", "B"), ("YA", "Y")]
)
def test_the_first_channel_is_taken(tmp_path: Path, names: str, taken: str) -> None:
    values = {name: np.full((2, 3), 1 + names.index(name), dtype=np.float32) for name in names}
    found = read_exr(write_exr(tmp_path / "a.exr", values))
    assert np.unique(found).tolist() == [1 + names.index(taken)]


def test_damaged_missing_and_cropped_depth_maps(tmp_path: Path) -> None:
    path = write_exr(tmp_path / "a.exr", {"Z": np.ones((40, 30), dtype=np.float32)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="Cannot read the depth map"):
        read_depth(path)
    with pytest.raises(DataError, match="A file is missing"):
        read_depth(tmp_path / "absent.exr")
    at = whole.index(b"displayWindow\0box2i\0") + len(b"displayWindow\0box2i\0") + 4
    path.write_bytes(whole[:at] + np.array([0, 0, 99, 99], dtype="<i4").tobytes() + whole[at + 16 :])
    with pytest.raises(DataError, match="A depth map is cropped"):
        read_depth(path)
    large = whole.replace(
        np.array([0, 0, 29, 39], "<i4").tobytes(), np.array([0, 0, 99999, 99999], "<i4").tobytes()
    )
    path.write_bytes(large)
    with pytest.raises(DataError, match="suspiciously large"):
        read_depth(path)


def test_without_openexr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    (tmp_path / "a.exr").touch()
    with pytest.raises(MissingDependencyError, match=r"pip install 'novelview\[exr\]'"):
        read_depth(tmp_path / "a.exr")


@pytest.fixture
def shapenet(tmp_path: Path, dvr_in: Callable[[Path], Path], image: Callable[..., Path]) -> Path:
    for kind in ("chair", "car"):
        folder = tmp_path / "data" / kind
        for i in range(2):
            (folder / f"{kind}{i}").mkdir(parents=True)
            dvr_in(folder / f"{kind}{i}")
        (folder / "train.lst").write_text(f"{kind}1\n{kind}0\n")
        (folder / "softras_test.lst").write_text(f"{kind}0\n")
    image(tmp_path / "data" / "car" / "car0" / "img_choy2016" / "000.jpg")
    return tmp_path / "data"


def test_a_list_of_one_class_is_a_list_of_captures(shapenet: Path) -> None:
    path = shapenet / "car" / "softras_test.lst"
    assert is_scene_list(path)
    assert read_scene_list(path).open(0).name == "car0"


def test_what_a_network_is_shown(shapenet: Path) -> None:
    """Choy's pictures where there are any, else the views."""
    scenes = [open_scene(shapenet / "car" / name, split="none", masks="keep") for name in ("car0", "car1")]
    picture, view = (pairs_of(scene, 0)(0).sources for scene in scenes)
    assert picture.names == ("000.jpg",)
    expected = read_image(shapenet / "car" / "car0" / "img_choy2016" / "000.jpg")
    assert torch.equal(picture.image(0), expected)
    assert view.names[0] in scenes[1].train.names
    assert torch.equal(view.image(0), scenes[1].train.image(scenes[1].train.names.index(view.names[0])))


def write_points(root: Path, **arrays: np.ndarray) -> None:
    """Five points, of which the fourth is nowhere."""
    points = np.arange(15, dtype=np.float64).reshape(5, 3)
    points[3, 1] = np.nan
    np.savez(root / "pcl.npz", points=points, **arrays)


def test_which_points_views_see(dvr: Make) -> None:
    """Numbers are those of the points that are left: not the hull's complement, and not what is nowhere."""
    root = dvr()
    seen = {"visibility_0000": np.array([4, 0, 3]), "visibility_0002": np.array([1, 2], dtype=np.uint8)}
    write_points(root, **seen)
    capture = read_capture(root)
    assert capture.points is not None
    assert capture.seen is not None
    assert [rows.tolist() for rows in capture.seen] == [[3, 0], [], [1, 2], []]
    assert capture.points[capture.seen[0]].tolist() == [[12, 13, 14], [0, 1, 2]]
    write_points(root, **seen, is_in_visual_hull=np.array([True, True, False, True, False]))
    capture = read_capture(root)
    assert capture.points is not None
    assert len(capture.points) == 4
    assert capture.seen is not None
    assert [rows.tolist() for rows in capture.seen] == [[0], [], [1], []]


@pytest.mark.parametrize("arrays", [{}, {"visibility_0001": np.zeros(0)}, {"visibility_0001": np.array([3])}])
def test_points_of_which_no_view_is_told(dvr: Make, arrays: dict[str, np.ndarray]) -> None:
    root = dvr()
    write_points(root, **arrays)
    capture = read_capture(root)
    assert capture.points is not None
    assert len(capture.points) == 4
    assert capture.seen is None
    assert not open_scene(root, split="none").train.has_sparse_depths


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"visibility_0001": np.array([0, 5])}, "visibility_0001 does not list points.*\n.*5 is among them"),
        ({"visibility_0001": np.array([-1])}, "-1 is among them"),
        ({"visibility_0001": np.array([0.5])}, "0.5 is among them"),
        ({"visibility_0001": np.array([np.nan])}, "nan is among them"),
        ({"visibility_0001": np.zeros((2, 2))}, r"its shape is \(2, 2\)"),
        ({"is_in_visual_hull": np.ones(4, dtype=bool)}, r"its shape is \(4,\), and there are 5 points"),
    ],
)
def test_visibility_that_makes_no_sense_is_said(dvr: Make, arrays: dict[str, np.ndarray], says: str) -> None:
    root = dvr()
    write_points(root, **arrays)
    with pytest.raises(DataError, match=says) as error:
        read_capture(root)
    assert error.value.cure
    assert error.value.where == root / "pcl.npz"


def test_sparse_depths_lead_back_to_the_points(dvr: Make) -> None:
    """From pixels of the moved and scaled scene, along their rays, to the input's coordinates: half a pixel off at most."""
    root = dvr()
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (6, 3))
    seen = {f"visibility_{i:04d}": np.arange(i, 6) for i in range(3)}
    np.savez(root / "pcl.npz", points=points, **seen)
    scene = open_scene(root, split="none", near=2.0, far=6.0)
    assert scene.to_input.scale > 2
    assert not scene.train.has_depths
    for i in range(3):
        depth, rays = scene.train.sparse_depth(i), scene.train.cameras[i].rays()[0]
        rows, columns = torch.nonzero(depth, as_tuple=True)
        assert 2 <= len(rows) <= 6 - i
        found = scene.to_input.points(rays[rows, columns].point(depth[rows, columns]))
        distance = torch.cdist(found.double(), torch.from_numpy(points[i:])).amin(dim=1)
        pixel = (depth[rows, columns] * scene.to_input.scale / scene.train.cameras.intrinsics[i, 0]).double()
        assert bool((distance <= math.sqrt(0.5) * pixel * 1.001).all())
    assert not bool(scene.train.sparse_depth(3).any())
