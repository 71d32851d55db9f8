"""R2L gives the numbers that the authors' code gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_every_recorded_case_is_reproduced(shared: Path, benchmark: Callable[[str], ModuleType]) -> None:
    rows = benchmark("r2l_parity").rows(shared / "fixtures/r2l/a")
    assert Counter(row.case for row in rows) == {
        "rays": 2,
        "student": 9,
        "variant_plain_mlp": 9,
        "variant_plucker": 6,
        "train_trace": 18,
        "lr_schedule": 3,
        "functions": 1,
    }
    wrong = [row for row in rows if not row.error <= row.tolerance]
    assert not wrong
