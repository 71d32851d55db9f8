"""Weights in shards: the same training as in one process, the same files, and refusals that help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import FAKE, fake_scene
from sharded import HALF, LONG, STOP, Blocks, Stopping, learn

from novelview.errors import ConfigError
from novelview.methods.discovery import find
from novelview.training import Interrupted, fit
from novelview.training.checkpoint import Checkpoint, read_checkpoint, read_tensors

# Two processes sum in another order, which changes float32 by parts in 1e7; training amplifies that a little.
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}
# bfloat16 has 8 bits, and each process rounds the gradient over its own rays; the rate damps what comes of it.
HALF_ROUNDING = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes with shards, and one without, have written."""
    root = tmp_path_factory.mktemp("sharded")
    with pytest.raises(Interrupted):
        learn(root / "begun", sampler=Stopping(LONG.batch, 0))
    child = str(Path(__file__).with_name("sharded.py"))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        [sys.executable, *launcher, child, str(root)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    learn(root / "one")
    return root


def facts(root: Path, rank: int) -> Any:
    return json.loads((root / f"facts-{rank}.json").read_text())


def assert_close(ours: Checkpoint, theirs: Checkpoint, **tolerance: float) -> None:
    assert ours.progress.step == theirs.progress.step
    for part in ("model", "optimizer", "average"):
        torch.testing.assert_close(getattr(ours, part), getattr(theirs, part), **tolerance)


@pytest.mark.slow
def test_two_processes_with_shards_are_one_training(root: Path) -> None:
    sharded, one = read_checkpoint(root / "straight"), read_checkpoint(root / "one")
    assert sharded.model.keys() == Blocks().state_dict().keys()
    assert_close(sharded, one, **ROUNDING)


@pytest.mark.slow
def test_bfloat16_learns_in_shards_what_it_learns_without(root: Path) -> None:
    learn(root / "half-one", HALF)
    sharded, one = read_checkpoint(root / "half"), read_checkpoint(root / "half-one")
    torch.testing.assert_close(sharded.model, one.model, **HALF_ROUNDING)


@pytest.mark.slow
def test_every_process_gets_the_whole_averaged_method_back(root: Path) -> None:
    average = read_checkpoint(root / "straight").average
    assert average is not None
    for rank in (0, 1):
        returned = read_tensors(root / f"returned-{rank}.safetensors")
        assert all(torch.equal(returned[name], value) for name, value in average.items())
        assert torch.equal(returned["calls"], torch.tensor(float(LONG.steps)))
        assert facts(root, rank)["returned"] == "Parameter"


@pytest.mark.slow
def test_each_process_holds_its_share_alone(root: Path) -> None:
    """Together they hold every number once; neither has much more than half, for few rows are odd in number."""
    learning = sum(p.numel() for p in Blocks().parameters() if p.requires_grad)
    expected = {"weights": learning + len(Blocks().fixed), "average": learning, "optimizer": 2 * learning}
    shares = [facts(root, rank)["share"] for rank in (0, 1)]
    for name, count in expected.items():
        assert shares[0][name] + shares[1][name] == count
        assert max(share[name] for share in shares) < 0.65 * count


@pytest.mark.slow
def test_evaluation_renders_whole_averaged_weights(root: Path) -> None:
    sharded, one = (
        [json.loads(line) for line in (root / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("straight", "one")
    )
    found, expected = (
        {line["step"]: line["evaluation"] for line in lines if "evaluation" in line}
        for lines in (sharded, one)
    )
    assert found.keys() == {12, 24}
    for step, values in found.items():
        assert values["brightness"] == pytest.approx(expected[step]["brightness"], rel=1e-5)


@pytest.mark.slow
def test_stopped_and_continued_is_the_same_training(root: Path) -> None:
    """Two numbers have one sum: with two processes even the rounding is the same."""
    assert_close(read_checkpoint(root / "stopped"), read_checkpoint(root / "straight"), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["unsharded", "begun"])
def test_a_run_may_change_between_shards_and_whole_weights(root: Path, run: str) -> None:
    """Begun with shards and continued in one process, and the reverse."""
    if run == "unsharded":
        assert read_checkpoint(root / run).progress.step == STOP
        learn(root / run)
    assert_close(read_checkpoint(root / run), read_checkpoint(root / "one"), **ROUNDING)


@pytest.mark.slow
def test_refusals_come_from_every_process(root: Path) -> None:
    for rank in (0, 1):
        refused = facts(root, rank)["refused"]
        assert "replaced its parameters before step 3" in refused["grown"]
        assert "leaves some parameters without a gradient" in refused["idle"]
        assert "sharpness has no dimension" in refused["scalar"]
        assert "Step 1 leaves the parameter 'spare' without a gradient" in refused["silent"]


@pytest.mark.slow
def test_nothing_of_the_group_is_left(root: Path) -> None:
    """A thread that outlives the group can abort its process while Python ends."""
    assert [facts(root, rank)["threads"] for rank in (0, 1)] == [0, 0]


def test_one_process_has_nobody_to_share_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="single process") as caught:
        fit(FAKE, fake_scene(), out=tmp_path / "run", device="cpu", shards=True)
    assert "torchrun" in str(caught.value.cure)
    assert not (tmp_path / "run").exists(), "the command can be given again"


def test_a_grid_is_not_sharded() -> None:
    spec = find("grid")
    with pytest.raises(ConfigError, match="grows"):
        spec.build(spec.preset("tiny").config, fake_scene().bounds).shards()
