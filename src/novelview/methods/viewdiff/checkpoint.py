"""Models that users trained with the authors' code; nobody published any (ViewDiff's folders are in diffusers' layout)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor

from novelview.errors import CheckpointError
from novelview.methods.official import as_tensors, fill, read_file
from novelview.methods.viewdiff.base import scheduler_facts
from novelview.methods.viewdiff.config import (
    SCHEDULER_NAMES,
    STABLE_DIFFUSION,
    AttentionConfig,
    LearnConfig,
    MultiViewConfig,
    NoiseConfig,
    PlacementConfig,
    ViewDiffConfig,
)
from novelview.methods.viewdiff.model import ViewDiff
from novelview.methods.viewdiff.projection.config import ProjectionConfig

# The authors' names of blocks, and those of diffusers.
_BLOCKS = {
    "CrossFrameInExistingAttnDownBlock2D": "CrossAttnDownBlock2D",
    "CrossFrameInExistingAttnUpBlock2D": "CrossAttnUpBlock2D",
    "UNetMidBlock2DCrossFrameInExistingAttn": "UNetMidBlock2DCrossAttn",
}
_JOINS = {"no_residual_connection": "replace", "zero-conv": "add"}
# The grid's side is divided by this at each level, by the level's channels.
_DIVISORS = {320: 1, 640: 2, 1280: 4}
# What models may be, apart from sizes.
_KNOWN: dict[str, tuple[str | int | None, ...]] = {
    "last_layer_mode": tuple(_JOINS),
    "unproj_reproj_mode": ("only_unproj_reproj",),
    "network_alpha": (None,),
    "pose_cond_dim": (10,),
    "mode": ("pretrained",),
    "conditioning_mode": ("sa-ca",),
    "coordinate space": ("absolute", "relative-first"),
}
_STOCK = set(inspect.signature(UNet2DConditionModel.__init__).parameters)
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_PROCESSORS = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")


def load_official(path: Path) -> ViewDiff:
    """The model in a folder that the authors' training saved; nothing in it is run.

    Autoencoder and text encoder are taken from the folder where it has them, else from Stable Diffusion 2.1 on the hub
    when they are first needed. All switches are as the authors' code has them.

    Args:
        path: the saved model, or its folder ``unet``.

    Raises:
        CheckpointError: a file is missing or damaged, or the model is of a kind that the published scripts do not make.
        ConfigError: the configuration of its scheduler is damaged.
    """
    folder = path if (path / "unet").is_dir() else path.parent
    unet = folder / "unet"
    facts = _read_json(unet / "config.json")
    # Checkpoints of a training lie beside the file that describes it.
    described = next(
        (at / "config.json" for at in (folder, folder.parent) if (at / "config.json").is_file()), None
    )
    training = _read_json(described) if described else {}
    config = official_config(facts, training, folder)
    method = ViewDiff(config)
    fill(method.network.unet, _weights(unet), unet, what="ViewDiff's U-Net")
    return method.eval()


def official_config(facts: Mapping[str, Any], training: Mapping[str, Any], folder: Path) -> ViewDiffConfig:
    """What the authors' two configuration files describe.

    Args:
        facts: of the U-Net.
        training: of the training; may be empty, what the published scripts have is assumed then.
        folder: of the model, named in errors.

    Raises:
        CheckpointError: something that the published scripts do not make.
        ConfigError: the configuration of the scheduler beside it is damaged.
    """
    _require_published(facts, training, folder)
    stock = stock_config(facts)
    own = all((folder / part).is_dir() for part in ("vae", "text_encoder", "tokenizer"))
    has = [str(kind).startswith("CrossFrame") for kind in facts["down_block_types"]]
    projection = ProjectionConfig(
        latent=facts.get("dim_3d_latent", 16),
        layers=facts.get("num_3d_layers", 5),
        compress=facts.get("vol_rend_proj_in_mode", "multiple"),
        expand=facts.get("vol_rend_proj_out_mode", "multiple"),
        aggregator=facts.get("vol_rend_aggregator_mode", "ibrnet"),
        background=facts.get("vol_rend_model_background", True),
        background_share=facts.get("vol_rend_background_grid_percentage", 0.5),
        disparity_at_infinity=facts.get("vol_rend_disparity_at_inf", 0.5),
        time=facts.get("use_temb_in_lora", True),
        official_axes=True,
        official_contraction=True,
    )
    return ViewDiffConfig(
        base=str(folder.resolve()) if own else STABLE_DIFFUSION,
        unet=json.dumps(stock, sort_keys=True),
        multiview=MultiViewConfig(
            attention=AttentionConfig(
                itself=_attention(training).get("with_self_attention", True),
                rank=facts.get("rank", 64),
                time_features=facts.get("temb_out_size", 8) if facts.get("use_temb_in_lora", True) else 0,
            ),
            placement=PlacementConfig(
                down=sum(has),
                middle=str(facts["mid_block_type"]).endswith("CrossFrameInExistingAttn"),
                up=sum(str(kind).startswith("CrossFrame") for kind in facts["up_block_types"]),
                cells=_cells(facts),
                join=_JOINS[facts["last_layer_mode"]],  # type: ignore[arg-type]
            ),
            projection=projection,
        ),
        noise=_noise(folder),
        learn=LearnConfig(
            frames=max(2, facts.get("n_input_images", 5)),
            left_out=facts.get("n_novel_images", 1),
            may_be_given=1 if facts.get("n_input_images", 5) < 3 else 2,
            per_frame_dropout=True,
        ),
        overwrite=True,
        relative=_coordinate_space(training) == "relative-first",
    )


def stock_config(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration of the U-Net that was extended, as diffusers has it."""
    stock = {name: value for name, value in facts.items() if not name.startswith("_")}
    for name in ("down_block_types", "up_block_types"):
        stock[name] = [_BLOCKS.get(kind, kind) for kind in facts[name]]
    stock["mid_block_type"] = _BLOCKS.get(facts["mid_block_type"], facts["mid_block_type"])
    return {name: value for name, value in stock.items() if name in _STOCK}


