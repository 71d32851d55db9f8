"""What every reader of a capture format offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
        """Whether the folder or file ``path`` looks like this format; judged by names, nothing is parsed."""

    @abstractmethod
    def read(self, path: Path) -> Capture:
        """The capture at ``path``, a folder or a defining file of the format.

        Raises:
            DataError: a file is missing, malformed or contradicts another.
        """
