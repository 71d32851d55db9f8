"""Official checkpoints hold a pickled network: it is read without running anything, and rebuilt from what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from official_files import NEW, OLD, SMALL, changed, made, message, network_of, pickled_network, same, saved
from torch import Tensor

from novelview.methods.discovery import find
from novelview.methods.official import SYNTHETIC
from novelview.methods.r2l.checkpoint import NETWORK, WEIGHTS, load_official
from novelview.methods.r2l.config import HardConfig, NetworkConfig, R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.plain import PlainStudent


def test_the_official_file_loads(shared: Path) -> None:
    loader = find("r2l").load_official
    assert loader is not None
    method = loader(shared / "fixtures/r2l/a/ckpt_r2l_official.tar")
    assert isinstance(method, R2L)
    assert method.config == R2LConfig(network=NetworkConfig(width=32, depth=8), pixel_centre=0.0)
    assert not method.training
    expected = torch.load(shared / "fixtures/r2l/a/student_state.pt", weights_only=True)
    found = network_of(method).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


KINDS: list[dict[str, dict[str, Any]]] = [
    {},
    {"points": {"samples": 4, "octaves": 6, "near": 1.0, "far": 3.5}},
    {
        "network": {
            "block_layers": 3,
            "inner_activation": "lrelu",
            "outer_activation": "relu",
            "activation": "lrelu",
        }
    },
    {"network": {"inner_activation": "none", "residual_scale": 0.5, "global_residual": False}},
    {"network": {"block_layers": 1}},
    {"network": {"body": "plain", "activation": "lrelu", "global_residual": False}},
    {"network": {"body": "plain", "width": 7, "layer_widths": (7, 5, 6, 9, 7)}},
    {"points": {"plucker": True, "octaves": 4}},
    {"hard": {"share": 0.1, "capacity": 1.0}},
]


@pytest.mark.parametrize("empty", [NEW, OLD])
@pytest.mark.parametrize("options", KINDS)
def test_the_network_is_rebuilt_from_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, dict[str, Any]], empty: str
) -> None:
    config = changed(SMALL, **options)
    method, values = made(config, prefix="module." if empty == OLD else "")
    values[NETWORK] = pickled_network(monkeypatch, config, empty)
    loaded = load_official(saved(values, tmp_path))
    assert loaded.config == config
    assert same(loaded, method)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"points": {"plucker": True, "samples": 16}},
        {"network": {"body": "plain"}},
        {"network": {"inner_activation": "none"}},
        {"network": {"block_layers": 1}},
        {
            "network": {
                "body": "plain",
                "width": 7,
                "layer_widths": (7, 5, 6, 9, 4),
                "global_residual": False,
            }
        },
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_without_options_the_shapes_decide(
    tmp_path: Path, options: dict[str, dict[str, Any]], prefix: str
) -> None:
    config = changed(SMALL, **options)
    method, values = made(config, prefix)
    loaded = load_official(saved(values, tmp_path))
    assert loaded.config == config
    assert same(loaded, method)


@pytest.mark.parametrize("ratio", ["0.1,0.25", [0.1, 0.25], (0.1, 0.25)])
def test_what_enters_the_pool_and_what_leaves_it_may_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: object
) -> None:
    values = made()[1]
    values[NETWORK] = pickled_network(monkeypatch, SMALL, NEW, hard_ratio=ratio, hard_mul=0.5)
    config = load_official(saved(values, tmp_path)).config
    assert config.hard == HardConfig(share=0.25, kept=0.1, capacity=0.5)


@pytest.mark.parametrize(("ratio", "share"), [("", 0.0), ("0.3", 0.3), (0.3, 0.3), ([0.3], 0.3), (0, 0.0)])
def test_one_share_is_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: object, share: float
) -> None:
    values = made()[1]
    values[NETWORK] = pickled_network(monkeypatch, SMALL, NEW, hard_ratio=ratio)
    config = load_official(saved(values, tmp_path)).config
    assert config.hard == HardConfig(share)


def test_forward_facing_scenes_are_looked_at_up_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = made()[1]
    values[NETWORK] = pickled_network(monkeypatch, SMALL, NEW, dataset_type="llff")
    config = load_official(saved(values, tmp_path)).config
    assert (config.points.near, config.points.far) == (0.0, 1.0)


def test_the_scene_is_the_callers(tmp_path: Path) -> None:
    bounds = replace(SYNTHETIC, near=0.5, far=1.5)
    method = load_official(saved(made()[1], tmp_path), bounds=bounds)
    assert method.bounds == bounds
    assert isinstance(method.student, PlainStudent)
    assert method.student.depths.tolist() == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("n_sample_per_ray", 10**9, "takes 189 values"),
        ("n_sample_per_ray", "three", "points.samples"),
        ("n_sample_per_ray", torch.zeros(2), "points.samples"),
        ("multires", -1, "points.octaves"),
        ("multires", 9, "takes 189 values"),
        ("plucker", True, "takes 189 values"),
        ("act", "gelu", "network.activation"),
        ("use_residual", 3, "network.global_residual"),
        ("hard_ratio", "much", "hard.share"),
        ("linear_tail", True, "linear tail"),
    ],
)
def test_options_that_make_no_sense_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: object, expected: str
) -> None:
    values = made()[1]
    values[NETWORK] = pickled_network(monkeypatch, SMALL, NEW, **{option: value})
    assert expected in message(saved(values, tmp_path))


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("tail.0.bias", None, "tail.0.bias is missing"),
        ("head.0.weight", None, "no matrix 'head.0.weight'"),
        ("head.0.weight", torch.zeros(8, 100), "takes 100 values"),
        ("body.1.body.2.bias", torch.zeros(7), "body.1.body.2.bias is [7] instead of [8]"),
        ("body.999999999.body.0.weight", torch.zeros(8, 8), "body.999999999.body.0.weight is not known"),
        ("extra", torch.zeros(1), "extra is not known"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, name: str, tensor: Tensor | None, expected: str
) -> None:
    values = made()[1]
    values[WEIGHTS].pop(name, None)
    if tensor is not None:
        values[WEIGHTS][name] = tensor
    assert expected in message(saved(values, tmp_path))


@pytest.mark.parametrize("values", [[1, 2], {WEIGHTS: {}}, {WEIGHTS: 3}, {"state_dict": {}}])
def test_something_else_is_not_a_checkpoint(tmp_path: Path, values: object) -> None:
    assert "not an R2L checkpoint" in message(saved(values, tmp_path))


def test_weights_that_are_none_are_not_a_checkpoint(tmp_path: Path) -> None:
    assert "not a checkpoint of R2L" in message(saved({WEIGHTS: {"head.0.weight": 3}}, tmp_path))


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"nonsense" * 50])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = saved(made()[1], tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    message(path)
