"""LVSM's scene files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.errors import DataError

Data = dict[str, Any]
Make = Callable[..., Path]


def test_intrinsics_are_pixels_of_the_stored_images(lvsm: Make) -> None:
    capture = read_capture(lvsm())
    assert capture.cameras.intrinsics[0].tolist() == [10.0, 11.0, 4.25, 2.5]
    assert capture.names == ("0.png", "1.png", "2.png", "3.png")
    assert capture.notes == ()


def test_image_paths_may_be_absolute_or_lead_elsewhere(lvsm: Make, tmp_path: Path) -> None:
    def move(data: Data) -> None:
        frames = data["frames"]
        frames[0]["image_path"] = str(tmp_path / "images" / "0.png")
        frames[1]["image_path"] = "../images/1.png"
        frames[2]["image_path"] = "..\\images\\2.png"
        frames[3]["image_path"] = "./../images/3.png"

    file = lvsm(move) / "scene.json"
    (tmp_path / "meta").mkdir()
    moved = file.rename(tmp_path / "meta" / "0a1b.json")
    capture = read_capture(moved)
    assert [each.image for each in capture.files] == [
        (tmp_path / "images" / f"{i}.png").resolve() for i in range(4)
    ]


def test_a_scene_is_called_by_its_file_or_its_folder(lvsm: Make, tmp_path: Path) -> None:
    file = lvsm() / "scene.json"
    assert open_scene(file, measure=False).name == open_scene(tmp_path, measure=False).name == tmp_path.name
    assert open_scene(file.rename(tmp_path / "0a1b.json"), measure=False).name == "0a1b"


def test_a_folder_with_several_scenes_is_not_one(lvsm: Make, tmp_path: Path) -> None:
    def elsewhere(data: Data) -> None:
        for i, frame in enumerate(data["frames"]):
            frame["image_path"] = f"pictures/{i}.png"

    file = lvsm(elsewhere) / "scene.json"
    (tmp_path / "images").rename(tmp_path / "pictures")
    (tmp_path / "notes.json").write_text("{}")
    assert read_capture(tmp_path).format == "lvsm-json"
    (tmp_path / "other.json").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"looked for .*one \.json with fxfycxcy"):
        read_capture(tmp_path)
    assert read_capture(tmp_path / "other.json").notes == ()


def test_missing_images_are_left_out_and_said(lvsm: Make, tmp_path: Path) -> None:
    lvsm()
    (tmp_path / "images" / "1.png").unlink()
    capture = read_capture(tmp_path)
    assert capture.names == ("0.png", "2.png", "3.png")
    assert "1 of 4 listed images are missing" in capture.notes[0]
    for i in (0, 2):
        (tmp_path / "images" / f"{i}.png").unlink()
    with pytest.raises(DataError, match="3 of 4 listed images are missing"):
        read_capture(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("w2c", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "a matrix of 4x4 numbers"),
        ("w2c", (np.eye(4) * 2).tolist(), "last row 0 0 0 1"),
        ("w2c", np.diag([1.0, 1.0, -1.0, 1.0]).tolist(), "mirrors the world"),
        ("w2c", None, "a matrix of 4x4 numbers"),
        ("fxfycxcy", [1, 2, 3], "four numbers in pixels"),
        ("fxfycxcy", "1 2 3 4", "list of lists of numbers"),
        ("fxfycxcy", [0, 2, 3, 4], "focal length"),
        ("image_path", None, "the path of an image"),
        ("image_path", 7, "a string"),
    ],
)
def test_malformed_frames_are_named(lvsm: Make, key: str, value: object, says: str) -> None:
    root = lvsm(lambda data: data["frames"][1].update({key: value}))
    with pytest.raises(DataError, match=says) as error:
        read_capture(root)
    assert "frames[1]" in str(error.value) or "'1.png'" in str(error.value)


def test_the_official_poses(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "fixtures/lvsm/a/data.npz") as recorded:
        images, intrinsics, poses = (recorded[f"raw_{name}"][0] for name in ("images", "fxfycxcy", "w2c"))
        expected = recorded["c2w_before_normalisation"][0]
    frames = []
    for i in range(len(images)):
        Image.fromarray(images[i]).save(tmp_path / f"{i}.png")
        frame = {"image_path": f"{i}.png", "fxfycxcy": intrinsics[i].tolist()}
        frames.append({**frame, "w2c": poses[i].tolist()})
    (tmp_path / "scene.json").write_text(json.dumps({"scene_name": "a", "frames": frames}))
    capture = read_capture(tmp_path)
    np.testing.assert_allclose(capture.cameras.camera_to_world.numpy(), expected[:, :3], atol=1e-6)
    assert torch.equal(capture.cameras.intrinsics, torch.from_numpy(intrinsics).float())
