"""Rays in bundles: blocks and their middles, pictures of any size, tiles as they are rendered, and the paper's cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from novelview.cameras.cameras import Cameras
from novelview.data.scene import Scene
from novelview.data.tiles import TileSampler
from novelview.errors import ConfigError
from novelview.geometry.rays import Rays
from novelview.geometry.rigid import random_rotations
from novelview.light_field import LightField
from novelview.methods.discovery import find
from novelview.methods.official import SYNTHETIC
from novelview.methods.r2l.bundle import BundleStudent
from novelview.methods.r2l.config import (
    STAGES,
    BundleConfig,
    HardConfig,
    NetworkConfig,
    PointsConfig,
    R2LConfig,
)
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.presets import PRESETS
from novelview.methods.r2l.students import make_student
from novelview.methods.recipe import Recipe
from novelview.nn.encodings import grouped_frequency_encoding
from novelview.random import Draws, generator_for
from novelview.training import Rhythm, make_accelerator, train
from novelview.training.checkpoint import read_checkpoint
from novelview.types import RayBatch, Views

SMALL = R2LConfig(
    form="bundle",
    network=NetworkConfig(width=20, depth=6),
    points=PointsConfig(samples=4, octaves=3),
    bundle=BundleConfig(factor=4, tile=16),
    hard=HardConfig(share=0.0),
)


def cameras(width: int = 32, height: int = 24, count: int = 3) -> Cameras:
    generator = generator_for(0)
    poses = torch.cat(
        [random_rotations(count, generator), torch.randn(count, 3, 1, generator=generator)], dim=-1
    )
    return Cameras.pinhole(poses, torch.tensor([30.0, 31.0, 15.0, 12.5]), width, height)


def scene() -> Scene:
    images = torch.rand(3, 24, 32, 3, generator=generator_for(1))
    train_views = Views.from_tensors(cameras(), images)
    return Scene("noise", train_views, train_views[[0]], SYNTHETIC)


def fresh(config: R2LConfig = SMALL) -> R2L:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return R2L(config, SYNTHETIC).eval()


def student_of(method: R2L) -> BundleStudent:
    assert isinstance(method.student, BundleStudent)
    return method.student


def batch_of(config: R2LConfig = SMALL, index: int = 0, count: int = 1) -> RayBatch:
    recipe = Recipe(batch=4 * config.bundle.tile**2)
    sampler = find("r2l").sampler([scene()], config, recipe, 0)
    assert isinstance(sampler, TileSampler)
    return sampler.batch(0, index, count)


def test_the_published_network_costs_what_is_known_of_it() -> None:
    """0.16 MFLOP per pixel of 800x800 pixels made of 100x100 rays, counted here by hand."""
    with torch.device("meta"):
        student = make_student(PRESETS["mobile"].config, SYNTHETIC)
    assert isinstance(student, BundleStudent)
    per_ray = 312 * 256 + 58 * 256 * 256 + 16 * 256 * 64
    per_ray += 4 * (4 * 64 * 64 + 16 * 64 * 64)
    per_ray += 16 * (4 * 64 * 64 + 16 * 64 * 16)
    per_ray += 64 * (4 * 16 * 16 + 16 * 3)
    assert student.flops_per_ray == 2 * per_ray // 64 == 158_240
    assert student.head[0].weight.shape == (256, 312)
    assert student.flops_per_ray < 11_790_000 / 74


@pytest.mark.parametrize("factor", list(STAGES))
def test_what_is_counted_is_what_is_computed(factor: int) -> None:
    config = replace(SMALL, bundle=BundleConfig(factor, factor))
    student = student_of(fresh(config))
    rays = torch.rand(2, 40, 40, 3, generator=generator_for(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        made = student.picture(rays[0], rays[1])
    assert made.shape == (40 * factor, 40 * factor, 3)
    assert counter.get_total_flops() / made[..., 0].numel() == pytest.approx(student.flops_per_ray, abs=1)


@given(
    factor=st.sampled_from(list(STAGES)),
    columns=st.integers(1, 5),
    rows=st.integers(1, 5),
    missing=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_a_ray_is_the_mean_of_its_block(
    factor: int, columns: int, rows: int, missing: tuple[int, int]
) -> None:
    """Also of blocks that reach beyond the image."""
    student = student_of(fresh(replace(SMALL, bundle=BundleConfig(factor, factor))))
    whole = cameras(columns * factor, rows * factor)[1]
    camera = whole.cropped(0, 0, columns * factor - missing[0], rows * factor - missing[1])
    low = camera.blocks(student.factor).rays()[0]
    blocks = whole.rays()[0].directions.reshape(rows, factor, columns, factor, 3)
    torch.testing.assert_close(low.directions, blocks.mean(dim=(1, 3)), atol=1e-5, rtol=1e-5)
    assert torch.equal(low.origins, whole.centres.expand(rows, columns, 3))
    shown = LightField(student, factor).rays(camera)
    assert torch.equal(low.directions, shown.directions)


def test_pictures_of_other_sizes_are_crops_of_larger_ones() -> None:
    method, whole = fresh(), cameras(32, 24)
    expected = method.render(None, whole).rgb
    assert expected.shape == (3, 24, 32, 3)
    for width, height in ((31, 24), (29, 21), (32, 23), (30, 22)):
        found = method.render(None, whole.cropped(0, 0, width, height)).rgb
        torch.testing.assert_close(found, expected[:, :height, :width], atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", list(STAGES))
def test_strips_do_not_change_the_picture(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    method, camera = (
        fresh(replace(SMALL, bundle=BundleConfig(factor, factor))),
        cameras(5 * factor, 7 * factor, 1),
    )
    monkeypatch.setattr(method.student, "rays_at_once", {"cpu": 1000, "cuda": 1000})
    whole = method.render(None, camera).rgb
    assert float(whole.std()) > 1e-3
    for at_once in (1, 10, 15, 34):
        monkeypatch.setattr(method.student, "rays_at_once", {"cpu": at_once, "cuda": at_once})
        torch.testing.assert_close(method.render(None, camera).rgb, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_tiles_are_learnt_as_they_are_rendered(centre: float) -> None:
    """A tile is what a camera sees whose picture is the tile."""
    config = replace(SMALL, pixel_centre=centre)
    method, batch, seen = fresh(config), batch_of(config), scene().train
    made = student_of(method)(batch.rays).detach().reshape(-1, 16, 16, 3)
    rgb = batch.rgb.reshape(-1, 16, 16, 3)
    for i in range(4):
        view = int(batch.view[i * 256])
        windows = seen.image(view).unfold(0, 16, 1).unfold(1, 16, 1).permute(0, 1, 3, 4, 2)
        errors = (windows - rgb[i]).abs().amax(dim=(2, 3, 4))
        top, left = divmod(int(errors.argmin()), errors.shape[1])
        assert float(errors.min()) <= 0.51 / 255
        camera = seen.cameras[view].cropped(left, top, 16, 16)
        torch.testing.assert_close(method.render(None, camera).rgb[0], made[i], atol=1e-4, rtol=0)


def test_the_network_is_what_it_says() -> None:
    """Against plain sums: every pixel from its ray and its neighbours'."""
    student = student_of(fresh(replace(SMALL, bundle=BundleConfig(factor=2, tile=4))))
    rays = Rays(*torch.rand(2, 3, 4, 3, generator=generator_for(2)))
    depths = torch.tensor([2.0, 10 / 3, 14 / 3, 6.0])
    points = rays.origins[..., None, :] + depths[:, None] * rays.directions[..., None, :]
    x = grouped_frequency_encoding(points.flatten(-2), 3)

    def residual(block: Any, x: Tensor) -> Tensor:
        return x + block.body[2](F.gelu(block.body[0](x)))

    first = F.gelu(student.head[0](x))
    x = residual(student.body[1], residual(student.body[0], first)) + first
    stage: Any = student.stages[0]
    weight, grown = stage.grow.weight, stage.grow.bias.expand(6, 8, 16).clone()
    for row in range(3):
        for column in range(4):
            for i in range(4):
                for j in range(4):
                    y, z = 2 * row - 1 + i, 2 * column - 1 + j
                    if 0 <= y < 6 and 0 <= z < 8:
                        grown[y, z] += x[row, column] @ weight[:, :, i, j]
    x = residual(stage.blocks[1], residual(stage.blocks[0], F.gelu(grown)))
    expected = student.tail(x).sigmoid()
    torch.testing.assert_close(student.picture(rays.origins, rays.directions), expected)


