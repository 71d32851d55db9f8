"""What a training tells: a progress bar or plain lines, ``metrics.jsonl``, and TensorBoard if asked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import TextColumn
from torch import Tensor

from novelview.errors import ConfigError, import_extra
from novelview.files import atomic_write_text, output_errors
from novelview.progress import progress_bar

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Meter:
    """Means over the steps since the last reading, kept on the device so that nobody waits for them."""

    def __init__(self) -> None:
        self._clear()

    def add(self, scalars: Mapping[str, Tensor], seconds: float) -> None:
        """Count one step in."""
        self._steps += 1
        self._seconds += seconds
        for name, value in scalars.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.float()
            self._counts[name] = self._counts.get(name, 0) + 1

    def read(self) -> tuple[float, dict[str, Tensor]]:
        """Mean seconds per step and means of the scalars, each over the steps that had it; starts afresh."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        seconds = self._seconds / self._steps
        self._clear()
        return seconds, means

    def _clear(self) -> None:
        self._steps, self._seconds = 0, 0.0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of colours in [0, 1]."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


class Log:
    """Where the figures of one training go; closes with its ``with`` block.

    Args:
        folder: the run, None to write nothing.
        steps: number of steps of the whole training.
        start: number of steps done before; later lines of ``metrics.jsonl`` are dropped.
        quiet: print nothing.
        tensorboard: also write TensorBoard files, into the run.

    Raises:
        MissingDependencyError: TensorBoard is asked for and not installed.
        OutputError: the files cannot be written.
    """

    def __init__(
        self, folder: Path | None, steps: int, start: int = 0, quiet: bool = False, tensorboard: bool = False
    ) -> None:
        self._steps = steps
        self._metrics: IO[str] | None = None
        self._board = _open_tensorboard(folder, start) if tensorboard else None
        self._console = Console(stderr=True, quiet=quiet)
        bar = progress_bar(self._console, TextColumn("{task.fields[figures]}"), transient=False)
        self._bar = None if bar.disable else bar
        if folder is not None:
            truncate_metrics(folder / METRICS_FILE, start)
            with output_errors(folder / METRICS_FILE):
                folder.mkdir(parents=True, exist_ok=True)
                self._metrics = open(folder / METRICS_FILE, "a", encoding="utf-8")  # noqa: SIM115
        if self._bar is not None:
            self._task = self._bar.add_task("training", total=steps, completed=start, figures="")

    def __enter__(self) -> Log:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._metrics is not None:
            self._metrics.close()
        if self._board is not None:
            self._board.close()

    def advance(self, step: int) -> None:
        """Show that ``step`` steps are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def record(self, step: int, values: Mapping[str, float], shown: str) -> None:
        """Keep figures of training step ``step``; ``shown`` is their short form for people."""
        self._write({"step": step, **values})
        self._plot(step, "train", values)
        if self._bar is not None:
            self._bar.update(self._task, figures=shown)
        else:
            self.say(f"step {step}/{self._steps}  {shown}")

    def record_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Keep what the evaluation after ``step`` steps found."""
        self._write({"step": step, "evaluation": dict(values)})
        self._plot(step, "evaluation", values)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.say(f"step {step}/{self._steps}  evaluation  {figures}")

    def say(self, text: str) -> None:
        """Print one line, above the bar if there is one."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _write(self, values: dict[str, Any]) -> None:
        if self._metrics is not None:
            with output_errors(self._metrics.name):
                self._metrics.write(json.dumps(_finite(values)) + "\n")
                self._metrics.flush()

    def _plot(self, step: int, prefix: str, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{prefix}/{name}", value, step)


def truncate_metrics(path: Path, step: int) -> None:
    """Drop lines beyond ``step`` and a last line that was cut short: they are about to be made again."""
    if not path.exists():
        return
    with output_errors(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if (done := _step_of(line)) is not None and done <= step]
    if kept != lines:
        atomic_write_text(path, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def _finite(values: Any) -> Any:
    """The same with None for what JSON cannot hold."""
    if isinstance(values, dict):
        return {name: _finite(value) for name, value in values.items()}
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _open_tensorboard(folder: Path | None, start: int) -> Any:
    if folder is None:
        raise ConfigError("TensorBoard needs a run folder", cure="name a folder to write the run into")
    tensorboard = import_extra("torch.utils.tensorboard", "train")
    with output_errors(folder / TENSORBOARD_FOLDER):
        return tensorboard.SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=start + 1)
