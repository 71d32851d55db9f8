"""Shared test set-up: shape checks on every annotated call, shared data where it is present."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import install_import_hook

# Before anything of novelview is imported: every jaxtyping annotation becomes a check.
_hook = install_import_hook("novelview", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples every time: a failure that one sees can be seen again.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real photographs and parity fixtures; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: real photographs and parity fixtures are not part of a clone")
    return SHARED


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded source of randomness for one test."""
    return torch.Generator().manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device here")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
