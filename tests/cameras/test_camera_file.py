"""Camera files: what is written is read back, real files are read, and spoiled ones only raise NovelviewError."""

from __future__ import annotations

import copy
import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novelview.cameras.camera_file import read_cameras, write_cameras
from novelview.cameras.cameras import Cameras
from novelview.errors import CameraError, NovelviewError, OutputError
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import random_rotations

FIELDS = ("camera_to_world", "intrinsics", "sizes", "lens", "distortion")
IDENTITY = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def some_cameras(count: int = 4) -> Cameras:
    generator = torch.Generator().manual_seed(0)
    poses = torch.cat(
        [random_rotations(count, generator), torch.randn(count, 3, 1, generator=generator)], dim=-1
    )
    return Cameras.pinhole(poses, torch.tensor([700.0, 700.0, 320.0, 240.0]), 640, 480)


def assert_same(found: Cameras, expected: Cameras) -> None:
    for field in FIELDS:
        torch.testing.assert_close(getattr(found, field), getattr(expected, field), rtol=1e-5, atol=1e-5)


def camera_path() -> dict[str, Any]:
    """A path as nerfstudio's viewer exports it."""
    view = {"camera_to_world": list(IDENTITY), "fov": 60.0, "aspect": 4 / 3}
    return {
        "default_fov": 75.0,
        "default_transition_sec": 2.0,
        "keyframes": [
            {"matrix": list(IDENTITY), "fov": 60.0, "aspect": 4 / 3, "override_transition_sec": None}
        ],
        "camera_type": "perspective",
        "render_height": 480.0,
        "render_width": 640,
        "fps": 24,
        "seconds": 4.0,
        "is_cycle": False,
        "smoothness_value": 0.0,
        "camera_path": [view, copy.deepcopy(view)],
        "crop": None,
    }


def listed() -> dict[str, Any]:
    pose = [IDENTITY[:4], IDENTITY[4:8], IDENTITY[8:12], IDENTITY[12:]]
    return {
        "camera_model": "OPENCV",
        "w": 640,
        "h": 480,
        "fl_x": 700.0,
        "k1": 0.01,
        "frames": [
            {"transform_matrix": pose},
            {"transform_matrix": pose, "fl_x": 350.0, "fl_y": 360.0, "cx": 9.5},
        ],
    }


def saved(folder: Path, values: Any) -> Path:
    path = folder / "cameras.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_camera_path_there_and_back(tmp_path: Path) -> None:
    cameras = some_cameras()
    write_cameras(tmp_path / "path.json", cameras, fps=25.0)
    found, fps = read_cameras(tmp_path / "path.json")
    assert fps == 25.0
    assert_same(found, cameras)
    values = json.loads((tmp_path / "path.json").read_text())
    assert values["seconds"] == 4 / 25
    assert values["keyframes"][2]["matrix"] == values["camera_path"][2]["camera_to_world"]


def test_list_there_and_back_holds_any_camera(tmp_path: Path) -> None:
    cameras = some_cameras(3)
    cameras = replace(
        cameras,
        intrinsics=cameras.intrinsics + torch.arange(12).reshape(3, 4),
        sizes=torch.tensor([[640, 480], [640, 480], [300, 200]]),
        lens=torch.tensor([int(Lens.PINHOLE), int(Lens.OPENCV), int(Lens.FISHEYE)]),
        distortion=torch.tensor(
            [[0.0] * 8, [k / 100 for k in range(1, 9)], [0.01, 0.02, -0.03, 0.04] + [0.0] * 4]
        ),
    )
    write_cameras(tmp_path / "list.json", cameras)
    found, fps = read_cameras(tmp_path / "list.json")
    assert fps is None
    assert_same(found, cameras)


def test_meaning_of_a_camera_path(tmp_path: Path) -> None:
    """A camera moved along +y and turned to look along +x, by hand in OpenGL axes."""
    values = camera_path()
    # Columns: right = -z of the world, up = y, back = -x.
    values["camera_path"][1]["camera_to_world"] = [0, 0, -1, 0, 0, 1, 0, 5, -1, 0, 0, 0, 0, 0, 0, 1]
    values["camera_path"][1]["camera_to_world"][8] = 1  # right = +z: a proper rotation.
    cameras, fps = read_cameras(saved(tmp_path, values))
    assert fps == 24.0
    assert cameras.common_size == (640, 480)
    torch.testing.assert_close(cameras.forward, torch.tensor([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]))
    torch.testing.assert_close(cameras.centres[1], torch.tensor([0.0, 5.0, 0.0]))
    assert cameras.rotations[1, :, 1].tolist() == [0.0, -1.0, 0.0]  # y of the image is down
    # The vertical field of view: the top edge is 30 degrees above the axis.
    rays = cameras[0].rays_through(torch.tensor([[[320.0, 0.0]]]))
    torch.testing.assert_close(rays.directions[0, 0], torch.tensor([0.0, math.tan(math.radians(30)), -1.0]))


