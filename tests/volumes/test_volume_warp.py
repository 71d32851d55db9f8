"""Warps: the unit cube holds what it should, and the stated speed is that of finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.types import Bounds, FrontView
from novelview.volumes.warp import BoxWarp, ContractedWarp, FrontWarp, Warp, make_warp

OPEN = Bounds(near=0.5, far=6.0, box_min=(-1.0, -2.0, 0.0), box_max=(1.0, 1.0, 2.0))
CLOSED = Bounds(near=0.5, far=6.0, box_min=(-1.0, -2.0, 0.0), box_max=(1.0, 1.0, 2.0), unbounded=False)
FRONT = Bounds(
    near=1.0,
    far=9.0,
    box_min=(-1.0, -1.0, 1.0),
    box_max=(1.0, 1.0, 9.0),
    forward_facing=True,
    front=FrontView(((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)), (0.6, 0.4)),
)


def some_rays(count: int, generator: torch.Generator) -> Rays:
    origins = 0.2 * torch.randn(count, 3, generator=generator)
    slopes = 0.4 * torch.rand(count, 2, generator=generator) - 0.2
    return Rays(origins, torch.cat([slopes, torch.ones(count, 1)], dim=-1))


def warped(warp: Warp, rays: Rays, depth: Tensor) -> Tensor:
    position, _ = warp.points(warp.rays(rays), depth)
    return torch.stack(position, dim=-1)


def test_the_scene_decides_the_warp() -> None:
    assert isinstance(make_warp(OPEN, 0.5), ContractedWarp)
    assert isinstance(make_warp(CLOSED, 0.5), BoxWarp)
    assert isinstance(make_warp(FRONT, 0.5), FrontWarp)


def test_box_corners_are_cube_corners() -> None:
    lower, upper = torch.tensor(CLOSED.box_min), torch.tensor(CLOSED.box_max)
    rays = Rays(lower[None], (upper - lower)[None])
    corners = warped(BoxWarp(CLOSED), rays, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(corners, torch.tensor([[[0.0] * 3, [1.0] * 3]]))


def test_span_of_a_box_ends_on_its_faces(generator: torch.Generator) -> None:
    rays = some_rays(100, generator)
    warp = BoxWarp(CLOSED)
    near, far = warp.span(warp.rays(rays))
    hit = (far > near)[:, 0]
    inside = warped(warp, rays, torch.cat([near * 0.5 + far * 0.5, far], dim=-1))[hit]
    assert bool(hit.any())
    assert bool(((inside >= -1e-5) & (inside <= 1 + 1e-5)).all())
    edge = torch.minimum(inside[:, 1], 1 - inside[:, 1]).amin(dim=-1)
    torch.testing.assert_close(edge, torch.zeros_like(edge), atol=1e-5, rtol=0)


def test_a_ray_beside_the_box_has_no_span() -> None:
    warp = BoxWarp(CLOSED)
    near, far = warp.span(warp.rays(Rays(torch.tensor([[5.0, 0.0, -1.0]]), torch.tensor([[0.0, 0.0, 1.0]]))))
    assert float(far - near) == 0


def test_contraction_keeps_the_box_and_holds_all_space(generator: torch.Generator) -> None:
    warp, margin = ContractedWarp(OPEN, 0.5), 0.5
    lower, upper = torch.tensor(OPEN.box_min), torch.tensor(OPEN.box_max)
    rays = Rays(lower[None], (upper - lower)[None])
    corners = warped(warp, rays, torch.tensor([[0.0, 1.0]]))
    rim = 0.5 * margin / (1 + margin)
    torch.testing.assert_close(corners, torch.tensor([[[rim] * 3, [1 - rim] * 3]]))
    far = warped(warp, some_rays(50, generator), torch.tensor([[1e3, 1e6]]).expand(50, 2))
    assert bool(((far >= 0) & (far <= 1)).all())
    assert float((far[:, 1] - 0.5).abs().amax(dim=-1).min()) > 0.499


def test_front_fills_the_cube_between_near_and_infinity() -> None:
    rays = Rays(torch.zeros(1, 3), torch.tensor([[0.6, 0.4, 1.0]]))
    position = warped(FrontWarp(FRONT), rays, torch.tensor([[1.0, 1e9]]))
    torch.testing.assert_close(position[0, :, :2], torch.full((2, 2), 0.5 + 0.5 / 1.5))
    torch.testing.assert_close(position[0, :, 2], torch.tensor([1 / 3, 1.0]))


@pytest.mark.parametrize(("bounds", "radial"), [(CLOSED, True), (OPEN, False)])
def test_speed_is_the_length_of_the_derivative(
    bounds: Bounds, radial: bool, generator: torch.Generator
) -> None:
    warp, rays = make_warp(bounds, 0.5), some_rays(50, generator)
    step = 1e-3
    depth = 0.1 + 0.3 * torch.rand(50, 1, generator=generator)
    here, there = warped(warp, rays, depth), warped(warp, rays, depth + step)
    _, speed = warp.points(warp.rays(rays), depth)
    moved = ((there - here) * torch.tensor(warp.shape)).norm(dim=-1) / step
    inside = ((here - 0.5).abs().amax(dim=-1) < 1 / 3)[:, 0] | radial
    torch.testing.assert_close(speed[inside], moved[inside], rtol=1e-2, atol=1e-3)