def test_slices_of_a_batch_have_its_gradient() -> None:
    method = fresh().train()

    def gradients(*slices: tuple[int, int]) -> list[Tensor]:
        method.zero_grad()
        for index, count in slices:
            draws = Draws(generator_for(0), index, count)
            (method.loss(batch_of(SMALL, index, count), 0, draws).total / count).backward()
        return [p.grad.clone() for p in method.parameters() if p.grad is not None]

    whole, halves = gradients((0, 1)), gradients((0, 2), (1, 2))
    assert len(whole) == len(list(method.parameters()))
    for one, other in zip(whole, halves, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-4)


def test_it_learns_and_its_weights_come_back(tmp_path: Path) -> None:
    config, views = replace(SMALL, network=NetworkConfig(width=32, depth=6)), scene().train
    recipe = Recipe(steps=120, batch=4 * 256, learning_rate=5e-3, ema=0.9)
    smooth = cameras().rays().directions.mul(3).sin().mul(0.4).add(0.5)
    sampler = TileSampler(Views.from_tensors(views.cameras, smooth), recipe.batch, 0, tile=16)
    method = fresh(config)
    options: dict[str, Any] = {
        "rhythm": Rhythm(save=120),
        "accelerator": make_accelerator("cpu"),
        "quiet": True,
    }
    before = (method.render(None, views.cameras).rgb - smooth).square().mean()
    train(method, sampler, recipe, tmp_path, **options)
    shown = method.render(None, views.cameras).rgb
    assert float((shown - smooth).square().mean()) < 0.2 * float(before)
    loaded = fresh(config)
    saved = read_checkpoint(tmp_path)
    assert saved.average is not None
    loaded.load_state_dict({**saved.model, **saved.average})
    assert torch.equal(loaded.render(None, views.cameras).rgb, shown)


