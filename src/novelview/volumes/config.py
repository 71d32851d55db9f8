"""Options of a volume: how fine its grids are, where along rays it is looked at, and how it is kept smooth."""

from __future__ import annotations

from dataclasses import dataclass

from novelview.errors import ConfigError


@dataclass(frozen=True)
class VolumeConfig:
    """What makes one volume differ from another."""

    resolution: int = 128
    """Nodes per axis of the finest density grid (the cube root of their number, where the axes differ)."""
    colour_resolution: int = 64
    """The same for the grid of colours or features."""
    stages: int = 4
    """Resolutions passed through while training; each has twice the nodes per axis of the one before."""
    grow_until: float = 0.3
    """Share of the training after which the finest resolution is reached."""
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
