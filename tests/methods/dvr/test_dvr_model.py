"""DVR as a method: options, pictures of a known shape, its surface in the scene, and what training steps share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from balls import Ball, only

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import object_scene
from novelview.data.samplers import RaySampler
from novelview.data.tiles import TileSampler
from novelview.errors import ConfigError, DataError, MethodError
from novelview.geometry.rays import intersect_sphere
from novelview.geometry.rigid import look_at
from novelview.mesh.make import mesh_of
from novelview.methods.discovery import find
from novelview.methods.dvr import pictures
from novelview.methods.dvr.config import DecoderConfig, DVRConfig, GridsConfig, LossConfig, SearchConfig
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.grids import Grids
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.presets import PRESETS, SINGLE_PRESETS
from novelview.methods.dvr.shape import GREY, Decoded
from novelview.methods.dvr.single import SingleConfig, SingleView
from novelview.random import Draws, generator_for
from novelview.types import Bounds, RayBatch, Sample, Views

CENTRE, EDGE = (3.0, -1.0, 2.0), 4.0
BOUNDS = Bounds(
    near=2.0,
    far=12.0,
    box_min=(1.0, -2.0, 1.5),
    box_max=(5.0, 0.0, 2.5),
    unbounded=False,
    background=(0.1, 0.2, 0.3),
)
TINY: DVRConfig = PRESETS["tiny"].config
RADIUS = 0.3


@pytest.fixture
def method() -> DVR:
    """A ball in a scene whose box is neither a cube nor around the origin."""
    made = DVR(replace(TINY, search=SearchConfig(render_samples=96)), BOUNDS)
    made.shape = Ball(RADIUS)
    return made


@pytest.fixture
def cameras() -> Cameras:
    """Two, of which one does not look at the middle."""
    eyes, aims = torch.tensor([[3.0, -8.0, 4.0], [-3.0, -1.0, 2.0]]), torch.tensor([CENTRE, (3.0, -0.2, 2.5)])
    poses = look_at(eyes, aims, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3))
    return Cameras.pinhole(poses, torch.tensor([60.0, 60.0, 20.0, 16.0]), 40, 32)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: DecoderConfig(width=0), "decoder.width"),
        (lambda: DecoderConfig(blocks=-1), "decoder.blocks"),
        (lambda: GridsConfig(resolutions=()), "grids.resolutions"),
        (lambda: GridsConfig(resolutions=(16, 1)), "grids.resolutions"),
        (lambda: GridsConfig(features=0), "grids.features"),
        (lambda: GridsConfig(radius=0.5), "grids.radius"),
        (lambda: GridsConfig(open_until=1.5), "grids.open_until"),
        (lambda: SearchConfig(samples=(1,), sample_steps=()), "search.samples"),
        (lambda: SearchConfig(render_samples=1), "search.samples"),
        (lambda: SearchConfig(samples=()), "search.samples"),
        (lambda: SearchConfig(samples=(8, 16), sample_steps=()), "search.sample_steps"),
        (lambda: SearchConfig(samples=(8, 16, 32), sample_steps=(5, 3)), "search.sample_steps"),
        (lambda: SearchConfig(iterations=-1), "search.iterations"),
        (lambda: SearchConfig(padding=-0.1), "search.padding"),
        (lambda: SearchConfig(floor=0.0), "search.floor"),
        (lambda: LossConfig(mask=-1.0), "losses.mask"),
        (lambda: LossConfig(normal_step=0.0), "losses.normal_step"),
        (lambda: LossConfig(sharpness=(0.0, 1.0)), "losses.sharpness"),
        (lambda: DVRConfig(decoder=DecoderConfig(coloured=False)), "decoder.coloured"),
        (lambda: SingleConfig(decoder=DecoderConfig(coloured=False)), "decoder.coloured"),
        (lambda: SingleConfig(losses=LossConfig()), "losses.change"),
        (lambda: SingleConfig(pixels=0), "pixels"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")) as caught:
        make()
    assert caught.value.cure


def test_samples_grow_with_the_steps() -> None:
    search = SearchConfig()
    steps = (0, 49_999, 50_000, 100_000, 250_000, 10**9)
    assert [search.samples_at(step) for step in steps] == [16, 16, 32, 64, 128, 128]


def test_sharpness_grows_evenly_in_its_logarithm() -> None:
    losses = LossConfig(sharpness=(10.0, 1000.0))
    assert [losses.sharpness_at(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([10, 100, 1000])


def test_a_known_shape_is_drawn_where_it_is(method: DVR, cameras: Cameras) -> None:
    """Depth is along z in the scene's unit, colour that of the place, and beside the shape is the background."""
    frames = method.render(None, cameras)
    assert frames.depth is not None
    assert frames.opacity is not None
    for i in range(2):
        rays = cameras[i].rays().reshape(-1)
        centre = torch.tensor(CENTRE)
        depth, _ = intersect_sphere(rays, centre, RADIUS * EDGE)
        inner, _ = intersect_sphere(rays, centre, RADIUS * EDGE * 0.97)
        outer, _ = intersect_sphere(rays, centre, RADIUS * EDGE * 1.03)
        hit, missed = inner.isfinite(), outer.isnan()
        assert int(hit.sum()) > 100
        assert int(missed.sum()) > 100
        found = frames.depth[i].reshape(-1)
        torch.testing.assert_close(found[hit], depth[hit], atol=1e-4, rtol=0)
        assert torch.equal(found[missed], torch.zeros_like(found[missed]))
        assert torch.equal(frames.opacity[i].reshape(-1)[hit | missed], hit[hit | missed].float())
        places = (rays.point(depth) - centre) / EDGE
        rgb = frames.rgb[i].reshape(-1, 3)
        torch.testing.assert_close(rgb[hit], (0.5 * (0.5 + places))[hit], atol=1e-4, rtol=0)
        assert BOUNDS.background is not None
        background = torch.tensor(BOUNDS.background)
        torch.testing.assert_close(rgb[missed], background.expand_as(rgb[missed]))


