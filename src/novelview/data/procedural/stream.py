"""An endless stream of procedural scenes for training feed-forward methods; item ``i`` depends on seed and ``i`` only."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from novelview.data.procedural.families import FAMILIES, make_stage
from novelview.data.procedural.scenes import render_views, stage_cameras
from novelview.errors import ConfigError
from novelview.random import generator_for
from novelview.types import Sample


@dataclass(frozen=True)
class ProceduralStream:
    """Samples of source and target views with exact depth, and masks where rays can miss everything.

    Attributes:
        families: which to draw from, equally often; name one twice to meet it twice as often.
        seed: which stream.
        size: image width and height in pixels.
        sources: number of views a method may look at.
        targets: number of views it must predict.
        supersample: colours are the mean over this many squared rays per pixel.
        device: where pixels are rendered and stay; cameras stay on the CPU.
        reach: cameras stand up to so many times as far apart as neighbouring views do, at most all over the rig.
    """

    families: tuple[str, ...] = ("forward",)
    seed: int = 0
    size: int = 128
    sources: int = 4
    targets: int = 1
    supersample: int = 1
    device: str = "cpu"
    reach: float = 1.0

    def __post_init__(self) -> None:
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise ConfigError(f"Unknown families {unknown}", cure=f"choose from: {', '.join(FAMILIES)}")
        if not self.reach >= 1:
            raise ConfigError(f"Bad reach {self.reach}", cure="give 1 or more")
        if min(self.size, self.sources, self.targets, self.supersample) < 1:
            raise ConfigError(
                "A stream needs views and pixels",
                why=f"size {self.size}, sources {self.sources}, targets {self.targets}, supersample {self.supersample}",
                cure="give each of them 1 or more",
            )

    def item(self, index: int) -> Sample:
        """Sample number ``index``."""
        generator = generator_for(self.seed, "stream", index)
        family = self.families[int(torch.randint(len(self.families), (), generator=generator))]
        seed = int(torch.randint(2**62, (), generator=generator))
        stage = make_stage(family, seed)
        low, high = stage.share
        high = min(1.0, high * self.reach)
        share = low + (high - low) * float(torch.rand((), generator=generator))
        count = self.sources + self.targets
        cameras = stage_cameras(stage, count, self.size, seed, share)
        views = render_views(stage, cameras, self.supersample, self.device)
        order = torch.randperm(count, generator=generator).tolist()
        return Sample(views[order[: self.sources]], views[order[self.sources :]], stage.bounds)
