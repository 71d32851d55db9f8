"""A method in blocks, and all that two processes do with it in shards: ``sharded.py <folder>`` under torchrun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from fakes import RECIPE, FakeConfig, FakeMethod, FakeSampler, talking_threads
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from novelview.cameras.cameras import Cameras
from novelview.errors import NovelviewError
from novelview.geometry.rays import Rays
from novelview.methods.method import Method
from novelview.training import Interrupted, Rhythm, leave_processes, make_accelerator, train
from novelview.training.checkpoint import write_tensors
from novelview.training.learner import Learner

# Widths that two processes cannot halve.
CONFIG = FakeConfig(width=7)
LONG = replace(RECIPE, steps=24, ema=0.9, accumulate=2, clip_norm=0.02, optimizer="adamw", weight_decay=0.01)
HALF = replace(RECIPE, steps=12, precision="bfloat16", optimizer="radam")
RHYTHM = Rhythm(save=12, evaluate=12, log=12)
STOP = 15


class Block(nn.Linear):
    """A block that is also used by another name."""

    entrances = ("halved",)

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def halved(self, tokens: Tensor) -> Tensor:
        return F.linear(tokens, 0.5 * self.weight)


class Blocks(FakeMethod):
    """A small transformer's habits: blocks in a row, computed again for the gradient, and weights that rest for good."""

    def __init__(self, config: FakeConfig = CONFIG) -> None:
        super().__init__(config, None)
        self.blocks = nn.ModuleList(Block(config.width) for _ in range(3))
        self.fixed = nn.Parameter(torch.ones(3), requires_grad=False)

    def shards(self) -> list[nn.Module]:
        return list(self.blocks)

    def colour(self, rays: Rays) -> Tensor:
        hidden = self.first(torch.cat([rays.origins, rays.directions], dim=-1)) + self.table[0]
        for block in self.blocks:
            hidden = hidden + checkpoint(block, torch.tanh(hidden), use_reentrant=False)
            hidden = hidden + block.halved(hidden)
        return (self.fixed * self.last(hidden)).sigmoid()


class Scalar(Blocks):
    """Has a weight that cannot be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(1.0))


class Stopping(FakeSampler):
    """Sends its process one signal in the middle of a training."""

    def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
        # A slice with an even number is the first of its process.
        if step == STOP - 1 and index % 2 == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, index, count)


def fresh(kind: Callable[..., Method] = Blocks, *arguments: Any) -> Method:
    torch.manual_seed(0)
    return kind(*arguments)


def evaluate(method: Method, step: int) -> dict[str, float]:
    """Renders, which shards alone in their process could not."""
    assert not method.training
    cameras = Cameras.pinhole(torch.eye(4)[None, :3], torch.tensor([4.0, 4.0, 2.0, 2.0]), 4, 4)
    return {"brightness": float(method.render(None, cameras).rgb.mean())}


def learn(folder: Path | None, recipe: Any = LONG, method: Method | None = None, **options: Any) -> Method:
    """Train, or go on; the same call for all numbers of processes."""
    options = {"sampler": FakeSampler(recipe.batch, 0), "evaluate": evaluate, "rhythm": RHYTHM, **options}
    accelerator = make_accelerator("cpu")
    return train(method or fresh(), recipe=recipe, run=folder, accelerator=accelerator, quiet=True, **options)


def _refusal(method: Method) -> str:
    try:
        learn(None, RECIPE, method, shards=True)
    except NovelviewError as error:
        return str(error)
    return ""


def _main(root: Path) -> None:
    accelerator = make_accelerator("cpu")
    method = learn(root / "straight", shards=True)
    assert isinstance(method, Blocks)
    rank = accelerator.process_index
    write_tensors(root / f"returned-{rank}.safetensors", method.state_dict())
    learn(root / "half", HALF, shards=True)
    learn(root / "begun", shards=True)
    # One process alone is told to stop.
    sampler = (FakeSampler, Stopping)[rank](LONG.batch, 0)
    with suppress(Interrupted):
        learn(root / "stopped", sampler=sampler, shards=True)
    if accelerator.is_main_process:
        shutil.copytree(root / "stopped", root / "unsharded")
    accelerator.wait_for_everyone()
    learn(root / "stopped", shards=True)
    grown, idle = FakeConfig(grow_at=(3,)), FakeConfig(unused=True)
    refused = {
        "grown": _refusal(fresh(FakeMethod, grown, None)),
        "idle": _refusal(fresh(FakeMethod, idle, None)),
        "scalar": _refusal(fresh(Scalar)),
        "silent": _refusal(_silent(idle)),
    }
    facts = {"refused": refused, "returned": type(method.table).__name__, "share": _share()}
    assert talking_threads() > 0
    leave_processes()
    facts["threads"] = talking_threads()
    (root / f"facts-{rank}.json").write_text(json.dumps(facts))


def _share() -> dict[str, int]:
    """Numbers that this process holds after a step, by what they are for."""
    learner = Learner(fresh(), FakeSampler(LONG.batch, 0), LONG, make_accelerator("cpu"), 0, shards=True)
    learner.update(0)
    assert learner.average is not None
    # A state of size 1 counts the steps.
    state = [each for states in learner._optimizer.state.values() for each in states.values() if each.dim()]
    held = {
        "weights": list(learner.method.parameters()),
        "average": list(learner.average.tensors.values()),
        "optimizer": state,
    }
    return {name: sum(each.to_local().numel() for each in tensors) for name, tensors in held.items()}


def _silent(config: FakeConfig) -> Method:
    """Leaves a parameter without a gradient and does not say so."""
    method = fresh(FakeMethod, config, None)
    method.idle_parameters = False
    return method


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
