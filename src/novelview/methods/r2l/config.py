"""Options of R2L and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from novelview.errors import ConfigError
from novelview.volumes.config import VolumeConfig

Activation = Literal["relu", "lrelu", "none"]
# By how much a bundle's picture may be enlarged, and by how much in each stage.
STAGES = {2: (2,), 4: (2, 2), 8: (2, 2, 2), 12: (3, 2, 2)}


@dataclass(frozen=True)
class R2LConfig:
    """What makes one light field differ from another; the defaults are the paper's W256D88."""

    form: Literal["plain", "grid", "bundle"] = "plain"
    """plain: the published network; grid: points lifted through feature grids; bundle: MobileR2L's rays in bundles."""
    width: int = 256
    """Channels of the hidden layers."""
    depth: int = 88
    """Number of linear layers, the first and the last included."""
    samples: int = 16
    """Points on the ray that the network sees."""
    octaves: int = 10
    """Octaves of the encoding of the points' coordinates."""
    plucker: bool = False
    """Give the network the ray's six Plücker coordinates instead of points on it."""
    near: float | None = None
    """Depth along z of the first point, scene units; None: the scene's nearest depth."""
    far: float | None = None
    """Depth along z of the last point, scene units; None: the scene's farthest depth."""
    body: Literal["residual", "plain"] = "residual"
    """What the hidden layers are: residual blocks, or one after another."""
    global_residual: bool = True
    """Add the first layer's output to that of the blocks."""
    residual_scale: float = 1.0
    """Factor on what a block adds."""
    block_layers: int = 2
    """Linear layers per residual block."""
    blocks: int | None = None
    """Residual blocks; None: as many as depth asks for."""
    activation: Literal["relu", "lrelu"] = "relu"
    """After the first layer, and after those of a plain body."""
    inner_activation: Activation = "relu"
    """Between the layers of a residual block."""
    outer_activation: Activation = "none"
    """After the sum of a residual block."""
    layer_widths: tuple[int, ...] = ()
    """Widths of the layers of a plain body, the first layer's first; empty: all as width says."""
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    """grid: densities and features in space."""
    features: int = 12
    """grid: channels of the feature grid; the first three are a colour."""
    direction_octaves: int = 3
    """grid: octaves of the encoding of the ray's direction."""
    network_rate: float = 0.01
    """grid: learning rate of the network in parts of that of densities."""
    factor: int = 8
    """bundle: pixels along each side of the block that one ray stands for: 2, 4, 8 or 12."""
    tile: int = 160
    """bundle: side in pixels of the pieces of images that are learnt from, a multiple of factor."""
    pixel_centre: float = 0.5
    """Where in its pixel a ray passes; the authors' code, and so its checkpoints, use 0."""
    hard_share: float = 0.2
    """Rays that were learnt worst, in parts of the batch, that are added to every batch; 0: none."""
    hard_kept: float | None = None
    """Rays of every batch that are kept as such, in parts of it, at most hard_share; None: hard_share."""
    hard_capacity: float = 20.0
    """How many such rays are kept in all, in parts of the batch."""

    def __post_init__(self) -> None:
        for name in ("width", "samples", "block_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        if self.depth < 2:
            raise ConfigError(f"Bad depth {self.depth}", cure="give at least 2: the first and the last layer")
        if self.features < 3:
            raise ConfigError(f"Bad features {self.features}", cure="give at least 3")
        for name in ("octaves", "direction_octaves"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give 0 or more")
        if self.network_rate <= 0:
            raise ConfigError(f"Bad network_rate {self.network_rate}", cure="give a positive number")
        for name in ("hard_share", *(("hard_kept",) if self.hard_kept is not None else ())):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give a share between 0 and 1")
        if self.hard_capacity < self.hard_share:
            why = f"{self.hard_share} of them are to be drawn for every batch"
            raise ConfigError(f"Bad hard_capacity {self.hard_capacity}", why=why, cure="give a larger one")
        if self.blocks is not None and self.blocks < 0:
            raise ConfigError(f"Bad blocks {self.blocks}", cure="give 0 or more")
        self._check_layer_widths()
        if self.form == "bundle":
            self._check_bundle()

    def _check_bundle(self) -> None:
        if self.factor not in STAGES:
            choices = ", ".join(map(str, STAGES))
            raise ConfigError(f"Bad factor {self.factor}", cure=f"choose one of: {choices}")
        if self.tile < 1 or self.tile % self.factor:
            raise ConfigError(
                f"Bad tile {self.tile}",
                why=f"tiles are made of whole blocks of {self.factor}x{self.factor} pixels",
                cure=f"give a multiple of {self.factor}",
            )
        if self.hard_share:
            raise ConfigError(
                f"Bad hard_share {self.hard_share}",
                why="rays in bundles are learnt in whole tiles, not one by one",
                cure="set hard_share to 0",
            )
        if self.plucker:
            raise ConfigError("Rays in bundles are given as points on them", cure="set plucker to False")

    def _check_layer_widths(self) -> None:
        widths = self.layer_widths
        if not widths:
            return
        if self.body != "plain" or len(widths) != self.depth - 1 or min(widths) < 1:
            raise ConfigError(
                f"Bad layer_widths {list(widths)}",
                why=f"they are those of all layers but the last, of a plain body of depth {self.depth}",
                cure="give depth - 1 widths with a plain body, or none",
            )
        if self.global_residual and widths[0] != widths[-1]:
            raise ConfigError(
                f"Bad layer_widths {list(widths)}",
                why="the global residual adds the first layer's output to the last hidden one's",
                cure="make the first and the last the same, or set global_residual to False",
            )
