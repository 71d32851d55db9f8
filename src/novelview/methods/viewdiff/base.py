"""What a model is built upon: Stable Diffusion from a folder or the hub, or a small U-Net of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel

from novelview.errors import ConfigError, import_extra
from novelview.methods.viewdiff.codec import Autoencoder, Pixels
from novelview.methods.viewdiff.config import OwnUNetConfig
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
