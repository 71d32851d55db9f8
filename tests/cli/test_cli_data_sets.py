"""Data sets of many scenes, as a user meets them: unpacked, listed, learnt from, resumed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.cli.main import main
from novelview.data.procedural import write_capture

TINY = [
    "--preset",
    "tiny",
    "--near",
    "0.5",
    "--far",
    "20",
    "--recipe.steps",
    "2",
    "--config.procedural",
    "0.1",
]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(
        tmp_path_factory.mktemp("capture") / "toy", "forward", 3, views=5, size=16, supersample=1
    )


@pytest.fixture(scope="module")
def scenes(capture: Path) -> Path:
    """The list of two scenes that were unpacked."""
    items = []
    for key in ("0a", "1b"):
        rows = torch.zeros(5, 18)
        rows[:, :4] = torch.tensor([1.0, 1.0, 0.5, 0.5])
        rows[:, 6:] = torch.eye(4)[:3].flatten()
        rows[:, 9] = torch.linspace(0, 0.2, 5)
        items.append({"key": key, "images": [picture(i) for i in range(5)], "cameras": rows})
    chunk = capture.parent / "000000.torch"
    torch.save(items, chunk)
    out = capture.parent / "unpacked"
    assert main(["data", "unpack", str(chunk), "--out", str(out)]) == 0
    return out / "scenes.txt"


def picture(seed: int) -> torch.Tensor:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 24, 3), np.uint8)).save(stream, "JPEG")
    return torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)


@pytest.fixture(scope="module")
def trained(capture: Path, scenes: Path) -> Path:
    out = capture.parent / "run"
    words = ["--data", str(capture), "--more", str(scenes), "--out", str(out), *TINY]
    assert main(["train", "quark", *words]) == 0
    return out


def test_unpacking_says_what_to_do_next(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = str(scenes.parents[1] / "000000.torch")
    assert main(["data", "unpack", "--out", str(tmp_path / "out"), chunk]) == 0
    assert main(["data", "unpack", "--out", str(tmp_path / "out"), chunk, chunk]) == 0
    said = capsys.readouterr().out
    assert "2 scenes, besides 0 that were there" in said
    assert "0 scenes, besides 4 that were there" in said
    assert f"--more {tmp_path / 'out' / 'scenes.txt'}" in said


def test_unpacking_nothing_or_something_else(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "unpack", "--out", str(tmp_path / "out")]) == 2
    assert main(["data", "unpack", str(capture / "transforms.json"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "No chunk is named" in said
    assert "Cannot read this chunk" in said
    assert not (tmp_path / "out").exists()


def test_a_run_remembers_the_list_and_not_its_scenes(trained: Path, scenes: Path) -> None:
    record = json.loads((trained / "run.json").read_text())
    (listed,) = record["lists"]
    assert (listed["path"], listed["count"]) == (str(scenes.resolve()), 2)
    assert listed["options"]["split"] == "none"
    assert record["more"] == []


def test_a_run_on_a_list_is_resumed_with_it(
    trained: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--resume", str(trained)]) == 0
    text = scenes.read_text()
    try:
        scenes.write_text("0a\n")
        assert main(["train", "--resume", str(trained)]) == 2
    finally:
        scenes.write_text(text)
    assert "lists[0].count is 2 in the run, 1 now" in capsys.readouterr().err


def test_per_scene_methods_take_no_list(
    capture: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(capture), "--more", str(scenes), "--out", str(tmp_path / "run")]
    assert main(["train", "grid", "--preset", "tiny", *words]) == 2
    assert "3 are named" in capsys.readouterr().err
