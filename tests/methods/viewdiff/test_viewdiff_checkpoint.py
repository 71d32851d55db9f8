"""Models that the authors' code trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_viewdiff_model import around
from torch import Tensor
from viewdiff_models import shaken, write_scheduler, write_stable_diffusion

from novelview.errors import CheckpointError
from novelview.generation import Request
from novelview.methods.viewdiff.base import load_unet
from novelview.methods.viewdiff.checkpoint import load_official, official_config
from novelview.methods.viewdiff.config import STABLE_DIFFUSION, NoiseConfig
from novelview.methods.viewdiff.network import Network

EXTRA = {
    "n_input_images": 3,
    "n_novel_images": 1,
    "last_layer_mode": "no_residual_connection",
    "unproj_reproj_mode": "only_unproj_reproj",
    "network_alpha": None,
    "rank": 4,
    "num_3d_layers": 1,
    "dim_3d_grid": 16,
    "dim_3d_latent": 8,
}
TRAINING = {"cross_frame_attention": {"mode": "pretrained", "conditioning_mode": "sa-ca"}, "training": {}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder as the authors' training writes it, of a very small model."""
    write_stable_diffusion(tmp_path)
    facts = {**load_unet(str(tmp_path)).config, **EXTRA}
    facts["down_block_types"] = ["CrossFrameInExistingAttnDownBlock2D", "DownBlock2D"]
    facts["up_block_types"] = ["UpBlock2D", "CrossFrameInExistingAttnUpBlock2D"]
    facts["mid_block_type"] = "UNetMidBlock2DCrossFrameInExistingAttn"
    facts["_class_name"] = "UNet2DConditionCrossFrameInExistingAttnModel"
    (tmp_path / "config.json").write_text(json.dumps(TRAINING))
    (tmp_path / "unet" / "config.json").write_text(json.dumps(facts))
    save_file(weights(tmp_path), tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    return tmp_path


def weights(folder: Path) -> dict[str, Tensor]:
    facts = json.loads((folder / "unet" / "config.json").read_text())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Network(official_config(facts, {}, folder))
    shaken(network.unet, seed=1)
    return {name: value.clone() for name, value in network.unet.state_dict().items()}


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_saved_model_loads_with_all_switches_as_the_authors_have_them(saved: Path) -> None:
    method = load_official(saved)
    found = method.network.unet.state_dict()
    for name, value in weights(saved).items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    config = method.config
    assert config.multiview.projection.official_axes
    assert config.multiview.projection.official_contraction
    assert config.overwrite
    assert config.learn.per_frame_dropout
    assert config.multiview.placement.join == "replace"
    assert config.base == str(saved)


def test_it_generates(saved: Path) -> None:
    method = load_official(saved / "unet")
    config = method.config
    assert config.size == 256
    # A window of the size that the very small model can do in a moment.
    object.__setattr__(config, "size", 32)
    object.__setattr__(config, "steps", 2)
    frames = method.generate(Request("abc", around(2)))
    assert frames.rgb.shape == (2, 32, 32, 3)


def test_processors_are_taken_from_their_own_file_where_they_are_missing(saved: Path) -> None:
    everything = weights(saved)
    apart = {f"unet.{name}": value for name, value in everything.items() if ".processor." in name}
    rest = {name: value for name, value in everything.items() if ".processor." not in name}
    assert apart
    save_file(rest, saved / "unet" / "diffusion_pytorch_model.safetensors")
    save_file(apart, saved / "unet" / "pytorch_lora_weights.safetensors")
    found = load_official(saved).network.unet.state_dict()
    for name, value in everything.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def test_old_files_are_read_without_running_them(saved: Path) -> None:
    file = saved / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(weights(saved), file.with_suffix(".bin"))
    file.unlink()
    found = load_official(saved).network.unet.state_dict()
    name = "conv_in.weight"
    torch.testing.assert_close(found[name], weights(saved)[name], rtol=0, atol=0)


def test_without_its_own_parts_the_hub_is_named(saved: Path) -> None:
    facts = json.loads((saved / "unet" / "config.json").read_text())
    assert official_config(facts, {}, saved / "elsewhere").base == STABLE_DIFFUSION


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"last_layer_mode": "alpha"}, "last_layer_mode"),
        ({"unproj_reproj_mode": "none"}, "unproj_reproj_mode"),
    ],
)
def test_other_kinds_are_refused(saved: Path, changes: dict[str, Any], why: str) -> None:
    change(saved / "unet" / "config.json", **changes)
    with pytest.raises(CheckpointError, match=why):
        load_official(saved)


def test_another_way_of_attention_is_refused(saved: Path) -> None:
    change(saved / "config.json", cross_frame_attention={"mode": "add_in_existing_block"})
    with pytest.raises(CheckpointError, match="mode is 'add_in_existing_block'"):
        load_official(saved)


@pytest.mark.parametrize(("space", "relative"), [("absolute", False), ("relative-first", True)])
def test_cameras_are_told_in_the_coordinates_that_it_learnt_with(
    saved: Path, space: str, relative: bool
) -> None:
    change(saved / "config.json", cross_frame_attention={"coordinate_space": space})
    assert load_official(saved).config.relative == relative


def test_other_coordinates_are_refused(saved: Path) -> None:
    change(saved / "config.json", cross_frame_attention={"coordinate_space": "relative-random"})
    with pytest.raises(CheckpointError, match="coordinate space is 'relative-random'"):
        load_official(saved)


def test_it_is_noised_as_its_scheduler_says(saved: Path) -> None:
    assert load_official(saved).config.noise == NoiseConfig()
    write_scheduler(saved, prediction_type="v_prediction", beta_end=0.02)
    assert load_official(saved).config.noise == NoiseConfig(prediction="v_prediction", last=0.02)


def test_missing_weights_are_named(saved: Path) -> None:
    (saved / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no weights"):
        load_official(saved)


def test_a_missing_tensor_is_named(saved: Path) -> None:
    everything = weights(saved)
    del everything["conv_out.bias"]
    save_file(everything, saved / "unet" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CheckpointError, match=r"conv_out\.bias is missing"):
        load_official(saved)


@pytest.mark.parametrize("name", ["down_block_types", "mid_block_type", "block_out_channels"])
def test_a_configuration_that_is_not_whole_says_what_it_lacks(saved: Path, name: str) -> None:
    facts = json.loads((saved / "unet" / "config.json").read_text())
    (saved / "unet" / "config.json").write_text(json.dumps({k: v for k, v in facts.items() if k != name}))
    with pytest.raises(CheckpointError, match=f"it lacks {name}"):
        load_official(saved)


def test_no_options_of_attention_are_the_published_ones(saved: Path) -> None:
    (saved / "config.json").write_text(json.dumps({**TRAINING, "cross_frame_attention": None}))
    assert load_official(saved).config.multiview.attention.itself


def test_a_damaged_configuration_is_named(saved: Path) -> None:
    (saved / "unet" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_official(saved)
