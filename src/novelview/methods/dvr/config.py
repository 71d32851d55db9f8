"""Options of DVR, in sections; the defaults are the published multi-view model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from novelview.errors import ConfigError

Form = Literal["decoder", "grids"]

# Half side of the cube that holds the object.
HALF = 0.5


@dataclass(frozen=True)
class DecoderConfig:
    """The published network."""

    width: int = 512
    """Channels of the hidden layers."""
    blocks: int = 5
    """Residual blocks."""
    coloured: bool = True
    """Whether it knows colours, or the shape alone."""
    octaves: int = 0
    """Frequencies, each twice the one before, at which it is told points besides, and sees detail sooner; not published."""

    def __post_init__(self) -> None:
        _positive("decoder", self, "width", "blocks")
        if self.octaves < 0:
            raise ConfigError(f"Bad decoder.octaves {self.octaves}", cure="give 0 or more")


@dataclass(frozen=True)
class GridsConfig:
    """Grids of features and small networks that make a signed distance and a colour of them."""

    resolutions: tuple[int, ...] = (8, 16, 32, 64, 128)
    """Nodes per axis of each grid, coarse to fine."""
    features: int = 4
    """Channels of each grid, once for the shape and once for the colour."""
    width: int = 32
    """Channels of the hidden layer of both networks."""
    hull_cells: int = 64
    """Cells along each side of the visual hull of the masks, which the shape is at first; 0: a sphere."""
    radius: float = 0.35
    """Of this sphere; the cube's half side is 0.5."""
    open_until: float = 0.9
    """Share of the training after which the finest grid is used; before, one after the other is added."""
    seen_from: bool = True
    """Whether colours may depend on normal and viewing direction."""

    def __post_init__(self) -> None:
        _positive("grids", self, "features", "width")
        if not self.resolutions or min(self.resolutions) < 2:
            raise ConfigError(
                f"Bad grids.resolutions {list(self.resolutions)}", cure="give one at least, each 2 or more"
            )
        if self.hull_cells < 0:
            raise ConfigError(f"Bad grids.hull_cells {self.hull_cells}", cure="give 0 or more")
        if not 0 < self.radius < 0.5:
            raise ConfigError(f"Bad grids.radius {self.radius}", cure="give a radius between 0 and 0.5")
        if not 0 <= self.open_until <= 1:
            raise ConfigError(f"Bad grids.open_until {self.open_until}", cure="give a share from 0 to 1")


