"""Which views a method may learn from and which are held out to judge it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novelview.errors import ConfigError, DataError
from novelview.files import atomic_write_json

RULES = "every-8, fraction-0.9, llff (= every-8), nerfstudio (= fraction-0.9), own, none, or a JSON file"
NAMED = {"llff": "every-8", "nerfstudio": "fraction-0.9"}


@dataclass(frozen=True)
class Split:
    """A partition of the views of a capture.

    Attributes:
        name: the rule that made it, as the user may type it.
        train: names of the views a method may learn from, in capture order.
        test: names of held-out views, in capture order; empty when nothing is held out.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "train": list(self.train), "test": list(self.test)}

    @staticmethod
    def from_json(values: Any, names: Sequence[str], *, where: str | Path) -> Split:
        """The split of two lists of names; see :func:`read_split`."""
        if not isinstance(values, dict) or not isinstance(values.get("train"), list):
            raise DataError(
                "This is not a split",
                where=where,
                why='expected {"train": [names], "test": [names]}',
                cure="write the two lists of view names",
            )
        known = _spellings(names)
        train = _indices(values["train"], known, where, "train")
        test = _indices(values.get("test", []), known, where, "test")
        if train & test:
            raise DataError(
                "A view is in both lists of a split",
                where=where,
                why=", ".join(names[i] for i in sorted(train & test)[:5]),
                cure="keep each view in one list: a held-out view must never be trained on",
            )
        return _by_index(str(values.get("name", "lists")), names, train, test)

    def write(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all; raises ``OutputError``."""
        atomic_write_json(path, self.to_json())


def make_split(rule: str, names: Sequence[str], partition: dict[str, tuple[int, ...]] | None = None) -> Split:
    """Split views by a rule as the user types it.

    Args:
        rule: "every-N" holds out views 0, N, 2N, … ("llff" is every-8, the LLFF and NeRF convention);
            "fraction-F" trains on a share F spread evenly ("nerfstudio" is 0.9); "own" takes the partition
            that the format carries; "none" trains on all views; anything else is the path of a JSON file
            with lists "train" and "test".
        names: all views, in capture order.
        partition: view indices by "train", "val", "test", where the format has them.

    Raises:
        ConfigError: the rule is unknown or leaves no view to train on.
        DataError: a split file cannot be read, or names a view that does not exist.
    """
    if not names:
        raise DataError("There is no view to split", cure="check that the capture's photographs exist")
    kind, _, argument = NAMED.get(rule, rule).partition("-")
    if kind == "every" and argument:
        test = _every(rule, argument, len(names))
    elif kind == "fraction" and argument:
        test = _outside_fraction(rule, argument, len(names))
    elif rule == "own":
        return _own(names, partition)
    elif rule == "none":
        test = set()
    else:
        return read_split(rule, names)
    return _by_index(rule, names, set(range(len(names))) - test, test)


def default_rule(partition: dict[str, tuple[int, ...]] | None, count: int) -> str:
    """The rule used when none is asked for: the format's own partition, else every 8th view.

    A single view is all there is to train on, so nothing is held out of it.
    """
    if partition and partition.get("train") and partition.get("test"):
        return "own"
    return "every-8" if count > 1 else "none"


def read_split(path: str | Path, names: Sequence[str]) -> Split:
    """The split of a JSON file with lists "train" and "test" of view names.

    Names may omit folder and suffix where that is unambiguous. Views in neither list are left out.
    """
    path = Path(path)
    if path.suffix != ".json" and not path.is_file():
        raise ConfigError(f"Unknown split {str(path)!r}", cure=f"choose one of: {RULES}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("Cannot read a split", where=path, why=str(error), cure=f"or use {RULES}") from error
    return Split.from_json(values, names, where=path)


def _every(rule: str, argument: str, count: int) -> set[int]:
    if not argument.isdecimal() or int(argument) < 2:
        raise ConfigError(
            f"Bad split {rule!r}", why="every-N needs a whole number N of 2 or more", cure=RULES
        )
    return set(range(0, count, int(argument)))


def _outside_fraction(rule: str, argument: str, count: int) -> set[int]:
    try:
        fraction = float(argument)
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        raise ConfigError(f"Bad split {rule!r}", why="fraction-F needs 0 < F <= 1", cure=RULES)
    # Evenly spaced training views that include the first and the last, as nerfstudio chooses them.
    kept = math.ceil(count * fraction)
    step = (count - 1) / (kept - 1) if kept > 1 else 0.0
    return set(range(count)) - {int(i * step) for i in range(kept)}


def _own(names: Sequence[str], partition: dict[str, tuple[int, ...]] | None) -> Split:
    if not partition or not partition.get("train"):
        raise ConfigError(
            "This capture carries no split of its own",
            why=f"it has {', '.join(partition) if partition else 'one list of views'}",
            cure=f"choose another split: {RULES}",
        )
    held_out = partition.get("test") or partition.get("val") or ()
    return _by_index("own", names, set(partition["train"]), set(held_out))


def _by_index(name: str, names: Sequence[str], train: set[int], test: set[int]) -> Split:
    if not train:
        raise ConfigError(
            f"The split {name!r} leaves no view to train on",
            why=f"{len(names)} views, {len(test)} of them held out",
            cure="hold out fewer views, or train on all with the split 'none'",
        )
    return Split(name, tuple(names[i] for i in sorted(train)), tuple(names[i] for i in sorted(test)))


def _spellings(names: Sequence[str]) -> dict[str, int]:
    """Every way to write a view's name that means one view only."""
    count: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        for spelling in {name, Path(name).name, Path(name).stem, Path(name).with_suffix("").as_posix()}:
            count.setdefault(spelling, []).append(i)
    unique = {spelling: where[0] for spelling, where in count.items() if len(where) == 1}
    return unique | {name: i for i, name in enumerate(names)}


def _indices(listed: Any, known: dict[str, int], where: str | Path, key: str) -> set[int]:
    if not isinstance(listed, list):
        raise DataError("This is not a split", where=where, why=f"{key!r} is not a list of names")
    unknown = [str(name) for name in listed if str(name) not in known]
    if unknown:
        raise DataError(
            f"A split names {len(unknown)} views that the capture does not have",
            where=where,
            why=f"in {key!r}: {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}",
            cure=f"use the capture's own names, such as {next(iter(known))!r}",
        )
    return {known[str(name)] for name in listed}
