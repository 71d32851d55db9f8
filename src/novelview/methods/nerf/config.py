"""Options of NeRF and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass

from novelview.errors import ConfigError
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe


@dataclass(frozen=True)
class NeRFConfig:
    """What makes one NeRF differ from another; the defaults are the paper's for its synthetic scenes."""

    width: int = 256
    """Channels of the hidden layers."""
    depth: int = 8
    """Number of hidden layers before density is read off."""
    point_octaves: int = 10
    """Octaves of the encoding of positions."""
    direction_octaves: int = 4
    """Octaves of the encoding of viewing directions."""
    view_directions: bool = True
    """Whether colour depends on the viewing direction."""
    coarse_samples: int = 64
    """Samples per ray of the first, evenly spread look."""
    fine_samples: int = 128
    """Samples added by the second look, where the first one found something."""
    lindisp: bool = False
    """Spread the first look evenly in inverse depth instead of depth."""
    ndc: bool = False
    """Work in normalised device coordinates: forward-facing scenes only."""
    perturb: bool = True
    """Jitter the samples during training."""
    raw_noise: float = 0.0
    """Standard deviation of the noise added to raw density during training."""
    one_view_per_step: bool = True
    """Draw all rays of a step from one photograph."""
    centre_crop_steps: int = 500
    """For this many first steps, draw rays from the central half of the photographs only."""
    pixel_centre: float = 0.5
    """Where in its pixel a ray passes; the authors' code, and so its checkpoints, use 0."""
    chunk: int | None = None
    """Rays rendered at once: bounds memory, not the result; None: what is fastest on the device."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ConfigError(f"Bad width {self.width}", cure="give an even number, at least 2")
        if self.coarse_samples < 3:
            raise ConfigError(f"Bad coarse_samples {self.coarse_samples}", cure="give at least 3")
        for name in ("depth", "fine_samples", *(("chunk",) if self.chunk is not None else ())):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        for name in ("point_octaves", "direction_octaves", "raw_noise", "centre_crop_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give 0 or more")
        if self.ndc and self.lindisp:
            raise ConfigError(
                "ndc and lindisp exclude each other",
                why="NDC already spaces samples evenly in inverse depth",
                cure="switch one of them off",
            )


PAPER = Recipe(steps=200_000, batch=1024, learning_rate=5e-4, decay_steps=500_000)

PRESETS = {
    "default": Preset(
        NeRFConfig(), PAPER, "the paper's NeRF for an object seen from all around; hours on a GPU"
    ),
    "forward-facing": Preset(
        NeRFConfig(fine_samples=64, ndc=True, raw_noise=1.0, one_view_per_step=False, centre_crop_steps=0),
        Recipe(steps=200_000, batch=1024, learning_rate=5e-4, decay_steps=250_000),
        "the paper's NeRF for photographs that all look the same way; hours on a GPU",
    ),
    "small": Preset(
        NeRFConfig(
            width=96,
            depth=6,
            coarse_samples=24,
            fine_samples=24,
            one_view_per_step=False,
            centre_crop_steps=0,
        ),
        Recipe(steps=6_000, batch=256, learning_rate=2e-3),
        "a smaller network for 100x100 images on a CPU: about 20 minutes, coarse detail",
    ),
    "tiny": Preset(
        NeRFConfig(
            width=32,
            depth=2,
            point_octaves=5,
            direction_octaves=2,
            coarse_samples=12,
            fine_samples=12,
            raw_noise=1.0,
            one_view_per_step=False,
            centre_crop_steps=0,
        ),
        Recipe(steps=200, batch=256, learning_rate=5e-3),
        "for tests: seconds on a CPU, coarse results",
    ),
}
