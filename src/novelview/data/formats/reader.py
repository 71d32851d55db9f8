"""What every reader of a capture format offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from novelview.data.capture import Capture


class Reader(ABC):
    """Reads one format.

    Attributes:
        name: what the user types to ask for this format.
        title: for people.
        looks_for: the files that give the format away, for the error when nothing matches.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    looks_for: ClassVar[str]

    @abstractmethod
    def detect(self, path: Path) -> bool:
        """Whether the folder or file ``path`` looks like this format; judged by names, and where many formats
        share one, by how a file begins."""

    @abstractmethod
    def read(self, path: Path) -> Capture:
        """The capture at ``path``, a folder or a defining file of the format.

        Raises:
            DataError: a file is missing, malformed or contradicts another.
        """


_BEGINNING = 4096


def only_one(path: Path, suffix: str, fits: Callable[[Path, bytes], bool]) -> Path | None:
    """The file ``path``, or the only such file directly in the folder ``path``; None where there is none, or several.

    Args:
        path: what the user named.
        suffix: of such files, lower case.
        fits: whether a file is one, judged by its first 4096 bytes.
    """
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    found = None
    for file in candidates:
        if file.suffix.lower() == suffix and file.is_file() and fits(file, _beginning(file)):
            if found is not None:
                return None
            found = file
    return found


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_BEGINNING)
    except OSError:  # Not ours to report: another reader may need no such file.
        return b""
