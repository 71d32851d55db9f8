"""Large JSON lists in gzip files (``.jgz``), read object by object: a category's frames need not fit into memory."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from novelview.errors import DataError
from novelview.fields import Fields

_CHUNK = 1 << 20  # Characters read at once.
_LONGEST = 1 << 26  # Characters of one entry; none in CO3D has a thousandth of that.
_SPACE = re.compile(r"\s*")


def stream_objects(path: Path, label: str) -> Iterator[Fields]:
    """The objects of a JSON list in a gzip file, one after the other.

    Args:
        path: the file.
        label: what errors call an entry, before its number.

    Raises:
        DataError: the file is missing, cut short or damaged, or holds something else; entries before that were given.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for i, values in enumerate(_objects(stream)):
                yield Fields(values, path, DataError, f"{label} {i}")
    except FileNotFoundError as error:
        raise DataError(
            "An annotation file of CO3D is missing",
            where=path,
            cure="name the folder that holds one folder per category, with frame_annotations.jgz in each",
        ) from error
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(
            "Cannot read this annotation file",
            where=path,
            why=why,
            cure="download it again: it must be a gzip file with a JSON list of objects",
        ) from error


def _objects(stream: TextIOWrapper) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list; raises ``ValueError`` where it is none."""
    window = _Window(stream)
    if window.next_character() != "[":
        raise ValueError("it does not hold a list")
    after = window.next_character() if window.next_character(peek=True) == "]" else ","
    while after == ",":
        begins = window.next_character(peek=True)
        if begins != "{":
            raise ValueError(_unexpected(begins, "where an object should begin"))
        yield window.next_object()
        after = window.next_character()
    if after != "]":
        raise ValueError(_unexpected(after, "between two objects"))
    # Read to the end, where the sum is checked.
    if beyond := window.next_character():
        raise ValueError(_unexpected(beyond, "after the list"))


def _unexpected(found: str, place: str) -> str:
    return f"it has {found!r} {place}" if found else "it ends too soon"


class _Window:
    """The part of a text stream that is being parsed."""

    def __init__(self, stream: TextIOWrapper) -> None:
        self._stream, self._text, self._place = stream, "", 0
        self._decoder = json.JSONDecoder()

    def next_character(self, peek: bool = False) -> str:
        """The next character that is no white space, empty at the end; with ``peek`` it stays."""
        while True:
            space = _SPACE.match(self._text, self._place)
            self._place = space.end() if space else self._place
            if self._place < len(self._text):
                found = self._text[self._place]
                self._place += not peek
                return found
            if not self._more():
                return ""

    def next_object(self) -> dict[str, Any]:
        """The object that begins here."""
        while True:
            try:
                value, self._place = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise ValueError(f"an entry is cut short or malformed: {error.msg}") from error
            else:
                assert isinstance(value, dict)
                return value

    def _more(self) -> bool:
        """Read as much again as is unread, so that a long entry is not parsed over and over; whether there was more."""
        rest = self._text[self._place :]
        if len(rest) > _LONGEST:
            raise ValueError(f"an entry has more than {_LONGEST} characters")
        more = self._stream.read(max(_CHUNK, len(rest)))
        self._text, self._place = rest + more, 0
        return bool(more)
