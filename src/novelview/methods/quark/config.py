"""Options of Quark and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from novelview.errors import ConfigError
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe

FINEST = 3  # The number of the finest level; each below has half the rows and columns.


@dataclass(frozen=True)
class QuarkConfig:
    """What makes one Quark differ from another; one entry per step where there are several: Initialize, Update & Fuse 0, …

    The defaults are the paper's (Tables 8 and 9).
    """

    views: int = 8
    """Photographs that are looked at for a new view."""
    layers: int = 6
    """Layers of the layered depth map at the end; each collapse before halved them."""
    cells: int = 288 * 512
    """Cells of one layer at the end; their rows and columns follow the aspect of the target."""
    feature_cells: int = 288 * 480
    """Cells of the finest feature map of an input view; rows and columns follow the aspect of the inputs."""
    detail: float = 1.0
    """Rows and columns of layers and features times this: more is sharper and slower, also with weights made at 1."""
    channels: int = 32
    """Width of everything."""
    appearance: int = 32
    """Channels that are rendered to the input views."""
    levels: tuple[int, ...] = (0, 0, 1, 1, 2, 3)
    """Resolution of each step: 3 is the finest, and each level below has half the rows and columns."""
    heads: tuple[int, ...] = (4, 4, 4, 4, 2, 1)
    """Heads of each step's attention."""
    groups: tuple[int, ...] = (3, 3, 3, 2, 2, 2)
    """Attention blocks of each step."""
    convolutions: tuple[int, ...] = (2, 2, 2, 1, 1, 1)
    """Residual convolution blocks after each attention block."""
    collapse: tuple[bool, ...] = (False, False, False, False, True, True)
    """Whether each step first merges pairs of layers."""
    encoder_blocks: int = 2
    """Residual blocks per level of the encoder."""
    octaves: int = 8
    """Octaves of the ray encoding."""
    sweep: bool = False
    """Start from how well the photographs agree at each cell, instead of from one learned vector."""
    fade: float = 0.5
    """A view's weight falls over this relative distance to the best view that is left out; 0: views come and go at once."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network while rendering; geometry stays float32."""
    exposure: bool = False
    """Bring the photographs to one exposure first."""
    size: int = 256
    """While training, width and height in pixels of procedural photographs."""
    reach: float = 1.0
    """While training, cameras of procedural scenes stand up to so many times as far apart."""
    procedural: float = 0.0
    """While training on captures, share of the steps that see endless procedural scenes instead."""
    crop: int = 0
    """Side in pixels of the window of the target that is rendered while training, half of it in the coarse part; 0: all
    of it."""
    half_resolution: float = 0.0
    """Share of the training, its beginning, in which photographs, layers and targets have half their resolution."""
    fewest_views: int = 0
    """While training, steps have from so many views to all that are there; 0: always all."""
    focal_jitter: float = 0.0
    """While training on captures, lenses are longer by up to this share; procedural scenes have lenses of all lengths."""
    exposure_jitter: float = 0.0
    """While training, photographs are brighter or darker by up to this share."""
    depth_loss: float = 0.0
    """Weight of the error of the target's disparity, in parts of its range, where a sample has depth."""
    lpips_trunk: str = ""
    """While training, file of VGG-16's weights: with the next file, the loss is 10 L1 + LPIPS, as published. Without, the
    error of differences of neighbouring pixels at three scales stands in for LPIPS."""
    lpips_linear: str = ""
    """While training, file of LPIPS's weights (vgg.pth of its authors)."""

    def __post_init__(self) -> None:
        steps = {len(self.heads), len(self.groups), len(self.convolutions), len(self.collapse)}
        if steps != {len(self.levels)} or not self.levels:
            raise ConfigError(
                "Quark's steps do not fit together",
                why=f"{len(self.levels)} levels, but {sorted(steps)} heads, groups, convolutions and collapses",
                cure="give as many of each",
            )
        rises = {after - before for before, after in pairwise(self.levels)}
        if self.levels[0] < 0 or self.levels[-1] != FINEST or not rises <= {0, 1}:
            raise ConfigError(
                f"Bad levels {self.levels}", cure=f"give levels that rise by at most 1 and end at {FINEST}"
            )
        if self.collapse[0]:
            raise ConfigError("The first step has nothing to collapse", cure="let collapse begin with False")
        for name in (
            "views",
            "layers",
            "cells",
            "feature_cells",
            "channels",
            "appearance",
            "encoder_blocks",
            "octaves",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        if not self.detail > 0:
            raise ConfigError(f"Bad detail {self.detail}", cure="give more than 0")
        for name in ("procedural", "half_resolution", "exposure_jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give a share from 0 to 1")
        for name in ("fade", "crop", "fewest_views", "focal_jitter", "depth_loss"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give 0 or more")

    @property
    def first_layers(self) -> int:
        """Layers before any collapse."""
        return self.layers * 2 ** sum(self.collapse)

    @property
    def branches(self) -> int:
        """Residual branches one after the other, by which new weights are scaled (GPT-2)."""
        return sum(n * (1 + c) for n, c in zip(self.groups, self.convolutions, strict=True))


def rows_and_columns(cells: int, aspect: float) -> tuple[int, int]:
    """Rows and columns of about so many cells, divisible by 8, for an image ``aspect`` times as wide as high."""
    rows = max(1, round((cells / aspect) ** 0.5 / 8)) * 8
    return rows, max(1, round(cells / rows / 8)) * 8


# The paper's schedule; what it leaves open (optimiser, decay, clipping, averaging) is ours.
_PUBLISHED = Recipe(
    steps=600_000,
    batch=16,
    learning_rate=1.5e-4,
    warmup_steps=20_000,
    hold_steps=520_000,
    decay="cosine",
    final_fraction=0.0,
    optimizer="adamw",
    betas=(0.9, 0.99),
    weight_decay=1e-2,
    clip_norm=1.0,
    ema=0.999,
    precision="bfloat16",
)

_SCHEDULE: dict[str, Any] = {"half_resolution": 250 / 600, "crop": 512, "size": 512}

# A third of the paper's size, with a plane-sweep start.
_SMALL = QuarkConfig(
    views=6,
    layers=4,
    cells=72 * 128,
    feature_cells=72 * 128,
    appearance=8,
    levels=(1, 2, 3),
    heads=(4, 2, 1),
    groups=(3, 2, 1),
    convolutions=(2, 1, 1),
    collapse=(False, True, True),
    encoder_blocks=1,
    sweep=True,
    depth_loss=1.0,
    half_resolution=0.85,
    crop=192,
    fewest_views=3,
    exposure_jitter=0.05,
)
_ON_A_CPU = replace(
    _PUBLISHED,
    steps=9_000,
    batch=2,
    learning_rate=6e-4,
    warmup_steps=200,
    hold_steps=0,
    final_fraction=0.02,
    precision="float32",
)

PRESETS = {
    "small": Preset(
        _SMALL,
        _ON_A_CPU,
        "a third of the paper's size with a plane-sweep start: trains on two CPU cores in less than three hours",
    ),
    "tune": Preset(
        replace(_SMALL, views=4, fewest_views=0, half_resolution=0.0, crop=256, exposure_jitter=0.0),
        replace(_ON_A_CPU, steps=120, learning_rate=4e-4, warmup_steps=5, ema=None),
        "the weights that come along (--start quark) fitted to a capture: four minutes on two CPU cores at 480 pixels",
    ),
    "quark": Preset(
        QuarkConfig(**_SCHEDULE), _PUBLISHED, "the paper's network, for GPUs; never trained here"
    ),
    "quark+": Preset(
        QuarkConfig(layers=8, cells=432 * 768, feature_cells=432 * 720, **_SCHEDULE),
        _PUBLISHED,
        "the paper's larger network, for GPUs; never trained here",
    ),
    "tiny": Preset(
        QuarkConfig(
            views=4,
            layers=2,
            cells=16 * 16,
            feature_cells=16 * 16,
            channels=8,
            appearance=4,
            levels=(2, 3),
            heads=(2, 1),
            groups=(1, 1),
            convolutions=(1, 1),
            collapse=(False, True),
            encoder_blocks=1,
            octaves=4,
            sweep=True,
            size=32,
        ),
        Recipe(steps=60, batch=2, learning_rate=5e-3, optimizer="adamw"),
        "for tests: seconds on a CPU, poor results",
    ),
}
