"""Streams and scenes of described objects are determined by what they are asked for, and show it."""

from __future__ import annotations

import json

import pytest
import torch

from novelview.data.procedural import DescribedStream, described_scene
from novelview.data.procedural.described import describe
from novelview.data.procedural.described_stream import BOUNDS, DISTANCES, ELEVATIONS, described_cameras
from novelview.errors import ConfigError

SMALL = {"objects": 3, "size": 16, "frames": 3, "pool_views": 5}


def test_items_depend_on_seed_and_index_alone() -> None:
    one, other = DescribedStream(seed=4, **SMALL), DescribedStream(seed=4, **SMALL)
    for index in (3, 0, 7):
        one.item(index)
    for index in range(4):
        first, again = one.item(index), other.item(index)
        assert first.caption == again.caption
        assert torch.equal(first.sources.images(), again.sources.images())
        assert torch.equal(first.targets.cameras.camera_to_world, again.targets.cameras.camera_to_world)


def test_other_seeds_have_other_objects() -> None:
    said = [{DescribedStream(seed=seed, **SMALL).item(i).caption for i in range(8)} for seed in (0, 1)]
    assert said[0].isdisjoint(said[1])


def test_pools_are_finite_and_samples_differ() -> None:
    stream = DescribedStream(**SMALL)
    samples = [stream.item(i) for i in range(30)]
    assert len({describe(sample.caption) for sample in samples}) == 3
    assert len({sample.caption for sample in samples}) > 3
    orders = {(*sample.sources.names, *sample.targets.names) for sample in samples}
    assert len({order[0] for order in orders}) == 5
    assert all(len(set(order)) == 3 for order in orders)


def test_samples_show_an_object_before_white() -> None:
    sample = DescribedStream(**SMALL).item(0)
    assert (len(sample.sources), len(sample.targets)) == (2, 1)
    assert sample.bounds == BOUNDS
    images, masks = sample.sources.images(), sample.sources.masks()
    assert float(images[masks == 0].min()) == 1.0
    assert 0.02 < float(masks.mean()) < 0.6


def test_no_camera_cuts_an_object_off() -> None:
    stream = DescribedStream(objects=40, size=24, frames=2, pool_views=4)
    for index in range(60):
        masks = stream.item(index).sources.masks()
        edges = torch.cat([masks[:, [0, -1]].flatten(), masks[:, :, [0, -1]].flatten()])
        assert float(edges.max()) == 0.0


def test_cameras_stand_where_they_should() -> None:
    elevations, rings = [], 0
    for seed in range(60):
        cameras = described_cameras(6, 16, torch.Generator().manual_seed(seed))
        away = cameras.centres.norm(dim=-1)
        assert DISTANCES[0] - 1e-5 <= float(away.min()) <= float(away.max()) <= DISTANCES[1] + 1e-5
        pixels, _ = cameras.project(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.2]]))
        torch.testing.assert_close(pixels[:, 0], torch.full((6, 2), 8.0))
        assert bool((pixels[:, 1, 1] < 8).all())
        angles = (cameras.centres[:, 2] / away).asin().rad2deg()
        rings += float(angles.std()) < 1e-3
        elevations.append(angles)
    spread = torch.cat(elevations)
    assert ELEVATIONS[0] - 1e-3 <= float(spread.min()) < ELEVATIONS[0] + 5
    assert ELEVATIONS[1] - 5 < float(spread.max()) <= ELEVATIONS[1] + 1e-3
    assert 15 < rings < 45


def test_origins_make_the_same_scene_again() -> None:
    scene = described_scene("a green ball on a yellow box", 2, views=5, size=16, test_every=4)
    again = described_scene(**json.loads(json.dumps(scene.origin))["procedural_description"])
    assert torch.equal(scene.train.images(), again.train.images())
    assert scene.procedural


def test_scenes_have_captions_and_exact_depths() -> None:
    scene = described_scene("a red torus", views=5, size=24, test_every=4)
    assert scene.captions == ("a red torus",)
    assert (len(scene.train), len(scene.test)) == (4, 1)
    depths, masks = scene.train.depths(), scene.train.masks()
    assert BOUNDS.near < float(depths[depths > 0].min())
    assert float(depths.max()) < BOUNDS.far
    assert bool((depths[masks == 1] > 0).all())


def test_what_cannot_be_made_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        described_scene("a teapot")
    with pytest.raises(ConfigError, match="test_every 1"):
        described_scene("a red ball", test_every=1)
    with pytest.raises(ConfigError, match="frames 1,"):
        DescribedStream(frames=1)
