"""The networks of one model together: the multi-view U-Net, its codec and its text encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Bool, Float
from torch import Tensor, nn

from novelview.errors import ConfigError
from novelview.methods.viewdiff.base import check_noise, load_codec, load_text, load_unet, own_unet
from novelview.methods.viewdiff.codec import Codec, Pixels
from novelview.methods.viewdiff.conditions import camera_vectors
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.denoiser import Scenery, input_rays
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.text import TextEncoder, WordEncoder
from novelview.methods.viewdiff.unet import augment

# Parts of names of what is added to a U-Net.
_ADDED = {"processor", "norm_cf", "unproj_reproj_layer", "cfa_controlnet_block"}


class Network(nn.Module):
    """What denoises views. Of a base model's weights only those of the U-Net are its own: the others do not learn."""

    def __init__(self, config: ViewDiffConfig) -> None:
        """Begins as the base with new layers.

        Args:
            config: what is built.

        Raises:
            ConfigError: the base cannot be loaded, or learnt with other noise.
        """
        super().__init__()
        self.config = config
        self.unet = augment(_unet(config), config.multiview)
        if config.learn.checkpointing:
            self.unet.enable_gradient_checkpointing()
        if config.learn.what == "added":
            self._freeze_base()
        # Of a base, loaded when they are needed first. A dictionary hides them from the weights that are saved.
        self._borrowed: dict[str, nn.Module] = {}
        if not config.base:
            self.text = WordEncoder(config.own.words)
            self._borrowed = {"codec": Pixels(config.own.patch), "text": self.text}

    @property
    def device(self) -> torch.device:
        return self.unet.conv_in.weight.device

    @property
    def codec(self) -> Codec:
        """Between images and what is denoised."""
        codec = self._part("codec", load_codec)
        assert isinstance(codec, Codec)
        return codec

    def read(self, prompts: Sequence[str]) -> Float[Tensor, "f l d"]:
        """Text of each prompt, which is encoded once however often it is there."""
        encoder = self._part("text", load_text)
        assert isinstance(encoder, TextEncoder)
        different = list(dict.fromkeys(prompts))
        place = {prompt: i for i, prompt in enumerate(different)}
        return encoder(different)[[place[prompt] for prompt in prompts]]

    def scenery(
        self,
        cameras: GroupCameras,
        given: Bool[Tensor, "b n"],
        intensity: Float[Tensor, "b n 2"],
        *,
        left_out: int = 0,
        noise: Callable[[int, tuple[int, ...]], Tensor] | None = None,
        shown: list[Tensor] | None = None,
    ) -> Scenery:
        """What stays the same while views of ``cameras`` are denoised, on the network's device."""
        multiview, factor = self.config.multiview, self.codec.factor
        cameras, given = cameras.to(self.device), given.to(self.device)
        vectors = rays = None
        # Geometry stays exact, whatever the arithmetic around it.
        with torch.autocast(self.device.type, enabled=False):
            if multiview.attention.rank:
                vectors = camera_vectors(cameras, intensity.to(self.device), relative=self.config.relative)
            if multiview.rays:
                rays = input_rays(cameras, given, cameras.height // factor, cameras.width // factor)
        return Scenery(cameras, vectors, given, rays, left_out, noise, self.config.frames_at_once, shown)

    def side(self) -> int:
        """Of the latents of a view.

        Raises:
            ConfigError: views cannot be cut into places of latents.
        """
        factor = self.codec.factor
        if self.config.size % factor:
            raise ConfigError(
                f"Views of {self.config.size} pixels cannot be encoded",
                why=f"the base's autoencoder has one place for {factor} pixels",
                cure=f"give a size that is a multiple of {factor}",
            )
        return self.config.size // factor

    def _part(self, name: str, load: Callable[[str], nn.Module]) -> nn.Module:
        if name not in self._borrowed:
            self._borrowed[name] = load(self.config.base)
        return self._borrowed[name].to(self.device)

    def _freeze_base(self) -> None:
        for name, parameter in self.unet.named_parameters():
            # The input that is told rays is the base's and new at once.
            told = self.config.multiview.rays and name == "conv_in.weight"
            parameter.requires_grad_(told or not _ADDED.isdisjoint(name.split(".")))


def _unet(config: ViewDiffConfig) -> UNet2DConditionModel:
    if config.unet:
        return UNet2DConditionModel.from_config(json.loads(config.unet))
    if not config.base:
        return own_unet(config.own)
    unet = load_unet(config.base)
    check_noise(config.base, config.noise)
    return unet
