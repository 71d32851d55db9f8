"""Finding the files that a capture names, inside the capture's folder and nowhere else."""

from __future__ import annotations

import posixpath
import unicodedata
from pathlib import Path, PureWindowsPath

from novelview.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


class Folder:
    """A capture's folder, in which files are looked up by the names that other programs wrote down.

    Args:
        root: every file found lies inside it, symbolic links followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._listings: dict[Path, dict[str, list[str]]] = {}

    def find(self, text: str, named_in: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> Path | None:
        """The file that ``text`` means, or None when there is none.

        Backslashes count as slashes. A missing suffix is filled in from ``suffixes``. Upper and lower case may
        differ where only one file can be meant.

        Args:
            text: path relative to the folder, as written in ``named_in``.
            named_in: the file that names it, for errors.
            suffixes: tried in this order after the name as it stands.

        Raises:
            DataError: ``text`` leaves the folder.
        """
        parts = self._relative_parts(text, named_in)
        folder = self.root
        for part in parts[:-1]:
            name = self._spelled(folder, [part])
            if name is None:
                return None
            folder = folder / name
        name = self._spelled(folder, [parts[-1], *(parts[-1] + suffix for suffix in suffixes)])
        if name is None:
            return None
        found = folder / name
        if not found.resolve().is_relative_to(self.root):
            raise self._leaves(text, named_in, f"it is a link to {found.resolve()}")
        return found if found.is_file() else None

    def _relative_parts(self, text: str, named_in: Path) -> list[str]:
        slashed = text.replace("\\", "/")
        if slashed.startswith("/") or PureWindowsPath(slashed).drive:
            raise self._leaves(text, named_in, "it is an absolute path")
        normal = posixpath.normpath(slashed)
        if normal == "..":
            normal = "../"
        if normal.startswith("../"):
            raise self._leaves(text, named_in, "it climbs out with '..'")
        return normal.split("/")

    def _spelled(self, folder: Path, candidates: list[str]) -> str | None:
        """The entry of ``folder`` that is the first of ``candidates`` to exist, exact spellings first."""
        listing = self._listing(folder)
        for candidate in candidates:
            if candidate in listing.get(_folded(candidate), ()):
                return candidate
        for candidate in candidates:
            similar = listing.get(_folded(candidate), [])
            if len(similar) == 1:
                return similar[0]
        return None

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._listings:
            entries: dict[str, list[str]] = {}
            if folder.is_dir():
                for entry in folder.iterdir():
                    entries.setdefault(_folded(entry.name), []).append(entry.name)
            self._listings[folder] = entries
        return self._listings[folder]

    def _leaves(self, text: str, named_in: Path, why: str) -> DataError:
        return DataError(
            "A file name leads out of the capture's folder",
            where=named_in,
            why=f"{readable(text)}: {why}",
            cure=f"put the file inside {self.root} and name it relative to that folder",
        )


def photographs(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """Image files directly inside ``folder``, sorted by name; hidden ones are left out."""
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in suffixes and not entry.name.startswith(".") and entry.is_file()
    )


def listed(names: list[str], most: int = 5) -> str:
    """Some names for a sentence: the first few, and an ellipsis when there are more."""
    return ", ".join(readable(name) for name in names[:most]) + (", …" if len(names) > most else "")


def readable(text: str) -> str:
    """Text out of a file for an error message: no control characters, not endless."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _folded(name: str) -> str:
    """What two spellings of a name have in common: upper and lower case, composed and decomposed accents."""
    return unicodedata.normalize("NFC", name).casefold()
