"""What a model is built upon: Stable Diffusion from a folder or the hub, or a small U-Net of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SCHEDULER_CONFIG_NAME

from novelview.errors import ConfigError, import_extra
from novelview.methods.viewdiff.codec import Autoencoder, Pixels
from novelview.methods.viewdiff.config import SCHEDULER_NAMES, NoiseConfig, OwnUNetConfig
from novelview.methods.viewdiff.text import ClipEncoder


def own_unet(config: OwnUNetConfig) -> UNet2DConditionModel:
    """A new U-Net of pixels."""
    down = ["CrossAttnDownBlock2D" if has else "DownBlock2D" for has in config.attention]
    up = ["CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(config.attention)]
    channels = Pixels(config.patch).channels
    return UNet2DConditionModel(
        in_channels=channels,
        out_channels=channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        block_out_channels=config.channels,
        layers_per_block=config.layers,
        attention_head_dim=config.heads,
        cross_attention_dim=config.words.width,
        norm_num_groups=config.groups,
        use_linear_projection=True,
        addition_embed_type="text" if config.pooled else None,
        addition_embed_type_num_heads=config.words.heads,
    )


def load_unet(place: str) -> UNet2DConditionModel:
    """The U-Net of Stable Diffusion 1 or 2, or of a model like it.

    Args:
        place: a folder in diffusers' layout with unet, vae, text_encoder and tokenizer, or an id on the Hugging Face hub.

    Raises:
        ConfigError: it is neither, or the part is missing; so do the others here.
    """
    return _part(place, "unet", UNet2DConditionModel)


def load_codec(place: str) -> Autoencoder:
    """The autoencoder of such a model."""
    return Autoencoder(_part(place, "vae", AutoencoderKL))


def load_text(place: str) -> ClipEncoder:
    """The text encoder of such a model."""
    transformers = import_extra("transformers", "diffusion")
    encoder = _part(place, "text_encoder", transformers.CLIPTextModel)
    return ClipEncoder(_part(place, "tokenizer", transformers.CLIPTokenizer), encoder)


def check_noise(place: str, noise: NoiseConfig) -> None:
    """That such a model learnt with this noise, as far as the configuration of its scheduler tells.

    Raises:
        ConfigError: it learnt with another, and would be denoised wrongly.
    """
    facts = scheduler_facts(place)
    if facts is None:
        return
    if facts.get("trained_betas") or facts.get("rescale_betas_zero_snr"):
        raise ConfigError(
            "The base model learnt with noise that cannot be chosen here",
            where=place,
            why="its scheduler has trained_betas, or rescale_betas_zero_snr",
            cure="choose another base",
        )
    own = {option: facts[name] for option, name in SCHEDULER_NAMES.items()}
    other = [option for option in own if own[option] != getattr(noise, option)]
    if other:
        raise ConfigError(
            "The base model learnt with other noise",
            where=place,
            why=", ".join(f"noise.{each} is {getattr(noise, each)}, and {own[each]} there" for each in other),
            cure=f"give {' '.join(f'--config.noise.{each} {own[each]}' for each in other)}",
        )


def scheduler_facts(place: str) -> dict[str, Any] | None:
    """How such a model was noised, in the words of diffusers' schedulers; None where nothing tells.

    Raises:
        ConfigError: the file that tells is damaged.
    """
    folder = Path(place).expanduser()
    local = folder.is_dir()
    if local and not (folder / "scheduler" / SCHEDULER_CONFIG_NAME).is_file():
        return None
    try:
        facts = DDIMScheduler.load_config(str(folder) if local else place, subfolder="scheduler")
    except (OSError, ValueError) as error:
        if not local:
            return None
        raise ConfigError(
            "The base model's scheduler cannot be read",
            where=folder,
            why=str(error).splitlines()[0],
            cure="download the model again",
        ) from error
    # What a file leaves out has the same value in all schedulers.
    return {**DDIMScheduler().config, **facts}


def _part(place: str, name: str, kind: Any) -> Any:
    folder = Path(place).expanduser()
    if folder.is_dir() and not (folder / name).is_dir():
        raise ConfigError(
            f"This is no Stable Diffusion in diffusers' layout: it has no folder {name!r}",
            where=folder,
            cure="name the folder that holds unet, vae, text_encoder and tokenizer",
        )
    try:
        return kind.from_pretrained(str(folder) if folder.is_dir() else place, subfolder=name)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The base model's {name} cannot be loaded",
            where=place,
            why=str(error).splitlines()[0],
            cure="name a folder in diffusers' layout, or the id of a model on the Hugging Face hub that can be reached",
        ) from error
