"""What the tables of agreement with authors' code are made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from novelview.files import atomic_write_text


@dataclass(frozen=True)
class Row:
    """One recorded quantity of one case."""

    case: str
    quantity: str
    error: float
    tolerance: float


def arrays(path: Path) -> dict[str, Tensor]:
    """What a .npz file holds."""
    with np.load(path) as file:
        return {name: torch.from_numpy(np.array(file[name])) for name in file.files}


def error(found: Tensor, expected: Tensor) -> float:
    """Largest absolute error where the recorded value is a number: empty rays are 0 / 0 in it."""
    known = ~expected.isnan()
    return float((found - expected)[known].abs().max()) if bool(known.any()) else 0.0


def table(found: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| case | quantity | largest absolute error | tolerance |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.case} | {row.quantity} | {row.error:.1e} | {row.tolerance:.0e} |" for row in found]
    return "\n".join(lines)


def command(description: str | None, result: Path, text: Callable[[Path], str]) -> None:
    """Print what a folder of recorded cases gives, and keep it if asked to.

    Args:
        description: help of the command.
        result: where it is kept.
        text: makes the page of a folder.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("--write", action="store_true", help=f"keep the table in {result.name}")
    arguments = parser.parse_args()
    page = text(arguments.fixtures)
    print(page)
    if arguments.write:
        atomic_write_text(result, page)
