"""What all frames say of a voxel, made one: the weighted pooling of IBRNet (Wang et al., CVPR 2021, section 3.2) on voxels.

Channels are last here, as the linear maps of single voxels want them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_LEAST = 1e-8


class Pointwise(nn.Conv3d):
    """A linear map of the last axis whose weight has the shape of a 1x1x1 convolution's, as in the authors' checkpoints."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.flatten(1), self.bias)


class IBRNetAggregator(nn.Module):
    """Learns how much to believe each frame. Attributes bear the names of the authors' checkpoints.

    Args:
        channels: of features and result.
        time_width: of the time embedding; 0: it is not told the time.
    """

    def __init__(self, channels: int, time_width: int) -> None:
        super().__init__()
        c = channels
        self.ray_depth_encoder = _two(4, c // 2, c)
        if time_width:
            half = time_width // 2
            self.temb_encoder = nn.Sequential(
                nn.Linear(time_width, half), nn.ELU(), nn.Linear(half, c), nn.ELU()
            )
        self.base_fc = _two(3 * c, 2 * c, c)
        self.vis_fc = _two(c, c, c + 1)
        self.vis_fc2 = nn.Sequential(Pointwise(c, c), nn.ELU(), Pointwise(c, 1), nn.Sigmoid())
        self.statistics_out = nn.Sequential(Pointwise(2 * c + 1, c), nn.ELU())

    def forward(
        self,
        features: Float[Tensor, "b m v c"],
        weight: Float[Tensor, "b m v 1"],
        ray: Float[Tensor, "b m v 4"],
        time: Float[Tensor, "b m t"] | None,
    ) -> Float[Tensor, "b v c"]:
        """One feature per voxel.

        Args:
            features: of each voxel as each frame sees it.
            weight: 1 where it sees it, else 0.
            ray: direction and depth, see :class:`~novelview.methods.viewdiff.projection.lattice.Sight`.
            time: embedding of each frame's timestep, where the network is told it.
        """
        features = features + self.ray_depth_encoder(ray)
        if time is not None:
            features = features + self.temb_encoder(time)[:, :, None]
        mean, variance, share = _statistics(features, weight)
        x = self._with_statistics(features, torch.cat([mean, variance], dim=-1))
        residual, visible = self.vis_fc(x * share).split([x.shape[-1], 1], dim=-1)
        visible = visible.sigmoid() * weight
        x = x + residual
        mean, variance, share = _statistics(x, self.vis_fc2(x * visible) * weight)
        return self.statistics_out(torch.cat([mean, variance, share.mean(dim=1)], dim=-1))

    def _with_statistics(
        self, features: Float[Tensor, "b m v c"], pooled: Float[Tensor, "b v 2*c"]
    ) -> Float[Tensor, "b m v c"]:
        """``base_fc`` of pooled values, then each frame's own; the pooled ones are mapped once for all frames."""
        first, count = self.base_fc[0], pooled.shape[-1]
        assert isinstance(first, Pointwise)
        weight = first.weight.flatten(1)
        mapped = F.linear(pooled, weight[:, :count], first.bias)[:, None]
        return self.base_fc[1:](mapped + F.linear(features, weight[:, count:]))


def mean_of_frames(
    features: Float[Tensor, "b m v c"], weight: Float[Tensor, "b m v 1"]
) -> Float[Tensor, "b v c"]:
    """Mean over those frames that see the voxel; the features of the others must be 0."""
    return features.sum(dim=1) / (weight.sum(dim=1) + _LEAST)


def _two(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(Pointwise(inputs, hidden), nn.ELU(), Pointwise(hidden, outputs), nn.ELU())


def _statistics(
    x: Float[Tensor, "b m v c"], weight: Float[Tensor, "b m v 1"]
) -> tuple[Float[Tensor, "b v c"], Float[Tensor, "b v c"], Float[Tensor, "b m v 1"]]:
    """Weighted mean and variance over the frames, and each frame's share in them."""
    share = weight / (weight.sum(dim=1, keepdim=True) + _LEAST)
    mean = (share * x).sum(dim=1)
    variance = (share * (x - mean[:, None]).square()).sum(dim=1)
    return mean, variance, share
