"""Trains the fake method in a process of its own: ``child.py <run folder> <recipe as JSON> <config as JSON>``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from fakes import FakeConfig, FakeMethod, FakeSampler, talking_threads
from torch.distributed import is_initialized

from novelview.config import from_json
from novelview.methods.recipe import Recipe
from novelview.training import Interrupted, Rhythm, leave_processes, train

if __name__ == "__main__":
    recipe = from_json(Recipe, json.loads(sys.argv[2]))
    config = from_json(FakeConfig, json.loads(sys.argv[3]))
    torch.manual_seed(0)
    method = FakeMethod(config, None)
    status = 0
    try:
        train(method, FakeSampler(recipe.batch, 0), recipe, Path(sys.argv[1]), rhythm=Rhythm(save=20, log=20))
    except Interrupted as interruption:
        # One write, so that the lines of two processes do not mix.
        print(f"stopped after {interruption.step}\n", end="", flush=True)
        status = 128 + interruption.signal
    assert not is_initialized() or talking_threads() > 0
    leave_processes()
    print(f"{talking_threads()} threads of the group\n", end="", flush=True)
    sys.exit(status)
