"""R2L as a method: pixels, chunks, hard rays in a training, and pictures of any size for other runtimes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.data.samplers import RaySampler, Sampler
from novelview.data.scene import Scene
from novelview.errors import ConfigError, MethodError
from novelview.geometry.rigid import random_rotations
from novelview.methods.discovery import find
from novelview.methods.official import SYNTHETIC
from novelview.methods.r2l.config import HardConfig, R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.plain import PlainStudent
from novelview.methods.r2l.presets import PRESETS
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training import Rhythm, make_accelerator, train
from novelview.training.checkpoint import load_weights, read_checkpoint
from novelview.types import RayBatch, Views

TINY: R2LConfig = PRESETS["tiny"].config
HARD = replace(TINY, hard=HardConfig(share=0.25, capacity=0.75))


@pytest.fixture
def cameras(generator: torch.Generator) -> Cameras:
    poses = torch.cat([random_rotations(3, generator), torch.randn(3, 3, 1, generator=generator)], dim=-1)
    return Cameras.pinhole(poses, torch.tensor([30.0, 31.0, 16.0, 12.0]), 32, 24)


@pytest.fixture
def scene(cameras: Cameras, generator: torch.Generator) -> Scene:
    images = torch.rand(3, 24, 32, 3, generator=generator)
    return Scene(
        "noise", Views.from_tensors(cameras, images), Views.from_tensors(cameras[:0], images[:0]), SYNTHETIC
    )


def fresh(config: R2LConfig) -> R2L:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return R2L(config, SYNTHETIC)


def batch_of(scene: Scene, config: R2LConfig = TINY) -> RayBatch:
    batch = find("r2l").sampler([scene], config, PRESETS["tiny"].recipe, 0).batch(0)
    assert isinstance(batch, RayBatch)
    return batch


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_training_and_rendering_agree_where_a_pixel_is(scene: Scene, centre: float) -> None:
    config = replace(TINY, pixel_centre=centre)
    batch, method = batch_of(scene, config), fresh(config)
    grid = scene.train.cameras.pixel_grid() - 0.5 + centre
    rays = scene.train.cameras.rays_through(grid.reshape(1, -1, 2).expand(3, -1, -1)).reshape(-1)
    nearest = torch.cdist(batch.rays.directions.double(), rays.directions.double()).argmin(dim=-1)
    truth = torch.stack([scene.train.image(i) for i in range(3)]).reshape(-1, 3)
    torch.testing.assert_close(batch.rgb, truth[nearest], atol=0.5 / 255, rtol=0)
    rendered = method.render(None, scene.train.cameras).rgb.reshape(-1, 3)
    torch.testing.assert_close(rendered[nearest], method.student(batch.rays).detach(), atol=1e-5, rtol=0)


def test_chunks_do_not_change_the_result(cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    method = fresh(TINY)
    whole = method.render(None, cameras).rgb
    monkeypatch.setattr(method.student, "rays_at_once", {"cpu": 37, "cuda": 37})
    torch.testing.assert_close(method.render(None, cameras).rgb, whole)


def test_the_loss_is_the_mean_square_of_jittered_rays(scene: Scene) -> None:
    method, batch = fresh(TINY), batch_of(scene)
    jitter = torch.rand(len(batch), TINY.points.samples, generator=generator_for(0, "draws"))
    expected = (method.student(batch.rays, jitter) - batch.rgb).square().mean()
    loss = method.loss(batch, 0, Draws(generator_for(0, "draws")))
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.parts["mse"], expected.detach())
    assert len(method.pool) == 0


def test_hard_rays_join_the_loss_once_the_pool_is_full(scene: Scene) -> None:
    method, batch = fresh(HARD), batch_of(scene, HARD)
    quarter = len(batch) // 4
    for step in range(3):
        method.loss(batch, step, Draws(generator_for(0, step)))
    assert len(method.pool) == 3 * quarter
    picked = method.pool.pick(len(batch), generator_for(0, 3))
    assert picked is not None
    before = method.pool.rows.clone()
    hard, hard_rgb = method.pool.drawn(picked)
    loss = method.loss(batch, 3, Draws(generator_for(0, 3)))
    source = generator_for(0, 3)
    torch.randperm(len(method.pool), generator=source)
    jitter = torch.rand(len(batch) + quarter, HARD.points.samples, generator=source)
    wanted = torch.cat(
        [
            method.student(batch.rays, jitter[: len(batch)]) - batch.rgb,
            method.student(hard, jitter[len(batch) :]) - hard_rgb,
        ]
    )
    torch.testing.assert_close(loss.total, wanted.square().mean())
    untouched = torch.ones(len(before), dtype=torch.bool).index_fill(0, picked, False)
    assert torch.equal(method.pool.rows[untouched], before[untouched])
    hardest = wanted[: len(batch)].square().mean(dim=-1).argmax()
    assert torch.equal(method.pool.rows[picked[-1], 6:], batch.rgb[hardest])


class Failing(Sampler):
    """Another sampler's batches, up to a step."""

    def __init__(self, sampler: Sampler, last: int) -> None:
        self._sampler, self._last = sampler, last

    def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
        if step == self._last:
            raise RuntimeError
        return self._sampler.batch(step, index, count)


