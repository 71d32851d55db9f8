"""CO3D's annotations: cameras as PyTorch3D defines them, files read piece by piece, damage named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from co3d_toy import MARKS, MIDDLE, Toy, turned, write_annotations, write_category

from novelview.data.co3d import streaming
from novelview.data.co3d.annotations import categories_of, read_frames, read_sequences, read_set
from novelview.data.formats import read_capture
from novelview.errors import ConfigError, DataError

MOVED: dict[str, Any] = {"turn": turned(1), "scale": 3.0, "shift": np.array([5.0, -2.0, 9.0])}


@pytest.mark.parametrize("kind", ["ndc_isotropic", "ndc_norm_image_bounds", None])
@pytest.mark.parametrize("size", [(96, 64), (60, 100), (64, 64)])
def test_cameras_come_back(tmp_path: Path, kind: str | None, size: tuple[int, int]) -> None:
    toy = Toy(kind=kind, width=size[0], height=size[1], **MOVED)
    write_category(tmp_path / "apple", [toy], files=False)
    frames = read_frames(tmp_path / "apple", ["110_1"])["110_1"]
    points = torch.from_numpy(toy.world(MIDDLE + MARKS))
    assert [frame.number for frame in frames] == list(range(8))
    for i, frame in enumerate(frames):
        camera = frame.camera()
        assert camera is not None
        pixels, depths = camera.project(points)
        expected = torch.tensor([toy.focal(), toy.focal(), *toy.middle()], dtype=torch.float64)
        torch.testing.assert_close(camera.intrinsics[0], expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(
            pixels[0], torch.from_numpy(toy.pixels(i, MIDDLE + MARKS)), rtol=0, atol=1e-5
        )
        centre = torch.from_numpy(toy.world(toy.centres()[i : i + 1]))
        torch.testing.assert_close(camera.centres, centre, rtol=0, atol=1e-9)
        assert bool((depths > 0).all())
        assert camera.common_size == size


@pytest.mark.parametrize("kind", ["ndc_isotropic", "ndc_norm_image_bounds"])
def test_cameras_of_a_real_sequence(shared: Path, tmp_path: Path, kind: str) -> None:
    folder = shared / "data" / "co3d_apple"
    expected = read_capture(folder).cameras
    width, height = expected.common_size
    unit = np.ones(2) if kind == "ndc_isotropic" else np.array([width, height]) / min(width, height)
    with np.load(folder / "gt_cameras.npz") as stored:
        frames = [
            {
                "sequence_name": "apple",
                "frame_number": i,
                "image": {"path": "", "size": [height, width]} | {"path": f"{i}.jpg"},
                "viewpoint": {
                    "R": stored["gtR"][i].tolist(),
                    "T": stored["gtT"][i].tolist(),
                    "focal_length": (stored["gtFL"][i] / unit).tolist(),
                    "principal_point": [0.0, 0.0],
                    "intrinsics_format": kind,
                },
            }
            for i in range(len(stored["gtR"]))
        ]
    write_annotations(tmp_path / "frame_annotations.jgz", frames)
    found = [frame.camera() for frame in read_frames(tmp_path, ["apple"])["apple"]]
    assert len(found) == len(expected)
    for i, camera in enumerate(found):
        assert camera is not None
        torch.testing.assert_close(
            camera.camera_to_world[0].float(), expected.camera_to_world[i], rtol=0, atol=1e-4
        )
        torch.testing.assert_close(camera.intrinsics[0].float(), expected.intrinsics[i], rtol=1e-5, atol=1e-3)


def test_sequences_as_they_are_annotated(tmp_path: Path) -> None:
    write_category(tmp_path / "apple", [Toy(name="110_1"), Toy(name="110_2", quality=0.25)], files=False)
    first, second = read_sequences(tmp_path / "apple")
    assert (first.name, second.name) == ("110_1", "110_2")
    assert (second.viewpoint_quality, second.cloud_quality) == (0.25, 0.5)
    assert second.cloud == "apple/110_2/pointcloud.ply"
    assert categories_of(tmp_path) == ["apple"]


def test_only_the_frames_of_wanted_sequences_are_kept(tmp_path: Path) -> None:
    write_category(tmp_path / "apple", [Toy(name="110_1"), Toy(name="110_2", frames=3)], files=False)
    found = read_frames(tmp_path / "apple", ["110_2", "110_3"])
    assert {name: len(frames) for name, frames in found.items()} == {"110_2": 3, "110_3": 0}


@pytest.mark.parametrize("number", [float("nan"), 0.0, 1e300])
def test_impossible_cameras_are_no_cameras(tmp_path: Path, number: float) -> None:
    annotation = Toy().frame(0, "apple")
    annotation["viewpoint"]["R"][0][0] = number
    write_annotations(tmp_path / "frame_annotations.jgz", [annotation])
    assert read_frames(tmp_path, ["110_1"])["110_1"][0].camera() is None


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_objects_are_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(streaming, "_CHUNK", chunk)
    values = [{"a": "é]{,"}, {}, {"b": [1, {"c": None}]}, {"d": "x" * 50}]
    for count in range(len(values) + 1):
        text = json.dumps(values[:count], indent=indent) + "\n"
        (tmp_path / "list.jgz").write_bytes(gzip.compress(text.encode()))
        found = [each.values for each in streaming.stream_objects(tmp_path / "list.jgz", "entry")]
        assert found == values[:count]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not hold a list"),
        (b'{"a": 1}', "does not hold a list"),
        (b"[", "ends too soon"),
        (b'[{"a": 1}', "ends too soon"),
        (b'[{"a": 1},', "ends too soon"),
        (b'[{"a": 1},]', "where an object should begin"),
        (b"[1]", "'1' where an object should begin"),
        (b'[{"a": 1} {"a": 2}]', "between two objects"),
        (b'[{"a": 1}] []', "after the list"),
        (b'[{"a": 1', "cut short or malformed"),
        (b'[{"a": tru}]', "cut short or malformed"),
        (b'[{"a": "\xff"}]', "codec can't decode"),
        (b'[{"a": ' + b"[" * 100_000, "nested too deeply|malformed"),
    ],
)
def test_malformed_lists(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "list.jgz"
    file.write_bytes(gzip.compress(data))
    with pytest.raises(DataError, match=says) as caught:
        list(streaming.stream_objects(file, "entry"))
    assert caught.value.where == file


def test_damaged_files(tmp_path: Path) -> None:
    write_category(tmp_path / "apple", [Toy()], files=False)
    file = tmp_path / "apple" / "frame_annotations.jgz"
    whole = file.read_bytes()
    for data in (whole[: len(whole) // 2], b"no gzip", whole[:100] + b"????" + whole[104:], whole[:-8]):
        file.write_bytes(data)
        with pytest.raises(DataError, match="Cannot read this annotation file"):
            read_frames(tmp_path / "apple", ["110_1"])
    file.unlink()
    with pytest.raises(DataError, match="annotation file of CO3D is missing"):
        read_frames(tmp_path / "apple", ["110_1"])
    with pytest.raises(DataError, match="no CO3D data set"):
        categories_of(tmp_path)


def test_endless_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_CHUNK", 16)
    monkeypatch.setattr(streaming, "_LONGEST", 64)
    file = tmp_path / "list.jgz"
    file.write_bytes(gzip.compress(b'[{"a": "' + b"x" * 1000 + b'"}]'))
    with pytest.raises(DataError, match="more than 64 characters"):
        list(streaming.stream_objects(file, "entry"))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("sequence_name",), 3, "frame 0.sequence_name"),
        (("frame_number",), 1.5, "frame 0.frame_number"),
        (("image",), None, "frame 0.image"),
        (("image", "path"), "", "frame 0: image.path"),
        (("image", "size"), [10], "frame 0: image.size"),
        (("image", "size"), [10, -4], "frame 0: image.size"),
        (("mask",), "masks/1.png", "frame 0.mask"),
        (("viewpoint",), None, "frame 0.viewpoint"),
        (("viewpoint", "R"), [[1, 0, 0], [0, 1, 0]], "numbers of shape 3x3"),
        (("viewpoint", "R"), 3, "numbers of shape 3x3"),
        (("viewpoint", "T"), [[1, 0, 0]], "numbers of shape 3"),
        (("viewpoint", "T"), [1, 0, "x"], "numbers of shape 3"),
        (("viewpoint", "T"), [1, 0, 10**400], "numbers of shape 3"),
        (("viewpoint", "focal_length"), [], "numbers of shape 2"),
        (("viewpoint", "intrinsics_format"), "pixels", "ndc_isotropic"),
    ],
)
def test_malformed_frames_are_named(tmp_path: Path, place: tuple[str, ...], value: Any, says: str) -> None:
    annotation = Toy().frame(0, "apple")
    inside = annotation
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    write_annotations(tmp_path / "frame_annotations.jgz", [annotation])
    with pytest.raises(DataError, match=says):
        read_frames(tmp_path, ["110_1"])


@pytest.mark.parametrize("name", ["../110_1", ".hidden", "", None, "a/b"])
def test_names_of_sequences_are_plain(tmp_path: Path, name: str | None) -> None:
    write_annotations(
        tmp_path / "sequence_annotations.jgz", [Toy().sequence("apple") | {"sequence_name": name}]
    )
    with pytest.raises(DataError, match="sequence_name"):
        read_sequences(tmp_path)


def test_lists_of_frames(tmp_path: Path) -> None:
    (tmp_path / "set_lists").mkdir()
    file = tmp_path / "set_lists" / "set_lists_fewview_dev.json"
    file.write_text(
        json.dumps({"train": [["110_1", 3, "x.jpg"], ["110_2", 0, "y"], ["110_1", 5, "z"]], "test": []})
    )
    assert read_set(tmp_path, "fewview_dev", "train") == {"110_1": {3, 5}, "110_2": {0}}
    assert read_set(tmp_path, "fewview_dev", "test") == {}
    with pytest.raises(ConfigError, match="choose one of: train, test"):
        read_set(tmp_path, "fewview_dev", "val")
    with pytest.raises(DataError, match="Cannot read"):
        read_set(tmp_path, "manyview", "train")
    file.write_text(json.dumps({"train": [["110_1"]]}))
    with pytest.raises(DataError, match="a list of"):
        read_set(tmp_path, "fewview_dev", "train")
