"""Any text-to-image U-Net of diffusers made one that denoises several views of a subject together (ViewDiff, section 3).

The U-Net is changed in place and stays one of diffusers: its self-attentions see all frames, all attentions are told the
camera, and some transformer blocks get a projection layer. Names of new weights are those of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock, _chunked_feed_forward
from diffusers.models.resnet import ResnetBlock2D
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import ConfigError
from novelview.methods.viewdiff.attention import FrameAttention, TextAttention
from novelview.methods.viewdiff.conditions import Conditions
from novelview.methods.viewdiff.config import MultiViewConfig, PlacementConfig
from novelview.methods.viewdiff.projection.layer import Noise, ProjectionLayer, in_parts

INPUT_CHANNELS = 7
"""Of rays and of what is given, where the U-Net's input is told them: six Plücker coordinates and a mask."""


class ProjectedBlock(BasicTransformerBlock):
    """A transformer block of diffusers with a projection layer between attention and feed-forward network.

    Attributes:
        number: of the layer among those of the U-Net, by which its noise differs from that of others.
    """

    number: int
    norm_cf: nn.LayerNorm
    unproj_reproj_layer: ProjectionLayer

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        timestep: Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        class_labels: Tensor | None = None,
        added_cond_kwargs: dict[str, Tensor] | None = None,
    ) -> Tensor:
        told = cross_attention_kwargs or {}
        found = hidden_states + self.attn1(self.norm1(hidden_states), **told)
        found = found + self.attn2(
            self.norm2(found), encoder_hidden_states, attention_mask=encoder_attention_mask, **told
        )
        found = self._projected(found, told["conditions"])
        normed = self.norm3(found)
        if self._chunk_size is not None:
            return found + _chunked_feed_forward(self.ff, normed, self._chunk_dim, self._chunk_size)
        return found + self.ff(normed)

    def _projected(self, tokens: Float[Tensor, "f s c"], conditions: Conditions) -> Float[Tensor, "f s c"]:
        height, width = _feature_size(conditions, tokens.shape[1])
        features = self.norm_cf(tokens).mT.unflatten(2, (height, width)).unflatten(0, (-1, conditions.frames))
        rendered = self.unproj_reproj_layer(
            features,
            conditions.cameras,
            conditions.timesteps,
            conditions.time.unflatten(0, (-1, conditions.frames)),
            left_out=conditions.left_out,
            noise=self._noise(conditions),
            frames_at_once=conditions.frames_at_once,
        )
        if conditions.shown is not None:
            conditions.shown.append(rendered.colours)
        made = rendered.features.flatten(0, 1).flatten(2).mT.to(tokens.dtype)
        if hasattr(self, "cfa_controlnet_block"):
            return tokens + self.cfa_controlnet_block(made)
        return made

    def _noise(self, conditions: Conditions) -> Noise | None:
        if conditions.noise is None or not self.unproj_reproj_layer.config.density_noise:
            return None
        return partial(conditions.noise, self.number)


