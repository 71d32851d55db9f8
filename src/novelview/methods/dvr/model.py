"""DVR as a method: the surface of one object, learnt from masked photographs."""

from __future__ import annotations

from typing import Any

import torch

from novelview.cameras.cameras import Cameras
from novelview.data.visual_hull import visual_hull
from novelview.errors import MethodError
from novelview.methods.dvr.config import DVRConfig
from novelview.methods.dvr.decoder import build_decoder
from novelview.methods.dvr.grids import Grids
from novelview.methods.dvr.learning import Chance, Seen
from novelview.methods.dvr.pictures import Cube, render_shape, surface_of
from novelview.methods.dvr.shape import Decoded, Shape
from novelview.methods.dvr.stages import learn_stage
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.surface import ImplicitSurface
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


class DVR(Method):
    """Implicit surface of one object (Niemeyer et al., CVPR 2020)."""

    # Grids that are not open yet.
    idle_parameters = True

    def __init__(self, config: DVRConfig, bounds: Bounds) -> None:
        super().__init__()
        self.config, self.bounds, self.cube = config, bounds, Cube.around(bounds)
        self.shape = _shape(config)
        self._progress = 1.0

    def condition(self, views: Views, bounds: Bounds) -> None:
        """Nothing: the object is in the parameters."""

    def begin(self, views: Views) -> None:
        if isinstance(self.shape, Grids) and self.shape.config.hull_cells:
            surface = self.surface(None)
            lower, upper = torch.tensor(surface.lower), torch.tensor(surface.upper)
            hull = visual_hull(views, lower, upper, self.shape.config.hull_cells)
            self.shape.first.copy_(hull.values * self.cube.scale)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        if batch.mask is None:
            raise MethodError(
                "DVR learns from masks", why="the views have none", cure="add masks to the capture"
            )
        chance = Chance.drawn(draws.rand(len(batch), Chance.NUMBERS).to(batch.rgb.device))
        seen = Seen(self.cube.rays(batch.rays), batch.rgb, batch.mask, batch.depth)
        config = self.config
        parts = learn_stage(
            self.shape,
            seen,
            chance,
            config.search,
            config.losses,
            config.start,
            step=step,
            progress=self._progress,
        )
        # The authors sum; means make slices of a batch add up, and Adam does not tell them apart.
        means = {name: value / len(batch) for name, value in parts.items()}
        total = torch.stack(list(means.values())).sum()
        return Loss(total, {name: value.detach() for name, value in means.items()})

    def advance(self, step: int, steps: int) -> bool:
        self._grow(step / steps)
        return False

    def _grow(self, progress: float) -> None:
        self._progress = progress
        if isinstance(self.shape, Grids):
            self.shape.advance(progress)

    def structure(self) -> dict[str, Any]:
        return {"progress": self._progress}

    def restructure(self, structure: dict[str, Any]) -> None:
        """Opens the grids that were open, so that an unfinished training is drawn as it was judged."""
        self._grow(float(structure["progress"]))

    def render(self, state: None, cameras: Cameras) -> Frames:
        return render_shape(self.shape, self.cube, cameras, self.config.search, self._device)

    def surface(self, state: None) -> ImplicitSurface:
        return surface_of(self.shape, self.cube, self.config.search, self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.shape.parameters()).device


def _shape(config: DVRConfig) -> Shape:
    if config.form == "grids":
        return Grids(config.grids, config.search.half)
    return Decoded(build_decoder(config.decoder))
