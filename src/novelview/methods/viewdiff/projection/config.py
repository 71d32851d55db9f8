"""Options of the projection layer; the defaults are the published ones for two large GPUs, without the code's quirks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from novelview.errors import ConfigError


@dataclass(frozen=True)
class ProjectionConfig:
    """What makes one projection layer differ from another, besides its width and its number of cells."""

    latent: int = 16
    """Channels of the voxel grid."""
    layers: int = 5
    """Of the network on the grid: 0 none, 1 or 2 residual blocks, 3, 5, … a U-Net of 1, 2, … levels."""
    compress: Literal["multiple", "single"] = "multiple"
    """How the frames' features become few channels: by three convolutions, or by one of 1x1."""
    expand: Literal["multiple", "single"] = "multiple"
    """How what is rendered becomes features: by three convolutions of 1x1, or by one."""
    aggregator: Literal["ibrnet", "mean"] = "ibrnet"
    """How what the frames say of a voxel becomes one: by a learnt weighting (IBRNet), or by the mean."""
    time: bool = True
    """Whether the learnt weighting knows the frames' timesteps."""
    background: bool = True
    """Whether the grid holds all space around the box, contracted, or the box alone."""
    background_share: float = 0.5
    """Part of the grid's half side that the space around the box gets."""
    disparity_at_infinity: float = 0.5
    """Inverse depth of the last background sample along a ray, in parts of that where the background begins."""
    samples: int = 128
    """Per ray within and near the box, and as many again for the background."""
    density_noise: float = 1.0
    """Standard deviation of what is added to the densities' logits where noise is given, which is in training."""
    official_axes: bool = False
    """Read the grid in another order of axes, and around the origin instead of the box's centre; look behind cameras
    that are inside the box. The authors do so."""
    official_contraction: bool = False
    """Invert the contraction wrongly where its largest coordinate is negative, and at ties, as the authors do."""

    def __post_init__(self) -> None:
        if self.layers < 0 or (self.layers > 2 and self.layers % 2 == 0):
            raise ConfigError(f"Bad projection.layers {self.layers}", cure="give 0, 1, 2 or an odd number")
        if self.latent < 2 or self.latent % 2 or (self.latent > 32 and self.latent % 32):
            raise ConfigError(
                f"Bad projection.latent {self.latent}",
                cure="give an even number up to 32, or a multiple of 32",
            )
        if self.samples < 2:
            raise ConfigError(f"Bad projection.samples {self.samples}", cure="give at least 2")
        if self.density_noise < 0:
            raise ConfigError(f"Bad projection.density_noise {self.density_noise}", cure="give 0 or more")
        for name in ("background_share", "disparity_at_infinity"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(
                    f"Bad projection.{name} {getattr(self, name)}", cure="give a number between 0 and 1"
                )
        if (self.official_axes or self.official_contraction) and self.background_share != 0.5:
            raise ConfigError(
                f"Bad projection.background_share {self.background_share}",
                why="the authors' code takes the share for the background's in one place and for the box's in another",
                cure="give 0.5, or neither official_axes nor official_contraction",
            )

    @property
    def box_share(self) -> float:
        """Part of the grid's half side that the box fills."""
        return 1 - self.background_share if self.background else 1.0
