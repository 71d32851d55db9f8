"""Which reader takes a capture, and what is said when none does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.data.formats import READERS, read_capture
from novelview.errors import ConfigError, DataError

Files = dict[str, dict[str, bytes]]


def unpack(files: dict[str, bytes], root: Path) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_every_format_is_detected_and_gives_the_same_cameras(
    every_format: Files, opencv_poses: np.ndarray, tmp_path: Path
) -> None:
    for name, files in every_format.items():
        capture = read_capture(unpack(files, tmp_path / name))
        assert capture.format == name.split()[0]
        np.testing.assert_allclose(capture.cameras.camera_to_world.numpy(), opencv_poses, atol=1e-6)
        assert capture.cameras.intrinsics[:, 0].tolist() == pytest.approx([10.0] * 4)
        assert capture.cameras.sizes.tolist() == [[8, 6]] * 4
        assert [file.image.is_absolute() and file.image.is_file() for file in capture.files] == [True] * 4
        assert len(set(capture.names)) == 4


def test_the_defining_file_stands_for_its_folder(every_format: Files, tmp_path: Path) -> None:
    defining = {
        "transforms": "transforms.json",
        "blender": "transforms_test.json",
        "llff": "poses_bounds.npy",
        "colmap text": "sparse/0/cameras.txt",
        "colmap binary": "sparse/0/images.bin",
        "lvsm-json": "scene.json",
        "re10k": "toy.txt",
        "idr": "cameras.npz",
        "dvr": "cameras.npz",
    }
    for name, file in defining.items():
        root = unpack(every_format[name], tmp_path / name)
        by_file, by_folder = read_capture(root / file), read_capture(root)
        assert by_file.names == by_folder.names
        assert torch.equal(by_file.cameras.camera_to_world, by_folder.cameras.camera_to_world)


def test_a_json_file_of_another_name_is_read(transforms: Callable[..., Path]) -> None:
    root = transforms()
    (root / "transforms.json").rename(root / "cameras of mine.json")
    assert len(read_capture(root / "cameras of mine.json").cameras) == 4


def test_the_first_of_several_formats_is_taken_and_said(every_format: Files, tmp_path: Path) -> None:
    for name in ("colmap text", "llff", "transforms"):
        unpack(every_format[name], tmp_path)
    capture = read_capture(tmp_path)
    assert capture.format == "transforms"
    assert "colmap and llff" in capture.notes[0]
    assert read_capture(tmp_path, format="colmap").format == "colmap"
    assert not any("could also" in note for note in read_capture(tmp_path, format="llff").notes)


def test_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'nuscenes'") as error:
        read_capture(tmp_path, format="nuscenes")
    assert all(reader.name in str(error.value) for reader in READERS)


def test_wrong_format_says_what_it_looked_for(llff: Path) -> None:
    with pytest.raises(DataError, match=r"looked for transforms\.json; found images, poses_bounds\.npy"):
        read_capture(llff, format="transforms")


def test_nothing_known_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(DataError, match=r"found readme\.txt") as error:
        read_capture(tmp_path)
    assert all(reader.looks_for in str(error.value) for reader in READERS)


@pytest.mark.parametrize("folder", [".", "images"])
def test_photographs_without_poses_are_told_to_get_some(
    tmp_path: Path, image: Callable[..., Path], folder: str
) -> None:
    for i in range(3):
        image(tmp_path / folder / f"{i}.jpg")
    with pytest.raises(DataError, match="poses of 3 photographs are missing") as error:
        read_capture(tmp_path)
    assert "COLMAP" in str(error.value.cure)


@pytest.mark.parametrize("name", ["absent", "a\0b", "x" * 5000])
def test_a_path_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        read_capture(tmp_path / name)


def test_a_file_that_may_not_be_read(
    transforms: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    root = transforms()
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(DataError, match=r"Cannot read this file: .*transforms\.json\n.*Permission denied"):
        read_capture(root)
