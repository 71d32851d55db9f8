"""A generative method without a network: it shows the balls that words name, from wherever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from novelview.cameras.cameras import Cameras
from novelview.cameras.studio_paths import Tripod, orbit
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.generation import Request, Studio, Watch
from novelview.methods import discovery
from novelview.methods.method import Loss, Method, MethodSpec, Preset, Traits
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training.checkpoint import Checkpoint, Progress, save_checkpoint
from novelview.training.folder import create_run, describe
from novelview.types import Batch, Bounds, Frames, Views


@dataclass(frozen=True)
class PainterConfig:
    """What the pictures are like."""

    size: int = 48
    """Of the pictures' sides, pixels."""
    steps: int = 3
    """In which noise becomes clear."""
    opacity: bool = False
    """Whether it knows what it covers."""
    backdrop: bool = False
    """Whether the background has all colours."""
    stop: bool = False
    """Whether it is interrupted after the first step."""


BALLS = {"ball": [(0.0, 0.0, 0.0, 0.4)], "balls": [(0.0, 0.0, -0.1, 0.38), (0.1, 0.2, 0.25, 0.22)]}
"""Centres and radii."""


def painted(name: str, seed: int, cameras: Cameras) -> Views:
    """Balls before white, lit from the camera, in a colour that the seed draws; four rays per pixel."""
    width, height = cameras.common_size
    rays = cameras.resized(2 * width, 2 * height).rays()
    directions = F.normalize(rays.directions, dim=-1)
    colour = 0.1 + 0.6 * torch.rand(3, generator=generator_for(seed, "colour"))
    nearest, shown = torch.full(directions.shape[:3], torch.inf), torch.zeros(*directions.shape[:3], 4)
    for x, y, z, radius in BALLS[name]:
        offset = rays.origins - torch.tensor([x, y, z])
        along = (offset * directions).sum(dim=-1)
        inside = along**2 - offset.square().sum(dim=-1) + radius**2
        distance = -along - inside.clamp(min=0).sqrt()
        light = 0.5 + 0.5 * inside.clamp(min=0).sqrt()[..., None] / radius
        first = (inside > 0) & (distance < nearest)
        nearest = torch.where(first, distance, nearest)
        ball = torch.cat([colour * light, torch.ones_like(light)], dim=-1)
        shown = torch.where(first[..., None], ball, shown)
    mean = shown.unflatten(1, (height, 2)).unflatten(3, (width, 2)).mean(dim=(2, 4))
    return Views.from_tensors(cameras, mean[..., :3] + 1 - mean[..., 3:], mean[..., 3])


class Painter(Method):
    """Shows the balls whose name is a word of the prompt."""

    def __init__(self, config: PainterConfig) -> None:
        super().__init__()
        self.config = config
        self.nothing = nn.Parameter(torch.zeros(1))

    def condition(self, views: Views, bounds: Bounds) -> None:
        raise NotImplementedError

    def render(self, state: Any, cameras: Cameras) -> Frames:
        raise NotImplementedError

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError

    def studio(self) -> Studio:
        box = Bounds(1.2, 3.2, (-0.5,) * 3, (0.5,) * 3, unbounded=False, background=(1.0, 1.0, 1.0))
        return Studio(box, self.config.size, self.config.size, 2.2, 38.0, 20.0)

    def generate(self, request: Request, watch: Watch | None = None) -> Frames:
        named = [word for word in request.prompt.split() if word in BALLS] or ["balls"]
        views = painted(named[0], request.seed, request.cameras)
        clear = views.images()
        if self.config.backdrop:
            ramp = torch.linspace(0, 1, self.config.size)[:, None].expand(clear.shape[1:])
            clear = torch.where(views.masks()[..., None] > 0, clear, ramp)
        noise = torch.rand(clear.shape, generator=generator_for(request.seed, "noise"))
        for step in range(1, self.config.steps + 1):
            share = step / self.config.steps
            if watch is not None:
                watch(step, self.config.steps, lambda share=share: Frames(torch.lerp(noise, clear, share)))
            if self.config.stop:
                raise ConfigError("It was stopped")
        return Frames(clear, opacity=views.masks() if self.config.opacity else None)


def _no_sampler(*_: Any) -> Any:
    raise NotImplementedError


def painter_spec(weights: Path | None) -> MethodSpec:
    return MethodSpec(
        name="painter",
        title="Painter",
        summary="For tests.",
        paper="none",
        traits=Traits("generative", min_views=0),
        config=PainterConfig,
        presets={"tiny": Preset(PainterConfig(), Recipe(steps=1), "for tests")},
        build=lambda config, bounds: Painter(config),
        sampler=_no_sampler,
        weights=weights,
        adjustable=frozenset({"size", "steps", "opacity", "backdrop", "stop"}),
    )


class _Entry:
    value = "painter"

    def __init__(self, spec: MethodSpec) -> None:
        self._spec = spec

    def load(self) -> MethodSpec:
        return self._spec


@contextmanager
def painter_installed(run: Path) -> Iterator[None]:
    """The method as a plug-in that comes with weights, which are written into the folder ``run``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "entry_points", lambda group: [_Entry(painter_spec(run))])
        discovery.discover.cache_clear()
        spec = discovery.find("painter")
        views = painted("ball", 0, orbit(Tripod(2.2, 38.0, 8, 8), 2, 20.0))
        scene = Scene("ball", views, views[[]], Painter(PainterConfig()).studio().bounds)
        create_run(run, describe(spec, PainterConfig(), spec.preset().recipe, scene, seed=0))
        weights = Painter(PainterConfig()).state_dict()
        save_checkpoint(run, Checkpoint(Progress(1, {}), weights, {}))
        yield
    discovery.discover.cache_clear()
