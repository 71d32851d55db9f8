"""Scenes, streams and captures are a function of their seed, and say truly what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.data.procedural import FAMILIES, ProceduralStream, demo_scene, make_scene, write_capture
from novelview.data.procedural.families import make_stage
from novelview.data.procedural.render import render
from novelview.data.procedural.scenes import stage_cameras
from novelview.data.procedural.write import DEPTH_UNIT
from novelview.errors import ConfigError, OutputError


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_seed_is_a_scene(family: str) -> None:
    first = make_scene(family, 5, views=4, size=24)
    again = make_scene(**first.origin["procedural"])
    other = make_scene(family, 6, views=4, size=24)
    assert torch.equal(first.train.images(), again.train.images())
    assert torch.equal(first.train.depths(), again.train.depths())
    assert torch.equal(first.test.cameras.camera_to_world, again.test.cameras.camera_to_world)
    assert first.bounds == again.bounds
    assert not torch.equal(first.train.images(), other.train.images())
    assert set(first.train.names).isdisjoint(first.test.names)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(12))
def test_bounds_hold_what_is_seen(family: str, seed: int) -> None:
    stage = make_stage(family, seed)
    cameras = stage_cameras(stage, 16, 24, seed)
    depths, bounds = render(stage.world, cameras).depth, stage.bounds
    seen = depths[depths > 0]
    assert seen.numel() > 0.02 * depths.numel()
    if not stage.masked:
        assert seen.numel() == depths.numel(), "a ray escapes"
    assert bounds.near < float(seen.min())
    assert float(seen.max()) < bounds.far
    rays = cameras.rays()
    points = (rays.origins + depths[..., None] * rays.directions)[depths > 0]
    assert bool((points >= torch.tensor(bounds.box_min) - 1e-3).all())
    assert bool((points <= torch.tensor(bounds.box_max) + 1e-3).all())


@pytest.mark.parametrize("family", ["object", "table", "room"])
def test_no_camera_stands_inside_a_thing(family: str) -> None:
    for seed in range(20):
        stage = make_stage(family, seed)
        solids = stage.world.solids[stage.world.solids.radius.isfinite()]
        centres = stage_cameras(stage, 24, 8, seed).centres
        local = torch.einsum("kji,vkj->vki", solids.rotation, centres[:, None] - solids.centre) / solids.scale
        assert float(local.abs().amax(-1).min()) > 1, seed


def test_scenes_of_a_family_differ_in_what_they_show() -> None:
    for family in FAMILIES:
        stages = [make_stage(family, seed) for seed in range(24)]
        assert len({len(stage.world.solids) for stage in stages}) >= 4
        assert len({int(p) for stage in stages for p in stage.world.textures.pattern}) == 8
        assert len({int(s) for stage in stages for s in stage.world.solids.shape}) >= 5
        views = torch.tensor([stage.field_of_view for stage in stages])
        assert float(views.max() - views.min()) > 10


def test_the_stream_is_stateless_and_has_what_was_asked_for() -> None:
    stream = ProceduralStream(families=("object", "forward"), size=16, sources=3, targets=2)
    sample = stream.item(7)
    other = stream.item(8)
    again = ProceduralStream(families=("object", "forward"), size=16, sources=3, targets=2).item(7)
    assert torch.equal(sample.sources.images(), again.sources.images())
    assert torch.equal(sample.targets.depths(), again.targets.depths())
    assert sample.bounds == again.bounds
    assert (len(sample.sources), len(sample.targets)) == (3, 2)
    assert sample.sources.has_depths
    assert set(sample.sources.names).isdisjoint(sample.targets.names)
    assert not torch.equal(other.sources.images(), sample.sources.images())
    elsewhere = ProceduralStream(families=("object", "forward"), seed=1, size=16, sources=3, targets=2).item(
        7
    )
    assert not torch.equal(elsewhere.sources.images(), sample.sources.images())


def test_a_family_named_more_often_comes_more_often() -> None:
    stream = ProceduralStream(families=("object", "room", "room", "room"), size=1, sources=1, targets=1)
    masked = [stream.item(i).sources.has_masks for i in range(40)]
    assert 2 <= sum(masked) <= 20


def test_neighbouring_views_of_the_stream_overlap() -> None:
    # Of what a target shows, the sources must have seen most, or there is nothing to learn.
    for family in FAMILIES:
        shares = []
        for i in range(8):
            sample = ProceduralStream(families=(family,), seed=3, size=32).item(i)
            target = sample.targets
            rays, depth = target.cameras.rays()[0].reshape(-1), target.depth(0).reshape(-1)
            points = (rays.origins + depth[:, None] * rays.directions)[depth > 0]
            covered = torch.zeros(len(points), dtype=torch.bool)
            for j in range(len(sample.sources)):
                pixels, z = sample.sources.cameras[j].project(points)
                framed = (pixels[0] >= 0).all(1) & (pixels[0] < 32).all(1) & (z[0] > 0)
                x, y = pixels[0].clamp(0, 31).long().unbind(-1)
                covered |= framed & ((sample.sources.depth(j)[y, x] / z[0] - 1).abs() < 0.05)
            shares.append(float(covered.float().mean()))
        assert sum(shares) / len(shares) > 0.6, (family, shares)


@pytest.mark.parametrize("family", ["table", "room"])
def test_cameras_of_a_stream_that_reaches_farther_stand_farther_apart(family: str) -> None:
    def extent(reach: float) -> float:
        samples = [
            ProceduralStream((family,), seed=5, size=1, sources=6, reach=reach).item(i) for i in range(12)
        ]
        return sum(float(torch.pdist(each.sources.cameras.centres).mean()) for each in samples)

    assert extent(2.0) > 1.3 * extent(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ProceduralStream(reach=0.5),
        lambda: make_scene("objects", 0),
        lambda: make_scene("object", 0, views=1),
        lambda: make_scene("object", 0, test_every=1),
        lambda: ProceduralStream(families=("objects",)),
        lambda: ProceduralStream(families=()),
        lambda: ProceduralStream(targets=0),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_cure(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="cure: "):
        call()


def test_the_demo_scene_has_training_and_held_out_views() -> None:
    scene = demo_scene(size=12)
    assert (len(scene.train), len(scene.test)) == (80, 11)
    assert scene.bounds.background == (1.0, 1.0, 1.0)
    assert torch.equal(make_scene(**scene.origin["procedural"]).test.images(), scene.test.images())


@pytest.mark.parametrize("family", ["table", "forward"])
def test_a_written_scene_reads_back_as_it_was(tmp_path: Path, family: str) -> None:
    folder = write_capture(tmp_path / "scene", family, 3, views=10, size=20)
    scene = make_scene(family, 3, views=10, size=20)
    read = open_scene(folder)
    assert (len(read.train), len(read.test)) == (len(scene.train), len(scene.test))
    assert read.train.has_masks == scene.train.has_masks
    assert read.train.has_depths
    for part, original in ((read.train, scene.train), (read.test, scene.test)):
        # Pixels were rounded to 8 bits twice (file, masked), depths to the unit; the scene may have been scaled.
        tolerance = 1.01 / 255
        torch.testing.assert_close(part.images(), original.images(), atol=tolerance, rtol=0)
        depth = part.depths() * read.to_input.scale
        torch.testing.assert_close(depth, original.depths(), atol=0.51 * DEPTH_UNIT, rtol=1e-5)
        poses = read.to_input.poses(part.cameras.camera_to_world)
        torch.testing.assert_close(poses, original.cameras.camera_to_world, atol=2e-5, rtol=0)
        torch.testing.assert_close(part.cameras.intrinsics, original.cameras.intrinsics)


def test_depth_files_are_16_bits_of_the_stated_unit(tmp_path: Path) -> None:
    folder = write_capture(tmp_path / "scene", "object", 3, views=5, size=20)
    document = json.loads((folder / "transforms.json").read_text())
    assert document["depth_unit_scale_factor"] == DEPTH_UNIT
    frame = document["frames"][0]
    stored = np.array(Image.open(folder / frame["depth_file_path"]))
    assert stored.dtype == np.uint16
    scene = make_scene("object", 3, views=5, size=20)
    assert np.abs(stored * DEPTH_UNIT - scene.train.depth(0).numpy()).max() <= 0.51 * DEPTH_UNIT
    capture = read_capture(folder)
    assert all(files.mask is not None and files.depth is not None for files in capture.files)


def test_a_folder_with_something_in_it_is_left_alone_unless_told(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        write_capture(tmp_path, "object", 3, views=2, size=4)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    write_capture(tmp_path, "object", 3, views=2, size=4, overwrite=True)
    assert (tmp_path / "transforms.json").is_file()
    assert not (tmp_path / "mine.txt").exists()
    assert not [p for p in tmp_path.parent.iterdir() if p.name.startswith(".tmp")]
