"""Stopping politely: the first signal asks the training to save and leave, the second one kills it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from novelview.errors import NovelviewError


class Interrupted(NovelviewError):
    """The training was asked to stop, has saved, and can be resumed.

    Attributes:
        signal: number of the signal; a command exits with 128 plus it.
        step: number of steps done.
        steps: of all.
        folder: the run.
    """

    def __init__(self, number: int, step: int, steps: int, folder: Path) -> None:
        self.signal, self.step, self.steps, self.folder = number, step, steps, folder
        super().__init__(
            f"Training was interrupted after step {step} of {steps}; everything is saved",
            where=folder,
            cure=f"go on with: {resume_command(folder)}",
        )


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"novelview train --resume {folder}"


class Interrupts:
    """Context in which SIGINT and SIGTERM are remembered instead of obeyed.

    Args:
        patient: ignore repeated signals, because a launcher repeats what a terminal has sent already;
            otherwise the second signal kills at once.

    Attributes:
        signal: number of the signal that arrived, if any.
    """

    def __init__(self, patient: bool = False) -> None:
        self.signal: int | None = None
        self._patient = patient
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        # Python accepts handlers in the main thread only; elsewhere signals keep their meaning.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        if not self._patient:
            for other in self._previous:
                signal.signal(other, signal.SIG_DFL)
