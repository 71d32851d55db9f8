"""Checkpoints of the authors' code: which of the two networks is in them, and how large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from novelview.errors import CheckpointError, ConfigError
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.model import LVSM
from novelview.methods.official import as_tensors, fill, matrix, read_file

WHAT = "an LVSM"
# The perceptual loss's network is saved along by the authors' training.
IGNORED = "loss_computer."
# What the file does not say.
PUBLISHED = LVSMConfig()
CURE = "give a checkpoint of the decoder-only or of the encoder-decoder network"


def load_official(path: Path, *, config: LVSMConfig = PUBLISHED) -> LVSM:
    """An LVSM out of a checkpoint of the authors' code; nothing in it is run.

    Args:
        path: ``.pt`` whose weights lie under "model" or bare, or the same tensors as ``.safetensors``.
        config: what the file does not say, such as the frame; the network's shape is read off the file.

    Raises:
        CheckpointError: the file cannot be read, asks for code to be run, or its tensors do not fit together.
    """
    content = read_file(path)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    tensors = {
        name: value
        for name, value in as_tensors(content, path, what="checkpoint of LVSM").items()
        if not name.startswith(IGNORED)
    }
    method = LVSM(_with_shape(config, tensors, path))
    fill(method.network, tensors, path, what=WHAT, cure=CURE)
    return method.eval()


def _with_shape(config: LVSMConfig, tensors: dict[str, Tensor], path: Path) -> LVSMConfig:
    """``config`` with architecture, width, heads, layers, latents and patch from the names and shapes of the weights."""
    targets = matrix(tensors, "target_pose_tokenizer.1.weight", path, what=WHAT)
    found: dict[str, Any] = {"width": targets.shape[0], "patch": round((targets.shape[1] / 6) ** 0.5)}
    if "n_light_field_latent" in tensors:
        latents = matrix(tensors, "n_light_field_latent", path, what=WHAT)
        found |= {"architecture": "encoder-decoder", "latents": latents.shape[0]}
        found |= {"encoder_layers": _layers(tensors, "transformer_encoder")}
        blocks = "transformer_decoder"
    else:
        found |= {"architecture": "decoder-only"}
        blocks = "transformer_blocks"
    found["layers"] = _layers(tensors, blocks)
    heads = tensors.get(f"{blocks}.0.attn.q_norm.weight")
    if heads is None or heads.dim() != 1:
        why = f"it has no vector '{blocks}.0.attn.q_norm.weight'"
        raise CheckpointError(f"This is not {WHAT}", where=path, why=why, cure=CURE)
    try:
        return replace(config, **found, head_width=heads.shape[0])
    except ConfigError as error:
        raise CheckpointError(f"This is not {WHAT}", where=path, why=str(error), cure=CURE) from None


def _layers(tensors: dict[str, Tensor], stack: str) -> int:
    numbers = {name.split(".")[1] for name in tensors if name.startswith(f"{stack}.")}
    return len(numbers)
