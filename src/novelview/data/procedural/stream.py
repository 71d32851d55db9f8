"""An endless stream of procedural scenes for training feed-forward methods; item ``i`` depends on seed and ``i`` only."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from novelview.data.procedural.families import FAMILIES, make_stage, render_views, stage_cameras
from novelview.errors import ConfigError
from novelview.random import generator_for
from novelview.types import Bounds, Sample


@dataclass(frozen=True)
class ProceduralStream:
    """Samples of source and target views with exact depth, and masks where rays can miss everything.

    Attributes:
        families: which to draw from, equally often.
        seed: which stream.
        size: image width and height in pixels.
        sources: number of views a method may look at.
        targets: number of views it must predict.
        supersample: colours are the mean over this many squared rays per pixel.
    """

    families: tuple[str, ...] = ("forward",)
    seed: int = 0
    size: int = 128
    sources: int = 4
    targets: int = 1
    supersample: int = 1

    def __post_init__(self) -> None:
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise ConfigError(f"Unknown families {unknown}", cure=f"choose from: {', '.join(FAMILIES)}")

    def item(self, index: int) -> tuple[Sample, Bounds]:
        """Sample number ``index`` and the extent of its scene."""
        generator = generator_for(self.seed, "stream", index)
        family = self.families[int(torch.randint(len(self.families), (1,), generator=generator))]
        seed = int(torch.randint(2**62, (1,), generator=generator))
        stage = make_stage(family, seed)
        count = self.sources + self.targets
        views = render_views(stage, stage_cameras(stage, count, self.size, seed), self.supersample)
        order = torch.randperm(count, generator=generator).tolist()
        return Sample(views[order[: self.sources]], views[order[self.sources :]]), stage.bounds
