"""What a training of several stages tells: how long each took, and what it scores on held-out views."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from novelview.config import to_json
from novelview.files import atomic_write_json
from novelview.training.checkpoint import read_json


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Attributes:
        name: for people.
        seconds: spent on it, interrupted attempts included.
        psnr: mean over the held-out views after it, dB; None where nothing is held out, or it makes no pictures.
        note: what else is worth a line.
    """

    name: str
    seconds: float = 0.0
    psnr: float | None = None
    note: str = ""


@dataclass(frozen=True)
class _File:
    stages: tuple[Stage, ...]


class Journal:
    """The stages so far, in a file that is written anew after each; goes on with one that is there.

    Args:
        path: JSON file; None: keep it in memory.
        quiet: print nothing.

    Raises:
        CheckpointError: the file is damaged.
    """

    def __init__(self, path: Path | None, quiet: bool) -> None:
        self._path, self._console = path, Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        known = read_json(path, _File).stages if path is not None and path.exists() else ()
        self._stages = {stage.name: stage for stage in known}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All that were begun, in order."""
        return tuple(self._stages.values())

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage, also when it is left by an error."""
        self._console.print(f"{name} …", markup=False)
        start = time.perf_counter()
        try:
            yield
        finally:
            stage = self._stages.get(name, Stage(name))
            self._keep(replace(stage, seconds=stage.seconds + time.perf_counter() - start))

    def note(self, name: str, psnr: float | None = None, note: str = "") -> None:
        """Say how a stage ended."""
        self._keep(replace(self._stages[name], psnr=psnr, note=note))

    def _keep(self, stage: Stage) -> None:
        self._stages[stage.name] = stage
        if self._path is not None:
            atomic_write_json(self._path, to_json(_File(self.stages)))


def told(stages: tuple[Stage, ...]) -> list[str]:
    """A line for each stage, and one for all of them."""
    width = max((len(stage.name) for stage in stages), default=0)
    lines = []
    for stage in stages:
        score = f"{stage.psnr:6.2f} dB held out" if stage.psnr is not None else " " * 18
        lines.append(f"{stage.name:<{width}}  {stage.seconds:6.0f} s  {score}  {stage.note}".rstrip())
    return [*lines, f"{'all':<{width}}  {sum(stage.seconds for stage in stages):6.0f} s"]
