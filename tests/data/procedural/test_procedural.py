"""Procedural scenes are exact, consistent across views, and a function of their seed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from novelview.data.formats import read_capture
from novelview.data.procedural import FAMILIES, ProceduralStream, demo_scene, make_scene, write_capture
from novelview.data.procedural.families import make_stage, stage_cameras
from novelview.data.procedural.render import World, render
from novelview.data.procedural.solids import Shape, Solids, first_hit, occluded
from novelview.data.procedural.textures import Textures
from novelview.data.procedural.write import DEPTH_UNIT
from novelview.errors import ConfigError, OutputError
from novelview.geometry.rigid import random_rotations


def _inside(solids: Solids, k: int, point: torch.Tensor) -> bool:
    """Whether a float64 point lies in solid ``k``, from the definition of the shape."""
    local = (solids.rotation[k].double().T @ (point - solids.centre[k].double())) / solids.scale[k].double()
    if solids.shape[k] == Shape.ELLIPSOID:
        return bool(local.norm() <= 1)
    if solids.shape[k] == Shape.CYLINDER:
        return bool(local[1].abs() <= 1 and local[[0, 2]].norm() <= 1)
    return bool(local.abs().max() <= 1)


@pytest.fixture(scope="module")
def heap() -> Solids:
    """Two of each solid, at random."""
    generator = torch.Generator().manual_seed(3)
    return Solids(
        shape=torch.tensor([0, 0, 1, 1, 2, 2]),
        rotation=random_rotations(6, generator),
        scale=0.3 + 0.5 * torch.rand(6, 3, generator=generator),
        centre=torch.randn(6, 3, generator=generator),
    )


def test_first_hit_is_where_a_march_enters_the_first_solid(heap: Solids) -> None:
    generator = torch.Generator().manual_seed(4)
    origins = torch.nn.functional.normalize(torch.randn(40, 3, generator=generator), dim=-1) * 6
    directions = heap.centre[torch.randint(6, (40,), generator=generator)] - origins
    directions += 0.3 * torch.randn(40, 3, generator=generator)
    distance, which = first_hit(heap, origins, directions)
    for i in range(40):
        o, d = origins[i].double(), directions[i].double()
        step = 2e-3
        marched = next(
            (t * step for t in range(1000) if any(_inside(heap, k, o + t * step * d) for k in range(6))),
            math.inf,
        )
        if math.isinf(marched):
            # A march can step over a grazing corner, never the other way round.
            assert math.isinf(distance[i]) or not _inside(
                heap, int(which[i]), o + (float(distance[i]) + 2 * step) * d
            )
        else:
            assert marched - step - 1e-4 <= float(distance[i]) <= marched + 1e-4
            assert _inside(heap, int(which[i]), o + (float(distance[i]) + 1e-4) * d)


def test_normals_are_unit_and_face_the_ray_that_hits(heap: Solids) -> None:
    generator = torch.Generator().manual_seed(5)
    origins = torch.nn.functional.normalize(torch.randn(4000, 3, generator=generator), dim=-1) * 6
    directions = torch.randn(4000, 3, generator=generator) - origins
    distance, which = first_hit(heap, origins, directions)
    hit = distance.isfinite()
    points = origins[hit] + distance[hit, None] * directions[hit]
    normals = heap.normals(points, which[hit])
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(int(hit.sum())))
    assert bool(((normals * directions[hit]).sum(-1) < 1e-3).all())
    # Moving along the normal leaves the solid, moving against it enters.
    for i in range(0, len(points), 97):
        point, normal, k = points[i].double(), normals[i].double(), int(which[hit][i])
        assert not _inside(heap, k, point + 1e-3 * normal)
        assert _inside(heap, k, point - 1e-3 * normal)


def test_occlusion_agrees_with_first_hit(heap: Solids) -> None:
    generator = torch.Generator().manual_seed(6)
    origins, targets = torch.randn(2, 500, 3, generator=generator) * 3
    distance, _ = first_hit(heap, origins, targets - origins, start=1e-3)
    assert torch.equal(occluded(heap, origins, targets - origins), distance < 1)


def test_a_room_is_seen_from_inside_and_casts_no_shadow() -> None:
    room = Solids(
        torch.tensor([Shape.ROOM]), torch.eye(3)[None], torch.tensor([[2.0, 3.0, 4.0]]), torch.zeros(1, 3)
    )
    origins, directions = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    distance, which = first_hit(room, origins, directions)
    assert float(distance) == pytest.approx(2.0)
    torch.testing.assert_close(room.normals(2 * directions, which), -directions)
    assert not bool(occluded(room, origins, 10 * directions))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_matt_points_look_the_same_from_everywhere(family: str) -> None:
    stage = make_stage(family, 2)
    textures = stage.world.textures
    matt = Textures(**{**vars(textures), "specular": torch.zeros_like(textures.specular)})
    world = World(**{**vars(stage.world), "textures": matt})
    cameras = stage_cameras(stage, 2, 96, 2)
    seen = render(world, cameras)
    rays = cameras[0].rays().reshape(-1)
    depth = seen.depth[0].reshape(-1)
    points = (rays.origins + depth[:, None] * rays.directions)[depth > 0]
    pixels, expected = cameras[1].project(points)
    column, row = pixels[0].floor().long().unbind(-1)
    inside = (expected[0] > 0) & (column >= 1) & (column < 95) & (row >= 1) & (row < 95)
    there = seen.depth[1][row[inside], column[inside]]
    visible = (there / expected[0][inside] - 1).abs() < 5e-3
    assert int(visible.sum()) > 80
    first = seen.rgb[0].reshape(-1, 3)[depth > 0][inside][visible]
    second = seen.rgb[1][row[inside], column[inside]][visible]
    # The pixel of the other view is up to half a pixel away, so edges of textures and shadows differ a little.
    assert float((first - second).abs().mean(-1).median()) < 0.02
    shiny = World(
        **{**vars(world), "textures": Textures(**{**vars(matt), "specular": torch.ones(len(matt.specular))})}
    )
    assert float((render(shiny, cameras).rgb - seen.rgb).abs().max()) > 0.2


def test_depth_is_along_z_and_normals_belong_to_the_surface() -> None:
    stage = make_stage("object", 1)
    cameras = stage_cameras(stage, 1, 64, 0)
    shown = render(stage.world, cameras)
    rays = cameras.rays().reshape(-1)
    depth = shown.depth.reshape(-1)
    distance, _which = first_hit(stage.world.solids, rays.origins, rays.directions)
    assert torch.equal(depth > 0, distance.isfinite())
    points = rays.origins + depth[:, None] * rays.directions
    z = (points - cameras.centres) @ cameras.forward[0]
    torch.testing.assert_close(z[depth > 0], depth[depth > 0])


def test_antialiasing_is_the_mean_of_finer_rays() -> None:
    stage = make_stage("object", 1)
    cameras = stage_cameras(stage, 1, 32, 0)
    fine = render(stage.world, cameras.resized(96, 96))
    coarse = render(stage.world, cameras, supersample=3)
    expected = fine.rgb.view(1, 32, 3, 32, 3, 3).mean(dim=(2, 4))
    torch.testing.assert_close(coarse.rgb, expected, atol=1e-5, rtol=0)
    assert int(((coarse.mask > 0) & (coarse.mask < 1)).sum()) > 0


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_seed_is_a_scene(family: str) -> None:
    first = make_scene(family, 5, views=4, size=24)
    again = make_scene(family, 5, views=4, size=24)
    other = make_scene(family, 6, views=4, size=24)
    assert torch.equal(first.train.images(), again.train.images())
    assert not torch.equal(first.train.images(), other.train.images())
    assert set(first.train.names).isdisjoint(first.test.names)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_what_is_seen(family: str, seed: int) -> None:
    scene = make_scene(family, seed, views=9, size=24, supersample=1)
    depths, bounds = scene.train.depths(), scene.bounds
    seen = depths[depths > 0]
    assert seen.numel() > 0.02 * depths.numel()
    assert float(seen.min()) > bounds.near
    assert float(seen.max()) < bounds.far
    rays = scene.train.cameras.rays().reshape(-1)
    points = (rays.origins + depths.reshape(-1, 1) * rays.directions)[depths.reshape(-1) > 0]
    if not bounds.unbounded:
        slack = 1e-3
        assert bool((points >= torch.tensor(bounds.box_min) - slack).all())
        assert bool((points <= torch.tensor(bounds.box_max) + slack).all())


def test_the_stream_is_stateless_and_has_what_was_asked_for() -> None:
    stream = ProceduralStream(families=("object", "forward"), size=16, sources=3, targets=2)
    sample, _bounds = stream.item(7)
    _ = stream.item(8)
    again, _ = stream.item(7)
    assert torch.equal(sample.sources.images(), again.sources.images())
    assert (len(sample.sources), len(sample.targets)) == (3, 2)
    assert sample.sources.has_depths
    assert set(sample.sources.names).isdisjoint(sample.targets.names)
    assert not torch.equal(stream.item(8)[0].sources.images(), sample.sources.images())


def test_unknown_families_are_refused() -> None:
    with pytest.raises(ConfigError, match="object"):
        make_scene("objects", 0)
    with pytest.raises(ConfigError, match="object"):
        ProceduralStream(families=("objects",))


def test_the_demo_scene_has_training_and_held_out_views() -> None:
    scene = demo_scene(size=12)
    assert len(scene.train) >= 80
    assert len(scene.test) >= 10


def test_a_written_scene_reads_back(tmp_path: Path) -> None:
    folder = write_capture(tmp_path / "scene", "object", 3, views=5, size=20)
    scene = make_scene("object", 3, views=5, size=20)
    capture = read_capture(folder)
    order = [capture.names.index(name) for name in capture.names if "train" in name]
    torch.testing.assert_close(
        capture.cameras[order].camera_to_world, scene.train.cameras.camera_to_world, atol=1e-6, rtol=0
    )
    assert all(files.mask is not None and files.depth is not None for files in capture.files)
    assert capture.files[0].depth_scale == pytest.approx(DEPTH_UNIT)
    document = json.loads((folder / "transforms.json").read_text())
    assert len(document["test_filenames"]) == len(scene.test)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        write_capture(tmp_path, "object", 3, views=2, size=4)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