def test_depth_is_along_z_and_not_along_the_ray(method: DVR) -> None:
    """At a pixel far from the middle the two differ by a third."""
    pose = look_at(
        torch.tensor([[3.0, -11.0, 2.0]]), torch.tensor([[12.0, -1.0, 2.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    )
    camera = Cameras.pinhole(pose, torch.tensor([20.0, 20.0, 20.0, 20.0]), 40, 40)
    depth = method.render(None, camera).depth
    assert depth is not None
    y, x = divmod(int(torch.where(depth[0] > 0, depth[0], torch.inf).argmin()), 40)
    ray = camera.rays().reshape(40, 40)[y, x]
    place = ray.at(depth[0, y, x][None])[0]
    assert float((place - torch.tensor(CENTRE)).norm()) == pytest.approx(RADIUS * EDGE, abs=1e-4)
    assert float(ray.directions.norm()) > 1.2


def test_without_a_background_it_is_white(cameras: Cameras) -> None:
    method = DVR(TINY, replace(BOUNDS, background=None))
    method.shape = Ball(0.01)
    assert torch.equal(method.render(None, cameras).rgb[0, 0, 0], torch.ones(3))


def test_chunks_do_not_change_the_result(
    method: DVR, cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = method.render(None, cameras)
    monkeypatch.setattr(pictures, "RAYS_AT_ONCE", {"cpu": 37, "cuda": 37})
    parts = method.render(None, cameras)
    torch.testing.assert_close(parts.rgb, whole.rgb)
    torch.testing.assert_close(parts.depth, whole.depth)


def test_the_surface_is_where_pictures_show_it(method: DVR, cameras: Cameras) -> None:
    frames, surface = method.render(None, cameras), method.surface(None)
    assert frames.depth is not None
    depth, rays = frames.depth.reshape(-1), cameras.rays().reshape(-1)
    hit = torch.nonzero(depth)[:, 0]
    points = rays[hit].point(depth[hit])
    assert float(surface.field(points).detach().abs().max()) < 1e-4
    torch.testing.assert_close(surface.colours(points), frames.rgb.reshape(-1, 3)[hit], atol=1e-4, rtol=0)
    # A distance stays one, in scene units.
    deeper = torch.tensor([CENTRE]) + torch.tensor([[0.0, 0.5, 0.0]])
    assert float(surface.field(deeper).detach()) == pytest.approx(RADIUS * EDGE - 0.5, abs=1e-5)
    assert surface.lower == pytest.approx([value - 0.55 * EDGE for value in CENTRE])
    assert surface.upper == pytest.approx([value + 0.55 * EDGE for value in CENTRE])


def test_a_mesh_of_the_surface_is_the_ball(method: DVR) -> None:
    pytest.importorskip("skimage", reason="needs the extra mesh")
    mesh = mesh_of(method.surface(None), resolution=32)
    assert mesh.is_watertight
    away = (mesh.vertices - torch.tensor(CENTRE)).norm(dim=-1)
    torch.testing.assert_close(away, torch.full_like(away, RADIUS * EDGE), atol=1e-3, rtol=0)


def test_grids_open_one_after_the_other() -> None:
    config = replace(TINY, grids=GridsConfig(resolutions=(4, 8, 16), features=2, width=8, open_until=0.5))
    method = DVR(config, BOUNDS)
    assert isinstance(method.shape, Grids)
    grids = method.shape
    found = []
    for step in (0, 25, 50, 99):
        assert not method.advance(step, 100)
        found.append((grids.geometry.open, grids.appearance.open))
    assert found == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (3.0, 3.0)]


def test_closed_grids_do_not_count() -> None:
    config = replace(TINY, grids=GridsConfig(resolutions=(4, 8), features=2, width=8))
    grids = DVR(config, BOUNDS).shape
    assert isinstance(grids, Grids)
    torch.nn.init.normal_(grids.distance[-1].weight)
    points = torch.rand(5, 3) - 0.5
    grids.advance(0.0)
    before = grids.field(points)
    torch.nn.init.normal_(grids.geometry.tables[1])
    torch.testing.assert_close(grids.field(points), before)
    grids.advance(0.25)
    assert not torch.allclose(grids.field(points), before)


def test_grids_are_a_ball_at_first() -> None:
    grids = Grids(GridsConfig(resolutions=(4,), radius=0.3), 0.55)
    points = torch.tensor([[0.0, 0.0, 0.3], [0.1, 0.0, 0.0], [0.4, 0.0, 0.3]])
    expected = torch.tensor([0.0, 0.2, -0.2])
    torch.testing.assert_close(grids.field(points), expected, atol=1e-4, rtol=0)


def test_a_shape_without_colours_is_grey() -> None:
    points = torch.rand(4, 3)
    shape = Decoded(Decoder(8, 1, channels=1))
    assert shape.field(points).shape == (4,)
    assert torch.equal(shape.colour(points, points), torch.full((4, 3), GREY))


def test_batches_come_in_patches_where_changes_of_colour_are_learnt() -> None:
    scene, spec = object_scene("torus", views=3, size=16, test_every=0, supersample=1), find("dvr")
    for change, kind in ((1.0, TileSampler), (0.0, RaySampler)):
        config = replace(TINY, losses=only(colour=1.0, change=change))
        assert isinstance(spec.sampler([scene], config, PRESETS["tiny"].recipe, 0), kind)


def batch_of(config: DVRConfig) -> RayBatch:
    scene = object_scene("ball-and-box", views=3, size=24, test_every=0, supersample=1)
    batch = find("dvr").sampler([scene], config, PRESETS["tiny"].recipe, 0).batch(0)
    assert isinstance(batch, RayBatch)
    return batch


def test_slices_of_a_batch_add_up() -> None:
    unit = replace(BOUNDS, box_min=(-0.5,) * 3, box_max=(0.5,) * 3)
    method, batch = DVR(TINY, unit), batch_of(TINY)
    whole = method.loss(batch, 0, Draws(generator_for(0)))
    half = len(batch) // 2
    parts = [
        method.loss(batch[slice(i * half, (i + 1) * half)], 0, Draws(generator_for(0), i, 2)) for i in (0, 1)
    ]
    torch.testing.assert_close((parts[0].total + parts[1].total) / 2, whole.total)
    torch.testing.assert_close(torch.stack(list(whole.parts.values())).sum(), whole.total.detach())


def test_views_without_masks_are_refused() -> None:
    batch = replace(batch_of(TINY), mask=None)
    with pytest.raises(MethodError, match="masks") as caught:
        DVR(TINY, BOUNDS).loss(batch, 0, Draws(generator_for(0)))
    assert caught.value.cure


def test_one_object_needs_its_bounds() -> None:
    with pytest.raises(MethodError, match="bounds"):
        find("dvr").build(TINY, None)


SMALL: SingleConfig = SINGLE_PRESETS["tiny"].config


def single_sample() -> Sample:
    scene = object_scene("torus", views=3, size=24, test_every=0, supersample=1)
    return Sample(scene.train[:1], scene.train[1:2], scene.bounds)


def test_a_photograph_makes_the_code(cameras: Cameras) -> None:
    """Only the first one is looked at, and the shape lies in the cube around the bounds."""
    method, scene = SingleView(SMALL).eval(), object_scene("torus", views=3, size=24, test_every=0)
    known = method.condition(scene.train, BOUNDS)
    assert torch.equal(known.code, method.condition(scene.train[:1], BOUNDS).code)
    assert not torch.equal(known.code, method.condition(scene.train[1:], BOUNDS).code)
    assert known.cube.centre == pytest.approx(CENTRE)
    assert known.cube.scale == pytest.approx(1 / EDGE)
    assert method.render(known, cameras).rgb.shape == (2, 32, 40, 3)
    assert method.surface(known).lower == pytest.approx([value - 0.55 * EDGE for value in CENTRE])


def test_shapes_may_stand_in_the_unit_cube() -> None:
    method, sample = SingleView(replace(SMALL, unit_cube=True)).eval(), single_sample()
    known = method.condition(sample.sources, BOUNDS)
    assert (known.cube.centre, known.cube.scale) == ((0.0, 0.0, 0.0), 1.0)
    assert known.cube.background == BOUNDS.background
    # Training looks there, too: bounds say nothing but the background.
    losses = [
        float(method.loss((replace(sample, bounds=bounds),), 0, Draws(generator_for(0))).total.detach())
        for bounds in (BOUNDS, sample.bounds)
    ]
    assert losses[0] == losses[1]


def test_slices_of_samples_add_up() -> None:
    method, sample = SingleView(SMALL), single_sample()
    whole = method.loss((sample, sample), 0, Draws(generator_for(0)))
    parts = [method.loss((sample,), 0, Draws(generator_for(0), i, 2)) for i in (0, 1)]
    torch.testing.assert_close((parts[0].total + parts[1].total) / 2, whole.total)


def test_a_batch_that_is_normalised_as_a_whole_is_not_cut() -> None:
    method = SingleView(replace(SMALL, batch_norm=True))
    with pytest.raises(ConfigError, match="batch_norm"):
        method.loss((single_sample(),), 0, Draws(generator_for(0), 0, 2))


def test_samples_without_masks_are_refused() -> None:
    sample = single_sample()
    bare = Views.from_tensors(sample.targets.cameras, sample.targets.images())
    with pytest.raises(DataError, match="masks") as caught:
        SingleView(SMALL).loss((replace(sample, targets=bare),), 0, Draws(generator_for(0)))
    assert caught.value.cure


def test_without_captures_shapes_are_learnt_from_and_not_the_one_that_is_watched() -> None:
    spec = find("dvr-single")
    config, scene = spec.preset("tiny").config, spec.watched()
    samples = spec.sampler([scene], config, replace(spec.preset("tiny").recipe, batch=4), 0).batch(0)
    assert {int(sample.targets.cameras.sizes[0, 0]) for sample in samples} == {config.train_size}
    assert not any(sample.bounds == scene.bounds for sample in samples)
