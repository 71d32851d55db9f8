"""Checkpoints are whole or absent, say what is wrong with them, and hold no code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import FakeConfig, FakeMethod

import novelview.training.checkpoint as checkpoint_module
from novelview.errors import CheckpointError, OutputError
from novelview.training.checkpoint import (
    Checkpoint,
    Progress,
    latest_step,
    load_weights,
    read_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)


def checkpoint(step: int, size: int = 4) -> Checkpoint:
    tensors = {"a": torch.full((size,), float(step)), "b": torch.ones(2, 2)}
    return Checkpoint(
        Progress(step, {"rows": 4}), tensors, {"a.exp_avg": torch.zeros(size)}, {"a": torch.ones(size)}
    )


def folders(run: Path) -> list[str]:
    return sorted(folder.name for folder in (run / "checkpoints").iterdir())


def test_round_trip(tmp_path: Path) -> None:
    assert latest_step(tmp_path) is None
    save_checkpoint(tmp_path, checkpoint(7))
    found = read_checkpoint(tmp_path)
    assert found.progress == Progress(7, {"rows": 4})
    assert torch.equal(found.model["a"], torch.full((4,), 7.0))
    assert set(found.optimizer) == {"a.exp_avg"}
    assert found.average is not None
    assert read_checkpoint(tmp_path, training=False).optimizer == {}


def test_keeps_the_last_ones(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save_checkpoint(tmp_path, checkpoint(step), keep=2)
    assert folders(tmp_path) == ["step-0000003", "step-0000004"]
    assert latest_step(tmp_path) == 4


def test_leftovers_are_swept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    (tmp_path / "checkpoints" / ".tmp-0-step-0000009").mkdir()
    (tmp_path / "checkpoints" / "step-0000009").mkdir()
    save_checkpoint(tmp_path, checkpoint(2))
    assert folders(tmp_path) == ["step-0000001", "step-0000002"]


def test_same_step_is_not_written_again(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    inode = (tmp_path / "latest.json").stat().st_ino
    save_checkpoint(tmp_path, checkpoint(1))
    assert (tmp_path / "latest.json").stat().st_ino == inode


@pytest.mark.parametrize("after", range(6))
def test_full_disk_keeps_the_previous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Whichever of the writes fails, the old checkpoint is the latest and nothing is left over."""
    save_checkpoint(tmp_path, checkpoint(1))
    writes = [0]

    def failing(function):  # type: ignore[no-untyped-def]
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            writes[0] += 1
            if writes[0] > after:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(checkpoint_module, "save_file", failing(checkpoint_module.save_file))
    monkeypatch.setattr(Path, "write_bytes", failing(Path.write_bytes))
    monkeypatch.setattr(os, "rename", failing(os.rename))
    with pytest.raises(OutputError, match="the disk is full"):
        save_checkpoint(tmp_path, checkpoint(2))
    monkeypatch.undo()
    assert latest_step(tmp_path) == 1
    assert read_checkpoint(tmp_path).progress.step == 1
    assert not list(tmp_path.rglob(".tmp-*"))


def test_failure_inside_safetensors_is_ours(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"x\.safetensors"):
        write_tensors(tmp_path / "absent" / "x.safetensors", {"a": torch.ones(1)})


KILLED = """
import os, signal, sys, time, torch
from pathlib import Path
from novelview.training.checkpoint import Checkpoint, Progress, save_checkpoint
for kill in range(20):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for step in range(1, 10**6):
            tensors = {"a": torch.full((100_000,), float(step))}
            save_checkpoint(Path(sys.argv[1], str(kill)), Checkpoint(Progress(step), tensors, tensors))
            os.write(writer, b"x")
    announced = sum(len(os.read(reader, 1)) for _ in range(2))
    time.sleep(0.0007 * kill)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_kill_while_saving(tmp_path: Path) -> None:
    """Processes that do nothing but save are killed at odd moments; what is there can always be read."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True)
    interrupted = 0
    for run in tmp_path.iterdir():
        found = read_checkpoint(run)
        assert found.progress.step >= 2
        assert bool((found.model["a"] == found.progress.step).all())
        assert bool((found.optimizer["a"] == found.progress.step).all())
        interrupted += any(run.rglob(".tmp-*"))
    assert interrupted > 0, "no kill fell into a save, so nothing was tested"


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    write_tensors(tmp_path / "x.safetensors", {"a": shared, "b": shared, "c": shared.reshape(2, 3).T})
    found = read_tensors(tmp_path / "x.safetensors")
    assert torch.equal(found["a"], found["b"])
    assert torch.equal(found["c"], shared.reshape(2, 3).T)


@pytest.mark.parametrize("size", [0, 5, 60, -3])
def test_truncated_tensors(tmp_path: Path, size: int) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    path = tmp_path / "checkpoints" / "step-0000001" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_checkpoint(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    (tmp_path / "checkpoints" / "step-0000001" / "optimizer.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"missing.*optimizer\.safetensors"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_checkpoint(tmp_path / "absent")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": "x"}', '{"step": 1, "extra": 2}', "\xff"])
def test_bad_state(tmp_path: Path, text: str) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    path = tmp_path / "checkpoints" / "step-0000001" / "state.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"state\.json"):
        read_checkpoint(tmp_path)


def test_newer_format(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, replace(checkpoint(1), progress=Progress(1, format=99)))
    with pytest.raises(CheckpointError, match="format 99"):
        read_checkpoint(tmp_path)


def test_pickle_is_not_executed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    torch.save({"a": torch.ones(4)}, tmp_path / "checkpoints" / "step-0000001" / "model.safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path)


def test_misfits_are_named(tmp_path: Path) -> None:
    method = FakeMethod(FakeConfig(), None)
    model = {name: value.clone() for name, value in method.state_dict().items()}
    del model["last.bias"]
    model["ghost"] = torch.zeros(1)
    model["first.weight"] = torch.zeros(5, 5)
    with pytest.raises(CheckpointError) as caught:
        load_weights(method, Checkpoint(Progress(1, {"rows": 4}), model, {}), averaged=False, where=tmp_path)
    text = str(caught.value)
    assert "missing: last.bias" in text
    assert "unknown: ghost" in text
    assert "first.weight has shape (5, 5), expected (8, 6)" in text


def test_only_json_and_safetensors(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert not Path(json.loads((tmp_path / "latest.json").read_text())["folder"]).is_absolute()
