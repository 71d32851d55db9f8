"""Options of R2L, in sections: each part of the code takes the sections it reads."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from novelview.errors import ConfigError
from novelview.volumes.config import VolumeConfig

Form = Literal["plain", "grid", "bundle"]
Activation = Literal["relu", "lrelu", "none"]
# By how much a bundle's picture may be enlarged, and by how much in each stage.
STAGES = {2: (2,), 4: (2, 2), 8: (2, 2, 2), 12: (3, 2, 2)}
# The sections that each form reads whole, and single options of others; any other is refused unless it is the default.
READS: dict[Form, frozenset[str]] = {
    "plain": frozenset({"network", "points"}),
    "grid": frozenset({"network", "lifted"}),
    "bundle": frozenset(
        {
            *("network.width", "network.depth"),
            *("points.samples", "points.octaves", "points.near", "points.far"),
            "bundle",
        }
    ),
}


@dataclass(frozen=True)
class NetworkConfig:
    """The multi-layer perceptron; the defaults are the paper's W256D88."""

    width: int = 256
    """Channels of the hidden layers."""
    depth: int = 88
    """Number of linear layers, the first and the last included."""
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

    def __post_init__(self) -> None:
        _at_least(1, "network.width", self.width)
        _at_least(2, "network.depth", self.depth)
        _at_least(1, "network.block_layers", self.block_layers)
        _at_least(0, "network.blocks", self.blocks)
        if self.layer_widths:
            self._check_layer_widths()

    def _check_layer_widths(self) -> None:
        widths = self.layer_widths
        if self.body != "plain" or len(widths) != self.depth - 1 or min(widths) < 1:
            raise ConfigError(
                f"Bad network.layer_widths {list(widths)}",
                why=f"they are those of all layers but the last, of a plain body of depth {self.depth}",
                cure="give depth - 1 widths with a plain body, or none",
            )
        if self.global_residual and widths[0] != widths[-1]:
            raise ConfigError(
                f"Bad network.layer_widths {list(widths)}",
                why="the global residual adds the first layer's output to the last hidden one's",
                cure="make the first and the last the same, or set network.global_residual to False",
            )


@dataclass(frozen=True)
class PointsConfig:
    """How a ray is told to the network: by points on it, or by its Plücker coordinates."""

    samples: int = 16
    """Points on the ray that the network sees."""
    octaves: int = 10
    """Octaves of the encoding of the coordinates."""
    plucker: bool = False
    """Give the network the ray's six Plücker coordinates instead of points on it; form plain only."""
    near: float | None = None
    """Depth along z of the first point, scene units; None: the scene's nearest depth."""
    far: float | None = None
    """Depth along z of the last point, scene units; None: the scene's farthest depth."""

    def __post_init__(self) -> None:
        _at_least(1, "points.samples", self.samples)
        _at_least(0, "points.octaves", self.octaves)


@dataclass(frozen=True)
class LiftedConfig:
    """The grids that lift a ray into features, and what the network is told besides."""

    volume: VolumeConfig = field(default_factory=VolumeConfig)
    """Densities and features in space."""
    features: int = 12
    """Channels of the feature grid; the first three are a colour."""
    direction_octaves: int = 3
    """Octaves of the encoding of the ray's direction."""
    network_rate: float = 0.01
    """Learning rate of the network in parts of that of densities."""

    def __post_init__(self) -> None:
        _at_least(3, "lifted.features", self.features)
        _at_least(0, "lifted.direction_octaves", self.direction_octaves)
        if self.network_rate <= 0:
            raise ConfigError(f"Bad lifted.network_rate {self.network_rate}", cure="give a positive number")


@dataclass(frozen=True)
class BundleConfig:
    """How many pixels one ray stands for."""

    factor: int = 8
    """Pixels along each side of the block that one ray stands for: 2, 4, 8 or 12."""
    tile: int = 160
    """Side in pixels of the pieces of images that are learnt from, a multiple of factor."""

    def __post_init__(self) -> None:
        if self.factor not in STAGES:
            choices = ", ".join(map(str, STAGES))
            raise ConfigError(f"Bad bundle.factor {self.factor}", cure=f"choose one of: {choices}")
        if self.tile < 1 or self.tile % self.factor:
            raise ConfigError(
                f"Bad bundle.tile {self.tile}",
                why=f"tiles are made of whole blocks of {self.factor}x{self.factor} pixels",
                cure=f"give a multiple of {self.factor}",
            )


@dataclass(frozen=True)
class HardConfig:
    """The rays that were learnt worst, which are shown again."""

    share: float = 0.2
    """How many of them are added to every batch, in parts of it; 0: none."""
    kept: float | None = None
    """Rays of every batch that are kept as such, in parts of it, at most share; None: share."""
    capacity: float = 20.0
    """How many are kept in all, in parts of the batch."""

    def __post_init__(self) -> None:
        for name, value in {"share": self.share, "kept": self.kept}.items():
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"Bad hard.{name} {value}", cure="give a share between 0 and 1")
        if self.capacity < self.share:
            why = f"{self.share} of them are to be drawn for every batch"
            raise ConfigError(f"Bad hard.capacity {self.capacity}", why=why, cure="give a larger one")


@dataclass(frozen=True)
class R2LConfig:
    """What makes one light field differ from another; the defaults are the paper's W256D88."""

    form: Form = "plain"
    """plain: the published network; grid: points lifted through feature grids; bundle: MobileR2L's rays in bundles."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network that makes a colour of a ray; form bundle reads its width and depth only."""
    points: PointsConfig = field(default_factory=PointsConfig)
    """Forms plain and bundle: how a ray is told to the network."""
    lifted: LiftedConfig = field(default_factory=LiftedConfig)
    """Form grid: the grids that lift a ray into features."""
    bundle: BundleConfig = field(default_factory=BundleConfig)
    """Form bundle: how many pixels one ray stands for."""
    hard: HardConfig = field(default_factory=HardConfig)
    """Forms plain and grid: the rays that were learnt worst, which are shown again."""
    pixel_centre: float = 0.5
    """Where in its pixel a ray passes; the authors' code, and so its checkpoints, use 0."""

    def __post_init__(self) -> None:
        for name in ("network", "points", "lifted", "bundle"):
            section = getattr(self, name)
            for option in fields(section):
                if getattr(section, option.name) != getattr(type(section)(), option.name):
                    self._check_read(name, option.name)
        if self.form == "bundle" and self.hard.share:
            raise ConfigError(
                f"Bad hard.share {self.hard.share}",
                why="rays in bundles are learnt in whole tiles, not one by one",
                cure="set hard.share to 0",
            )

    def _check_read(self, section: str, option: str) -> None:
        """Refuse an option that would have no effect."""
        name = f"{section}.{option}"
        forms = [form for form, read in READS.items() if section in read or name in read]
        if self.form not in forms:
            raise ConfigError(
                f"The form {self.form} does not read {name}",
                cure=f"leave it at its default, or set form to {' or '.join(forms)}",
            )


def _at_least(least: int, name: str, value: int | None) -> None:
    if value is not None and value < least:
        raise ConfigError(f"Bad {name} {value}", cure=f"give at least {least}")
