"""Where depths come from that DVR learns from: depth maps, sparse points, visual hulls; and which rays get them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from balls import SEARCH, Ball, chances, only, seen, towards
from torch import Tensor

from novelview.data.procedural import object_scene
from novelview.data.scene import Scene
from novelview.data.visual_hull import hull_depth, visual_hull
from novelview.errors import ConfigError, DataError, MethodError
from novelview.methods.discovery import find
from novelview.methods.dvr import KNOWN_SHARE
from novelview.methods.dvr.config import DVRConfig, GridsConfig, LossConfig
from novelview.methods.dvr.learning import learn
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.pairs import ShapePairs, pairs_of
from novelview.methods.dvr.presets import PRESETS, SINGLE_PRESETS
from novelview.methods.dvr.single import SingleConfig, SingleView
from novelview.random import Draws, generator_for
from novelview.training import fit
from novelview.types import ImageSource, RayBatch, Views


class OnlySparse(ImageSource):
    """Views without their depth maps, of which every 31st depth is that of a sparse point."""

    has_masks = has_sparse_depths = True

    def __init__(self, views: Views) -> None:
        self._views = views

    def image(self, index: int) -> Tensor:
        return self._views.image(index)

    def mask(self, index: int) -> Tensor:
        return self._views.mask(index)

    def sparse_depth(self, index: int) -> Tensor:
        depth = self._views.depth(index).flatten()
        every = torch.arange(len(depth)) % 31 == 0
        return torch.where(every, depth, 0.0).reshape(self._views.mask(index).shape)


def ball_scene() -> Scene:
    return object_scene("torus", views=4, size=32, test_every=0, supersample=1)


def sparse_scene() -> Scene:
    scene = ball_scene()
    return replace(scene, train=replace(scene.train, source=OnlySparse(scene.train)))


def bare_scene() -> Scene:
    scene = ball_scene()
    views = scene.train
    return replace(scene, train=Views.from_tensors(views.cameras, views.images(), masks=views.masks()))


def batch_of(scene: Scene, config: DVRConfig, rays: int = 400) -> RayBatch:
    spec = find("dvr")
    batch = spec.sampler([scene], config, replace(spec.preset("tiny").recipe, batch=rays), 0).batch(0)
    assert isinstance(batch, RayBatch)
    return batch


def with_losses(**weights: float) -> DVRConfig:
    return replace(PRESETS["tiny"].config, losses=only(**weights))


@pytest.mark.parametrize("change", [0.0, 1.0], ids=["rays", "patches"])
def test_a_share_of_a_batch_has_sparse_depths(change: float) -> None:
    batch = batch_of(sparse_scene(), with_losses(place=1.0, change=change))
    assert batch.depth is not None
    group = 4 if change else 1
    known = (batch.depth.reshape(-1, group) > 0).any(dim=-1)
    every = round(1 / KNOWN_SHARE)
    assert bool(known[every - 1 :: every].all())
    # Elsewhere few pixels have one, and patches a few more.
    assert float(known[::every].float().mean()) < 0.2
    # Each is the depth of its ray.
    scene = ball_scene()
    for i in torch.nonzero(batch.depth > 0)[:20, 0].tolist():
        view = int(batch.view[i])
        place = batch.rays.origins[i] + batch.depth[i] * batch.rays.directions[i]
        pixels, _ = scene.train.cameras[view].project(place[None])
        column, row = pixels[0, 0].floor().long().tolist()
        assert float(batch.depth[i]) == pytest.approx(float(scene.train.depth(view)[row, column]), rel=1e-5)


@pytest.mark.parametrize("preset", ["multi-view-sfm", "multi-view-depth"])
def test_published_presets_take_sparse_depths_in_patches(preset: str) -> None:
    config = PRESETS[preset].config
    assert (config.form, config.losses.place, config.losses.depth) == ("decoder", 1.0, 0.0)
    batch = batch_of(sparse_scene(), config)
    assert batch.depth is not None
    assert float((batch.depth > 0).float().mean()) > KNOWN_SHARE / 4


class BothDepths(OnlySparse):
    """The same views with their depth maps."""

    has_depths = True

    def depth(self, index: int) -> Tensor:
        return self._views.depth(index)


@pytest.mark.parametrize("key_points", [False, True])
def test_depth_maps_go_before_sparse_points_unless_these_are_asked_for(key_points: bool) -> None:
    scene = ball_scene()
    scene = replace(scene, train=replace(scene.train, source=BothDepths(scene.train)))
    batch = batch_of(scene, replace(with_losses(place=1.0), key_points=key_points))
    assert batch.depth is not None
    assert batch.mask is not None
    known = (batch.depth > 0).float()[batch.mask == 1]
    assert bool((known == 1).all()) is not key_points


def test_depths_are_learnt_from_only_where_they_are_asked_for() -> None:
    batch = batch_of(sparse_scene(), with_losses(colour=1.0))
    assert batch.depth is None
    assert torch.equal(batch.rgb, batch_of(bare_scene(), with_losses(colour=1.0)).rgb)


def test_depth_maps_are_drawn_from_as_ever() -> None:
    """Random pixels meet them often enough."""
    scene = ball_scene()
    drawn = batch_of(scene, with_losses(place=1.0))
    assert torch.equal(drawn.rgb, batch_of(scene, with_losses(colour=1.0)).rgb)


@pytest.mark.parametrize("weights", [{"depth": 2.0}, {"place": 1.0}, {"place": 1.0, "change": 1.0}])
def test_without_any_depths_the_cure_is_named(weights: dict[str, float]) -> None:
    with pytest.raises(MethodError, match="no depths to learn from: torus") as caught:
        batch_of(bare_scene(), with_losses(**weights))
    assert f"losses.depth is {weights.get('depth', 0):g}" in (caught.value.why or "")
    assert f"losses.place {weights.get('place', 0):g}" in (caught.value.why or "")
    assert "--preset multi-view" in (caught.value.cure or "")


def test_what_is_refused_leaves_no_run(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="no depths to learn from"):
        fit("dvr", bare_scene(), config=with_losses(place=1.0), out=tmp_path / "run", quiet=True)
    assert not list(tmp_path.iterdir())


def test_sparse_depths_teach_the_shape() -> None:
    """From a ball to a torus, by sparse depths alone, at the places that rays meet already."""
    config = replace(
        with_losses(place=1.0), grids=GridsConfig(resolutions=(8, 16), features=2, width=8, open_until=0.0)
    )
    scene = sparse_scene()
    method = DVR(config, scene.bounds)
    method.advance(1, 1)
    optimiser = torch.optim.Adam(method.parameters(), 1e-2)
    spec = find("dvr")
    sampler = spec.sampler([scene], config, replace(spec.preset("tiny").recipe, batch=256), 0)
    costs = []
    for step in range(60):
        loss = method.loss(sampler.batch(step), step, Draws(generator_for(0, step)))
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        costs.append(float(loss.total.detach()))
    assert sum(costs[-10:]) < 0.5 * sum(costs[:10])


def test_points_that_ought_to_lie_inside_are_on_the_hull_where_there_is_one() -> None:
    """The second ray misses the ball, and the hull is not known on the third."""
    rays, ball, chance = towards([(0.0, 0.0), (0.4, 0.0), (0.4, 0.4)]), Ball(), chances(3)
    pixels = replace(seen(rays, [1.0] * 3), hull=torch.tensor([0.6, 0.8, 0.0]))
    found = []
    for known in (pixels, replace(pixels, depth=torch.tensor([0.0, 0.7, 0.9]))):
        learn(ball, known, chance, SEARCH, only(filled=1.0), samples=64, sharpness=1.0)
        found.append(ball.asked[-1])
        expected = torch.tensor([[0.4, 0.0, -0.2], [0.4, 0.4, -0.5 + float(chance.filled[2])]])
        torch.testing.assert_close(ball.asked[-1], expected)
    # True depths go first, where these are learnt from.
    learn(ball, known, chance, SEARCH, only(filled=1.0, depth=1.0), samples=64, sharpness=1.0)
    torch.testing.assert_close(ball.asked[-1][:, 2], torch.tensor([-0.3, -0.1]))


def test_the_view_to_predict_has_the_depth_of_the_hull() -> None:
    scene = bare_scene()
    lower, upper = torch.tensor(scene.bounds.box_min), torch.tensor(scene.bounds.box_max)
    hull = visual_hull(scene.train, lower, upper, 64, agreement=1.0)
    plain, with_hull = pairs_of(scene, 3), pairs_of(scene, 3, hull=True)
    for index in range(4):
        sample, same = with_hull(index), plain(index)
        assert (sample.sources.names, sample.targets.names) == (same.sources.names, same.targets.names)
        assert torch.equal(sample.targets.image(0), same.targets.image(0))
        assert torch.equal(sample.targets.mask(0), same.targets.mask(0))
        assert not sample.sources.has_depths
        assert not same.targets.has_depths
        assert torch.equal(sample.targets.depth(0), hull_depth(hull, sample.targets.cameras))
    # It is not behind what it encloses, but for pixels at outlines and the hull's cells.
    view = scene.train.names.index(sample.targets.names[0])
    true, found = ball_scene().train.depth(view), sample.targets.depth(0)
    both = (true > 0) & (found > 0)
    assert float(both.sum()) > 0.8 * float((true > 0).sum())
    assert float((found <= true + 0.03)[both].float().mean()) > 0.95


def test_hulls_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(*arguments: object, **options: object) -> object:
        made.append(arguments)
        return visual_hull(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("novelview.methods.dvr.pairs.visual_hull", counted)
    shapes = ShapePairs(2, 16, 0, hull=True)
    assert not made
    samples = [shapes.item(index) for index in range(12)]
    assert len(made) == 2
    again = shapes.item(5)
    assert torch.equal(again.targets.depth(0), samples[5].targets.depth(0))
    assert len({id(sample.targets.depth(0)) for sample in (again, samples[5])}) == 1


def test_masks_that_leave_nothing_are_told_where_samples_are_made() -> None:
    scene = bare_scene()
    masks = scene.train.masks().clone()
    masks[1] = 0
    empty = Views.from_tensors(scene.train.cameras, scene.train.images(), masks=masks)
    with pytest.raises(DataError, match="leave nothing of the object"):
        pairs_of(replace(scene, train=empty), 0, hull=True)(0)


def test_the_hull_is_used_by_the_preset_of_colours_and_by_no_other() -> None:
    assert {name for name, preset in SINGLE_PRESETS.items() if preset.config.hull} == {"rgb"}
    with pytest.raises(ConfigError, match="learnt without depth") as caught:
        SingleConfig(hull=True, losses=LossConfig(change=0.0, depth=1.0))
    assert "hull to False" in (caught.value.cure or "")


def test_a_model_of_many_shapes_learns_from_hulls() -> None:
    """Their depth moves the points that ought to lie inside, and is not learnt as a depth."""
    spec = find("dvr-single")
    config = replace(SINGLE_PRESETS["tiny"].config, hull=True, losses=only(filled=1.0))
    recipe = replace(spec.preset("tiny").recipe, batch=2)
    samples = spec.sampler([bare_scene()], config, recipe, 0).batch(0)
    assert all(sample.targets.has_depths for sample in samples)
    torch.manual_seed(0)
    method = SingleView(config)
    # Nothing is inside, so that every ray onto the object misses it; still, the field is not the same everywhere.
    torch.nn.init.normal_(method.decoder.fc_out.weight)
    torch.nn.init.constant_(method.decoder.fc_out.bias, -100.0)
    costs = []
    for hull in (True, False):
        method.config = replace(config, hull=hull)
        loss = method.loss(samples, 0, Draws(generator_for(0)))
        assert set(loss.parts) == {"filled"}
        costs.append(float(loss.total.detach()))
    assert costs[0] != costs[1]
