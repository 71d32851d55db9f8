"""Trainings in processes of their own: killed and resumed, and shared between two of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import RECIPE, FakeConfig, FakeMethod, FakeSampler

from novelview.config import to_json
from novelview.methods.recipe import Recipe
from novelview.training import train
from novelview.training.checkpoint import Checkpoint, latest_step, read_checkpoint

CHILD = str(Path(__file__).with_name("child.py"))
CONFIG = FakeConfig(grow_at=(25, 70), unused=True)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(folder: Path, recipe: Recipe, *launcher: str, config: FakeConfig = CONFIG) -> subprocess.Popen[str]:
    arguments = [str(folder), json.dumps(to_json(recipe)), json.dumps(to_json(config))]
    command = [sys.executable, *launcher, CHILD, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def train_here(folder: Path, recipe: Recipe) -> Checkpoint:
    torch.manual_seed(0)
    train(FakeMethod(CONFIG, None), FakeSampler(recipe.batch, 0), recipe, folder, quiet=True)
    return read_checkpoint(folder)


def wait_for_checkpoint(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    while (latest_step(folder) or 0) < step:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.002)


def test_killed_and_resumed_is_the_same_training(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=600, ema=0.95)
    process = start(tmp_path / "killed", recipe)
    wait_for_checkpoint(tmp_path / "killed", 60, process)
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    killed_at = latest_step(tmp_path / "killed")
    assert killed_at is not None
    assert killed_at < recipe.steps, "the training was over before it could be killed"
    resumed, straight = train_here(tmp_path / "killed", recipe), train_here(tmp_path / "straight", recipe)
    for name in ("model", "optimizer", "average"):
        ours, theirs = getattr(resumed, name), getattr(straight, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps)), "no step is told twice"


@pytest.mark.slow
def test_two_processes_are_one_training(tmp_path: Path) -> None:
    """Equal global batch, parameters that rest in half the steps, growth and averaging: equal to rounding."""
    recipe = replace(RECIPE, steps=100, ema=0.9, accumulate=2, clip_norm=0.02)
    process = start(tmp_path / "two", recipe, *TORCHRUN)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.count("step 100/100") == 1, "only one process talks"
    assert output.count("0 threads of the group\n") == 2, (
        "a thread that stays can abort the process at its end"
    )
    two, one = read_checkpoint(tmp_path / "two"), train_here(tmp_path / "one", recipe)
    assert one.average is not None
    assert two.average is not None
    torch.testing.assert_close(two.model, one.model, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(two.average, one.average, rtol=1e-3, atol=1e-4)
    assert two.progress.structure == one.progress.structure


@pytest.mark.slow
def test_two_processes_stop_together(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=1_000_000)
    process = start(tmp_path / "run", recipe, *TORCHRUN, config=FakeConfig())
    wait_for_checkpoint(tmp_path / "run", 20, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    stopped = read_checkpoint(tmp_path / "run").progress.step
    assert output.count(f"stopped after {stopped}\n") == 2, output
    assert "find_unused_parameters" not in output, "nothing rests here, so nothing is searched for"
