"""NeRF as a method: pixels, background, normalised device coordinates, randomness."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from novelview.cameras.cameras import Cameras
from novelview.data.bounds import front_view
from novelview.data.scene import Scene
from novelview.errors import ConfigError, MethodError
from novelview.geometry.rays import Rays
from novelview.methods.discovery import find
from novelview.methods.nerf.config import PRESETS, NeRFConfig
from novelview.methods.nerf.model import NeRF, Randomness
from novelview.methods.nerf.ndc import MARGIN, FrontFrame
from novelview.methods.official import SYNTHETIC
from novelview.random import Draws
from novelview.types import Bounds, Views

TINY = PRESETS["tiny"].config


def looking_along(yaw: float, pitch: float, centre: tuple[float, float, float]) -> torch.Tensor:
    """Pose (3, 4) in a world with z up; yaw 0 looks along +x."""
    forward = torch.tensor(
        [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]))
    right = right / right.norm()
    return torch.stack([right, torch.linalg.cross(forward, right), forward, torch.tensor(centre)], dim=1)


@pytest.fixture
def wall() -> Cameras:
    """Three cameras side by side that look in nearly the same horizontal direction."""
    poses = [looking_along(0.7 + 0.05 * i, 0.02 * i, (0.1 * i, -0.1 * i, 0.02)) for i in (-1, 0, 1)]
    return Cameras.pinhole(torch.stack(poses), torch.tensor([30.0, 30.0, 16.0, 12.0]), 32, 24)


def front_bounds(cameras: Cameras) -> Bounds:
    return replace(SYNTHETIC, near=2.0, far=50.0, forward_facing=True, front=front_view(cameras))


def filled(method: NeRF, density: float, colour: float) -> NeRF:
    """The same density and colour everywhere."""
    for network in (method.coarse, method.fine):
        for layer, value in ((network.alpha_linear, density), (network.rgb_linear, colour)):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, value)
    return method


def test_empty_space_shows_the_background(wall: Cameras) -> None:
    for background in ((1.0, 1.0, 1.0), (0.2, 0.4, 0.6), None):
        method = filled(NeRF(TINY, replace(SYNTHETIC, background=background)), -1.0, 3.0)
        frames = method.render(None, wall[:1])
        torch.testing.assert_close(
            frames.rgb[0, 0, 0], torch.tensor(background or (0.0, 0.0, 0.0)), atol=1e-6, rtol=0
        )
        assert frames.opacity is not None
        assert frames.depth is not None
        assert float(frames.opacity.max()) == 0
        assert float(frames.depth.abs().max()) == 0


def test_dense_space_is_seen_at_the_near_plane(wall: Cameras) -> None:
    frames = filled(NeRF(TINY, SYNTHETIC), 1e4, 3.0).render(None, wall)
    expected = torch.full_like(frames.rgb, torch.tensor(3.0).sigmoid().item())
    torch.testing.assert_close(frames.rgb, expected)
    assert frames.depth is not None
    torch.testing.assert_close(frames.depth, torch.full_like(frames.depth, 2.0))


def test_pixel_centre_moves_the_rays(wall: Cameras) -> None:
    corner = wall.through_pixels(0.0).rays()
    grid = wall.pixel_grid() - 0.5
    expected = wall.rays_through(grid.reshape(1, -1, 2).expand(3, -1, -1))
    torch.testing.assert_close(corner.directions, expected.directions.reshape(3, 24, 32, 3))
    torch.testing.assert_close(wall.through_pixels(0.5).rays().directions, wall.rays().directions)


def test_training_and_rendering_agree_where_a_pixel_is(wall: Cameras) -> None:
    images = torch.rand(3, 24, 32, 3, generator=torch.Generator().manual_seed(0))
    scene = Scene(
        "wall", Views.from_tensors(wall, images), Views.from_tensors(wall[:0], images[:0]), SYNTHETIC
    )
    config = replace(TINY, pixel_centre=0.0)
    batch = find("nerf").sampler([scene], config, PRESETS["tiny"].recipe, 0).batch(0)
    all_rays, colours = wall.through_pixels(0.0).rays().directions.reshape(-1, 3), images.reshape(-1, 3)
    nearest = torch.cdist(batch.rays.directions.double(), all_rays.double()).argmin(dim=-1)
    torch.testing.assert_close(batch.rgb, colours[nearest], atol=0.5 / 255, rtol=0)


def test_ndc_bends_lines_into_lines(wall: Cameras) -> None:
    """A point of the ray, projected by the formula for points, lies on the bent ray at the stated depth."""
    frame = FrontFrame(front_bounds(wall))
    rays = wall.rays().reshape(-1)
    front = frame(rays)
    bent = frame.ndc(front)
    parameter = torch.rand(len(rays), generator=torch.Generator().manual_seed(0)) * 0.9
    depth = frame.depth(front, parameter)
    x, y, z = front.point(depth).unbind(-1)
    sx, sy = 30 / 16, 30 / 12
    expected = torch.stack([-sx * x / z, -sy * y / z, 1 + 2 / z], dim=-1)
    torch.testing.assert_close(bent.point(parameter), expected, atol=2e-5, rtol=1e-5)
    inside = bent.point(parameter)
    torch.testing.assert_close(inside[:, 2], 2 * parameter - 1, atol=2e-5, rtol=0)


def test_the_mean_camera_fills_the_ndc_cube(wall: Cameras) -> None:
    frame = FrontFrame(front_bounds(wall))
    corners = torch.tensor([[[0.0, 0.0], [32.0, 0.0], [0.0, 24.0], [32.0, 24.0]]])
    bent = frame.ndc(frame(wall[1].rays_through(corners).reshape(-1)))
    ends = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    torch.testing.assert_close(bent.origins[:, :2], ends, atol=0.02, rtol=0)
    torch.testing.assert_close(bent.origins[:, 2], -torch.ones(4), atol=1e-5, rtol=0)


def test_depth_in_ndc_is_along_z_in_scene_units(wall: Cameras) -> None:
    method = filled(NeRF(replace(TINY, ndc=True), front_bounds(wall)), 1e5, 0.0)
    frames = method.render(None, wall[1])
    assert frames.depth is not None
    torch.testing.assert_close(
        frames.depth, torch.full_like(frames.depth, MARGIN * 2.0), atol=0.01, rtol=0.01
    )


def test_ndc_refuses_cameras_that_look_at_each_other() -> None:
    with pytest.raises(MethodError, match="default"):
        NeRF(replace(TINY, ndc=True), SYNTHETIC)


def test_an_infinite_scene_is_refused_without_ndc() -> None:
    with pytest.raises(MethodError, match="far"):
        NeRF(TINY, replace(SYNTHETIC, far=math.inf))


@pytest.mark.parametrize(
    "wrong",
    [{"width": 7}, {"depth": 0}, {"coarse_samples": 2}, {"raw_noise": -1.0}, {"ndc": True, "lindisp": True}],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(NeRFConfig(), **wrong)  # type: ignore[arg-type]


def test_nothing_is_drawn_that_is_switched_off() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    drawn = Randomness.draw(
        replace(TINY, perturb=False, raw_noise=0.0), Draws(generator), 4, torch.device("cpu")
    )
    assert drawn == Randomness()
    assert torch.equal(generator.get_state(), before)


def test_importance_sampling_sends_no_gradient_to_the_coarse_network(generator: torch.Generator) -> None:
    method = NeRF(TINY, SYNTHETIC)
    rays = Rays(torch.zeros(8, 3), torch.randn(8, 3, generator=generator))
    method(rays)[1].rgb.sum().backward()
    assert all(p.grad is None for p in method.coarse.parameters())
    assert any(p.grad is not None for p in method.fine.parameters())


def test_the_shared_view_survives_json(wall: Cameras) -> None:
    bounds = front_bounds(wall)
    assert Bounds.from_json(json.loads(json.dumps(bounds.to_json()))) == bounds
    assert bounds.front is not None
    pose = torch.tensor(bounds.front.pose)
    torch.testing.assert_close(pose[:, :3], wall.rotations[1], atol=1e-3, rtol=0)
    torch.testing.assert_close(pose[:, 3], torch.tensor([0.0, 0.0, 0.02]))
    assert bounds.front.half_size == pytest.approx((16 / 30, 12 / 30))
