"""The three transformers of LVSM: decoder-only, encoder-decoder, and cached. Parameters bear the official names.

Letters in shapes: b scenes, v input views, t target views, n patches of a view, d channels of a token.

Every target is rendered on its own: targets never see one another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.posed import Posed
from novelview.methods.lvsm.relative import Places
from novelview.methods.lvsm.transformer import Block, KeysValues, deviation, norm, stack

RAY_CHANNELS = 6
Tokens = Float[Tensor, "b n d"]
S = TypeVar("S")


class Network(nn.Module, ABC, Generic[S]):
    """From posed images and target cameras to target images. Abstract; what inputs become is of type ``S``."""

    def __init__(self, config: LVSMConfig) -> None:
        super().__init__()
        self.config = config
        area, width = config.patch**2, config.width
        # Index 1 is the linear map in official checkpoints; before it came the cutting into patches.
        self.image_tokenizer = nn.Sequential(
            nn.Identity(), nn.Linear((3 + RAY_CHANNELS) * area, width, bias=False)
        )
        self.target_pose_tokenizer = nn.Sequential(
            nn.Identity(), nn.Linear(RAY_CHANNELS * area, width, bias=False)
        )
        self.image_token_decoder = nn.Sequential(
            norm(width), nn.Linear(width, 3 * area, bias=False), nn.Sigmoid()
        )
        for head in (self.image_tokenizer, self.target_pose_tokenizer, self.image_token_decoder):
            assert isinstance(head[1], nn.Linear)
            nn.init.normal_(head[1].weight, std=deviation(width))

    @abstractmethod
    def encode(self, inputs: Posed) -> S:
        """What all targets need of the inputs."""

    @abstractmethod
    def decode(self, scene: S, targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        """The targets' images in [0, 1]."""

    @abstractmethod
    def blocks(self) -> list[Block]:
        """All blocks, in the order of their use."""

    def forward(self, inputs: Posed, targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        return self.decode(self.encode(inputs), targets)

    def input_tokens(self, inputs: Posed) -> Float[Tensor, "b vn d"]:
        """Tokens of all input views, view after view."""
        assert inputs.images is not None
        patches = self._patches(torch.cat([2 * inputs.images - 1, self._rays(inputs)], dim=2))
        return rearrange(self.image_tokenizer(patches), "b v n d -> b (v n) d")

    def target_tokens(self, targets: Posed) -> Float[Tensor, "bt n d"]:
        """Tokens of every target view, each a sequence of its own."""
        patches = self._patches(self._rays(targets))
        return rearrange(self.target_pose_tokenizer(patches), "b t n d -> (b t) n d")

    def images(self, tokens: Float[Tensor, "bt n d"], targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        """What tokens of targets show."""
        height = targets.height // self.config.patch
        return rearrange(
            self.image_token_decoder(tokens),
            "(b t) (i j) (p q c) -> b t c (i p) (j q)",
            i=height,
            p=self.config.patch,
            q=self.config.patch,
            b=len(targets.cameras),
        )

    def places(self, views: Posed) -> Places | None:
        """Where patches stand relative to one another; None where only rays tell."""
        if self.config.positions == "rays":
            return None
        return Places.of(views.cameras, self.config.patch, self.config.head_width, views.rays.device)

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """A block's answer, computed again in the backward pass where the configuration saves memory."""
        if self.config.checkpoint_blocks and self.training and torch.is_grad_enabled():
            return checkpoint(call, *arguments, use_reentrant=False)
        return call(*arguments)

    def _rays(self, views: Posed) -> Float[Tensor, "b v 6 h w"]:
        if self.config.positions == "cameras":
            # The maps keep their shape, and learn nothing from zeros.
            return torch.zeros_like(views.rays)
        return views.rays

    def _patches(self, maps: Float[Tensor, "b v c h w"]) -> Float[Tensor, "b v n p"]:
        side = self.config.patch
        return rearrange(maps, "b v c (i p) (j q) -> b v (i j) (p q c)", p=side, q=side)


class OneStack(Network[S]):
    """One stack of blocks for inputs and targets alike. Abstract."""

    def __init__(self, config: LVSMConfig) -> None:
        super().__init__(config)
        self.transformer_input_layernorm = norm(config.width)
        self.transformer_blocks = stack(config.layers, config.width, config.head_width)

    def blocks(self) -> list[Block]:
        return list(self.transformer_blocks)  # type: ignore[arg-type]


class DecoderOnly(OneStack[tuple[Tokens, Places | None]]):
    """Inputs and one target in one sequence (LVSM, section 3.3): best quality, nothing to keep between targets."""

    def encode(self, inputs: Posed) -> tuple[Tokens, Places | None]:
        return self.input_tokens(inputs), self.places(inputs)

    def decode(self, scene: tuple[Tokens, Places | None], targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        known, before = scene
        asking, own = self.target_tokens(targets), self.places(targets)
        places = None if before is None or own is None else before.before_each(own)
        tokens = torch.cat([repeat(known, "b n d -> (b t) n d", t=targets.count), asking], dim=1)
        tokens = self.transformer_input_layernorm(tokens)
        for block in self.blocks():
            tokens, _ = self.run(block, tokens, places)
        return self.images(tokens[:, -asking.shape[1] :], targets)


class EncoderDecoder(Network[Tokens]):
    """Inputs become latents, which every target's sequence begins anew with (LVSM, section 3.3)."""

    def __init__(self, config: LVSMConfig) -> None:
        super().__init__(config)
        self.n_light_field_latent = nn.Parameter(torch.empty(config.latents, config.width))
        nn.init.trunc_normal_(self.n_light_field_latent, std=deviation(config.width))
        self.transformer_encoder = stack(config.encoder_layers, config.width, config.head_width)
        self.transformer_input_layernorm_decoder = norm(config.width)
        self.transformer_decoder = stack(config.layers, config.width, config.head_width)

    def encode(self, inputs: Posed) -> Float[Tensor, "b m d"]:
        known = self.input_tokens(inputs)
        latents = self.n_light_field_latent.to(known.dtype).expand(len(known), -1, -1)
        tokens = torch.cat([latents, known], dim=1)
        for block in self.transformer_encoder:
            tokens, _ = self.run(block, tokens)
        return tokens[:, : self.config.latents]

    def decode(self, scene: Float[Tensor, "b m d"], targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        asking = self.target_tokens(targets)
        latents = repeat(scene, "b m d -> (b t) m d", t=targets.count)
        tokens = self.transformer_input_layernorm_decoder(torch.cat([asking, latents], dim=1))
        for block in self.transformer_decoder:
            tokens, _ = self.run(block, tokens)
        return self.images(tokens[:, : asking.shape[1]], targets)

    def blocks(self) -> list[Block]:
        return [*self.transformer_encoder, *self.transformer_decoder]


class Cached(OneStack[list[KeysValues]]):
    """Decoder-only in one direction: inputs see one another, a target sees them and itself.

    What a target needs of the inputs, keys and values for every block, is computed once. Inputs pass through the first
    ``encoder_layers`` blocks; the blocks after see the tokens that come out of these, so that depth lies with the targets.
    """

    def encode(self, inputs: Posed) -> list[KeysValues]:
        tokens, places = self.transformer_input_layernorm(self.input_tokens(inputs)), self.places(inputs)
        kept, full = [], min(self.config.encoder_layers, self.config.layers - 1)
        for block in self.blocks()[:full]:
            tokens, shown = self.run(block, tokens, places)
            kept.append(shown)
        # Nobody would see the tokens that come out of the last block.
        for block in self.blocks()[full:]:
            kept.append(self.run(block.keys_values, tokens, places))
        return kept

    def decode(self, scene: list[KeysValues], targets: Posed) -> Float[Tensor, "b t 3 h w"]:
        tokens, places = self.target_tokens(targets), self.places(targets)
        tokens = self.transformer_input_layernorm(tokens)
        count, own = targets.count, None if places is None else places.one_by_one()
        for block, (key, value) in zip(self.blocks(), scene, strict=True):
            several = [repeat(part, "b a m c -> (b t) a m c", t=count) for part in (key, value)]
            tokens, _ = self.run(block, tokens, own, (several[0], several[1]))
        return self.images(tokens, targets)


def build_network(config: LVSMConfig) -> Network[Any]:
    """The network that a configuration describes, with new weights."""
    kinds: dict[str, type[Network[Any]]] = {
        "decoder-only": DecoderOnly,
        "encoder-decoder": EncoderDecoder,
        "cached": Cached,
    }
    return kinds[config.architecture](config)
