"""LVSM gives the numbers that the authors' code gave, and has its parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from novelview.methods.lvsm.config import PRESETS
from novelview.methods.lvsm.networks import build_network


def test_every_recorded_case_is_reproduced(shared: Path, benchmark: Callable[[str], ModuleType]) -> None:
    rows = benchmark("lvsm_parity").rows(shared / "fixtures/lvsm")
    assert len(rows) == 3 + 2 * 10 + 2 * 7
    assert {row.tolerance for row in rows if row.quantity in ("render", "video")} == {5e-6}
    wrong = [row for row in rows if not row.error <= row.tolerance]
    assert not wrong


@pytest.mark.parametrize(
    ("preset", "parameters"), [("decoder-only", 170_795_520), ("encoder-decoder", 173_154_816)]
)
def test_presets_have_the_published_parameters(shared: Path, preset: str, parameters: int) -> None:
    name = f"keys_scene_{preset.replace('-', '_')}_256.json"
    expected = json.loads((shared / "fixtures/lvsm" / name).read_text())["keys"]
    with torch.device("meta"):
        network = build_network(PRESETS[preset].config)
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert shapes == expected
    assert sum(p.numel() for p in network.parameters()) == parameters
