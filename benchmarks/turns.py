"""What tables of speed have in common: contenders that take turns, and trained runs with the scene that they show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import spread_views
from novelview.cli.runs import open_run_scene
from novelview.data.scene import Scene
from novelview.methods.method import Method
from novelview.training.folder import RunInfo
from novelview.training.run import load_method, located


def taking_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call; a slow moment of the machine falls on all of them. The first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            seconds = timed(call)
            if number:
                taken[name].append(seconds)
    return {name: median(each) for name, each in taken.items()}


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Trained:
    """A trained method, ready to render the scene that it learnt.

    Attributes:
        name: of the run, for people.
        info: what the run says of itself.
        method: with the weights of its last checkpoint.
        scene: that of the run.
        state: what the method keeps of the scene.
    """

    name: str
    info: RunInfo
    method: Method
    scene: Scene
    state: Any

    @staticmethod
    def open(run: Path) -> Trained:
        """What a run folder holds."""
        method, info = load_method(run)
        folder = located(run)
        scene = open_run_scene(folder, info)
        state = method.condition(scene.train, scene.bounds)
        return Trained(f"{info.spec.title} ({folder.resolve().name})", info, method, scene, state)

    def cameras(self, count: int, width: int, height: int) -> Cameras:
        """Held-out views, or others where there are none, that differ much; without distortion and of one size."""
        views = self.scene.test.cameras if len(self.scene.test) else self.scene.train.cameras
        return views[spread_views(views, count)].undistorted().resized(width, height)
