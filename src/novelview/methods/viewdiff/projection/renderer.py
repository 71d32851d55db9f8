"""Rendering of the voxel grid: what rays meet, as features, opacity and depth."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.viewdiff.projection.lattice import Beam
from novelview.rendering.volume import composite, opacity, over, weights_from_density

# The published renderer has no fewer channels of colour; those that the grid does not have are not used.
_LEAST_COLOURS = 16
# Density of a new renderer, before softplus, where nothing is known: nearly transparent.
_EMPTY = -5.0


class Met(NamedTuple):
    """What r rays meet.

    Attributes:
        features: composited in front of a background of ones.
        opacity: part of the light that does not come from this background.
        depth: sum of the samples' depths, each times its weight: not divided by the opacity.
    """

    features: Float[Tensor, "r c"]
    opacity: Float[Tensor, " r"]
    depth: Float[Tensor, " r"]


class VolumeRenderer(nn.Module):
    """A small network makes density and colours of what the grid holds at samples of rays, which are composited.

    Attributes bear the names of the authors' checkpoints, whose matrices ``mlp_weights`` act on columns (as in
    ``nn.Linear``) and whose ``weight_color`` acts on rows.
    """

    bg_color: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colours = max(_LEAST_COLOURS, channels)
        self.mlp_weights = nn.Parameter(torch.empty(3, channels, channels))
        self.mlp_biases = nn.Parameter(torch.zeros(3, channels))
        self.weight_opacity = nn.Parameter(torch.empty(channels))
        self.bias_opacity = nn.Parameter(torch.full((1,), _EMPTY))
        self.weight_color = nn.Parameter(torch.empty(channels, colours))
        self.bias_color = nn.Parameter(torch.zeros(colours))
        self.register_buffer("bg_color", torch.ones(colours))
        for matrix in (*self.mlp_weights.data, self.weight_color.data):
            nn.init.xavier_uniform_(matrix)
        bound = 1 / math.sqrt(channels)
        nn.init.uniform_(self.weight_opacity, -bound, bound)

    def forward(
        self,
        grid: Float[Tensor, "rows c"],
        beam: Beam,
        encoding: Float[Tensor, "r c"],
        noise: Float[Tensor, "r s"] | None,
    ) -> Met:
        """What the rays of a beam meet, in the grid's precision.

        Args:
            grid: voxels of all groups, one after another.
            beam: rays.
            encoding: of each ray's direction, which the colours depend on.
            noise: added to the densities' logits.
        """
        rays, samples = beam.depths.shape
        depths, steps = beam.depths.to(grid), beam.steps.to(grid)
        hidden = F.relu(self._linear(0, beam.lookup(grid)))
        hidden = F.relu(self._linear(1, hidden))
        logit = (hidden @ self.weight_opacity.to(grid) + self.bias_opacity.to(grid)).view(rays, samples)
        density = F.softplus(logit if noise is None else logit + noise)
        weights = weights_from_density(density, steps)
        hidden = self._linear(2, hidden).view(rays, samples, -1) + encoding[:, None]
        used = grid.shape[1]
        colour = F.linear(
            F.relu(hidden), self.weight_color.to(grid)[:, :used].T, self.bias_color.to(grid)[:used]
        )
        shown = opacity(weights)
        background = self.bg_color.to(grid)[:used]
        features = over(composite(weights, colour.sigmoid()), shown, background)
        return Met(features, shown, (weights * depths).sum(dim=-1))

    def _linear(self, index: int, x: Tensor) -> Tensor:
        return F.linear(x, self.mlp_weights[index].to(x), self.mlp_biases[index].to(x))