def test_list_shares_what_its_frames_lack(tmp_path: Path) -> None:
    cameras, _ = read_cameras(saved(tmp_path, listed()))
    expected = torch.tensor([[700.0, 700.0, 320.0, 240.0], [350.0, 360.0, 9.5, 240.0]])
    torch.testing.assert_close(cameras.intrinsics, expected)
    assert cameras.lens.tolist() == [1, 1]
    assert cameras.distortion[:, 0].tolist() == pytest.approx([0.01, 0.01])


def test_single_pose_and_default_size(tmp_path: Path) -> None:
    values = {"transform_matrix": listed()["frames"][0]["transform_matrix"], "camera_angle_x": math.pi / 2}
    cameras, fps = read_cameras(saved(tmp_path, values), (100, 50))
    assert fps is None
    assert cameras.intrinsics.tolist() == [pytest.approx([50.0, 50.0, 50.0, 25.0])]
    with pytest.raises(CameraError, match="'w' must be"):
        read_cameras(tmp_path / "cameras.json")
    values = camera_path()
    del values["render_width"], values["render_height"]
    assert read_cameras(saved(tmp_path, values), (100, 50))[0].common_size == (100, 50)


def test_focal_length_in_pixels_needs_its_size(tmp_path: Path) -> None:
    values = {"transform_matrix": listed()["frames"][0]["transform_matrix"], "fl_x": 700.0}
    with pytest.raises(CameraError, match="unknown size"):
        read_cameras(saved(tmp_path, values), (100, 50))


def test_poses_with_few_decimals_become_rigid(tmp_path: Path) -> None:
    write_cameras(tmp_path / "path.json", some_cameras(), fps=25.0)
    values = json.loads((tmp_path / "path.json").read_text())
    for view in values["camera_path"]:
        view["camera_to_world"] = [round(x, 3) for x in view["camera_to_world"]]
    found, _ = read_cameras(saved(tmp_path, values))
    unity = found.rotations.mT @ found.rotations
    torch.testing.assert_close(unity, torch.eye(3).expand(4, 3, 3), rtol=0, atol=1e-6)


def test_real_captures_are_camera_files(shared: Path) -> None:
    for name in ("fox", "chair_synthetic/transforms_test.json", "co3d_apple"):
        path = shared / "data" / name
        path = path if path.suffix else path / "transforms.json"
        count = len(json.loads(path.read_text())["frames"])
        assert len(read_cameras(path, (400, 400))[0]) == count


