"""Surfaces, colours, losses, gradients and meshes are those of the authors' code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_every_recorded_case_is_reproduced(shared: Path, benchmark: Callable[[str], ModuleType]) -> None:
    rows = benchmark("dvr_parity").rows(shared / "fixtures/dvr/a")
    assert Counter(row.case for row in rows) == {"uncond": 28, "cond": 28}
    wrong = [row for row in rows if not row.error <= row.tolerance]
    assert not wrong
