"""Samples as the network learns from them: photographs, cameras, and a window of what the target sees."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.data.pinholes import covering, of_one_size, photographs
from novelview.methods.quark.config import QuarkConfig
from novelview.methods.quark.rig import Rig
from novelview.random import Draws
from novelview.types import Sample, Views

# Share of the samples in which views have less than full weight, as they have when others are nearly as useful.
FADING = 0.5
# Weights that would be more than 1 are 1; drawn evenly up to between 1 and this.
STEEPEST = 4.0


@dataclass(frozen=True)
class Truth:
    """What targets show in a window.

    Attributes:
        rgb: colours.
        xy: where the window's pixels are in the image that the layers fill.
        disparity: 1 / depth, 0 where unknown; None where no depth is known.
    """

    rgb: Float[Tensor, "b 3 h w"]
    xy: Float[Tensor, "b h w 2"]
    disparity: Float[Tensor, "b h w"] | None

    @staticmethod
    def of(targets: Views, xy: Float[Tensor, "h w 2"], window: tuple[slice, slice]) -> Truth:
        """Of the first of some views."""
        disparity = None
        if targets.has_depths:
            depth = targets.depth(0)[window]
            disparity = torch.where(depth > 0, 1 / depth.clamp(min=1e-9), 0.0)[None]
        return Truth(targets.image(0)[window].permute(2, 0, 1)[None], xy[window][None], disparity)

    @staticmethod
    def stack(truths: list[Truth]) -> Truth:
        """Several as one batch; disparities where all know them."""
        known = [truth.disparity for truth in truths if truth.disparity is not None]
        return Truth(
            torch.cat([truth.rgb for truth in truths]),
            torch.cat([truth.xy for truth in truths]),
            torch.cat(known) if len(known) == len(truths) else None,
        )

    def to(self, like: Tensor) -> Truth:
        disparity = None if self.disparity is None else self.disparity.to(like)
        return Truth(self.rgb.to(like), self.xy.to(like), disparity)


@dataclass(frozen=True)
class Examples:
    """A batch.

    Attributes:
        images: photographs of the input views.
        rig: cameras.
        truth: what the targets show.
    """

    images: Float[Tensor, "b m 3 h w"]
    rig: Rig
    truth: Truth


def examples(
    samples: tuple[Sample, ...], config: QuarkConfig, coarser: int, draws: Draws, like: Tensor
) -> Examples:
    """A batch out of samples: windows of their first targets, and photographs changed as the configuration asks.

    Args:
        samples: all of the same number of views.
        config: window, numbers of views, jitter.
        coarser: divides the window's side.
        draws: of all that is random.
        like: gives device and precision.
    """
    # The same for all slices of a batch.
    count = _view_count(len(samples[0].sources), config, draws)
    windows = _windows(samples, config.crop // coarser, draws)
    weights = _weights(len(samples), count, config, draws)
    rigs, images, truths = [], [], []
    for sample, weight, window in zip(samples, weights, windows, strict=True):
        sources = sample.sources[:count]
        wide, xy = covering(sample.targets.cameras[0])
        cameras = sources.cameras.undistorted()
        rigs.append(Rig.of(wide, cameras, sample.bounds.near, sample.bounds.far, weight))
        images += photographs(sources)
        truths.append(Truth.of(sample.targets, xy, window))
    gains = 1 + config.exposure_jitter * (2 * draws.rand(len(samples), count) - 1)
    together = of_one_size(images).unflatten(0, (len(samples), count))
    changed = (together.to(like) * gains[..., None, None, None].to(like)).clamp(0, 1)
    return Examples(changed, Rig.stack(rigs).to(like), Truth.stack(truths).to(like))


def _view_count(most: int, config: QuarkConfig, draws: Draws) -> int:
    fewest = min(config.fewest_views or most, most)
    share = float(draws.shared())
    return fewest + int(share * (most - fewest + 1))


def _weights(rows: int, views: int, config: QuarkConfig, draws: Draws) -> Float[Tensor, "n m"]:
    """All views with full weight; in some rows, where views fade, many with less, the most still 1."""
    weights = torch.ones(rows, views)
    if config.fade and views > 1:
        fading, steep = draws.rand(rows, 2).cpu().split(1, dim=-1)
        ahead = (draws.rand(rows, views).cpu() * (1 + (STEEPEST - 1) * steep)).clamp(max=1)
        weights = torch.where(fading < FADING, ahead / ahead.amax(dim=1, keepdim=True), weights)
    return weights


def _windows(samples: tuple[Sample, ...], side: int, draws: Draws) -> list[tuple[slice, slice]]:
    """Rows and columns of a random window of each sample's target, all of one size: a square, or all of the smallest."""
    sizes = [sample.targets.cameras[0].common_size for sample in samples]
    width, height = (min(side or lengths[0], *lengths) for lengths in zip(*sizes, strict=True))
    down, right = draws.shared(2).tolist()
    windows = []
    for across, along in sizes:
        top, left = int(down * (along - height + 1)), int(right * (across - width + 1))
        windows.append((slice(top, top + height), slice(left, left + width)))
    return windows
