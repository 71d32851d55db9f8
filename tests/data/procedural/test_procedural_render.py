"""Rendering: exact depth, colours that agree between views, and pixels that depend on nothing but their ray."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.families import FAMILIES, make_stage
from novelview.data.procedural.intersect import first_hit
from novelview.data.procedural.render import World, render, shade
from novelview.data.procedural.scenes import stage_cameras
from novelview.data.procedural.textures import Pattern
from novelview.geometry.lenses import Lens


def dulled(world: World, specular: float) -> World:
    """The same world with highlights of one strength everywhere."""
    strength = torch.full_like(world.textures.specular, specular)
    return replace(world, textures=replace(world.textures, specular=strength))


def seen_by_both(world: World, cameras: Cameras) -> tuple[torch.Tensor, ...]:
    """Surface points seen by camera 0 that camera 1 sees too, their solids, and directions from both."""
    shown = render(world, cameras)
    rays = cameras[0].rays().reshape(-1)
    depth = shown.depth[0].reshape(-1)
    points = (rays.origins + depth[:, None] * rays.directions)[depth > 0].T
    which = first_hit(world.solids, cameras.centres[0], rays.directions[depth > 0].T)[1]
    towards = points - cameras.centres[1][:, None]
    reach, other = first_hit(world.solids, cameras.centres[1], towards)
    pixels, z = cameras[1].project(points.T)
    framed = (pixels[0] > 0).all(1) & (pixels[0] < cameras.sizes[0]).all(1) & (z[0] > 0)
    visible = framed & ((reach - 1).abs() < 1e-4) & (other == which)
    there = (cameras.centres[1][:, None] + reach * towards)[:, visible]
    return (
        points[:, visible],
        there,
        rays.directions[depth > 0].T[:, visible],
        towards[:, visible],
        which[visible],
    )


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_matt_points_look_the_same_from_everywhere_and_shiny_ones_do_not(family: str) -> None:
    stage = make_stage(family, 2)
    cameras = stage_cameras(stage, 2, 96, 2, share=0.1)
    matt = dulled(stage.world, 0.0)
    here, there, from_0, from_1, which = seen_by_both(matt, cameras)
    assert here.shape[1] > 300
    change = (shade(matt, here, from_0, which)[0] - shade(matt, there, from_1, which)[0]).abs().amax(0)
    # Where a shadow ends, rounding of the point decides.
    assert float((change < 5e-3).float().mean()) > 0.99
    assert float(change.median()) < 1e-4
    shiny = dulled(stage.world, 1.0)
    change = (shade(shiny, here, from_0, which)[0] - shade(shiny, there, from_1, which)[0]).abs().amax(0)
    assert float((change > 5e-3).float().mean()) > 0.02


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_one_view_warped_by_its_depth_is_the_other(family: str) -> None:
    stage = make_stage(family, 3)
    cameras = stage_cameras(stage, 2, 160, 3, share=0.1)
    seen = render(dulled(stage.world, 0.0), cameras)
    rays = cameras[0].rays()
    points = (rays.origins + seen.depth[..., None] * rays.directions)[0][seen.depth[0] > 0]
    pixels, expected = cameras[1].project(points)
    where = (pixels[0] / 160 * 2 - 1)[None, None]

    def sampled(channels: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(channels[None], where, align_corners=False)[0, :, 0].T

    depth = sampled(seen.depth[1][None])[:, 0]
    visible = (where[0, 0].abs() < 0.98).all(-1) & ((depth / expected[0] - 1).abs() < 3e-3)
    assert int(visible.sum()) > 500
    error = (sampled(seen.rgb[1].permute(2, 0, 1)) - seen.rgb[0][seen.depth[0] > 0]).abs().mean(-1)[visible]
    assert float(error.median()) < 0.01


@pytest.mark.parametrize("lens", list(Lens))
def test_depth_is_along_z_through_any_lens(lens: Lens) -> None:
    stage = make_stage("table", 1)
    cameras = stage_cameras(stage, 1, 48, 0)
    bend = {
        Lens.PINHOLE: [0.0] * 8,
        Lens.OPENCV: [0.1, -0.05, 0.01, -0.01] + [0.0] * 4,
        Lens.FISHEYE: [0.05] + [0.0] * 7,
    }
    cameras = replace(cameras, lens=torch.tensor([int(lens)]), distortion=torch.tensor([bend[lens]]))
    shown = render(stage.world, cameras)
    rows, columns = (shown.depth[0] > 0).nonzero(as_tuple=True)
    rays = cameras.rays()
    points = (rays.origins + shown.depth[..., None] * rays.directions)[0, rows, columns]
    pixels, z = cameras.project(points)
    torch.testing.assert_close(z[0], shown.depth[0, rows, columns])
    centres = torch.stack([columns, rows], dim=-1) + 0.5
    torch.testing.assert_close(pixels[0], centres, atol=2e-3, rtol=0)
    torch.testing.assert_close(shown.mask, (shown.depth > 0).float())


def test_normals_are_what_the_depth_map_says() -> None:
    stage = make_stage("object", 4)
    cameras = stage_cameras(stage, 1, 200, 0)
    shown = render(stage.world, cameras)
    rays = cameras.rays()
    points = (rays.origins + shown.depth[..., None] * rays.directions)[0]
    across = points[1:-1, 2:] - points[1:-1, :-2]
    along = points[2:, 1:-1] - points[:-2, 1:-1]
    slope = F.normalize(torch.linalg.cross(along, across), dim=-1)
    normals = shown.normals[0, 1:-1, 1:-1]
    agree = (slope * normals).sum(-1)[shown.depth[0, 1:-1, 1:-1] > 0]
    assert float((agree > 0.99).float().mean()) > 0.85
    assert bool((shown.normals[shown.depth == 0] == 0).all())


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_pixels_do_not_depend_on_chunks_or_on_other_views(family: str) -> None:
    stage = make_stage(family, 5)
    cameras = stage_cameras(stage, 3, 37, 5)
    whole = render(stage.world, cameras, supersample=2)
    cut = render(stage.world, cameras, supersample=2, chunk=101)
    alone = render(stage.world, cameras[1], supersample=2)
    for name in vars(whole):
        assert torch.equal(getattr(whole, name), getattr(cut, name)), name
        assert torch.equal(getattr(whole, name)[1:2], getattr(alone, name)), name


def test_antialiasing_is_the_mean_of_finer_rays() -> None:
    stage = make_stage("object", 1)
    cameras = stage_cameras(stage, 1, 32, 0)
    fine = render(stage.world, cameras.resized(96, 96))
    coarse = render(stage.world, cameras, supersample=3)
    expected = fine.rgb.view(1, 32, 3, 32, 3, 3).mean(dim=(2, 4))
    torch.testing.assert_close(coarse.rgb, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(coarse.depth, render(stage.world, cameras).depth)
    assert int(((coarse.mask > 0) & (coarse.mask < 1)).sum()) > 0


def test_shadows_darken_and_only_where_something_is_in_the_way() -> None:
    stage = make_stage("table", 3)
    cameras = stage_cameras(stage, 1, 64, 0)
    table = replace(stage.world, solids=stage.world.solids[:1])
    bare = render(dulled(table, 0.0), cameras)
    laid = render(dulled(stage.world, 0.0), cameras)
    same = (bare.depth == laid.depth) & (laid.depth > 0)
    darker = bare.rgb[same] - laid.rgb[same]
    assert bool((darker >= 0).all())
    assert 0.02 < float((darker.amax(-1) > 0.05).float().mean()) < 0.9


@pytest.mark.parametrize("pattern", list(Pattern))
def test_patterns_are_smooth_at_the_scale_of_their_period(pattern: Pattern) -> None:
    textures = make_stage("object", 0).world.textures
    textures = replace(
        textures,
        pattern=torch.full_like(textures.pattern, int(pattern)),
        frequency=torch.ones_like(textures.frequency),
    )
    generator = torch.Generator().manual_seed(1)
    points = 4 * torch.randn(3, 4000, generator=generator)
    beside = points + 0.01 * F.normalize(torch.randn(3, 4000, generator=generator), dim=0)
    which = torch.zeros(4000, dtype=torch.long)
    here, there = textures.surface(points, which)[0], textures.surface(beside, which)[0]
    assert bool(((here >= 0) & (here <= 1)).all())
    assert float((here - there).abs().quantile(0.98)) < 0.12
    assert float(here.std(dim=1).max()) > 0.01


@pytest.mark.gpu
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_gpu_renders_the_same_picture(family: str) -> None:
    stage = make_stage(family, 6)
    cameras = stage_cameras(stage, 2, 64, 6)
    on_cpu, on_gpu = render(stage.world, cameras), render(stage.world.to("cuda"), cameras.to("cuda"))
    close = (on_cpu.rgb - on_gpu.rgb.cpu()).abs().amax(-1) < 5e-3
    assert float(close.float().mean()) > 0.995
