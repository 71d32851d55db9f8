"""The published network: occupancy and colour of a point in one (Niemeyer et al., CVPR 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.dvr.config import DecoderConfig
from novelview.nn.encodings import frequency_encoding, frequency_width


class Block(nn.Module):
    """A residual block of two layers, activated before each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc_0, self.fc_1 = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.fc_1.weight)

    def forward(self, x: Float[Tensor, "*b w"]) -> Float[Tensor, "*b w"]:
        return x + self.fc_1(F.relu(self.fc_0(F.relu(x))))


class Decoder(nn.Module):
    """Points, and perhaps a code that says which shape, to an occupancy logit and colours before the sigmoid.

    Args:
        width: of the hidden layers.
        blocks: how many residual ones.
        code: numbers in the code; 0: the network knows one shape.
        channels: of the result: 4, or 1 for the occupancy alone.
        octaves: frequencies, from one wave in the cube on, at which it is told points besides; 0: none, as published.
    """

    def __init__(
        self, width: int = 512, blocks: int = 5, code: int = 0, channels: int = 4, octaves: int = 0
    ) -> None:
        super().__init__()
        # In the order of the authors' parameters, which their optimiser's state follows.
        self.fc_p, self.fc_out = nn.Linear(frequency_width(3, octaves), width), nn.Linear(width, channels)
        if code:
            self.fc_c = nn.ModuleList(nn.Linear(code, width) for _ in range(blocks))
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.code, self.octaves = code, octaves

    def forward(
        self, points: Float[Tensor, "p 3"], code: Float[Tensor, " c"] | None = None
    ) -> Float[Tensor, "p out"]:
        """Channel 0: logit, positive inside; the others: colour.

        Args:
            points: in the unit cube around the origin.
            code: of the shape; only where the network takes one.
        """
        told = frequency_encoding(2 * torch.pi * points, self.octaves) if self.octaves else points
        x = self.fc_p(told)
        for i, block in enumerate(self.blocks):
            if self.code:
                assert code is not None
                x = x + self.fc_c[i](code)
            x = block(x)
        return self.fc_out(F.relu(x))

    @property
    def flops_per_point(self) -> int:
        """Floating-point operations of the layers that every point passes, those that take the code left out."""
        return sum(
            2 * value.numel()
            for name, value in self.named_parameters()
            if name.endswith("weight") and not name.startswith("fc_c.")
        )


def build_decoder(config: DecoderConfig, code: int = 0) -> Decoder:
    """The network that options describe, for codes of so many numbers."""
    channels = 4 if config.coloured else 1
    return Decoder(config.width, config.blocks, code, channels, config.octaves)