class Picture(nn.Module):
    """A student's picture as a module, which is what is traced."""

    def __init__(self, student: BundleStudent) -> None:
        super().__init__()
        self.student = student

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return self.student.picture(origins, directions)


@pytest.mark.parametrize("factor", [4, 12])
def test_a_traced_picture_takes_any_size(factor: int) -> None:
    picture = Picture(student_of(fresh(replace(SMALL, bundle=BundleConfig(factor, factor))))).eval()
    example = torch.rand(2, 4, 5, 3, generator=generator_for(0))
    sizes = {0: torch.export.Dim("height"), 1: torch.export.Dim("width")}
    traced = torch.export.export(picture, tuple(example), dynamic_shapes=(sizes, sizes)).module()
    for height, width in ((2, 7), (1, 1), (1, 9)):
        rays = torch.rand(2, height, width, 3, generator=generator_for(height))
        found = traced(*rays)
        assert found.shape == (factor * height, factor * width, 3)
        torch.testing.assert_close(found, picture(*rays))


@pytest.mark.parametrize("name", ["mobile", "mobile-small"])
def test_presets_are_made_of_whole_tiles(name: str) -> None:
    preset = PRESETS[name]
    tiles, rest = divmod(preset.recipe.batch, preset.config.bundle.tile**2)
    assert tiles >= 8
    assert rest == 0
    assert preset.distillation is not None
    assert preset.distillation.finetune.batch % preset.config.bundle.tile**2 == 0


@pytest.mark.parametrize("wrong", [{"factor": 3}, {"tile": 18}, {"tile": 0}])
def test_impossible_blocks_are_refused(wrong: dict[str, int]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=rf"bundle\.{name} {value}") as caught:
        replace(SMALL.bundle, **wrong)
    assert caught.value.cure


def test_hard_rays_cannot_be_bundled() -> None:
    with pytest.raises(ConfigError, match=r"hard\.share 0.2") as caught:
        replace(SMALL, hard=HardConfig())
    assert caught.value.cure


def test_the_light_field_is_what_the_method_renders() -> None:
    """In blocks, as they are exported; at a size that is no multiple of them."""
    method = R2L(SMALL, SYNTHETIC).eval()
    views = cameras(30, 22)
    light_field = method.light_field(None)
    assert light_field.factor == 4
    torch.testing.assert_close(light_field.render(views).rgb, method.render(None, views).rgb)
