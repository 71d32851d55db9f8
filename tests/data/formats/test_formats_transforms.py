"""transforms.json of nerfstudio and instant-ngp."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from novelview.data.capture import Capture
from novelview.data.formats import read_capture
from novelview.errors import DataError
from novelview.geometry.lenses import Lens

Make = Callable[..., Path]


def read(make: Make, **top: Any) -> Capture:
    """The tiny capture with these top-level fields; None removes a field."""

    def change(data: dict[str, Any]) -> None:
        data.update(top)
        for key in [key for key, value in top.items() if value is None]:
            del data[key]

    return read_capture(make(change))


def read_frame(make: Make, **fields: Any) -> Capture:
    """The tiny capture with these fields in its second frame."""
    return read_capture(make(lambda data: data["frames"][1].update(fields)))


def test_intrinsics_are_shared_and_overridden_per_frame(transforms: Make) -> None:
    cameras = read_frame(transforms, fl_x=20, cx=1, w=16, h=12).cameras
    assert cameras.intrinsics[0].tolist() == [10.0, 11.0, 4.25, 2.5]
    assert cameras.intrinsics[1].tolist() == [20.0, 11.0, 1.0, 2.5]
    assert cameras.sizes.tolist() == [[8, 6], [16, 12], [8, 6], [8, 6]]


def test_sizes_are_those_stated_and_else_those_of_the_images(transforms: Make) -> None:
    assert read(transforms, w=80, h=60).cameras.sizes.tolist() == [[80, 60]] * 4
    assert read(transforms, w=None, h=None).cameras.sizes.tolist() == [[8, 6]] * 4


def test_fields_of_view_size_of_the_image_and_centre_fill_in(transforms: Make) -> None:
    gone = dict.fromkeys(("fl_x", "fl_y", "w", "h", "cx", "cy"))
    fx, fy, cx, cy = read(transforms, **gone, camera_angle_x=math.pi / 2).cameras.intrinsics[0].tolist()
    assert (fx, fy, cx, cy) == pytest.approx((4, 4, 4, 3))
    both = read(transforms, **gone, camera_angle_x=math.pi / 2, camera_angle_y=math.pi / 3).cameras
    assert both.intrinsics[0].tolist() == pytest.approx([4, 3 * math.sqrt(3), 4, 3])
    # A focal length counts before a field of view.
    assert read(transforms, camera_angle_x=1.0).cameras.intrinsics[0, 0].item() == 10


def test_no_focal_length_is_refused_with_the_frame(transforms: Make) -> None:
    with pytest.raises(DataError, match=r"frames\[0\] has no focal length"):
        read(transforms, fl_x=None, fl_y=None)


def test_lens_coefficients_are_in_opencv_order(transforms: Make) -> None:
    names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    values = {name: 0.01 * (i + 1) for i, name in enumerate(names)}
    cameras = read(transforms, **values).cameras
    assert cameras.lens.tolist() == [Lens.OPENCV] * 4
    assert cameras.distortion[0].tolist() == pytest.approx(list(values.values()))
    fisheye = read(transforms, **values, camera_model="OPENCV_FISHEYE").cameras
    assert fisheye.lens[0] == Lens.FISHEYE
    assert fisheye.distortion[0].tolist() == pytest.approx([0.01, 0.02, 0.05, 0.06, 0, 0, 0, 0])


@pytest.mark.parametrize("model", ["PINHOLE", "SIMPLE_PINHOLE", "OPENCV", None])
def test_zero_coefficients_make_a_pinhole(transforms: Make, model: str | None) -> None:
    cameras = read(transforms, **({"camera_model": model, "k1": 0.0} if model else {})).cameras
    assert cameras.lens.tolist() == [Lens.PINHOLE] * 4


@pytest.mark.parametrize("model", ["EQUIRECTANGULAR", "fov", "THIN_PRISM_FISHEYE"])
def test_unsupported_camera_model_names_itself_and_the_cure(transforms: Make, model: str) -> None:
    with pytest.raises(DataError, match=model) as error:
        read(transforms, camera_model=model)
    assert "image_undistorter" in str(error.value.cure)


def test_images_are_found_as_other_systems_spell_them(transforms: Make, tmp_path: Path) -> None:
    spellings = ["./images/0.png", r"images\1.png", "IMAGES/2.PNG", "images/3"]

    def change(data: dict[str, Any]) -> None:
        for frame, spelling in zip(data["frames"], spellings, strict=True):
            frame["file_path"] = spelling

    capture = read_capture(transforms(change))
    assert [file.image for file in capture.files] == [tmp_path / "images" / f"{i}.png" for i in range(4)]
    assert capture.names == ("0.png", "1.png", "2.png", "3.png")


def test_missing_images_are_left_out_and_named(transforms: Make, tmp_path: Path) -> None:
    root = transforms(lambda data: data.update(near_far=[[1, 2 + i] for i in range(4)]))
    (root / "images" / "1.png").unlink()
    capture = read_capture(root)
    assert capture.names == ("0.png", "2.png", "3.png")
    assert any("1 of 4 listed images are missing" in n and "images/1.png" in n for n in capture.notes)
    assert capture.near_far is not None
    assert capture.near_far[:, 1].tolist() == [2, 4, 5]
    for i in (0, 2):
        (root / "images" / f"{i}.png").unlink()
    with pytest.raises(DataError, match="3 of 4 listed images are missing"):
        read_capture(root)


def test_masks_and_depths_come_with_their_views(transforms: Make, tmp_path: Path) -> None:
    files = {"mask_path": "./images/0.png", "depth_file_path": "images/2.png"}
    capture = read_frame(transforms, **files)
    assert capture.files[0].mask is None
    assert capture.files[1].mask == tmp_path / "images" / "0.png"
    assert capture.files[1].depth == tmp_path / "images" / "2.png"
    assert capture.files[1].depth_scale == 1e-3
    assert any("nerfstudio's default" in note for note in capture.notes)
    data = json.loads((tmp_path / "transforms.json").read_text()) | {"integer_depth_scale": 0.25}
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    stated = read_capture(tmp_path)
    assert stated.files[1].depth_scale == 0.25
    assert not any("default" in note for note in stated.notes)


def test_missing_mask_is_an_error_that_names_it(transforms: Make) -> None:
    with pytest.raises(DataError, match=r"mask_path masks/1\.png does not exist"):
        read_frame(transforms, mask_path="masks/1.png")


def test_depth_maps_that_cannot_be_read_are_noted(transforms: Make) -> None:
    capture = read_frame(transforms, depth_file_path="depth/1.exr")
    assert capture.files[1].depth is None
    assert any("1 depth maps were left out" in note for note in capture.notes)


def test_own_split_is_kept_without_views_in_both_parts(transforms: Make) -> None:
    names = {"train_filenames": ["images/0.png", "./images/1.png"], "test_filenames": ["images/3.png"]}
    assert read(transforms, **names).partition == {"train": (0, 1), "test": (3,)}
    both = read(transforms, train_filenames=["images/0.png", "images/3.png"], test_filenames=["images/3.png"])
    assert both.partition == {"train": (0,), "test": (3,)}
    assert any("1 views are listed for training and for testing" in note for note in both.notes)


def test_box_and_points(transforms: Make, tmp_path: Path) -> None:
    ply = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "points.ply").write_text(ply + "end_header\n1 2 3\n4 5 6\n")
    capture = read(transforms, aabb=[[-1, -2, -3], [1, 2, 3]], ply_file_path="points.ply")
    assert capture.box is not None
    assert capture.box.tolist() == [[-1, -2, -3], [1, 2, 3]]
    assert capture.points is not None
    assert capture.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    # In instant-ngp's own unit cube, which these keys give away, the box is not in the frame of the poses.
    assert read(transforms, aabb=[[0, 0, 0], [1, 1, 1]], scale=0.33).box is None
    assert "missing" in " ".join(read(transforms, ply_file_path="absent.ply").notes)


def test_three_rows_are_a_pose(transforms: Make, poses: np.ndarray) -> None:
    full, short = read(transforms), read_frame(transforms, transform_matrix=poses[1, :3].tolist())
    assert full.cameras.camera_to_world.equal(short.cameras.camera_to_world)


def test_unknown_keys_are_noted_and_known_ones_are_not(transforms: Make) -> None:
    capture = read(transforms, sensor="lidar", aabb_scale=4, applied_transform=[[1, 0, 0, 0]])
    assert "Unknown keys were ignored: sensor." in capture.notes
    assert not any("aabb_scale" in note for note in capture.notes)
    assert any("applied_transform" in note for note in capture.notes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("fl_x", "ten", "'fl_x' must be a finite number"),
        ("fl_x", True, "'fl_x' must be a finite number"),
        ("fl_x", 10**400, "'fl_x' must be a finite number"),
        ("fl_x", float("nan"), "'fl_x' must be a finite number"),
        ("fl_y", 0, "camera of view '0.png' is impossible"),
        ("fl_x", -3.0, "camera of view '0.png' is impossible"),
        ("w", 8.5, "must be a whole number of pixels"),
        ("h", 0, "camera of view '0.png' is impossible"),
        ("w", 10**30, "camera of view '0.png' is impossible"),
        ("frames", {"a": 1}, "'frames' must be a list"),
        ("frames", [7], r"'frames\[0\]' must be an object"),
        ("frames", [], "no posed view"),
        ("near_far", [3, 1], "depth range"),
        ("near_far", [[1, 2]], "4 pairs"),
        ("aabb", [[1, 1, 1], [0, 0, 0]], "region of interest is empty"),
        ("camera_model", 3, "'camera_model' must be a string"),
        ("is_fisheye", 1, "'is_fisheye' must be true or false"),
        ("train_filenames", "images/0.png", "must be a list of strings"),
        ("ftheta_p0", 1.5, "'ftheta_p0' is not supported"),
    ],
)
def test_wrong_values_are_refused(transforms: Make, field: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(transforms, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("transform_matrix", None, r"frames\[1\].transform_matrix' must be a matrix"),
        ("transform_matrix", [[1, 2], [3, 4]], "3x4 or 4x4"),
        ("transform_matrix", [[1, 0, 0], [0]], "list of lists of numbers"),
        ("transform_matrix", np.ones((4, 4)).tolist(), "last row is 0 0 0 1"),
        ("file_path", None, r"frames\[1\].file_path' must be the path of an image"),
        ("file_path", 5, "must be a string"),
        ("file_path", "images/0.png", "listed more than once"),
        ("near_far", [1, 2, 3], "two numbers"),
    ],
)
def test_wrong_frames_are_refused(transforms: Make, field: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_frame(transforms, **{field: value})


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"frames"', "[" * 100_000, "{}", "\ufeff{}"])
def test_what_is_not_an_object_of_frames_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"transforms\.json"):
        read_capture(tmp_path)


def test_a_single_view_is_allowed_and_noted(transforms: Make) -> None:
    capture = read_capture(transforms(lambda data: data.update(frames=data["frames"][:1])))
    assert len(capture.cameras) == 1
    assert any("single view" in note for note in capture.notes)
