"""The network of NeRF: from a point and a direction to a colour and a density."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from novelview.methods.nerf.config import NeRFConfig
from novelview.nn.encodings import frequency_encoding, frequency_width

SKIP = 4  # After this hidden layer, counted from 0, the encoded point is given again.


class Network(nn.Module):
    """NeRF's multi-layer perceptron (figure 7 of the paper); parameters are named as in the authors' code."""

    def __init__(self, config: NeRFConfig) -> None:
        super().__init__()
        width = config.width
        point_width = frequency_width(3, config.point_octaves)
        direction_width = frequency_width(3, config.direction_octaves) if config.view_directions else 0
        self.point_octaves, self.direction_octaves = config.point_octaves, config.direction_octaves
        inputs = [point_width] + [width + point_width * (i == SKIP) for i in range(config.depth - 1)]
        self.pts_linears = nn.ModuleList(nn.Linear(n, width) for n in inputs)
        self.views_linears = nn.ModuleList([nn.Linear(width + direction_width, width // 2)])
        self.view_directions = config.view_directions
        if config.view_directions:
            self.feature_linear = nn.Linear(width, width)
            self.alpha_linear = nn.Linear(width, 1)
            self.rgb_linear = nn.Linear(width // 2, 3)
        else:
            # As in the authors' checkpoints: one output of five, and a whole layer, are never used.
            self.output_linear = nn.Linear(width, 5)
            self.views_linears.requires_grad_(False)

    def forward(self, points: Float[Tensor, "p 3"], directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 4"]:
        """Raw colour (before the sigmoid) and raw density (before the ReLU).

        Args:
            points: in the coordinates that samples are taken in.
            directions: of viewing, in the world, unit length.
        """
        encoded = frequency_encoding(points, self.point_octaves)
        hidden = encoded
        for i, layer in enumerate(self.pts_linears):
            hidden = F.relu(layer(hidden))
            if i == SKIP and i + 1 < len(self.pts_linears):
                hidden = torch.cat([encoded, hidden], dim=-1)
        if not self.view_directions:
            return self.output_linear(hidden)[..., :4]
        density = self.alpha_linear(hidden)
        seen_from = frequency_encoding(directions, self.direction_octaves)
        hidden = torch.cat([self.feature_linear(hidden), seen_from], dim=-1)
        return torch.cat([self.rgb_linear(F.relu(self.views_linears[0](hidden))), density], dim=-1)

    @property
    def flops(self) -> int:
        """Floating-point operations per point: two per weight that is used."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Linear)]
        used = [layer for layer in layers if self.view_directions or layer is not self.views_linears[0]]
        return sum(2 * layer.weight.numel() for layer in used)
