"""What tests of methods have in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def benchmark() -> Callable[[str], ModuleType]:
    """Gives a benchmark's module by its name: one description of the cases for tables and tests."""

    def load(name: str) -> ModuleType:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
            return importlib.import_module(name)

    return load
