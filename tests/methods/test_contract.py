"""What every method must do, whatever it is: the same tests over everything that discovery finds."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.config import from_json, to_json
from novelview.data.samplers import Sampler
from novelview.data.scene import Scene
from novelview.methods.discovery import discover
from novelview.methods.method import Method, MethodSpec
from novelview.random import Draws, generator_for
from novelview.training import Rhythm, make_accelerator, train
from novelview.training.checkpoint import read_checkpoint
from novelview.types import Batch, Bounds, Views

METHODS = discover()
STEPS = 60


@pytest.fixture(params=list(METHODS))
def spec(request: pytest.FixtureRequest) -> MethodSpec:
    return METHODS[request.param]


def ring(count: int, size: int, turn: float = 0.0) -> Cameras:
    """Cameras on a circle of radius 2, a little above, that look at the origin; world z is up."""
    poses = []
    for i in range(count):
        angle = 2 * math.pi * (i + turn) / count
        centre = torch.tensor([2 * math.cos(angle), 2 * math.sin(angle), 0.8])
        forward = -centre / centre.norm()
        right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]))
        right = right / right.norm()
        poses.append(torch.stack([right, torch.linalg.cross(forward, right), forward, centre], dim=1))
    focal = 1.2 * size
    return Cameras.pinhole(torch.stack(poses), torch.tensor([focal, focal, size / 2, size / 2]), size, size)


def photograph(cameras: Cameras) -> Views:
    """A ball of radius 0.6 at the origin, coloured by its normal, before white."""
    rays = cameras.rays()
    a = rays.directions.square().sum(dim=-1)
    b = (rays.origins * rays.directions).sum(dim=-1)
    root = b.square() - a * (rays.origins.square().sum(dim=-1) - 0.36)
    hit = root > 0
    depth = (-b - root.clamp(min=0).sqrt()) / a
    normal = (rays.origins + depth[..., None] * rays.directions) / 0.6
    images = torch.where(hit[..., None], (0.5 + 0.45 * normal).clamp(0, 1), torch.ones(3))
    return Views.from_tensors(cameras, images, hit.float(), depth * hit)


def ball_scene(spec: MethodSpec) -> Scene:
    size = spec.traits.size_multiple * math.ceil(16 / spec.traits.size_multiple)
    count = max(6, spec.traits.min_views + 2)
    return Scene(
        name="ball",
        train=photograph(ring(count, size)),
        test=photograph(ring(2, size, 0.3)),
        bounds=Bounds(
            near=1.0,
            far=4.0,
            box_min=(-0.8, -0.8, -0.8),
            box_max=(0.8, 0.8, 0.8),
            unbounded=False,
            background=(1.0, 1.0, 1.0),
        ),
    )


def fresh(spec: MethodSpec, scene: Scene, **changes: Any) -> Method:
    """The method's tiny preset, its weights determined by one seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return spec.build(replace(spec.presets["tiny"].config, **changes), scene.bounds)


def batch_of(spec: MethodSpec, scene: Scene, index: int = 0, count: int = 1) -> Batch:
    preset = spec.presets["tiny"]
    return spec.sampler([scene], preset.config, preset.recipe, 0).batch(0, index, count)


def draws(step: int = 0, index: int = 0, count: int = 1) -> Draws:
    return Draws(generator_for(0, "draws", step), index, count)


def overfit(spec: MethodSpec, method: Method, batch: Batch) -> list[float]:
    """Losses of the recipe's optimiser on one batch that never changes."""
    recipe = spec.presets["tiny"].recipe
    losses, optimizer = [], None
    for step in range(STEPS):
        if method.advance(step, STEPS) or optimizer is None:
            optimizer = torch.optim.Adam(scaled_groups(method, recipe.learning_rate))
        optimizer.zero_grad()
        loss = method.loss(batch, step, draws(step)).total
        loss.backward()
        assert method.idle_parameters or all(
            p.grad is not None for p in method.parameters() if p.requires_grad
        )
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def scaled_groups(method: Method, rate: float) -> list[dict[str, Any]]:
    return [{"params": g["params"], "lr": rate * g.get("scale", 1.0)} for g in method.parameter_groups()]


def same_frames(spec: MethodSpec, scene: Scene, one: Method, other: Method, tolerance: float) -> None:
    frames = [
        m.eval().render(m.condition(scene.train, scene.bounds), scene.test.cameras) for m in (one, other)
    ]
    for name in ("rgb", "depth", "opacity"):
        first, second = getattr(frames[0], name), getattr(frames[1], name)
        assert (first is None) == (second is None)
        if first is not None:
            torch.testing.assert_close(first, second, atol=tolerance, rtol=tolerance)


def test_declares_itself(spec: MethodSpec) -> None:
    assert METHODS[spec.name] is spec
    assert spec.title
    assert spec.summary
    assert spec.paper
    traits = spec.traits
    assert traits.regime in ("per-scene", "feed-forward", "generative")
    assert traits.min_views >= 0
    assert traits.max_views is None or traits.max_views >= traits.min_views
    assert traits.size_multiple >= 1


def test_presets_are_complete_and_survive_json(spec: MethodSpec) -> None:
    assert "tiny" in spec.presets
    assert spec.preset() is not spec.presets["tiny"]
    assert set(spec.adjustable) <= {each.name for each in fields(spec.config)}
    for preset in spec.presets.values():
        assert preset.summary
        for value in (preset.config, preset.recipe):
            assert from_json(type(value), json.loads(json.dumps(to_json(value)))) == value
        assert type(preset.config) is spec.config


