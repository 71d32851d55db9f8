"""Surfaces along rays: against shapes with known answers, a walk that asks for everything, and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from novelview.geometry.rays import Rays, intersect_sphere
from novelview.rendering.surface import (
    Crossing,
    central_differences,
    first_crossing,
    implicit_depth,
    outward_normals,
)

RADIUS = 0.4


def sphere(points: Tensor) -> Tensor:
    return RADIUS - points.norm(dim=-1)


def rays_at_origin(count: int, seed: int = 0, spread: float = 0.6) -> Rays:
    """From around the unit cube towards places near its middle; directions of any length."""
    generator = torch.Generator().manual_seed(seed)
    origins = 2 * torch.nn.functional.normalize(
        torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    towards = spread * (torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.5) - origins
    return Rays(origins, towards * (0.5 + torch.rand(count, 1, generator=generator, dtype=torch.float64)))


def ends(rays: Rays, near: float = 0.1, far: float = 3.0) -> tuple[Tensor, Tensor]:
    return torch.full_like(rays.origins[:, 0], near), torch.full_like(rays.origins[:, 0], far)


def wavy(points: Tensor) -> Tensor:
    """In and out several times along most rays."""
    return torch.sin(9 * points).prod(dim=-1) + 0.3 * torch.sin(5 * points[:, 0]) - 0.2


def walked(
    field: Callable[[Tensor], Tensor], rays: Rays, near: Tensor, far: Tensor, samples: int
) -> Crossing:
    """The definition, sample by sample, with a bisection in place of the secant method."""
    depths, hits, insides, deepest = [], [], [], []
    for i in range(len(rays)):
        places = torch.linspace(0, 1, samples, dtype=torch.float64) * (far[i] - near[i]) + near[i]
        values = field(rays.origins[i] + places[:, None] * rays.directions[i])
        inside, depth = bool(values[0] >= 0), math.inf
        for j in range(samples - 1):
            if not inside and values[j] < 0 < values[j + 1]:
                low, high = float(places[j]), float(places[j + 1])
                for _ in range(60):
                    middle = (low + high) / 2
                    point = rays.origins[i] + middle * rays.directions[i]
                    low, high = (middle, high) if field(point[None])[0] < 0 else (low, middle)
                depth = low
                break
        hits.append(depth < math.inf)
        insides.append(inside)
        depths.append(0.0 if inside else depth)
        deepest.append(float(places[values.argmax()]))
    numbers = [torch.tensor(each, dtype=torch.float64) for each in (depths, deepest)]
    return Crossing(numbers[0], torch.tensor(hits), torch.tensor(insides), numbers[1])


def test_sphere() -> None:
    rays = rays_at_origin(200)
    # Grazing rays converge slowly.
    found = first_crossing(sphere, rays, *ends(rays), samples=64, iterations=50)
    enter, _ = intersect_sphere(rays, torch.zeros(3, dtype=torch.float64), RADIUS)
    # A ray that cuts off less than a step of the sphere may pass between two samples.
    assert bool((found.hit <= ~enter.isnan()).all())
    assert float((found.hit | enter.isnan()).double().mean()) > 0.95
    torch.testing.assert_close(found.depth[found.hit], enter[found.hit], rtol=0, atol=1e-7)
    assert bool(found.depth[~found.hit].isinf().all())
    assert not bool(found.inside.any())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), samples=st.integers(2, 40), at_once=st.sampled_from([1, 50, 1 << 17]))
def test_walk_is_the_definition(seed: int, samples: int, at_once: int) -> None:
    """However many points are asked for at a time; rays that begin inside among them."""
    rays = rays_at_origin(40, seed)
    near, far = ends(rays, 0.7)
    found = first_crossing(wavy, rays, near, far, samples=samples, iterations=40, points_at_once=at_once)
    expected = walked(wavy, rays, near, far, samples)
    assert torch.equal(found.hit, expected.hit)
    assert torch.equal(found.inside, expected.inside)
    assert torch.equal(found.depth.isinf(), expected.depth.isinf())
    missed = ~(found.hit | found.inside)
    torch.testing.assert_close(found.deepest[missed], expected.deepest[missed], rtol=0, atol=1e-12)
    met = found.hit
    assert float(wavy(rays[met].point(found.depth[met])).abs().sum()) < 1e-3 * len(rays)
    assert bool((found.depth[found.inside] == 0).all())


def test_rays_that_arrived_are_asked_no_further() -> None:
    asked = []

    def counted(points: Tensor) -> Tensor:
        asked.append(len(points))
        return sphere(points)

    rays = rays_at_origin(50, spread=0.0)
    near, far = ends(rays, 0.5, 20.0)
    first_crossing(counted, rays, near, far, samples=256, iterations=0)
    assert sum(asked) < 0.5 * 50 * 256


@pytest.mark.parametrize("samples", [9, 10])
def test_samples_on_the_surface_count(samples: int) -> None:
    """A box whose faces two of nine samples meet exactly."""
    rays = Rays(torch.tensor([[0.0, 0.0, -1.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    box: Callable[[Tensor], Tensor] = lambda points: 0.25 - points.abs().amax(dim=-1)  # noqa: E731
    found = first_crossing(box, rays, torch.zeros(1), torch.full((1,), 2.0), samples=samples)
    assert found.depth.tolist() == pytest.approx([0.75])


def test_no_ray_and_no_hit() -> None:
    rays = rays_at_origin(5)
    assert len(first_crossing(sphere, rays[:0], *ends(rays[:0]), samples=4).depth) == 0
    nowhere = first_crossing(lambda points: -torch.ones_like(points[:, 0]), rays, *ends(rays), samples=4)
    assert not bool(nowhere.hit.any())


class Blob(torch.nn.Module):
    """A smooth field with a few parameters."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first = torch.nn.Parameter(torch.randn(3, 8, generator=generator, dtype=torch.float64))
        self.last = torch.nn.Parameter(0.05 * torch.randn(8, generator=generator, dtype=torch.float64))

    def forward(self, points: Tensor) -> Tensor:
        return sphere(points) + torch.tanh(points @ self.first) @ self.last


