"""Figures are kept as JSON lines that a resumed run continues; printing follows the terminal."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import torch

from novelview.errors import ConfigError, MissingDependencyError
from novelview.training.log import Log, Meter, psnr, truncate_metrics


def test_meter_averages_each_scalar_over_its_steps() -> None:
    meter = Meter()
    meter.add({"a": torch.tensor(1.0), "b": torch.tensor(5.0)}, 0.5)
    meter.add({"a": torch.tensor(3.0)}, 1.5)
    seconds, means = meter.read()
    assert seconds == 1.0
    assert {name: float(value) for name, value in means.items()} == {"a": 2.0, "b": 5.0}
    meter.add({"a": torch.tensor(7.0, dtype=torch.bfloat16)}, 1.0)
    assert float(meter.read()[1]["a"]) == 7.0


def test_psnr() -> None:
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0.0) == math.inf


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_plain_lines_and_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Log(tmp_path, 20) as log:
        log.advance(10)
        log.record(10, {"loss": 0.5, "psnr": math.inf}, "loss 0.5 [x]")
        log.record_evaluation(10, {"psnr": 21.25})
    assert lines(tmp_path) == [
        {"step": 10, "loss": 0.5, "psnr": None},
        {"step": 10, "evaluation": {"psnr": 21.25}},
    ]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["step 10/20  loss 0.5 [x]", "step 10/20  evaluation  psnr 21.25"]


def test_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Log(None, 20) as log:
        log.record(10, {"loss": 0.5}, "loss 0.5")
        log.advance(15)
    printed = capsys.readouterr().err
    assert "15/20" in printed
    assert "loss 0.5" in printed


def test_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Log(tmp_path, 20, quiet=True) as log:
        log.record(10, {"loss": 0.5}, "loss 0.5")
        log.say("x")
    assert capsys.readouterr().err == ""
    assert len(lines(tmp_path)) == 1


def test_continuing_drops_the_abandoned_future(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n{"step": 20}\n{"step": 20, "evaluation": {}}\n{"step": 30}\n{"ste')
    with Log(tmp_path, 40, start=20, quiet=True) as log:
        log.record(30, {}, "")
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 20, 30]


def test_truncation_leaves_a_good_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    truncate_metrics(path, 5)
    assert not path.exists()
    path.write_text('{"step": 1}\n')
    inode = path.stat().st_ino
    truncate_metrics(path, 5)
    assert path.stat().st_ino == inode


def test_tensorboard_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Log(tmp_path, 20, quiet=True, tensorboard=True) as log:
        log.record(10, {"loss": 0.5}, "")
        log.record_evaluation(10, {"psnr": 20.0})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("train/loss")] == [0.5]
    assert [event.value for event in events.Scalars("evaluation/psnr")] == [20.0]


def test_tensorboard_needs_its_package_and_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="run folder"):
        Log(None, 20, tensorboard=True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"novelview\[train\]"):
        Log(tmp_path, 20, tensorboard=True)