@dataclass(frozen=True)
class SearchConfig:
    """How the surface is searched for along rays."""

    samples: tuple[int, ...] = (16, 32, 64, 128)
    """Samples per ray while training, one number after the other."""
    sample_steps: tuple[int, ...] = (50_000, 100_000, 250_000)
    """Steps at which the next of these begins."""
    render_samples: int = 512
    """Samples per ray of pictures."""
    skip_cells: int = 48
    """Cells along each side of the cube: pictures ask nothing where one is surely empty; 0: all samples are asked."""
    iterations: int = 8
    """Steps of the secant method."""
    padding: float = 0.1
    """How much longer than 1 the sides of the cube are that is searched."""
    beyond: tuple[float, float] | None = None
    """Depths between which rays that miss this cube are searched, as the authors' code does; None: they hit nothing."""
    floor: float = 1e-3
    """Smallest slope of the field along a ray that gradients are divided by."""
    keep_sign: bool = True
    """Whether slopes below it keep their sign; not in the authors' code."""

    def __post_init__(self) -> None:
        _positive("search", self, "floor")
        if not self.samples or min(*self.samples, self.render_samples) < 2:
            raise ConfigError(f"Bad search.samples {list(self.samples)}", cure="give at least 2 per ray")
        if len(self.sample_steps) != len(self.samples) - 1 or list(self.sample_steps) != sorted(
            self.sample_steps
        ):
            raise ConfigError(
                f"Bad search.sample_steps {list(self.sample_steps)}",
                cure=f"give {len(self.samples) - 1} increasing numbers, one less than samples",
            )
        if min(self.iterations, self.padding, self.skip_cells) < 0:
            raise ConfigError(
                "search.iterations, search.padding and search.skip_cells cannot be negative",
                cure="give 0 or more",
            )

    @property
    def half(self) -> float:
        """Half side of the cube that is searched, cube units."""
        return HALF + self.padding / 2

    def samples_at(self, step: int) -> int:
        """Samples per ray in a training step."""
        return self.samples[sum(step >= begin for begin in self.sample_steps)]


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses; 0 leaves one out."""

    colour: float = 1.0
    """Colours where the object is seen and hit."""
    change: float = 1.0
    """Differences of colours between neighbouring pixels; batches then come in patches of 2x2 pixels."""
    depth: float = 0.0
    """Depth along z, where the capture has depth maps, scene units; 10 in the published single-view model."""
    place: float = 0.0
    """Distance of the surface point from that of the depth map, where there are any; 1 in the published multi-view one."""
    empty: float = 1.0
    """Points on rays beside the object lie outside."""
    filled: float = 1.0
    """Points on rays that ought to hit the object lie inside."""
    normal: float = 0.1
    """Normals of neighbouring points of the surface are alike."""
    normal_reach: float = 5e-4
    """Largest distance of such a neighbour along each axis; the cube's side is 1."""
    normal_step: float = 1e-3
    """Distance of the two points of the differences that normals are made of."""
    mask: float = 0.0
    """The place along a ray that is nearest to the inside agrees with the mask, softly; in place of empty and filled."""
    sharpness: tuple[float, float] = (50.0, 400.0)
    """How many times the field is the logit of this agreement, at first and at last."""
    distance: float = 0.0
    """The field is a distance: its gradient has length 1 (eikonal). A stiff field does not let the surface into hollows."""

    def __post_init__(self) -> None:
        for name in ("colour", "change", "depth", "place", "empty", "filled", "normal", "mask", "distance"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Bad losses.{name} {getattr(self, name)}", cure="give 0 or more")
        _positive("losses", self, "normal_reach", "normal_step")
        if min(self.sharpness) <= 0:
            raise ConfigError(f"Bad losses.sharpness {self.sharpness}", cure="give two positive numbers")

    def sharpness_at(self, share: float) -> float:
        """After a share of the training."""
        return _between(self.sharpness, share)


@dataclass(frozen=True)
class StartConfig:
    """A beginning in which every place along a ray may be the surface, which finds hollows that masks do not show.

    Memory grows with its samples; afterwards, rays are searched as published. The losses empty, filled, normal, mask and
    change wait until then.
    """

    until: float = 0.0
    """Share of the training that it takes; 0: none, as published."""
    samples: int = 48
    """Places per ray."""
    sharpness: tuple[float, float] = (10.0, 100.0)
    """How many times the field is the logit of being inside, at first and at last."""
    opacity: float = 0.1
    """Weight of the agreement of masks with how much of a ray's light stops."""

    def __post_init__(self) -> None:
        _positive("start", self, "samples")
        if not 0 <= self.until <= 1:
            raise ConfigError(f"Bad start.until {self.until}", cure="give a share from 0 to 1")
        if min(self.sharpness) <= 0:
            raise ConfigError(f"Bad start.sharpness {self.sharpness}", cure="give two positive numbers")
        if self.opacity < 0:
            raise ConfigError(f"Bad start.opacity {self.opacity}", cure="give 0 or more")

    def sharpness_at(self, share: float) -> float:
        """After a share of the training, before ``until``."""
        return _between(self.sharpness, share / self.until)


@dataclass(frozen=True)
class DVRConfig:
    """What makes one surface differ from another."""

    form: Form = "decoder"
    """decoder: the published network, an occupancy; grids: the practical form, a signed distance."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """Form decoder: the network."""
    grids: GridsConfig = field(default_factory=GridsConfig)
    """Form grids: feature grids and networks."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """How the surface is searched for along rays."""
    losses: LossConfig = field(default_factory=LossConfig)
    """Weights of the losses."""
    start: StartConfig = field(default_factory=StartConfig)
    """A beginning that finds hollows."""
    key_points: bool = False
    """Take depths from sparse points even where there are depth maps, as the authors' model from structure from motion."""

    def __post_init__(self) -> None:
        if self.form == "decoder":
            require_colours(self.decoder, self.losses)


def require_colours(decoder: DecoderConfig, losses: LossConfig) -> None:
    """Refuse losses of colours that the network does not have.

    Raises:
        ConfigError: it knows the shape alone, and colours are to be learnt.
    """
    if not decoder.coloured and (losses.colour or losses.change):
        raise ConfigError(
            "There are no colours to be learnt",
            why=f"decoder.coloured is False, losses.colour {losses.colour}, losses.change {losses.change}",
            cure="set both weights to 0, or decoder.coloured to True",
        )


def _between(ends: tuple[float, float], share: float) -> float:
    """From the first to the last, evenly in the logarithm."""
    first, last = ends
    return first * (last / first) ** share


def _positive(section: str, values: object, *names: str) -> None:
    for name in names:
        if getattr(values, name) <= 0:
            raise ConfigError(f"Bad {section}.{name} {getattr(values, name)}", cure="give a positive number")