def test_gradient_of_depths_is_that_of_finite_differences() -> None:
    """The whole search is repeated with moved parameters: nothing of the implicit gradient is taken for granted."""
    blob, rays = Blob(), rays_at_origin(30, spread=0.2)
    near, far = ends(rays)
    options = {"samples": 32, "iterations": 60}
    hit = first_crossing(blob, rays, near, far, **options).hit
    rays, near, far = rays[hit], near[hit], far[hit]
    assert len(rays) > 20

    def depths(first: Tensor, last: Tensor) -> Tensor:
        moved = Blob()
        field = lambda points: torch.func.functional_call(moved, {"first": first, "last": last}, (points,))  # noqa: E731
        found = first_crossing(field, rays, near, far, **options).depth
        return implicit_depth(field, rays, found)

    assert torch.autograd.gradcheck(depths, (blob.first, blob.last), eps=1e-6, atol=1e-5)


def test_gradient_reaches_colours_through_the_place() -> None:
    """A colour that depends on where the surface is, and an SDF whose radius is learnt: the chain rule by hand."""
    radius = torch.tensor(RADIUS, dtype=torch.float64, requires_grad=True)
    rays = rays_at_origin(20, spread=0.1)
    depth = first_crossing(lambda points: radius - points.norm(dim=-1), rays, *ends(rays), samples=64).depth
    found = implicit_depth(lambda points: radius - points.norm(dim=-1), rays, depth)
    points = rays.point(found)
    points[:, 2].sum().backward()
    normal = points.detach() / RADIUS
    per_radius = 1 / (normal * rays.directions).sum(dim=-1)
    torch.testing.assert_close(radius.grad, (per_radius * rays.directions[:, 2]).sum(), rtol=1e-6, atol=0)


def test_nothing_flows_to_rays() -> None:
    rays = rays_at_origin(5, spread=0.0)
    origins = rays.origins.clone().requires_grad_()
    blob = Blob()
    depth = first_crossing(blob, rays, *ends(rays), samples=32).depth
    implicit_depth(blob, Rays(origins, rays.directions), depth).sum().backward()
    assert origins.grad is None
    assert blob.last.grad is not None


@pytest.mark.parametrize("keep_sign", [True, False])
def test_grazing_rays_are_held_back(keep_sign: bool) -> None:
    """A field nearly flat along the ray, rising or falling: the slope is at least the floor, with a sign or without."""
    offset = torch.zeros((), dtype=torch.float64, requires_grad=True)
    along = Rays(torch.zeros(2, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[[0, 0]])
    slopes = torch.tensor([1e-6, -1e-6], dtype=torch.float64)
    depth = implicit_depth(
        lambda points: points[:, 0] * slopes + offset,
        along,
        torch.ones(2, dtype=torch.float64),
        floor=1e-2,
        keep_sign=keep_sign,
    )
    gradient = [torch.autograd.grad(each, offset, retain_graph=True)[0].item() for each in depth]
    assert gradient == pytest.approx([-100.0, 100.0 if keep_sign else -100.0])


@pytest.mark.gpu
def test_a_graphics_card_finds_the_same_places_and_gradients() -> None:
    found = {}
    for device in ("cpu", "cuda"):
        radius = torch.tensor(RADIUS, dtype=torch.float64, device=device, requires_grad=True)

        def ball(points: Tensor, radius: Tensor = radius) -> Tensor:
            return radius - points.norm(dim=-1)

        rays = rays_at_origin(200).to(device)
        crossing = first_crossing(ball, rays, *ends(rays), samples=64)
        implicit_depth(ball, rays[crossing.hit], crossing.depth[crossing.hit]).sum().backward()
        assert radius.grad is not None
        found[device] = [*(part.cpu() for part in vars(crossing).values()), radius.grad.cpu()]
    for here, there in zip(found["cpu"], found["cuda"], strict=True):
        torch.testing.assert_close(here, there)


@pytest.mark.parametrize("step", [None, 1e-3])
def test_normals_point_outwards(step: float | None) -> None:
    points = torch.nn.functional.normalize(rays_at_origin(20).origins, dim=-1) * RADIUS
    normals = outward_normals(sphere, points, step=step)
    torch.testing.assert_close(normals, points / RADIUS, rtol=0, atol=1e-6)


def test_differences_are_differentiable() -> None:
    blob, points = Blob(), 0.2 * rays_at_origin(4).origins
    assert torch.autograd.gradcheck(
        lambda last: central_differences(
            lambda places: torch.func.functional_call(blob, {"last": last}, (places,)), points, 0.1
        ),
        (blob.last,),
    )
    outward_normals(blob, points, step=0.1).sum().backward()
    assert blob.first.grad is not None
