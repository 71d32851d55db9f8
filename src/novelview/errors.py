"""The errors novelview raises: each says what happened, in which file or view, why, and what to do next."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


class NovelviewError(Exception):
    """Base of every error that is the user's to mend; anything else that escapes is a bug of ours.

    Args:
        what: what went wrong, one sentence without the final full stop.
        where: the file, view or option it concerns.
        why: the cause, as far as it is known.
        cure: what to do or type next.
    """

    def __init__(
        self, what: str, *, where: str | Path | None = None, why: str | None = None, cure: str | None = None
    ) -> None:
        self.what, self.where, self.why, self.cure = what, where, why, cure
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [self.what if self.where is None else f"{self.what}: {self.where}"]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.cure:
            lines.append(f"  cure: {self.cure}")
        return "\n".join(lines)


class DataError(NovelviewError):
    """A capture, an image or a pose cannot be read or makes no sense."""


class CameraError(NovelviewError):
    """A camera, a lens or a camera path is invalid."""


class ConfigError(NovelviewError):
    """An option has a value that cannot work, or options contradict each other."""


class MethodError(NovelviewError):
    """A method is unknown, or cannot do what is asked of it with this scene."""


class CheckpointError(NovelviewError):
    """A checkpoint or a run folder cannot be read or does not fit."""


class OutputError(NovelviewError):
    """A result cannot be written."""


class MissingDependencyError(NovelviewError):
    """A feature needs a package or a weights file that is not installed."""


def import_extra(module: str, extra: str) -> Any:
    """A module that only the extra ``extra`` brings, imported when it is needed.

    Raises:
        MissingDependencyError: it is not installed; the cure is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"A package of the extra {extra!r} is not installed",
            why=str(error),
            cure=f"pip install 'novelview[{extra}]'",
        ) from error
