"""Lists of captures: read as text, opened one by one when they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.procedural import write_capture
from novelview.data.scene import Scene
from novelview.data.scene_list import ManyScenes, is_scene_list, read_scene_list
from novelview.errors import DataError, MethodError
from novelview.types import Bounds, Views


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("captures")
    for seed in range(2):
        write_capture(root / f"scene {seed}", "forward", seed, views=9, size=12, supersample=1)
    return root


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return path


def test_paths_are_relative_to_the_list_or_absolute(folder: Path) -> None:
    path = listed(folder, "# two captures", "", "  scene 0", str(folder / "scene 1" / "transforms.json"), "")
    scenes = read_scene_list(path, scale=0.5, split="none")
    assert len(scenes) == 2
    first, second = scenes.open(0), scenes.open(1)
    assert (first.name, second.name) == ("scene 0", "scene 1")
    assert first.train.cameras.common_size == (6, 6)
    assert (len(second.train), len(second.test)) == (9, 0)


def test_nothing_is_opened_before_it_is_asked_for(folder: Path) -> None:
    scenes = read_scene_list(listed(folder, "scene 0", "absent", "scene 1"))
    assert len(scenes) == 3
    assert scenes.open(2).name == "scene 1"
    with pytest.raises(DataError, match="no such capture"):
        scenes.open(1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "names no capture"),
        (b"# only this\n\n", "names no capture"),
        (b"absent\nscene 0\n", "first capture of a list"),
        (b"\xff\xfe\x00", "Cannot read this list"),
        (None, "Cannot read this list"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_scene_list(tmp_path / "list.txt")


def test_captures_in_text_files_are_no_lists(folder: Path, tmp_path: Path) -> None:
    assert is_scene_list(listed(folder, "scene 0"))
    assert not is_scene_list(folder / "scene 0")
    assert not is_scene_list(folder / "absent.txt")
    (tmp_path / "clip.txt").write_text("https://www.youtube.com/watch?v=toy\n")
    assert is_scene_list(tmp_path / "clip.txt")
    (tmp_path / "clip").mkdir()
    assert not is_scene_list(tmp_path / "clip.txt")
    for name in ("cameras.txt", "images.txt", "points3D.txt"):
        (tmp_path / name).touch()
    assert not is_scene_list(tmp_path / "cameras.txt")


def test_opened_scenes_come_before_those_of_lists_which_are_checked(folder: Path) -> None:
    cameras = Cameras.pinhole(torch.eye(4)[None], torch.tensor([4.0, 4.0, 2.0, 2.0]), 4, 4)
    views = Views.from_tensors(cameras, torch.zeros(1, 4, 4, 3))
    first = Scene("first", views, views[[]], Bounds(0.5, 4.0, (-1.0,) * 3, (1.0,) * 3))
    lists = [read_scene_list(listed(folder, *names)) for names in (["scene 0"], ["scene 1", "scene 0"])]
    checked: list[str] = []
    scenes = ManyScenes([first], lists, lambda scene: checked.append(scene.name))
    assert len(scenes) == 4
    assert scenes.opened == (first,)
    assert not checked
    assert [scenes[i].name for i in (0, 1, 2, 3, -1)] == ["first", "scene 0", "scene 1", "scene 0", "scene 0"]
    assert [scene.name for scene in scenes[2:]] == ["scene 1", "scene 0"]
    assert checked == ["scene 0", "scene 1", "scene 0", "scene 0", "scene 1", "scene 0"]
    with pytest.raises(IndexError):
        scenes[4]

    def refuse(scene: Scene) -> None:
        raise MethodError("too few views", where=scene.name)

    with pytest.raises(MethodError, match="scene 0"):
        ManyScenes([first], lists, refuse)[1]
