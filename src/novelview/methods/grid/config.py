"""Options of the grid and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass

from novelview.errors import ConfigError
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe
from novelview.volumes.config import VolumeConfig


@dataclass(frozen=True)
class GridConfig(VolumeConfig):
    """What makes one grid differ from another."""

    degree: int = 1
    """Degree (0 to 2) of the spherical harmonics that make colour depend on the viewing direction."""
    mask_loss: float = 1.0
    """Weight of the squared difference between opacity and mask, where the masks cut out an object."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree not in (0, 1, 2):
            raise ConfigError(f"Bad degree {self.degree}", cure="give 0, 1 or 2")


PRESETS = {
    "default": Preset(
        GridConfig(resolution=128, colour_resolution=128),
        Recipe(steps=2000, batch=4096, learning_rate=0.4),
        "about five minutes on two CPU cores, for images of some 100 pixels",
    ),
    "fast": Preset(
        GridConfig(resolution=96, colour_resolution=96),
        Recipe(steps=1000, batch=4096, learning_rate=0.4),
        "about one and a half minutes on two CPU cores, for images of some 100 pixels",
    ),
    "high": Preset(
        GridConfig(resolution=160, colour_resolution=160),
        Recipe(steps=2500, batch=4096, learning_rate=0.4),
        "about ten minutes on two CPU cores, for images of a few hundred pixels",
    ),
    "gpu": Preset(
        GridConfig(resolution=256, colour_resolution=192, coarse_samples=128, samples=64),
        Recipe(steps=15_000, batch=16_384, learning_rate=0.4),
        "minutes on one GPU, for full-size photographs; not yet measured",
    ),
    "tiny": Preset(
        GridConfig(resolution=32, colour_resolution=16, stages=2, coarse_samples=24, samples=12),
        Recipe(steps=100, batch=512, learning_rate=0.4),
        "for tests: seconds on a CPU, coarse results",
    ),
}