def test_every_option_is_documented(spec: MethodSpec) -> None:
    source = "".join(inspect.getsource(kind) for kind in spec.config.__mro__ if is_dataclass(kind))
    for field in fields(spec.config):
        after = source.split(f"    {field.name}:", 1)[1].split("\n", 1)[1].lstrip()
        assert after.startswith('"""'), f"{field.name} has no line of help"


def test_renders_frames_in_range_without_gradients(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    method = fresh(spec, scene).eval()
    frames = method.render(method.condition(scene.train, scene.bounds), scene.test.cameras)
    width, height = scene.test.cameras.common_size
    assert frames.rgb.shape == (2, height, width, 3)
    in_range(frames.rgb, 0, 1)
    if frames.depth is not None:
        assert frames.depth.shape == (2, height, width)
        in_range(frames.depth, 0, math.inf)
    if frames.opacity is not None:
        assert frames.opacity.shape == (2, height, width)
        in_range(frames.opacity, 0, 1)


def in_range(values: Tensor, low: float, high: float) -> None:
    assert values.dtype == torch.float32
    assert not values.requires_grad
    assert bool(values.isfinite().all())
    assert bool((values >= low).all())
    assert bool((values <= high).all())


def test_a_light_field_is_what_the_method_renders(spec: MethodSpec) -> None:
    if "onnx" not in spec.traits.exports:
        pytest.skip(f"{spec.title} is exported to no network")
    scene = ball_scene(spec)
    method = fresh(spec, scene).eval()
    state = method.condition(scene.train, scene.bounds)
    found = method.light_field(state).render(scene.test.cameras).rgb
    expected = method.render(state, scene.test.cameras).rgb
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter_and_are_finite(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    method = fresh(spec, scene)
    method.advance(0, STEPS)
    loss = method.loss(batch_of(spec, scene), 0, draws())
    assert loss.total.shape == ()
    assert all(part.shape == () and not part.requires_grad for part in loss.parts.values())
    loss.total.backward()
    groups = method.parameter_groups()
    for group in groups:
        gradients = [p.grad for p in group["params"]]
        reached = [g for g in gradients if g is not None]
        assert len(reached) == len(gradients) or method.idle_parameters
        assert all(bool(g.isfinite().all()) for g in reached)
        assert any(bool((g != 0).any()) for g in reached)
    grouped = {id(p) for group in groups for p in group["params"]}
    assert grouped == {id(p) for p in method.parameters() if p.requires_grad}


def test_loss_falls_on_a_batch_seen_again_and_again(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    losses = overfit(spec, fresh(spec, scene), batch_of(spec, scene))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5]), losses


def test_one_seed_gives_one_result(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    runs = [overfit(spec, fresh(spec, scene), batch_of(spec, scene))[:10] for _ in range(2)]
    assert runs[0] == runs[1]


class Failing(Sampler):
    """Another sampler's batches, up to a step."""

    def __init__(self, sampler: Sampler, last: int) -> None:
        self._sampler, self._last = sampler, last

    def batch(self, step: int, index: int = 0, count: int = 1) -> Batch:
        if step == self._last:
            raise RuntimeError
        return self._sampler.batch(step, index, count)


@pytest.mark.parametrize("crash", [9, 17])
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    spec: MethodSpec, crash: int, tmp_path: Path
) -> None:
    scene, preset = ball_scene(spec), spec.presets["tiny"]
    recipe = replace(preset.recipe, steps=24, ema=0.9)
    rhythm, accelerator = Rhythm(save=8), make_accelerator("cpu")
    options: dict[str, Any] = {"rhythm": rhythm, "accelerator": accelerator, "quiet": True}
    sampler = spec.sampler([scene], preset.config, recipe, 0)
    train(fresh(spec, scene), sampler, recipe, tmp_path / "straight", **options)
    with pytest.raises(RuntimeError):
        train(fresh(spec, scene), Failing(sampler, crash), recipe, tmp_path / "crashed", **options)
    train(fresh(spec, scene), sampler, recipe, tmp_path / "crashed", **options)
    one, other = (read_checkpoint(tmp_path / name) for name in ("straight", "crashed"))
    for part in ("model", "optimizer", "average"):
        first, second = getattr(one, part), getattr(other, part)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_costs_the_mean_of_its_halves(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    method = fresh(spec, scene)
    method.advance(0, STEPS)
    whole = method.loss(batch_of(spec, scene), 0, draws()).total
    halves = [method.loss(batch_of(spec, scene, i, 2), 0, draws(index=i, count=2)).total for i in range(2)]
    torch.testing.assert_close((halves[0] + halves[1]) / 2, whole, rtol=1e-4, atol=1e-6)


def test_saved_weights_render_the_same_frames(spec: MethodSpec) -> None:
    scene = ball_scene(spec)
    trained = fresh(spec, scene)
    overfit(spec, trained, batch_of(spec, scene))
    loaded = spec.build(spec.presets["tiny"].config, scene.bounds)
    loaded.restructure(json.loads(json.dumps(trained.structure())))
    loaded.load_state_dict(trained.state_dict())
    same_frames(spec, scene, trained, loaded, 0.0)


def test_chunks_do_not_change_the_result(spec: MethodSpec) -> None:
    if "chunk" not in {field.name for field in fields(spec.config)}:
        pytest.skip(f"{spec.title} has no option called chunk")
    scene = ball_scene(spec)
    small, large = fresh(spec, scene, chunk=37), fresh(spec, scene, chunk=10_000)
    same_frames(spec, scene, small, large, 1e-5)