def changed(values: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with one value replaced; ``...`` removes it."""
    copied = copy.deepcopy(values)
    inner = copied
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return copied


MIRROR = [-1.0, *IDENTITY[1:]]
TRANSPOSED = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 4, 5, 6, 1]
WRONG_PATHS = [
    (("camera_path",), [], r"'camera_path' must be a list of at least one"),
    (("camera_path",), ..., "holds no cameras"),
    (("camera_path",), 3, "'camera_path' must be a list"),
    (("camera_path", 1), None, r"'camera_path\[1\]' must be an object"),
    (("camera_path", 1, "fov"), ..., r"'camera_path\[1\].fov' must be"),
    (("camera_path", 1, "fov"), 180, r"'camera_path\[1\].fov' must be a number between 0 and 180"),
    (("camera_path", 1, "fov"), "60", r"the file has a value of type str, '60'"),
    (("camera_path", 1, "fov"), math.nan, r"fov' must be a number"),
    (("camera_path", 1, "fov"), 1e400, r"fov' must be a number"),
    (("camera_path", 1, "camera_to_world"), ..., "camera_to_world' must be a matrix"),
    (("camera_path", 1, "camera_to_world"), IDENTITY[:9], "camera_to_world' must be a matrix"),
    (("camera_path", 1, "camera_to_world"), [True] * 16, "camera_to_world' must be a matrix"),
    (("camera_path", 1, "camera_to_world"), [10**400] * 16, "camera_to_world' must be a matrix"),
    (("camera_path", 1, "camera_to_world"), TRANSPOSED, "last row is 0 0 0 1"),
    (("camera_path", 1, "camera_to_world"), MIRROR, "mirrors the world"),
    (("camera_path", 1, "camera_to_world"), [2 * x for x in IDENTITY[:15]] + [1], "not a rigid motion"),
    (("render_width",), ..., "'render_width' must be"),
    (("render_width",), 12.5, "whole number"),
    (("render_height",), 0, "'render_height' must be a number between 0"),
    (("render_height",), 10**9, "'render_height' must be a number between 0"),
    (("fps",), 0, "'fps' must be"),
    (("fps",), "fast", "'fps' must be"),
    (("camera_type",), "equirectangular", "not supported"),
]


@pytest.mark.parametrize(("place", "value", "message"), WRONG_PATHS)
def test_wrong_paths_say_file_key_and_cure(tmp_path: Path, place: tuple, value: Any, message: str) -> None:
    path = saved(tmp_path, changed(camera_path(), place, value))
    with pytest.raises(CameraError, match=message) as caught:
        read_cameras(path)
    assert str(path) in str(caught.value)
    assert caught.value.cure


WRONG_LISTS = [
    (("frames",), {}, "'frames' must be a list"),
    (("frames", 0, "transform_matrix"), [[1, 2], [3, 4]], r"'frames\[0\].transform_matrix' must be a matrix"),
    (("fl_x",), ..., r"'frames\[0\].fl_x' must be the focal length"),
    (("fl_x",), -700, "fl_x' must be a number between 0"),
    (("camera_model",), "ORTHOPHOTO", "camera_model' must be one of SIMPLE_PINHOLE"),
    (("camera_model",), ["OPENCV"], "camera_model' must be one of SIMPLE_PINHOLE"),
    (("frames", 0, "k1"), "much", "k1' must be a finite number"),
    (("w",), ..., "w' must be a whole number"),
    (("frames", 1, "cx"), 1e9, "principal point"),
]


@pytest.mark.parametrize(("place", "value", "message"), WRONG_LISTS)
def test_wrong_lists_say_file_key_and_cure(tmp_path: Path, place: tuple, value: Any, message: str) -> None:
    path = saved(tmp_path, changed(listed(), place, value))
    with pytest.raises(CameraError, match=message) as caught:
        read_cameras(path)
    assert str(path) in str(caught.value)
    assert caught.value.cure


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", "[" * 100_000, '{"frames": null}', "\x00"]
)
def test_files_that_are_no_camera_files(tmp_path: Path, text: str) -> None:
    with pytest.raises(CameraError, match=r"cameras\.json"):
        read_cameras(saved(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / "binary.json"):
        with pytest.raises(CameraError, match=r"Cannot read this file|not valid JSON"):
            read_cameras(path)


def test_what_a_camera_path_cannot_hold(tmp_path: Path) -> None:
    cameras, path = some_cameras(), tmp_path / "path.json"
    lens = replace(cameras, lens=torch.tensor([0, 1, 0, 0]))
    off = replace(cameras, intrinsics=cameras.intrinsics + torch.tensor([0.0, 0.0, 9.0, 0.0]))
    flat = replace(cameras, intrinsics=cameras.intrinsics * torch.tensor([1.1, 1.0, 1.0, 1.0]))
    for bad in (lens, off, flat):
        with pytest.raises(CameraError, match="do not fit into a camera path"):
            write_cameras(path, bad, fps=25.0)
    for fps in (0.0, -3.0, math.nan, math.inf):
        with pytest.raises(CameraError, match="frames per second"):
            write_cameras(path, cameras, fps=fps)
    with pytest.raises(CameraError, match="differ in image size"):
        write_cameras(path, Cameras.concatenate([cameras, cameras.resized(9, 9)]), fps=25.0)
    with pytest.raises(CameraError, match="no camera to write"):
        write_cameras(path, cameras[:0])
    with pytest.raises(CameraError, match="impossible"):
        write_cameras(path, replace(cameras, intrinsics=-cameras.intrinsics))
    assert not path.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_cameras(tmp_path / "file" / "path.json", cameras)


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**400), 10**400),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from([0, 1, -1, 1e308, "PINHOLE", IDENTITY]),
    ),
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def places(values: Any) -> list[tuple[Any, ...]]:
    """Every place of a nested structure."""
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    return [(key, *rest) for key, inner in items for rest in [(), *places(inner)]]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_spoiled_files_raise_nothing_foreign(tmp_path: Path, data: st.DataObject) -> None:
    values: Any = copy.deepcopy(data.draw(st.sampled_from([camera_path(), listed(), {**listed(), "fps": 1}])))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(values)))
        values = changed(values, place, data.draw(st.one_of(st.just(...), JUNK)))
        if not values:
            break
    size = data.draw(st.sampled_from([None, (64, 48)]))
    with suppress(NovelviewError):
        cameras, fps = read_cameras(saved(tmp_path, values), size)
        cameras.validated()
        assert fps is None or fps > 0


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JUNK)
def test_any_json_raises_nothing_foreign(tmp_path: Path, values: Any) -> None:
    with suppress(NovelviewError):
        read_cameras(saved(tmp_path, values))