class SlicedResnet(ResnetBlock2D):
    """A residual block of diffusers that works through its batch a part at a time where no gradient is wanted."""

    at_once: int | None = None

    def forward(self, input_tensor: Tensor, temb: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        whole = super().forward
        return in_parts(lambda x, t: whole(x, t, *args, **kwargs), self.at_once, input_tensor, temb)


def augment(unet: UNet2DConditionModel, config: MultiViewConfig) -> UNet2DConditionModel:
    """Make a U-Net one of several views, in place; what it knows stays.

    Args:
        unet: with text attention in its transformer blocks, as Stable Diffusion 1 and 2 have it.
        config: what is added.

    Raises:
        ConfigError: its blocks are of another kind, or the configuration does not fit its levels.
    """
    levels = len(unet.config.block_out_channels)
    if len(config.placement.cells) != levels:
        raise ConfigError(
            "Every level of the U-Net needs the side of its voxel grid",
            why=f"placement.cells is {config.placement.cells}, the U-Net has {levels} levels",
            cure=f"give {levels} numbers, the finest level first",
        )
    _check_embedding(unet)
    time_width = unet.time_embedding.linear_2.out_features
    chosen, given = _chosen_blocks(unet, config.placement), 0
    for name, block in list(transformer_blocks(unet)):
        _check_block(name, block)
        place, level = _place(name, levels)
        alone = level < config.attention.finest
        attention = replace(config.attention, frames="own") if alone else config.attention
        block.attn1.set_processor(FrameAttention(block.attn1, time_width, attention))
        block.attn2.set_processor(TextAttention(block.attn2, attention))
        if place in chosen:
            _give_projection(block, time_width, config.placement.cells[level], config)
            block.number, given = given, given + 1
    for module in unet.modules():
        if type(module) is ResnetBlock2D:
            module.__class__ = SlicedResnet
    if config.rays:
        _widen_input(unet)
    return unet


def transformer_blocks(unet: UNet2DConditionModel) -> Iterator[tuple[str, BasicTransformerBlock]]:
    """All of a U-Net with their names."""
    for name, module in unet.named_modules():
        if isinstance(module, BasicTransformerBlock):
            yield name, module


def set_frames_at_once(unet: UNet2DConditionModel, frames: int | None, total: int) -> None:
    """Let residual blocks and feed-forward networks work through parts of a batch of ``total`` frames.

    Args:
        unet: an augmented one.
        frames: most frames of a part; None: all at once.
        total: frames of the batches to come.
    """
    # diffusers cuts a batch for the feed-forward network into equal parts only.
    equal = None if frames is None else max(n for n in range(1, min(frames, total) + 1) if total % n == 0)
    for module in unet.modules():
        if isinstance(module, SlicedResnet):
            module.at_once = frames
        elif isinstance(module, BasicTransformerBlock):
            module.set_chunk_feed_forward(equal)


def _feature_size(conditions: Conditions, tokens: int) -> tuple[int, int]:
    """Height and width of a feature map of so many tokens."""
    height, width = conditions.height, conditions.width
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    return height, width


def _place(name: str, levels: int) -> tuple[str, int]:
    """The block of the U-Net that holds a module of that name, and the block's level, the finest being 0."""
    words = name.split(".")
    if words[0] == "mid_block":
        return words[0], levels - 1
    number = int(words[1])
    return ".".join(words[:2]), number if words[0] == "down_blocks" else levels - 1 - number


def _chosen_blocks(unet: UNet2DConditionModel, placement: PlacementConfig) -> set[str]:
    """Names of the blocks that get projection layers."""
    down = [f"down_blocks.{i}" for i, block in enumerate(unet.down_blocks) if _attends(block)]
    up = [f"up_blocks.{i}" for i, block in enumerate(unet.up_blocks) if _attends(block)]
    if placement.down > len(down) or placement.up > len(up):
        raise ConfigError(
            "More blocks shall have projection layers than have attention",
            why=f"down {placement.down} of {len(down)}, up {placement.up} of {len(up)}",
            cure="lower placement.down and placement.up",
        )
    if placement.middle and not _attends(unet.mid_block or nn.Module()):
        raise ConfigError(
            "The bottleneck shall have a projection layer but has no attention",
            cure="set placement.middle to False",
        )
    chosen = {*down[len(down) - placement.down :], *up[: placement.up]}
    return chosen | ({"mid_block"} if placement.middle else set())


def _attends(block: nn.Module) -> bool:
    return any(isinstance(module, BasicTransformerBlock) for module in block.modules())


def _check_embedding(unet: UNet2DConditionModel) -> None:
    """That time and text are all that the U-Net is told, as new layers are told no more; text may be pooled besides."""
    more = ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")
    told = [name for name in more if unet.config.get(name) not in (None, "text")]
    if told:
        raise ConfigError(
            "This U-Net is told more than time and text",
            why=", ".join(f"{name} is {unet.config[name]!r}" for name in told),
            cure="use Stable Diffusion 1 or 2, or a U-Net like theirs",
        )


def _check_block(name: str, block: BasicTransformerBlock) -> None:
    plain = block.norm_type == "layer_norm" and block.pos_embed is None and not block.only_cross_attention
    if not plain or block.attn2 is None or block.attn2.cross_attention_dim is None:
        raise ConfigError(
            "This U-Net has transformer blocks of a kind that cannot be extended",
            where=name,
            why="it needs self-attention, attention to text and layer norms",
            cure="use Stable Diffusion 1 or 2, or a U-Net like theirs",
        )


def _give_projection(
    block: BasicTransformerBlock, time_width: int, cells: int, config: MultiViewConfig
) -> None:
    block.__class__ = ProjectedBlock
    assert isinstance(block, ProjectedBlock)
    block.norm_cf = nn.LayerNorm(block.dim, eps=1e-5)
    block.unproj_reproj_layer = ProjectionLayer(block.dim, time_width, cells, config.projection)
    if config.placement.join == "add":
        block.cfa_controlnet_block = nn.Linear(block.dim, block.dim)
        nn.init.zeros_(block.cfa_controlnet_block.weight)
        nn.init.zeros_(block.cfa_controlnet_block.bias)


def _widen_input(unet: UNet2DConditionModel) -> None:
    """A first convolution that also sees rays and the mask of given frames, of which it makes nothing at first."""
    old = unet.conv_in
    new = nn.Conv2d(
        old.in_channels + INPUT_CHANNELS, old.out_channels, old.kernel_size, old.stride, old.padding
    )
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
    new.bias = old.bias
    unet.conv_in = new
