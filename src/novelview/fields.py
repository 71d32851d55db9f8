"""JSON objects read with suspicion: every value is checked for its type before it is used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from novelview.errors import NovelviewError

_CURE = "correct the file, or write it again with the program that made it"
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Fields:
    """The fields of one JSON object.

    Every getter gives None for a field that is absent or null, and raises ``error`` for one of another type.

    Attributes:
        values: the object.
        path: its file, for errors.
        error: the kind of error for whoever reads this file.
        label: which part of the file it is, for errors; empty for the whole.
        fallback: where a field is looked up that ``values`` lacks.
    """

    values: dict[str, Any]
    path: Path
    error: type[NovelviewError]
    label: str = ""
    fallback: Fields | None = None

    def get(self, key: str) -> Any:
        """The raw value, None when absent."""
        value = self.values.get(key)
        return self.fallback.get(key) if value is None and self.fallback else value

    def number(self, key: str, above: float = -_LARGEST, below: float = _LARGEST) -> float | None:
        """A finite number between two others."""
        value = self.get(key)
        return None if value is None else self._number(key, value, above, below)

    def text(self, key: str) -> str | None:
        """A string."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, value, "a string")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false when absent."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return bool(value)

    def texts(self, key: str) -> list[str] | None:
        """A list of strings."""
        value = self.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            raise self.wrong(key, value, "a list of strings")
        return value

    def matrix(self, key: str) -> Float64[np.ndarray, "rows columns"] | None:
        """A list of lists of numbers, all of one length."""
        value = self.get(key)
        if value is None:
            return None
        rows = value if isinstance(value, list) else []
        if not rows or not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows):
            raise self.wrong(key, value, "a matrix, that is a list of lists of numbers")
        return np.array([[self._number(key, entry) for entry in row] for row in rows], dtype=np.float64)

    def objects(self, key: str) -> Iterator[Fields]:
        """The objects of a list; their missing fields are looked up here."""
        value = self.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, value, "a list of objects")
        for i, entry in enumerate(value):
            label = f"{key}[{i}]"
            if not isinstance(entry, dict):
                raise self.wrong(label, entry, "an object")
            yield Fields(entry, self.path, self.error, label, self)

    def wrong(self, key: str, value: Any, expected: str) -> NovelviewError:
        """The error for a field that is not what it should be."""
        if self.fallback and self.values.get(key) is None and self.fallback.get(key) is not None:
            return self.fallback.wrong(key, value, expected)
        name = f"{self.label}.{key}" if self.label else key
        found = "nothing" if value is None else f"a value of type {type(value).__name__}"
        if isinstance(value, str | int | float):
            found += f", {repr(value)[:60]}"
        return self.error(
            f"{name!r} must be {expected}", where=self.path, why=f"the file has {found}", cure=_CURE
        )

    def _number(self, key: str, value: Any, above: float = -_LARGEST, below: float = _LARGEST) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < below:
            bounded = (above, below) != (-_LARGEST, _LARGEST)
            kind = f"a number between {above:g} and {below:g}" if bounded else "a finite number"
            raise self.wrong(key, value, kind)
        return float(value)


def read_json_object(path: Path, error: type[NovelviewError]) -> Fields:
    """The object that a JSON file holds.

    Args:
        path: JSON file.
        error: raised where the file cannot be read, is not JSON, or holds something else than an object, and by the
            fields that are not what they should be.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as caught:
        why = "it is nested too deeply" if isinstance(caught, RecursionError) else str(caught)
        what = "Cannot read this file" if isinstance(caught, OSError) else "This file is not valid JSON"
        raise error(what, where=path, why=why, cure=_CURE) from caught
    if not isinstance(values, dict):
        raise error(
            "This JSON file does not hold an object",
            where=path,
            why=f"its outermost value is of type {type(values).__name__}",
            cure=_CURE,
        )
    return Fields(values, path, error)