@pytest.mark.parametrize("crash", [3, 9])
def test_an_interrupted_training_with_hard_rays_goes_on_exactly(
    scene: Scene, crash: int, tmp_path: Path
) -> None:
    """Interrupted while the pool fills, and when it is full."""
    recipe = Recipe(steps=12, batch=64, learning_rate=5e-3)
    options: dict[str, Any] = {
        "rhythm": Rhythm(save=2),
        "accelerator": make_accelerator("cpu"),
        "quiet": True,
    }
    sampler = RaySampler(scene.train, recipe.batch, 0)
    config = replace(HARD, hard=HardConfig(share=0.25, capacity=1.25))
    train(fresh(config), sampler, recipe, tmp_path / "straight", **options)
    with pytest.raises(RuntimeError):
        train(fresh(config), Failing(sampler, crash), recipe, tmp_path / "crashed", **options)
    train(fresh(config), sampler, recipe, tmp_path / "crashed", **options)
    one, other = (read_checkpoint(tmp_path / name) for name in ("straight", "crashed"))
    assert one.model["pool.rows"].shape == (80, 9)
    assert one.model.keys() == other.model.keys()
    assert all(torch.equal(one.model[name], other.model[name]) for name in one.model)
    loaded = fresh(config)
    load_weights(loaded, one, averaged=False, where=tmp_path)
    assert torch.equal(loaded.pool.rows, one.model["pool.rows"])


def test_hard_rays_need_the_batch_in_one_piece(scene: Scene) -> None:
    batch = batch_of(scene)
    with pytest.raises(ConfigError, match=r"hard\.share") as caught:
        fresh(HARD).loss(batch, 0, Draws(generator_for(0), 0, 2))
    assert caught.value.cure
    assert fresh(TINY).loss(batch, 0, Draws(generator_for(0), 0, 2)).total.isfinite()


@pytest.mark.parametrize("plucker", [False, True])
def test_a_picture_is_what_its_rays_are(cameras: Cameras, plucker: bool) -> None:
    student = fresh(replace(TINY, points=replace(TINY.points, plucker=plucker))).student
    rays = cameras[0].rays()[0]
    expected = student(rays.reshape(-1)).view(24, 32, 3)
    assert torch.equal(student.picture(rays.origins, rays.directions), expected)


class Picture(nn.Module):
    """A student's picture as a module, which is what is traced."""

    def __init__(self, student: PlainStudent) -> None:
        super().__init__()
        self.student = student

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return self.student.picture(origins, directions)


@pytest.mark.parametrize("plucker", [False, True])
def test_a_traced_picture_takes_any_size(plucker: bool, generator: torch.Generator) -> None:
    student = fresh(replace(TINY, points=replace(TINY.points, plucker=plucker))).student
    assert isinstance(student, PlainStudent)
    picture, example = Picture(student).eval(), torch.rand(2, 4, 5, 3, generator=generator)
    sizes = {0: torch.export.Dim("height"), 1: torch.export.Dim("width")}
    traced = torch.export.export(picture, tuple(example), dynamic_shapes=(sizes, sizes)).module()
    rays = torch.rand(2, 2, 7, 3, generator=generator)
    torch.testing.assert_close(traced(*rays), picture(*rays))


def test_pluecker_coordinates_draw_nothing(scene: Scene) -> None:
    method, generator = fresh(replace(TINY, points=replace(TINY.points, plucker=True))), generator_for(0)
    before = generator.get_state()
    method.loss(batch_of(scene), 0, Draws(generator))
    assert torch.equal(generator.get_state(), before)


def test_a_method_of_one_scene_wants_its_bounds() -> None:
    with pytest.raises(MethodError, match="bounds"):
        find("r2l").build(TINY, None)
