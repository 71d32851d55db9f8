"""The convolutions of the projection layer: from features to few channels, on the grid, and back to features.

Attributes bear the names of the authors' checkpoints.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from jaxtyping import Float, Real
from torch import Tensor, nn

from novelview.errors import ConfigError

# Below so many numbers in its first two spatial axes, torch gives a single volume to a slow convolution on CPUs.
_SLOW_BELOW = 20_480


def convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """A convolution that keeps height and width, and ReLU."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    return nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU()))


def compression(channels: int, latent: int, *, multiple: bool) -> nn.Module:
    """From features to the channels of the grid."""
    if not multiple:
        return nn.Conv2d(channels, latent, 1)
    return nn.Sequential(
        convolution(channels, channels, 3), convolution(channels, latent, 3), nn.Conv2d(latent, latent, 1)
    )


def expansion(latent: int, channels: int, *, multiple: bool) -> nn.Module:
    """From what is rendered to features."""
    if not multiple:
        return nn.Conv2d(latent, channels, 1)
    return nn.Sequential(
        convolution(latent, latent, 1), convolution(latent, channels, 1), nn.Conv2d(channels, channels, 1)
    )


class Conv3d(nn.Conv3d):
    """A convolution of 3x3x3 that keeps the size of the volume."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        # Two halves that overlap are a batch of two, for which torch takes the fast convolution: 17 times as fast for 16
        # channels in 32^3 voxels on one CPU thread.
        slow = input.device.type == "cpu" and input[:, :, :, :, 0].numel() <= _SLOW_BELOW
        if len(input) > 1 or input.shape[2] % 2 or not slow:
            return super().forward(input)
        half = input.shape[2] // 2
        padded = F.pad(input, (0, 0, 0, 0, 1, 1))
        halves = torch.cat([padded[:, :, : half + 2], padded[:, :, half:]])
        return torch.cat(F.conv3d(halves, self.weight, self.bias, padding=(0, 1, 1)).chunk(2), dim=2)


class ResidualBlock(nn.Module):
    """Two convolutions, between which the time is told.

    Args:
        inputs: channels.
        outputs: channels.
        time_width: of the time embedding.
        groups: of the normalisations.
    """

    def __init__(self, inputs: int, outputs: int, time_width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = Conv3d(inputs, outputs)
        self.time_emb_proj = nn.Linear(time_width, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = Conv3d(outputs, outputs)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv3d(inputs, outputs, 1)

    def forward(
        self, x: Float[Tensor, "b i d h w"], time: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b o d h w"]:
        found = self.conv1(F.silu(self.norm1(x)))
        found = found + self.time_emb_proj(F.silu(time))[:, :, None, None, None]
        found = self.conv2(F.silu(self.norm2(found)))
        return found + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class ResidualBlocks(nn.ModuleList):
    """One residual block, passed ``count`` times: the authors list the same block twice. Told the U-Net's time embedding."""

    def __init__(self, channels: int, time_width: int, count: int) -> None:
        super().__init__([ResidualBlock(channels, channels, time_width, groups_of(channels))] * count)

    def forward(
        self, x: Float[Tensor, "b c g g g"], timestep: Real[Tensor, " b"], time: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b c g g g"]:
        for block in self:
            x = block(x, time)
        return x


class _TimeEmbedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, 4 * channels)
        self.linear_2 = nn.Linear(4 * channels, 4 * channels)

    def forward(self, waves: Float[Tensor, "b c"]) -> Float[Tensor, "b t"]:
        return self.linear_2(F.silu(self.linear_1(waves)))


class _Level(nn.Module):
    """Residual blocks, and perhaps a change of resolution after them."""

    def __init__(self, blocks: list[ResidualBlock], *, down: int = 0, up: int = 0) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(blocks)
        if down:
            conv = nn.Conv3d(down, down, 3, padding=1, stride=2)
            self.downsamplers = nn.ModuleList([nn.Sequential(OrderedDict(conv=conv))])
        if up:
            self.upsamplers = nn.ModuleList([nn.Sequential(OrderedDict(conv=Conv3d(up, up)))])


class UNet3D(nn.Module):
    """A U-Net on the grid, told the timestep; level i has i times the channels, and half the cells of the one before.

    Args:
        channels: of the grid.
        levels: resolutions.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        c, time, groups = channels, 4 * channels, groups_of(channels)
        widths = [c * (i + 1) for i in range(levels)]
        self.channels = channels
        self.conv_in = Conv3d(c, c)
        self.time_embedding = _TimeEmbedding(c)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, before = [c], c
        for i, width in enumerate(widths):
            last = i == levels - 1
            block = ResidualBlock(before, width, time, groups)
            self.down_blocks.append(_Level([block], down=0 if last else width))
            skips += [width] if last else [width, width]
            before = width
        self.mid_block = _Level([ResidualBlock(before, before, time, groups)])
        for i, width in enumerate(reversed(widths)):
            first = ResidualBlock(before + skips.pop(), width, time, groups)
            second = ResidualBlock(width + skips.pop(), width, time, groups)
            self.up_blocks.append(_Level([first, second], up=0 if i == levels - 1 else width))
            before = width
        self.conv_norm_out = nn.GroupNorm(groups, c)
        self.conv_out = Conv3d(c, c)

    def forward(
        self, x: Float[Tensor, "b c g g g"], timestep: Real[Tensor, " b"], time: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b c g g g"]:
        """The grid refined; ``time``, what the large U-Net makes of the timestep, is not used here."""
        told = self.time_embedding(waves_of(timestep, self.channels).to(x.dtype))
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            assert isinstance(level, _Level)
            x = level.resnets[0](x, told)
            skips.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.resnets[0](x, told)
        for level in self.up_blocks:
            assert isinstance(level, _Level)
            for block in level.resnets:
                x = block(torch.cat([x, skips.pop()], dim=1), told)
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.conv_norm_out(x)))


def groups_of(channels: int) -> int:
    """Groups of all normalisations on a grid of so many channels."""
    return min(32, channels)


def waves_of(timestep: Real[Tensor, " b"], channels: int) -> Float[Tensor, "b {channels}"]:
    """Cosines, then sines, of the timestep at frequencies from 1 to almost 1/10000 (Ho et al., 2020), float32."""
    half = channels // 2
    powers = torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angles = timestep[:, None].float() * torch.exp(-math.log(10_000) * powers)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def grid_network(channels: int, time_width: int, layers: int, cells: int) -> ResidualBlocks | UNet3D:
    """The network on the grid.

    Raises:
        ConfigError: the grid cannot be halved as often as the U-Net wants.
    """
    if layers < 3:
        return ResidualBlocks(channels, time_width, layers)
    levels = (layers - 1) // 2
    if cells % 2 ** (levels - 1):
        raise ConfigError(
            f"A grid of {cells} cells cannot be halved {levels - 1} times",
            cure="change the number of cells, or projection.layers",
        )
    return UNet3D(channels, levels)
