"""Options of the grid and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass

from novelview.errors import ConfigError
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe


@dataclass(frozen=True)
class GridConfig:
    """What makes one grid differ from another."""

    resolution: int = 128
    """Nodes per axis of the finest density grid (the cube root of their number, where the axes differ)."""
    colour_resolution: int = 64
    """The same for the colour grid."""
    stages: int = 4
    """Resolutions passed through while training; each has twice the nodes per axis of the one before."""
    grow_until: float = 0.3
    """Share of the training after which the finest resolution is reached."""
    degree: int = 1
    """Degree (0 to 2) of the spherical harmonics that make colour depend on the viewing direction."""
    margin: float = 0.25
    """Half width that space outside the scene's box gets, where the box has 1."""
    coarse_samples: int = 64
    """Places per ray where a coarse copy of the density says what is worth a closer look."""
    samples: int = 32
    """Samples per ray where density and colour are looked up."""
    even_share: float = 0.4
    """Share of the samples that is spread evenly, whatever the coarse copy says."""
    initial_density: float = 0.01
    """Density everywhere at first: roughly the share of light that a cell stops."""
    colour_rate: float = 0.05
    """Learning rate of colours in parts of that of densities."""
    distortion: float = 1e-3
    """Weight of the loss that pulls the density along a ray together."""
    smooth_density: float = 5e-4
    """Weight of the total variation of the density grid (before its activation) for 40 views; doubled for 20."""
    smooth_colour: float = 0.1
    """Weight of the total variation of the colour grid for 40 views; doubled for 20."""
    mask_loss: float = 1.0
    """Weight of the squared difference between opacity and mask, where the masks cut out an object."""

    def __post_init__(self) -> None:
        for name in ("stages", "coarse_samples", "samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        for name in ("resolution", "colour_resolution"):
            if getattr(self, name) < 2:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 2")
        for name in ("grow_until", "margin", "initial_density", "colour_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give a positive number")
        if not 0 < self.even_share <= 1:
            raise ConfigError(f"Bad even_share {self.even_share}", cure="give a share above 0, at most 1")
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
