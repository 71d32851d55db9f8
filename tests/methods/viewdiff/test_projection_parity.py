"""The projection layer gives what the authors' code gave, and takes its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.layer import ProjectionLayer, Rendered

CASES = [("proj_train", 1), ("proj_train", 0), ("proj_nobg", 0)]
SMALL_PRESET = ProjectionConfig(layers=1)


@pytest.fixture
def recorded(shared: Path) -> Path:
    folder = shared / "fixtures/viewdiff"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


class Case:
    """A recorded run of the authors' layer and what ours makes of its inputs."""

    def __init__(self, folder: Path, name: str) -> None:
        told = json.loads((folder / f"a/{name}_config.json").read_text())
        given, weights, self.expected = (
            load_file(folder / f"a/{name}_{part}.safetensors") for part in ("inputs", "weights", "outputs")
        )
        self.given = given
        self.cameras = GroupCameras(given["pose"], given["K"], *told["orig_hw"], given["bbox"])
        self.layer = ProjectionLayer(
            told["latent_channels"], given["temb"].shape[-1], told["dim_3d_grid"], config_of(told)
        )
        self.layer.load_state_dict({key: value.float() for key, value in weights.items()})

    def run(self, left_out: int) -> Rendered:
        given = self.given
        with torch.no_grad():
            return self.layer(given["latents"], self.cameras, given["timestep"], given["temb"], left_out)

    def between(self, module: str, left_out: int) -> tuple[tuple[Any, ...], Any]:
        """What a part of the layer is given and gives."""
        found: list[Any] = []
        part = self.layer.get_submodule(module)
        handle = part.register_forward_hook(lambda _, given, gives: found.extend([given, gives]))
        self.run(left_out)
        handle.remove()
        return found[0], found[1]


def config_of(told: dict[str, Any]) -> ProjectionConfig:
    return ProjectionConfig(
        latent=told["dim_3d_latent"],
        layers=told["num_3d_layers"],
        compress=told["proj_in_mode"],
        expand=told["proj_out_mode"],
        aggregator=told["aggregator_mode"],
        time=told["use_temb"],
        background=told["vol_rend_model_background"],
        background_share=told["vol_rend_background_grid_percentage"],
        disparity_at_infinity=told["vol_rend_disparity_at_inf"],
        samples=told.get("vol_rend_num_samples_per_ray", 128),
        official_axes=True,
        official_contraction=True,
    )


def farthest(found: Tensor, expected: Tensor) -> float:
    return float((found.reshape(expected.shape) - expected.float()).abs().max())


@pytest.mark.parametrize(("name", "left_out"), CASES)
def test_what_frames_see_is_that_of_the_authors_code(recorded: Path, name: str, left_out: int) -> None:
    case = Case(recorded, name)
    result = case.run(left_out)
    assert farthest(result.features, case.expected[f"out_novel{left_out}"]) <= 1e-5
    assert farthest(result.opacity, case.expected[f"mask_novel{left_out}"]) <= 1e-6
    assert farthest(result.depth, case.expected[f"depth_novel{left_out}"]) <= 1e-4


@pytest.mark.parametrize("name", ["proj_train", "proj_nobg"])
def test_with_the_matrices_the_other_way_round_it_is_not(recorded: Path, name: str) -> None:
    case = Case(recorded, name)
    with torch.no_grad():
        case.layer.volume_renderer.mlp_weights.copy_(case.layer.volume_renderer.mlp_weights.mT.clone())
    found = case.run(0).features
    assert farthest(found, case.expected["out_novel0"]) > 0.09
    assert farthest(found, case.expected["out_novel0_if_mlp_weights_were_in_out"]) <= 1e-5


@pytest.mark.parametrize("name", ["proj_train", "proj_nobg"])
def test_the_rendered_grid_is_that_of_the_authors_code(recorded: Path, name: str) -> None:
    case = Case(recorded, name)
    (grid, *_), _ = case.between("volume_renderer", 0)
    # Recorded in half precision.
    assert farthest(grid, case.expected["grid_to_renderer"]) <= 2e-3


def test_the_aggregated_grid_is_that_of_the_authors_code(recorded: Path) -> None:
    case = Case(recorded, "proj_train")
    _, grid = case.between("ibrnet_aggregator", 0)
    assert farthest(grid.mT, case.expected["aggregated_grid"]) <= 2e-3


def test_what_is_rendered_before_expansion_is_that_of_the_authors_code(recorded: Path) -> None:
    case = Case(recorded, "proj_train")
    (given, *_), _ = case.between("proj_out_2d_fg", 0)
    assert farthest(given.permute(0, 2, 3, 1), case.expected["rendered_features"]) <= 1e-6


@pytest.mark.parametrize(
    ("preset", "config", "cells"),
    [("train", ProjectionConfig(), 32), ("train_small", SMALL_PRESET, 16)],
)
def test_names_and_shapes_are_those_of_published_checkpoints(
    recorded: Path, preset: str, config: ProjectionConfig, cells: int
) -> None:
    keys = json.loads((recorded / f"keys_sd21_{preset}.json").read_text())["extra"]
    prefix = "mid_block.attentions.0.transformer_blocks.0.unproj_reproj_layer."
    published = {key.removeprefix(prefix): shape for key, shape in keys.items() if key.startswith(prefix)}
    with torch.device("meta"):
        layer = ProjectionLayer(1280, 1280, cells, config)
    assert {key: list(value.shape) for key, value in layer.state_dict().items()} == published
