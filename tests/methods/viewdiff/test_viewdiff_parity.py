"""Cameras, attention, projection layers, U-Net and sampling are those of the authors' code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_every_recorded_case_is_reproduced(shared: Path, benchmark: Callable[[str], ModuleType]) -> None:
    rows = benchmark("viewdiff_parity").rows(shared / "fixtures/viewdiff/a")
    expected = {"cameras": 3, "attention": 3, "proj_train": 6, "proj_nobg": 3, "U-Net": 12, "sampling": 3}
    assert Counter(row.case for row in rows) == expected
    wrong = [row for row in rows if not row.error <= row.tolerance]
    assert not wrong
