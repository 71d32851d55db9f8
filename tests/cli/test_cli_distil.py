"""``novelview train r2l``, as a user types it: one command from a capture to a light field, and on to ONNX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import novelview as nv
from novelview.cli.main import main
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.errors import ConfigError

SMALL = [
    *("--pseudo-views", "16", "--check-every", "10"),
    *("--config.lifted.volume.resolution", "16", "--config.lifted.volume.colour-resolution", "16"),
    *("--recipe.steps", "30", "--recipe.batch", "256", "--finetune.steps", "20", "--finetune.batch", "256"),
]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture") / "toy", "object", 10, views=14, size=16)


@pytest.fixture(scope="module")
def run(capture: Path) -> Path:
    out = capture.parent / "run"
    assert (
        main(["train", "r2l", "--data", str(capture), "--out", str(out), "--teacher", "grid:tiny", *SMALL])
        == 0
    )
    return out


def test_it_says_what_each_stage_took_and_gave(
    run: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A run that is complete says it again.
    assert main(["train", "--resume", str(run)]) == 0
    said = capsys.readouterr().out
    kept = json.loads((run / "distillation.json").read_text())["stages"]
    for stage in kept:
        line = next(line for line in said.splitlines() if line.startswith(stage["name"]))
        assert f"{stage['seconds']:.0f} s" in line
        assert stage["psnr"] is None or f"{stage['psnr']:.2f} dB held out" in line
    assert sum(stage["psnr"] is not None for stage in kept) == 3


def test_every_stage_is_a_run_to_look_at(run: Path, tmp_path: Path) -> None:
    for name in (".", "teacher", "student"):
        words = ["render", str(run / name), "--path", "test", "--out", str(tmp_path / name / "frames")]
        assert main(words) == 0
        assert main(["eval", str(run / name), "--out", str(tmp_path / name / "report")]) == 0


def test_a_trained_teacher_is_asked_and_its_name_is_no_method(
    run: Path, capture: Path, tmp_path: Path
) -> None:
    words = ["--teacher", str(run / "teacher"), "r2l", "--data", str(capture), "--out", str(tmp_path / "run")]
    assert main(["train", *words, *SMALL]) == 0
    assert not (tmp_path / "run" / "teacher").exists()
    words = [
        "--teacher",
        "grid:tiny",
        "r2l",
        "--data",
        str(capture),
        "--out",
        str(tmp_path / "other"),
        *SMALL,
    ]
    assert main(["train", *words]) == 0
    assert json.loads((tmp_path / "other" / "run.json").read_text())["method"] == "r2l"


def test_without_a_teacher_it_learns_from_the_photographs(capture: Path, tmp_path: Path) -> None:
    words = ["r2l", "--data", str(capture), "--out", str(tmp_path / "run"), "--teacher", "None", *SMALL]
    assert main(["train", *words]) == 0
    assert not (tmp_path / "run" / "distillation.json").exists()
    assert nv.load(tmp_path / "run") is not None


def test_what_cannot_be_is_refused(capture: Path, tmp_path: Path) -> None:
    words = ["r2l", "--data", str(capture), "--out", str(tmp_path / "run"), *SMALL]
    for more in (["--shards"], ["--patience", "0"], ["--zoom", "2", "1"], ["--teacher", "nonsense"]):
        assert main(["train", *words, *more]) != 0
        assert not (tmp_path / "run" / "latest.json").exists()


def test_python_has_a_word_for_it(run: Path, capture: Path) -> None:
    scene = open_scene(capture)
    method = nv.load(run)
    frames = method.render(method.condition(scene.train, scene.bounds), scene.test.cameras)
    assert frames.depth is not None
    with pytest.raises(ConfigError, match="photographs alone"):
        nv.fit("grid", scene, teacher="nerf")


def test_the_light_field_leaves_as_onnx(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    # In a process of its own: checks of shapes on every call would ask for sizes that are unknown while tracing.
    command = "import sys; from novelview.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["export", str(run), "--to", "onnx", "--out", str(tmp_path / "toy.onnx")]
    done = subprocess.run(
        [sys.executable, "-c", command, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    from novelview.export.onnx import read_onnx

    _, card = read_onnx(tmp_path / "toy.onnx")
    assert card.largest_error < 1e-4
    assert card.psnr > 60