def _noise(folder: Path) -> NoiseConfig:
    """What the model's scheduler says where it was saved too, else what the published base has."""
    facts = scheduler_facts(str(folder)) if folder.is_dir() else None
    return NoiseConfig(**{option: facts[name] for option, name in SCHEDULER_NAMES.items()} if facts else {})


def _coordinate_space(training: Mapping[str, Any]) -> Any:
    """What cameras are told relative to."""
    attention = _attention(training)
    # Whatever the option is called in full.
    return next((value for name, value in attention.items() if "coord" in name), "absolute")


def _attention(training: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = training.get("cross_frame_attention") or {}
    return found


def _cells(facts: Mapping[str, Any]) -> tuple[int, ...]:
    side, channels = facts.get("dim_3d_grid", 128), facts["block_out_channels"]
    return tuple(max(1, side // _DIVISORS.get(count, 4)) for count in channels)


def _require_published(facts: Mapping[str, Any], training: Mapping[str, Any], folder: Path) -> None:
    """That the model is of the published kind, apart from sizes."""
    lost = sorted({"down_block_types", "mid_block_type", "up_block_types", "block_out_channels"} - set(facts))
    if lost:
        raise CheckpointError(
            "The configuration of a U-Net is not whole",
            where=folder,
            why=f"it lacks {', '.join(lost)}",
            cure="name the folder that the authors' training saved",
        )
    attention = _attention(training)
    found = {
        "last_layer_mode": facts.get("last_layer_mode"),
        "unproj_reproj_mode": facts.get("unproj_reproj_mode"),
        "network_alpha": facts.get("network_alpha"),
        "pose_cond_dim": facts.get("pose_cond_dim", 10),
        "mode": attention.get("mode", "pretrained"),
        "conditioning_mode": attention.get("conditioning_mode", "sa-ca"),
        "coordinate space": _coordinate_space(training),
    }
    wrong = {name: value for name, value in found.items() if value not in _KNOWN[name]}
    if wrong:
        raise CheckpointError(
            "This ViewDiff model is of a kind that cannot be loaded",
            where=folder,
            why=", ".join(f"{name} is {value!r}" for name, value in wrong.items()),
            cure="use a model that the published training scripts made",
        )


def _weights(folder: Path) -> dict[str, Tensor]:
    """All of the U-Net; weights of attention processors, where old files lack them, from the file beside it."""
    tensors = as_tensors(read_file(_first(folder, _WEIGHTS)), folder)
    if any(".processor." in name for name in tensors):
        return tensors
    processors = as_tensors(read_file(_first(folder, _PROCESSORS)), folder)
    return tensors | {name.removeprefix("unet."): value for name, value in processors.items()}


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        "This folder of a ViewDiff model has no weights",
        where=folder,
        why=f"neither {' nor '.join(names)} is there",
        cure="name the folder that the authors' training saved",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            "A configuration of a ViewDiff model cannot be read",
            where=path,
            why=str(error),
            cure="name the folder that the authors' training saved",
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(
            "A configuration of a ViewDiff model is damaged",
            where=path,
            why="it is no object",
            cure="name the folder that the authors' training saved",
        )
    return found
