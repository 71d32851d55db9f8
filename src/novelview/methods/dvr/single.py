"""DVR for objects that one photograph shows: an encoder tells the decoder which shape it is (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError, DataError
from novelview.geometry.rays import Rays
from novelview.methods.dvr.config import (
    DecoderConfig,
    LossConfig,
    SearchConfig,
    StartConfig,
    require_colours,
)
from novelview.methods.dvr.decoder import build_decoder
from novelview.methods.dvr.encoder import SIDE, Encoder, prepared
from novelview.methods.dvr.learning import Chance, Seen
from novelview.methods.dvr.pictures import Cube, render_shape, surface_of
from novelview.methods.dvr.shape import Decoded
from novelview.methods.dvr.stages import learn_stage
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.surface import ImplicitSurface
from novelview.types import Batch, Bounds, Frames, RayBatch, Sample, Views


@dataclass(frozen=True)
class SingleConfig:
    """What makes one model of many shapes differ from another; the defaults are those of the paper's RGB model."""

    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """The network that knows the shapes."""
    code: int = 256
    """Numbers by which it is told which one it is."""
    batch_norm: bool = False
    """Normalise over the batch in the encoder, as published; otherwise within each photograph."""
    side: int = SIDE
    """Width and height of the photograph that the encoder sees, pixels."""
    pixels: int = 1024
    """Pixels of each view that are learnt from in a step."""
    shapes: int = 300
    """Procedural chairs that are learnt from where no captures are named."""
    train_size: int = 64
    """Width and height of their pictures, pixels."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """How the surface is searched for along rays."""
    losses: LossConfig = field(default_factory=lambda: LossConfig(change=0.0, normal=0.05))
    """Weights of the losses."""
    start: StartConfig = field(default_factory=StartConfig)
    """A beginning in which every place along a ray may be the surface."""
    unit_cube: bool = False
    """Shapes lie in the unit cube of the scene's own coordinates, as in the authors' data, and not in the scene's box."""
    hull: bool = False
    """Points that ought to lie inside are on the visual hull of the masks, as published for colours alone, not anywhere."""

    def __post_init__(self) -> None:
        for name in ("code", "side", "pixels", "shapes", "train_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        if self.losses.change:
            raise ConfigError(
                f"Bad losses.change {self.losses.change}",
                why="pixels of many objects are learnt from one by one",
                cure="set it to 0",
            )
        if self.hull and (self.losses.depth or self.losses.place):
            raise ConfigError(
                "The visual hull is for shapes that are learnt without depth",
                why=f"hull is True, losses.depth {self.losses.depth:g}, losses.place {self.losses.place:g}",
                cure="set hull to False, or both weights to 0",
            )
        require_colours(self.decoder, self.losses)


@dataclass(frozen=True)
class Known:
    """What the method keeps of a photograph: the code of its shape, and the cube that the shape lies in."""

    code: Float[Tensor, " c"]
    cube: Cube


class SingleView(Method):
    """Shapes of a family, each out of one photograph (Niemeyer et al., CVPR 2020)."""

    def __init__(self, config: SingleConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.code, config.batch_norm)
        self.decoder = build_decoder(config.decoder, config.code)
        self._progress = 1.0

    def shape(self, state: Known) -> Decoded:
        """The shape that a photograph showed."""
        return Decoded(self.decoder, state.code)

    @torch.no_grad()
    def condition(self, views: Views, bounds: Bounds) -> Known:
        """Looks at the first view alone."""
        image = prepared(views.image(0), self.config.side).to(self._device)
        return Known(self.encoder(image[None])[0], self._cube(bounds))

    def render(self, state: Known, cameras: Cameras) -> Frames:
        return render_shape(self.shape(state), state.cube, cameras, self.config.search, self._device)

    def surface(self, state: Known) -> ImplicitSurface:
        return surface_of(self.shape(state), state.cube, self.config.search, self._device)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert not isinstance(batch, RayBatch)
        config, device = self.config, self._device
        if config.batch_norm and draws.count > 1:
            raise ConfigError(
                "A batch that is normalised as a whole cannot be cut into slices",
                cure="train with one process and accumulate 1, or set batch_norm to False",
            )
        images = torch.stack([prepared(sample.sources.image(0), config.side) for sample in batch])
        codes = self.encoder(images.to(device))
        numbers = draws.rand(len(batch), config.pixels, 2 + Chance.NUMBERS)
        sums: dict[str, Tensor] = {}
        for sample, code, drawn in zip(batch, codes, numbers, strict=True):
            found = learn_stage(
                Decoded(self.decoder, code),
                self._seen(sample, drawn[:, :2]),
                Chance.drawn(drawn[:, 2:].to(device)),
                config.search,
                config.losses,
                config.start,
                step=step,
                progress=self._progress,
            )
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value / (len(batch) * config.pixels)
        total = torch.stack(list(sums.values())).sum()
        return Loss(total, {name: value.detach() for name, value in sums.items()})

    def advance(self, step: int, steps: int) -> bool:
        self._progress = step / steps
        return False

    def _seen(self, sample: Sample, places: Float[Tensor, "p 2"]) -> Seen:
        """Pixels of the view to predict, at places in the unit square."""
        device, hull = self._device, self.config.hull
        target = sample.targets
        if not target.has_masks:
            raise DataError("DVR learns from masks", where=target.names[0], cure="add masks to the data")
        rays = target.cameras[0].rays().reshape(-1)
        pixel = _pixels(places.cpu(), target.cameras[0].common_size, rays)
        depth = target.depth(0).reshape(-1)[pixel].to(device) if target.has_depths else None
        return Seen(
            self._cube(sample.bounds).rays(rays[pixel].to(device)),
            target.image(0).reshape(-1, 3)[pixel].to(device),
            target.mask(0).reshape(-1)[pixel].to(device),
            depth=None if hull else depth,
            hull=depth if hull else None,
        )

    def _cube(self, bounds: Bounds) -> Cube:
        return Cube.unit(bounds.background) if self.config.unit_cube else Cube.around(bounds)

    @property
    def _device(self) -> torch.device:
        return self.decoder.fc_p.weight.device


def _pixels(places: Float[Tensor, "p 2"], size: tuple[int, int], rays: Rays) -> Int[Tensor, " p"]:
    """Row-major pixels at places in the unit square; of a lens that has no ray for some, any of the others."""
    x, y = ((places[:, i] * side).long().clamp(max=side - 1) for i, side in enumerate(size))
    pixel, usable = y * size[0] + x, rays.directions.isfinite().all(dim=-1)
    others = torch.nonzero(usable)[:, 0]
    if not len(others):
        raise DataError("A lens model gives no ray for any pixel", cure="check the distortion values")
    return torch.where(usable[pixel], pixel, others[pixel % len(others)])
