"""JSON objects read with suspicion: every value is checked for its type before it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from novelview.data.formats.paths import readable
from novelview.errors import DataError

_CURE = "correct the file, or write it again with the program that made it"


@dataclass(frozen=True)
class Fields:
    """The fields of one JSON object.

    Every getter gives None for a field that is absent or null, and raises ``DataError`` for one of another type.

    Attributes:
        values: the object.
        path: its file, for errors.
        label: which part of the file it is, for errors; empty for the whole.
        fallback: where a field is looked up that ``values`` lacks.
    """

    values: dict[str, Any]
    path: Path
    label: str = ""
    fallback: Fields | None = None

    def get(self, key: str) -> Any:
        """The raw value, None when absent."""
        value = self.values.get(key)
        return self.fallback.get(key) if value is None and self.fallback else value

    def number(self, key: str) -> float | None:
        """A finite number."""
        value = self.get(key)
        return None if value is None else self._number(key, value)

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
            yield Fields(entry, self.path, label, self)

    def wrong(self, key: str, value: Any, expected: str) -> DataError:
        """The error for a field that is not what it should be."""
        if self.fallback and self.values.get(key) is None and self.fallback.get(key) is not None:
            return self.fallback.wrong(key, value, expected)
        name = f"{self.label}.{key}" if self.label else key
        found = "nothing" if value is None else f"a value of type {type(value).__name__}"
        if isinstance(value, str | int | float):
            found += f", {readable(repr(value)[:60])}"
        return DataError(
            f"{name!r} must be {expected}", where=self.path, why=f"the file has {found}", cure=_CURE
        )

    def _number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, value, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.wrong(key, value, "a finite number")
        return number


def read_json_object(path: Path) -> Fields:
    """The object that a JSON file holds.

    Raises:
        DataError: the file cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError("This file is not valid JSON", where=path, why=why, cure=_CURE) from error
    if not isinstance(values, dict):
        raise DataError(
            "This JSON file does not hold an object",
            where=path,
            why=f"its outermost value is of type {type(values).__name__}",
            cure=_CURE,
        )
    return Fields(values, path)
