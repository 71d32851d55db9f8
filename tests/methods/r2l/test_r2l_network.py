"""R2L's network: names, sizes and costs of the published ones, and every option against plain arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from novelview.errors import ConfigError, MethodError
from novelview.geometry.rays import Rays
from novelview.methods.official import SYNTHETIC
from novelview.methods.r2l.config import HardConfig, NetworkConfig, PointsConfig
from novelview.methods.r2l.network import Network
from novelview.methods.r2l.plain import PlainStudent, input_width
from novelview.methods.r2l.presets import PRESETS
from novelview.methods.r2l.students import make_student

PUBLISHED = {
    "W256D88": (5_917_187, 11.79),
    "W181D88": (3_016_187, 6.00),
    "W256D44": (3_022_339, 6.02),
    "W363D22": (3_009_999, 6.00),
}
SMALL = NetworkConfig(width=8, depth=6)
POINTS = PointsConfig(samples=3, octaves=2)


def published(name: str) -> PlainStudent:
    with torch.device("meta"):
        student = make_student(PRESETS[name].config, SYNTHETIC)
    assert isinstance(student, PlainStudent)
    return student


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_parameters_have_the_recorded_names_and_shapes(shared: Path, name: str) -> None:
    recorded = json.loads((shared / f"fixtures/r2l/keys_r2l_{name}.json").read_text())["keys"]
    assert {key: list(value.shape) for key, value in published(name).network.state_dict().items()} == recorded


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_sizes_and_costs_are_those_of_the_paper(name: str) -> None:
    student, (parameters, megaflops) = published(name), PUBLISHED[name]
    assert sum(p.numel() for p in student.parameters()) == parameters
    assert student.flops_per_ray / 1e6 == pytest.approx(megaflops, abs=0.005)


def expected(config: NetworkConfig, weights: dict[str, Tensor], encoded: Tensor) -> Tensor:
    """The network, written out."""
    kinds: dict[str, Any] = {"relu": F.relu, "lrelu": lambda x: F.leaky_relu(x, 0.01), "none": lambda x: x}

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    first = kinds[config.activation](linear("head.0", encoded))
    x = first
    if config.body == "plain":
        for i in range(config.depth - 2):
            x = kinds[config.activation](linear(f"body.{2 * i}", x))
    else:
        apart = 1 if config.inner_activation == "none" else 2
        for block in range((config.depth - 2) // 2 if config.blocks is None else config.blocks):
            y = x
            for layer in range(config.block_layers):
                y = kinds[config.inner_activation](y) if layer else y
                y = linear(f"body.{block}.body.{layer * apart}", y)
            x = kinds[config.outer_activation](x + config.residual_scale * y)
    return torch.sigmoid(linear("tail.0", x + first if config.global_residual else x))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"depth": 7},
        {"depth": 2},
        {"blocks": 3},
        {"block_layers": 1},
        {"block_layers": 3, "inner_activation": "lrelu"},
        {"inner_activation": "none"},
        {"outer_activation": "relu", "residual_scale": 0.25},
        {"outer_activation": "lrelu", "activation": "lrelu"},
        {"global_residual": False},
        {"body": "plain", "activation": "lrelu"},
        {"body": "plain", "global_residual": False, "layer_widths": (9, 4, 6, 5, 7)},
        {"body": "plain", "layer_widths": (9, 4, 6, 5, 9)},
    ],
)
def test_every_option_is_what_its_formula_says(options: dict[str, Any], generator: torch.Generator) -> None:
    config = replace(SMALL, **options)
    torch.manual_seed(0)
    network = Network(config, 11)
    encoded = torch.randn(5, 11, generator=generator)
    before = encoded.clone()
    torch.testing.assert_close(network(encoded), expected(config, network.state_dict(), encoded))
    assert torch.equal(encoded, before)


def test_points_lie_evenly_between_the_depths_and_one_per_stratum(generator: torch.Generator) -> None:
    student = PlainStudent(SMALL, PointsConfig(samples=5, near=1.0), SYNTHETIC)
    rays = Rays(torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator))
    even = [1.0, 2.25, 3.5, 4.75, 6.0]
    expected_points = torch.stack([rays.origins + depth * rays.directions for depth in even], dim=1)
    torch.testing.assert_close(student.coordinates(rays), expected_points.flatten(1))
    for share, middle in ((0.0, [1.0, 1.625, 2.875, 4.125, 5.375]), (1.0, [1.625, 2.875, 4.125, 5.375, 6.0])):
        points = student.coordinates(rays, torch.full((4, 5), share)).view(4, 5, 3)
        expected_points = torch.stack([rays.origins + depth * rays.directions for depth in middle], dim=1)
        torch.testing.assert_close(points, expected_points)


def test_pluecker_coordinates_know_no_place_on_the_line(generator: torch.Generator) -> None:
    torch.manual_seed(0)
    student = PlainStudent(SMALL, PointsConfig(plucker=True), replace(SYNTHETIC, far=float("inf")))
    rays = Rays(torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator))
    moved = Rays(rays.origins + 0.7 * rays.directions, rays.directions)
    assert student.jitter_samples == 0
    assert input_width(PointsConfig(plucker=True)) == 126
    torch.testing.assert_close(student(rays), student(moved))


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        (NetworkConfig, {"depth": 1}),
        (NetworkConfig, {"width": 0}),
        (NetworkConfig, {"block_layers": 0}),
        (NetworkConfig, {"blocks": -1}),
        (NetworkConfig, {"layer_widths": (8, 8, 8, 8, 8), "depth": 6}),
        (NetworkConfig, {"body": "plain", "layer_widths": (8, 8)}),
        (NetworkConfig, {"body": "plain", "layer_widths": (8, 0, 8, 8, 8), "depth": 6}),
        (NetworkConfig, {"body": "plain", "layer_widths": (8, 8, 8, 8, 9), "depth": 6}),
        (PointsConfig, {"samples": 0}),
        (PointsConfig, {"octaves": -1}),
        (HardConfig, {"share": 1.5}),
        (HardConfig, {"kept": -0.1}),
        (HardConfig, {"share": 0.5, "capacity": 0.25}),
    ],
)
def test_impossible_options_are_refused(section: type, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        section(**wrong)
    assert caught.value.cure


def test_a_depth_range_that_is_none_is_refused() -> None:
    endless = replace(SYNTHETIC, far=float("inf"))
    with pytest.raises(MethodError, match="far"):
        PlainStudent(SMALL, POINTS, endless)
    with pytest.raises(ConfigError, match="near"):
        PlainStudent(SMALL, PointsConfig(near=7.0), SYNTHETIC)
    assert float(PlainStudent(SMALL, PointsConfig(far=9.0), endless).depths[-1]) == 9
