"""A tiny method that grows, and its data: quick enough to train hundreds of steps in a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.data.samplers import Sampler
from novelview.data.scene import Scene
from novelview.geometry.rays import Rays
from novelview.methods.method import Loss, Method, MethodSpec, Preset, Traits
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


@dataclass(frozen=True)
class FakeConfig:
    """Configuration of the fake method."""

    width: int = 8
    grow_at: tuple[int, ...] = ()
    unused: bool = False
    noise: float = 0.1


def talking_threads() -> int:
    """Threads of this process, by name, that a group of processes talks through; 0 where they cannot be listed."""
    names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
    return sum("gloo" in name for name in names)


class FakeMethod(Method):
    """A network from ray to colour; its table of features doubles in length at given steps."""

    def __init__(self, config: FakeConfig, bounds: Bounds | None) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Parameter(torch.randn(4, config.width) * 0.1)
        self.first = nn.Linear(6, config.width)
        self.last = nn.Linear(config.width, 3)
        self.spare = nn.Parameter(torch.ones(3)) if config.unused else None
        self.idle_parameters = config.unused
        self.register_buffer("calls", torch.zeros(()))

    def condition(self, views: Views, bounds: Bounds) -> None:
        return None

    def colour(self, rays: Rays) -> Tensor:
        hidden = self.first(torch.cat([rays.origins, rays.directions], dim=-1))
        rows = self.table[(hidden.detach()[:, 0].abs() * 100).long() % len(self.table)]
        return self.last(torch.tanh(hidden + rows)).sigmoid()

    def render(self, state: Any, cameras: Cameras) -> Frames:
        with torch.no_grad():
            rays = cameras.rays()
            shape = rays.origins.shape
            return Frames(self.colour(rays.reshape(-1)).reshape(shape))

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        noise = self.config.noise * draws.randn(len(batch), 3)
        mse = (self.colour(batch.rays) + noise - batch.rgb).square().mean()
        total = mse
        if self.spare is not None and step % 2 == 0:
            total = total + self.spare.square().mean()
        return Loss(total, {"mse": mse.detach()})

    def parameter_groups(self) -> list[dict[str, Any]]:
        others = [p for name, p in self.named_parameters() if name != "table"]
        return [{"params": [self.table], "scale": 10.0}, {"params": others}]

    def advance(self, step: int, steps: int) -> bool:
        self.calls += 1
        if step not in self.config.grow_at:
            return False
        self.table = nn.Parameter(self.table.detach().repeat_interleave(2, dim=0))
        return True

    def structure(self) -> dict[str, Any]:
        return {"rows": len(self.table)}

    def restructure(self, structure: dict[str, Any]) -> None:
        self.table = nn.Parameter(torch.zeros(structure["rows"], self.config.width))


class FakeSampler(Sampler):
    """Random rays coloured by a fixed formula."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed

    def batch(self, step: int, index: int = 0, count: int = 1) -> RayBatch:
        generator = generator_for(self.seed, "batch", step)
        numbers = torch.rand(self.size, 6, generator=generator)
        rows = self.size // count
        mine = numbers[index * rows : (index + 1) * rows]
        rgb = 0.5 + 0.5 * torch.sin(3 * mine[:, :3] + mine[:, 3:])
        view = torch.zeros(rows, dtype=torch.long)
        return RayBatch(Rays(mine[:, :3], mine[:, 3:]), rgb, view, views=1)


def fake_sampler(scenes: Sequence[Scene], config: FakeConfig, recipe: Recipe, seed: int) -> FakeSampler:
    return FakeSampler(recipe.batch, seed)


RECIPE = Recipe(steps=30, batch=64, learning_rate=1e-2)

FAKE = MethodSpec(
    name="fake",
    title="Fake",
    summary="For tests.",
    paper="none",
    traits=Traits("per-scene", min_views=2),
    config=FakeConfig,
    presets={"default": Preset(FakeConfig(), RECIPE, "quick"), "tiny": Preset(FakeConfig(), RECIPE, "quick")},
    build=FakeMethod,
    sampler=fake_sampler,
)


def fake_scene(train: int = 3, test: int = 1) -> Scene:
    def views(count: int, prefix: str) -> Views:
        poses = torch.eye(4)[:3].repeat(count, 1, 1)
        cameras = Cameras.pinhole(poses, torch.tensor([4.0, 4.0, 2.0, 2.0]), 4, 4)
        names = [f"{prefix}{i}" for i in range(count)]
        return Views.from_tensors(cameras, torch.rand(count, 4, 4, 3), names=names)

    bounds = Bounds(0.1, float("inf"), (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    return Scene(
        "fake", views(train, "a"), views(test, "b"), bounds, origin={"path": "/photos", "split": "all"}
    )
