"""What the U-Net denoises: latents of Stable Diffusion's autoencoder, or the pixels themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Codec(nn.Module, ABC):
    """From images to what is denoised, and back.

    Attributes:
        factor: pixels along the side of one place of the latents.
        channels: of the latents.
    """

    factor: int
    channels: int

    @abstractmethod
    def encode(
        self, images: Float[Tensor, "f 3 h w"], noise: Float[Tensor, "f c p q"] | None = None
    ) -> Float[Tensor, "f c p q"]:
        """Latents of images in [-1, 1].

        Args:
            images: sides are multiples of ``factor``.
            noise: standard normal numbers that draw from what an image may be encoded as; None: its mean.
        """

    @abstractmethod
    def decode(self, latents: Float[Tensor, "f c p q"]) -> Float[Tensor, "f 3 h w"]:
        """Images, about in [-1, 1]."""


class Pixels(Codec):
    """Square patches of pixels as the channels of one place; nothing is lost or drawn."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.factor, self.channels = patch, 3 * patch * patch

    def encode(
        self, images: Float[Tensor, "f 3 h w"], noise: Float[Tensor, "f c p q"] | None = None
    ) -> Float[Tensor, "f c p q"]:
        return F.pixel_unshuffle(images, self.factor)

    def decode(self, latents: Float[Tensor, "f c p q"]) -> Float[Tensor, "f 3 h w"]:
        return F.pixel_shuffle(latents, self.factor)


class Autoencoder(Codec):
    """An ``AutoencoderKL`` of diffusers, which does not learn; one image at a time, which bounds memory."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae: Any = vae.requires_grad_(False).eval()
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.channels = vae.config.latent_channels

    @torch.no_grad()
    def encode(
        self, images: Float[Tensor, "f 3 h w"], noise: Float[Tensor, "f c p q"] | None = None
    ) -> Float[Tensor, "f c p q"]:
        found = []
        for i in range(len(images)):
            drawn = self.vae.encode(images[i : i + 1]).latent_dist
            found.append(drawn.mean if noise is None else drawn.mean + drawn.std * noise[i : i + 1])
        return torch.cat(found) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "f c p q"]) -> Float[Tensor, "f 3 h w"]:
        scaled = latents / self.vae.config.scaling_factor
        return torch.cat([self.vae.decode(scaled[i : i + 1]).sample for i in range(len(scaled))])
