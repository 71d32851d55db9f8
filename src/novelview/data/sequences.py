"""Samples out of a video: two frames a random time apart to look at, and frames from between them to predict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from novelview.errors import ConfigError, DataError
from novelview.random import generator_for
from novelview.types import Bounds, Sample, Views


@dataclass(frozen=True)
class SequenceSamples:
    """Endless samples out of one video, as LVSM's are chosen for scenes.

    A gap is drawn, then where it starts; its two ends and ``sources + targets - 2`` different frames from between them
    take part. The ends are sources, and with more than two of these, frames from between are as well.

    Attributes:
        views: the frames, in the order they were taken.
        bounds: of the scene.
        sources: number of views to look at.
        targets: number of views to predict.
        shortest: smallest gap, in frames; larger where so many views do not fit into it.
        longest: largest gap; no larger than the video.
        targets_among_all: targets are drawn from all frames that take part, so that sources are often among them;
            otherwise they are those that are no sources.
        seed: of the draws.

    Raises:
        DataError: the video is too short for any gap above the shortest.
        ConfigError: the numbers contradict each other.
    """

    views: Views
    bounds: Bounds
    sources: int = 2
    targets: int = 6
    shortest: int = 25
    longest: int = 192
    targets_among_all: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.sources, self.targets, self.shortest) < 1 or self._least > self.longest:
            raise ConfigError(
                f"Cannot draw {self.sources} sources and {self.targets} targets from gaps of {self.shortest} to "
                f"{self.longest} frames",
                cure="at least one of each, and gaps in which all of them fit",
            )
        if len(self.views) - 1 < max(self._least, self.shortest + 1):
            raise DataError(
                "This video is too short",
                why=f"it has {len(self.views)} frames, while the shortest gap between sources is {self._least}",
                cure="choose a smaller shortest gap, or leave the video out",
            )

    def item(self, index: int, share: float = 1.0) -> Sample:
        """Sample number ``index``; depends on it, the seed and ``share`` alone.

        Args:
            index: which.
            share: how much of the range of gaps is used, in [0, 1]: near 0 only the shortest ones, at 1 all.
        """
        generator = generator_for(self.seed, "sequence", index)
        span = min(len(self.views) - 1, self.longest) - self._least
        widest = self._least + math.ceil(share * span)
        gap = int(torch.randint(self._least, widest + 1, (), generator=generator))
        start = int(torch.randint(len(self.views) - gap, (), generator=generator))
        between = torch.randperm(gap - 1, generator=generator)[: self._count - 2] + start + 1
        part = [start, start + gap, *between.tolist()]
        targets = part[self.sources :]
        if self.targets_among_all:
            drawn = torch.randperm(self._count, generator=generator)[: self.targets].tolist()
            targets = [part[i] for i in drawn]
        return Sample(self.views[part[: self.sources]], self.views[targets], self.bounds)

    @property
    def _count(self) -> int:
        """Frames that take part in a sample."""
        return self.sources + self.targets

    @property
    def _least(self) -> int:
        """The smallest gap that all of them fit into."""
        return max(self.shortest, self._count - 1)
