"""Small models that tests of ViewDiff share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from novelview.methods.viewdiff.config import (
    AttentionConfig,
    MultiViewConfig,
    OwnUNetConfig,
    PlacementConfig,
    ViewDiffConfig,
)
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.spherical import azimuths_between, sphere_poses
from novelview.methods.viewdiff.text import WordsConfig

WORDS = WordsConfig(words=("a", "red", "blue", "torus", "box", "and"), width=16, layers=1)
OWN = OwnUNetConfig(channels=(16, 32), attention=(True, True), heads=(2, 2), groups=8, patch=4, words=WORDS)


def small_config(**changes: Any) -> ViewDiffConfig:
    """Two levels, all blocks with projection layers, 32 pixels."""
    config = ViewDiffConfig(
        own=OWN,
        multiview=MultiViewConfig(
            attention=AttentionConfig(rank=4),
            placement=PlacementConfig(down=1, up=1, cells=(4, 4)),
            projection=ProjectionConfig(latent=8, layers=1, samples=8, density_noise=0.0),
        ),
        size=32,
        steps=3,
    )
    return replace(config, **changes)


def with_multiview(config: ViewDiffConfig, **changes: Any) -> ViewDiffConfig:
    return replace(config, multiview=replace(config.multiview, **changes))


def ring(groups: int, frames: int, size: int = 32) -> GroupCameras:
    """Groups of cameras on one circle around the box from -1 to 1."""
    poses = sphere_poses(azimuths_between(0.0, 360.0, frames), 60.0, 4.0)
    intrinsics = torch.tensor(
        [[1.1 * size, 0.0, size / 2 - 0.5], [0.0, 1.1 * size, size / 2 - 0.5], [0.0, 0.0, 1.0]]
    )
    return GroupCameras(
        poses.expand(groups, frames, 4, 4).clone(),
        intrinsics.expand(groups, frames, 3, 3).clone(),
        size,
        size,
        torch.tensor([[-1.0] * 3, [1.0] * 3]).expand(groups, 2, 3).clone(),
    )


def shaken(module: torch.nn.Module, seed: int = 0) -> None:
    """Move all weights a little, so that layers that begin at zero do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def write_stable_diffusion(folder: Path) -> None:
    """A text-to-image model in diffusers' layout, as small as can be, with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        UNet2DConditionModel(
            sample_size=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(16, 32),
            layers_per_block=1,
            attention_head_dim=(2, 2),
            cross_attention_dim=16,
            norm_num_groups=8,
            use_linear_projection=True,
        ).save_pretrained(folder / "unet")
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            scaling_factor=0.18215,
        ).save_pretrained(folder / "vae")
        CLIPTextModel(
            CLIPTextConfig(
                vocab_size=32,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=12,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        ).save_pretrained(folder / "text_encoder")
    letters = [*"abcdefghijklm", *(f"{letter}</w>" for letter in "abcdefghijklm")]
    vocabulary = {token: i for i, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=12)
    tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def write_scheduler(folder: Path, **changes: Any) -> None:
    """Beside such a model: how it was noised, as Stable Diffusion 2.1 was where nothing else is said."""
    facts = {
        "_class_name": "PNDMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    }
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({**facts, **changes}))
