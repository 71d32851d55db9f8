"""Which sequences of CO3D are prepared, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from novelview.data.co3d.write import Pictures
from novelview.errors import ConfigError, DataError
from novelview.fields import read_json_object
from novelview.files import atomic_write_json

_FILE = "prepared.json"


@dataclass(frozen=True)
class Choice:
    """Which sequences are prepared.

    Attributes:
        categories: by name; None: all that are there.
        sequences: most per category: the first usable ones in the annotations' order; None: all.
        quality: least score of a sequence's cameras; None: any. Sequences without a score are left out.
        cloud_quality: least score of its point cloud; None: any.
        subset: one of CO3D's lists and a part of it, whose frames alone are used; None: all frames.
    """

    categories: tuple[str, ...] | None = None
    sequences: int | None = 500
    quality: float | None = None
    cloud_quality: float | None = None
    subset: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.sequences is not None and self.sequences < 1:
            raise ConfigError(f"Cannot prepare {self.sequences} sequences of a category", cure="at least 1")


@dataclass(frozen=True)
class Manner:
    """How each of them is prepared; one folder holds sequences of one manner.

    Attributes:
        pictures: what their pictures look like.
        frames: most per sequence, evenly spaced; None: all.
        outliers: share of its point cloud that may lie outside a sequence's box, on each side.
    """

    pictures: Pictures = field(default_factory=Pictures)
    frames: int | None = None
    outliers: float = 0.0

    def __post_init__(self) -> None:
        if (
            self.pictures.size < 1
            or (self.frames is not None and self.frames < 2)
            or not 0 <= self.outliers < 0.25
        ):
            raise ConfigError(
                f"Cannot prepare pictures of {self.pictures.size} pixels, {self.frames} frames a sequence, a share of "
                f"{self.outliers:g} outliers",
                cure="at least 1 pixel, 2 frames, and a share from 0 to below 0.25",
            )


def check_manner(out: Path, manner: Manner, empty: bool) -> None:
    """Write the manner down in a folder that is empty, and refuse one whose sequences were prepared in another.

    Raises:
        ConfigError: they were.
        DataError: what was written down is damaged.
        OutputError: the folder cannot be written.
    """
    file, now = out / _FILE, asdict(manner)
    if empty or not file.exists():
        atomic_write_json(file, now)
        return
    then = read_json_object(file, DataError).values
    if then != now:
        differing = _flat(then).items() ^ _flat(now).items()
        raise ConfigError(
            "This folder holds sequences that were prepared in another manner",
            where=out,
            why=f"there: {_shown(then, differing)}; asked for: {_shown(now, differing)}",
            cure="choose another folder, or the same options",
        )


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    inner = values.get("pictures")
    flat = {**values, **(inner if isinstance(inner, dict) else {})}
    return {key: json.dumps(value) for key, value in flat.items() if key != "pictures"}


def _shown(values: Mapping[str, Any], differing: set[tuple[str, str]]) -> str:
    return ", ".join(f"{key} {value}" for key, value in _flat(values).items() if (key, value) in differing)
