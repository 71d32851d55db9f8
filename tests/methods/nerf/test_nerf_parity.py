"""NeRF gives the numbers that the authors' code gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from novelview.methods.nerf.config import PRESETS, NeRFConfig
from novelview.methods.nerf.model import NeRF
from novelview.methods.official import SYNTHETIC


def test_every_recorded_case_is_reproduced(shared: Path, benchmark: Callable[[str], ModuleType]) -> None:
    rows = benchmark("nerf_parity").rows(shared / "fixtures/r2l/a")
    assert Counter(row.case for row in rows) == {
        "nerf_eval_white": 12,
        "nerf_eval_black_lindisp": 12,
        "nerf_train_perturb_noise": 12,
        "nerf_eval_ndc": 14,
    }
    wrong = [row for row in rows if not row.error <= row.tolerance]
    assert not wrong


@pytest.mark.parametrize("view_directions", [True, False])
def test_parameters_have_the_recorded_names_and_shapes(shared: Path, view_directions: bool) -> None:
    name = "keys_nerf_viewdirs.json" if view_directions else "keys_nerf_noview.json"
    expected = json.loads((shared / "fixtures/r2l" / name).read_text())["keys"]
    method = NeRF(NeRFConfig(view_directions=view_directions), SYNTHETIC)
    for network in (method.coarse, method.fine):
        shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
        assert shapes == expected


@pytest.mark.parametrize(("preset", "megaflops"), [("default", 303.82), ("forward-facing", 227.87)])
def test_costs_are_those_of_the_paper(preset: str, megaflops: float) -> None:
    config = PRESETS[preset].config
    with torch.device("meta"):
        method = NeRF(NeRFConfig(fine_samples=config.fine_samples), SYNTHETIC)
    assert sum(p.numel() for p in method.coarse.parameters()) == 595_844
    assert sum(p.numel() for p in method.fine.parameters()) == 595_844
    assert method.flops_per_ray / 1e6 == pytest.approx(megaflops, abs=0.005)


def test_a_layer_that_is_not_used_costs_nothing() -> None:
    network = NeRF(NeRFConfig(view_directions=False), SYNTHETIC).coarse
    inputs = [63, 256, 256, 256, 256, 319, 256, 256]
    assert network.flops == 2 * (256 * sum(inputs) + 5 * 256)
