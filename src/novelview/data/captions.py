"""Captions of scenes: what a scene shows, in words, in a file beside the capture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from novelview.data.formats.paths import readable
from novelview.errors import DataError

FILE = "captions.json"
_CURE = 'write a list of sentences, ["a red apple on a table"], or {"captions": [...]}; or remove the file'


def captions_beside(path: Path) -> tuple[str, ...]:
    """The captions of the capture ``path``, a folder or a file: those of ``captions.json`` in that folder, if it is there.

    The file holds a JSON list of strings, or an object with such a list as "captions". White space around a caption is
    dropped.

    Raises:
        DataError: the file cannot be read, is not JSON, or holds something else.
    """
    file = (path.parent if path.is_file() else path) / FILE
    if not file.is_file():
        return ()
    values = read_json(file, _CURE)
    return checked_captions(values.get("captions") if isinstance(values, dict) else values, file)


def checked_captions(values: Any, file: Path, label: str = "") -> tuple[str, ...]:
    """A list of captions out of a JSON file, proven to be one.

    Args:
        values: what the file holds.
        file: where it is from, for errors.
        label: which part of the file it is, for errors; empty for the whole.

    Raises:
        DataError: it is no list of strings, or one of them is blank.
    """
    place = f" of {readable(label)}" if label else ""
    if not isinstance(values, list):
        raise DataError(
            f"The captions{place} must be a list",
            where=file,
            why=f"the file has a value of type {type(values).__name__}",
            cure=_CURE,
        )
    for i, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            found = "it is blank" if isinstance(value, str) else f"it is of type {type(value).__name__}"
            raise DataError(f"Caption {i}{place} is no sentence", where=file, why=found, cure=_CURE)
    return tuple(value.strip() for value in values)


def read_json(file: Path, cure: str) -> Any:
    """What a JSON file holds; raises ``DataError`` with ``cure`` where it cannot be read or is not JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as caught:
        why = "it is nested too deeply" if isinstance(caught, RecursionError) else str(caught)
        what = "Cannot read this file" if isinstance(caught, OSError) else "This file is not valid JSON"
        raise DataError(what, where=file, why=why, cure=cure) from caught


def read_captions(file: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Captions of a data set, by category and sequence: a JSON object of objects of lists of strings.

    Raises:
        DataError: the file cannot be read, is not JSON, or holds something else.
    """
    cure = 'write {"apple": {"110_13051_23361": ["a red apple on a table"]}}'
    values = read_json(file, cure)
    for label, part in [("", values), *(values.items() if isinstance(values, dict) else ())]:
        if not isinstance(part, dict):
            raise DataError(
                "A file of captions has categories, and these have sequences",
                where=file,
                why=f"{readable(label) or 'the file'} holds a value of type {type(part).__name__}",
                cure=cure,
            )
    return {
        category: {name: checked_captions(each, file, name) for name, each in part.items()}
        for category, part in values.items()
    }


def plain_caption(category: str) -> str:
    """What can be said of a thing of which only its kind is known: "an apple", "a toy bus"."""
    words = category.replace("_", " ").strip()
    return f"{'an' if words[:1].lower() in tuple('aeiou') else 'a'} {words}"
