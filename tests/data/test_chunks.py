"""RealEstate10K's chunks: every scene a capture, every byte of an image the same, and nothing executed or believed."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.chunks import unpack_chunks
from novelview.data.open import open_scene
from novelview.data.scene_list import read_scene_list
from novelview.errors import DataError, NovelviewError

Item = dict[str, Any]


def jpeg(colour: int, kind: str = "JPEG") -> torch.Tensor:
    stream = io.BytesIO()
    Image.new("RGB", (16, 8), (colour, 0, 0)).save(stream, kind)
    return torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)


def item(key: str, frames: int = 3) -> Item:
    rows = torch.zeros(frames, 18)
    rows[:, :4] = torch.tensor([0.5, 0.875, 0.5, 0.5])
    rows[:, 6:] = torch.eye(4)[:3].flatten()
    rows[:, 9] = torch.arange(frames)  # The world moves right, so the camera moves left.
    return {
        "key": key,
        "url": "https://www.youtube.com/watch?v=toy",
        "timestamps": 33_333 * torch.arange(frames),
        "images": [jpeg(20 * i) for i in range(frames)],
        "cameras": rows,
    }


def write(path: Path, items: Any) -> Path:
    torch.save(items, path)
    return path


def test_scenes_become_captures(tmp_path: Path) -> None:
    chunks = [
        write(tmp_path / "0.torch", [item("0a"), item("1b")]),
        write(tmp_path / "1.torch", [item("2c")]),
    ]
    done = unpack_chunks(chunks, tmp_path / "out")
    assert (done.written, done.present) == (3, 0)
    scenes = read_scene_list(done.list, split="none")
    assert [scenes.open(i).name for i in range(len(scenes))] == ["0a", "1b", "2c"]
    scene = open_scene(tmp_path / "out" / "1b", split="none", normalise=False, measure=False)
    assert scene.origin["format"] == "lvsm-json"
    assert scene.train.cameras.intrinsics[0].tolist() == [8.0, 7.0, 8.0, 4.0]
    assert scene.train.cameras.centres.tolist() == [[0, 0, 0], [-1, 0, 0], [-2, 0, 0]]
    stored = (tmp_path / "out" / "1b" / "images" / "00002.jpg").read_bytes()
    assert stored == jpeg(40).numpy().tobytes()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    chunk, out = write(tmp_path / "0.torch", [item("0a"), item("1b")]), tmp_path / "out"
    unpack_chunks([chunk], out)
    (out / "0a" / "images" / "00000.jpg").write_bytes(b"mine")
    shutil.rmtree(out / "1b")
    (out / ".tmp-0-2c").mkdir()
    (out / ".tmp-0-2c" / "scene.json").write_text("{}")
    done = unpack_chunks([chunk], out)
    assert (done.written, done.present) == (1, 1)
    assert (out / "0a" / "images" / "00000.jpg").read_bytes() == b"mine"
    assert done.list.read_text() == "0a\n1b\n"


def test_png_images_are_taken_as_they_are(tmp_path: Path) -> None:
    scene = item("0a", frames=1) | {"images": [jpeg(1, "PNG")]}
    unpack_chunks([write(tmp_path / "0.torch", [scene])], tmp_path / "out")
    frames = json.loads((tmp_path / "out" / "0a" / "scene.json").read_text())["frames"]
    assert frames[0]["image_path"] == "images/00000.png"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "../0a"}, "the key of scene 1"),
        ({"key": "/0a"}, "the key of scene 1"),
        ({"key": ".tmp-0a"}, "the key of scene 1"),
        ({"key": "x" * 300}, "the key of scene 1"),
        ({"key": 7}, "found a int, 7"),
        ({"images": []}, "0 rows of 18"),
        ({"images": [], "cameras": torch.zeros(0, 18)}, "at least one"),
        ({"images": [jpeg(0).float()] * 3}, "tensors of bytes"),
        ({"images": None}, "tensors of bytes"),
        ({"images": [jpeg(0)] * 2}, "2 rows of 18"),
        ({"images": [torch.zeros(9, dtype=torch.uint8)] * 3}, "image 0 of scene 1b: it is not an image"),
        ({"images": [jpeg(0)[:40]] * 3}, "image 0 of scene 1b"),
        ({"cameras": torch.zeros(3, 17)}, r"found a Tensor of shape \(3, 17\)"),
        ({"cameras": torch.full((3, 18), torch.nan)}, "finite"),
        ({"cameras": torch.zeros(3, 18).to_sparse()}, "3 rows of 18"),
        ({"cameras": torch.zeros(3, 18, device="meta")}, "3 rows of 18"),
        ({"cameras": torch.zeros(3, 18, requires_grad=True)}, "3 rows of 18"),
        ({"cameras": [[0.0] * 18] * 3}, "3 rows of 18; found a list"),
    ],
)
def test_malformed_scenes_are_named_and_not_written(tmp_path: Path, change: Item, says: str) -> None:
    chunk, out = write(tmp_path / "0.torch", [item("0a"), item("1b") | change]), tmp_path / "out"
    with pytest.raises(DataError, match=says):
        unpack_chunks([chunk], out)
    assert [path.name for path in out.iterdir()] == ["0a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.torch", "out"]


@pytest.mark.parametrize("content", [{"key": "0a"}, [3], torch.zeros(3), "text"])
def test_other_files_of_tensors_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match="does not hold scenes"):
        unpack_chunks([write(tmp_path / "0.torch", content)], tmp_path / "out")


class _Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_executed(tmp_path: Path) -> None:
    chunk = write(tmp_path / "0.torch", [_Hostile(tmp_path / "executed")])
    with pytest.raises(DataError, match="wants to run code"):
        unpack_chunks([chunk], tmp_path / "out")
    chunk.write_bytes(pickle.dumps(_Hostile(tmp_path / "executed")))
    with pytest.raises(DataError, match="Cannot read this chunk"):
        unpack_chunks([chunk], tmp_path / "out")
    assert not (tmp_path / "executed").exists()


def test_damaged_and_missing_chunks(tmp_path: Path) -> None:
    chunk = write(tmp_path / "0.torch", [item("0a")])
    whole = chunk.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(30):
        data = bytearray(whole[: int(rng.integers(len(whole)))] if rng.random() < 0.3 else whole)
        for place in rng.integers(max(1, len(data)), size=4):
            data[place : place + 1] = rng.bytes(1)
        chunk.write_bytes(bytes(data))
        try:
            unpack_chunks([chunk], tmp_path / "out")
        except NovelviewError as error:
            str(error).encode()
    with pytest.raises(DataError, match="Cannot read this chunk"):
        unpack_chunks([tmp_path / "absent.torch"], tmp_path / "out")
