"""A U-Net of diffusers that became one of several views."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from viewdiff_models import OWN, noise, ring, shaken, small_config, with_multiview

from novelview.errors import ConfigError
from novelview.methods.viewdiff.base import own_unet
from novelview.methods.viewdiff.checkpoint import official_config
from novelview.methods.viewdiff.config import AttentionConfig, MultiViewConfig, PlacementConfig
from novelview.methods.viewdiff.denoiser import Scenery, predict
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.unet import augment

FRAMES = 3


def plain() -> UNet2DConditionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return own_unet(OWN)


def looked(unet: UNet2DConditionModel, frames: int = FRAMES, groups: int = 1, **changes: Any) -> Tensor:
    """What an augmented U-Net says of noisy views."""
    cameras = ring(groups, frames)
    vectors = noise(groups * frames, 10, seed=3)
    given = torch.zeros(groups, frames, dtype=torch.bool)
    scenery = replace(Scenery(cameras, vectors, given), **changes)
    text = noise(1, 4, 16, seed=2).expand(groups * frames, 4, 16)
    timesteps = torch.full((groups, frames), 500)
    with torch.no_grad():
        return predict(unet, noise(groups, frames, 48, 8, 8), timesteps, text, scenery)


def base_says(unet: UNet2DConditionModel, frames: int = FRAMES) -> Tensor:
    text = noise(1, 4, 16, seed=2).expand(frames, 4, 16)
    with torch.no_grad():
        return unet(noise(1, frames, 48, 8, 8)[0], torch.tensor(500), text).sample[None]


def multiview(frames: str = "joint", join: str = "replace", **changes: Any) -> MultiViewConfig:
    config = small_config().multiview
    return replace(
        config,
        attention=replace(config.attention, frames=frames),
        placement=replace(config.placement, join=join),
        **changes,
    )


@pytest.mark.parametrize("rays", [False, True])
def test_our_variant_begins_as_the_base_for_any_number_of_views(rays: bool) -> None:
    expected = base_says(plain())
    unet = augment(plain(), multiview("gated", "add", rays=rays))
    told = noise(FRAMES, 7, 8, 8, seed=5) if rays else None
    torch.testing.assert_close(looked(unet, rays=told), expected, rtol=0, atol=2e-6)


def test_joint_attention_begins_as_the_base_for_a_single_view() -> None:
    unet = augment(plain(), multiview("joint", "add"))
    torch.testing.assert_close(looked(unet, frames=1), base_says(plain(), 1), rtol=0, atol=2e-6)


def test_the_published_variant_does_not_begin_as_the_base() -> None:
    unet = augment(plain(), multiview("joint", "replace"))
    assert float((looked(unet) - base_says(plain())).abs().max()) > 1e-2


@pytest.mark.parametrize("frames", ["joint", "gated", "own"])
def test_views_see_one_another_only_if_they_shall(frames: str) -> None:
    unet = augment(plain(), replace(multiview(frames), placement=PlacementConfig(0, False, 0, (4, 4))))
    shaken(unet)
    cameras, text = ring(1, FRAMES), noise(1, 4, 16, seed=2).expand(FRAMES, 4, 16)
    views = noise(1, FRAMES, 48, 8, 8).requires_grad_()
    scenery = Scenery(cameras, noise(FRAMES, 10, seed=3), torch.zeros(1, FRAMES, dtype=torch.bool))
    found = predict(unet, views, torch.full((1, FRAMES), 500), text, scenery)
    (gradient,) = torch.autograd.grad(found[0, 0].square().sum(), views)
    reaches = bool(gradient[0, 1:].abs().max() > 0)
    assert reaches == (frames != "own")


def test_views_see_one_another_through_the_grid_alone() -> None:
    unet = augment(plain(), multiview("own", "replace"))
    views = noise(1, FRAMES, 48, 8, 8).requires_grad_()
    text = noise(1, 4, 16, seed=2).expand(FRAMES, 4, 16)
    scenery = Scenery(ring(1, FRAMES), None, torch.zeros(1, FRAMES, dtype=torch.bool))
    found = predict(unet, views, torch.full((1, FRAMES), 500), text, scenery)
    (gradient,) = torch.autograd.grad(found[0, 0].square().sum(), views)
    assert float(gradient[0, 1].abs().max()) > 0


def test_only_coarse_levels_see_other_views_where_that_is_wanted() -> None:
    config = MultiViewConfig(
        attention=AttentionConfig(rank=4, finest=1), placement=PlacementConfig(0, False, 0, (4, 4))
    )
    unet = augment(plain(), config)
    kinds = {
        name.split(".")[0] + name.split(".")[1]: p.frames
        for name, p in unet.attn_processors.items()
        if "attn1" in name
    }
    assert kinds == {
        "down_blocks0": "own",
        "down_blocks1": "joint",
        "mid_blockattentions": "joint",
        "up_blocks0": "joint",
        "up_blocks1": "own",
    }


def test_groups_do_not_see_one_another() -> None:
    unet = augment(plain(), multiview())
    shaken(unet)
    both = looked(unet, groups=2)
    cameras = ring(1, FRAMES)
    scenery = Scenery(
        cameras, noise(2 * FRAMES, 10, seed=3)[FRAMES:], torch.zeros(1, FRAMES, dtype=torch.bool)
    )
    text = noise(1, 4, 16, seed=2).expand(FRAMES, 4, 16)
    with torch.no_grad():
        alone = predict(unet, noise(2, FRAMES, 48, 8, 8)[1:], torch.full((1, FRAMES), 500), text, scenery)
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_few_views_at_a_time_give_the_same(at_once: int) -> None:
    unet = augment(plain(), multiview())
    shaken(unet)
    torch.testing.assert_close(looked(unet, frames_at_once=at_once), looked(unet), rtol=0, atol=1e-5)


def test_gradients_are_the_same_with_checkpointing() -> None:
    kept = augment(plain(), multiview()).train()
    shaken(kept)
    again = copy.deepcopy(kept)
    again.enable_gradient_checkpointing()
    found = []
    for unet in (kept, again):
        scenery = Scenery(
            ring(1, FRAMES), noise(FRAMES, 10, seed=3), torch.zeros(1, FRAMES, dtype=torch.bool)
        )
        text = noise(1, 4, 16, seed=2).expand(FRAMES, 4, 16)
        said = predict(unet, noise(1, FRAMES, 48, 8, 8), torch.full((1, FRAMES), 500), text, scenery)
        said.square().mean().backward()
        found.append({name: p.grad for name, p in unet.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_a_net_without_text_is_refused() -> None:
    unet = UNet2DConditionModel(
        down_block_types=("AttnDownBlock2D", "DownBlock2D"),
        mid_block_type=None,
        up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        block_out_channels=(16, 32),
        norm_num_groups=8,
        layers_per_block=1,
    )
    with pytest.raises(ConfigError, match="More blocks shall have projection layers"):
        augment(unet, multiview())


@pytest.mark.parametrize("side", [9, 10, 13])
def test_odd_sides_are_halved_as_the_net_halves_them(side: int) -> None:
    unet = augment(plain(), multiview())
    scenery = Scenery(ring(1, FRAMES), noise(FRAMES, 10, seed=3), torch.zeros(1, FRAMES, dtype=torch.bool))
    text = noise(1, 4, 16, seed=2).expand(FRAMES, 4, 16)
    views = noise(1, FRAMES, 48, side, side)
    with torch.no_grad():
        found = predict(unet, views, torch.full((1, FRAMES), 500), text, scenery)
    assert found.shape == views.shape


def test_a_net_that_is_told_more_is_refused() -> None:
    unet = plain()
    unet.register_to_config(addition_embed_type="text_time")
    with pytest.raises(ConfigError, match="told more than time and text"):
        augment(unet, multiview())


def test_layers_draw_noise_of_their_own() -> None:
    config = multiview()
    unet = augment(plain(), replace(config, projection=replace(config.projection, density_noise=1.0)))
    asked: list[int] = []

    def drawn(layer: int, shape: tuple[int, ...]) -> Tensor:
        asked.append(layer)
        return torch.zeros(shape)

    looked(unet, noise=drawn)
    assert sorted(asked) == list(range(len(asked)))
    assert len(asked) > 2


def test_every_level_needs_its_grid() -> None:
    config = with_multiview(small_config(), placement=PlacementConfig(cells=(4, 4, 4)))
    with pytest.raises(ConfigError, match="side of its voxel grid"):
        Network(config)


def test_added_layers_learn_alone_where_wanted() -> None:
    config = small_config()
    network = Network(replace(config, learn=replace(config.learn, what="added")))
    learning = {name for name, p in network.unet.named_parameters() if p.requires_grad}
    stock = set(own_unet(OWN).state_dict())
    assert learning
    assert not learning & stock


@pytest.mark.parametrize(("preset", "added"), [("sd21_train", 143_416_962), ("sd21_train_small", 45_700_000)])
def test_published_sizes_have_the_recorded_weights(shared: Path, preset: str, added: int) -> None:
    folder = shared / "fixtures/viewdiff"
    keys = json.loads((folder / f"keys_{preset}.json").read_text())
    stock = json.loads((folder / "keys_sd21_stock.json").read_text())
    large = preset == "sd21_train"
    facts = {
        "down_block_types": keys["meta"]["down"],
        "up_block_types": keys["meta"]["up"],
        "mid_block_type": "UNetMidBlock2DCrossFrameInExistingAttn",
        "block_out_channels": [320, 640, 1280, 1280],
        "attention_head_dim": [5, 10, 20, 20],
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
        "num_3d_layers": 5 if large else 1,
        "dim_3d_grid": 128 if large else 64,
        "last_layer_mode": "no_residual_connection",
        "unproj_reproj_mode": "only_unproj_reproj",
    }
    config = official_config(facts, {}, folder)
    with torch.device("meta"):
        unet = augment(UNet2DConditionModel.from_config(json.loads(config.unet)), config.multiview)
    found = {name: list(value.shape) for name, value in unet.state_dict().items()}
    assert found == {**stock, **keys["extra"]}
    numbers = sum(value.numel() for value in unet.state_dict().values())
    assert numbers - keys["n_stock"] == keys["n_extra"]
    assert abs(keys["n_extra"] - added) < 0.001 * added
