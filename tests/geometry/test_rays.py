"""Plücker coordinates, NDC, and boxes and spheres against loops."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.geometry.rays import Rays, intersect_box, intersect_sphere, ndc, plucker

SEEDS = st.integers(0, 2**31)


def random_rays(count: int, seed: int) -> Rays:
    generator = torch.Generator().manual_seed(seed)
    origins, directions = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    return Rays(origins, directions)


@settings(deadline=None)
@given(SEEDS, st.floats(-100, 100), st.floats(0.1, 10))
def test_plucker_belongs_to_the_line(seed: int, along: float, stretch: float) -> None:
    rays = random_rays(8, seed)
    line = plucker(rays)
    moved = Rays(rays.origins + along * rays.directions, rays.directions)
    torch.testing.assert_close(plucker(moved), line, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(plucker(Rays(rays.origins, stretch * rays.directions)), stretch * line)
    torch.testing.assert_close(
        (line[:, :3] * line[:, 3:]).sum(-1), torch.zeros(8).double(), rtol=0, atol=1e-9
    )
    # The moment's length is the line's distance from the world's origin.
    unit = plucker(rays.normalised())
    nearest = rays.origins - (rays.origins * unit[:, :3]).sum(-1, keepdim=True) * unit[:, :3]
    torch.testing.assert_close(unit[:, 3:].norm(dim=-1), nearest.norm(dim=-1))


def test_plucker_order() -> None:
    line = plucker(Rays(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.0, 2.0]])))
    assert line.tolist() == [[0.0, 0.0, 2.0, 4.0, -2.0, 0.0]]


def test_rays_keep_shape_and_meaning() -> None:
    rays = random_rays(6, 0)
    assert len(rays) == 6
    assert rays.reshape(2, 3)[1].origins.shape == (3, 3)
    depths = torch.tensor([[0.5, 2.0]], dtype=torch.float64).expand(6, 2)
    expected = [
        [[o[k] + t * d[k] for k in range(3)] for t in (0.5, 2.0)]
        for o, d in zip(rays.origins, rays.directions, strict=True)
    ]
    torch.testing.assert_close(rays.at(depths), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(rays.normalised().directions.norm(dim=-1), torch.ones(6).double())


def front_rays(seed: int) -> Rays:
    """Rays of cameras near the front camera, all looking forward."""
    rays = random_rays(16, seed)
    forward = torch.tensor([0.0, 0.0, 1.0]).double()
    return Rays(0.3 * rays.origins, torch.where(forward > 0, 1.0, 0.4 * rays.directions))


@settings(deadline=None)
@given(SEEDS)
def test_ndc_is_the_published_formula_in_opencv_axes(seed: int) -> None:
    rays, (width, height, focal) = front_rays(seed), (504.0, 378.0, 407.5)
    found = ndc(rays, (width / 2 / focal, height / 2 / focal))
    flip = torch.tensor([1.0, -1.0, -1.0]).double()
    for i in range(16):
        o, d = (rays.origins[i] * flip).tolist(), (rays.directions[i] * flip).tolist()
        t = -(1 + o[2]) / d[2]
        o = [a + t * b for a, b in zip(o, d, strict=True)]
        sx, sy = -2 * focal / width, -2 * focal / height
        origin = [sx * o[0] / o[2], sy * o[1] / o[2], 1 + 2 / o[2]]
        direction = [sx * (d[0] / d[2] - o[0] / o[2]), sy * (d[1] / d[2] - o[1] / o[2]), -2 / o[2]]
        torch.testing.assert_close(found.origins[i], torch.tensor(origin).double(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            found.directions[i], torch.tensor(direction).double(), rtol=1e-6, atol=1e-6
        )


@settings(deadline=None)
@given(SEEDS, st.floats(0.1, 5), st.floats(0.0, 0.999))
def test_ndc_rays_run_through_the_projected_points(seed: int, near: float, parameter: float) -> None:
    """o' + t' d' is the projection of o + t d with t' = 1 - o_z / (o_z + t d_z), o being on the near plane."""
    rays, half = front_rays(seed), (0.6, 0.45)
    found = ndc(rays, half, near)
    assert bool((found.origins[:, 2] + 1).abs().max() < 1e-9)
    torch.testing.assert_close((found.origins + found.directions)[:, 2], torch.ones(16).double())
    depth = near / (1 - parameter)
    t = (depth - rays.origins[:, 2]) / rays.directions[:, 2]
    x, y, z = (rays.origins + t[:, None] * rays.directions).unbind(-1)
    expected = torch.stack([x / (half[0] * z), -y / (half[1] * z), (z - 2 * near) / z], dim=-1)
    torch.testing.assert_close(found.origins + parameter * found.directions, expected, rtol=1e-7, atol=1e-7)


def box_by_loop(origin: list[float], direction: list[float], lower: list[float], upper: list[float]) -> tuple:
    enter, leave = -math.inf, math.inf
    for o, d, low, high in zip(origin, direction, lower, upper, strict=True):
        if d == 0:
            if not low <= o <= high:
                return math.nan, math.nan
            continue
        first, second = sorted([(low - o) / d, (high - o) / d])
        enter, leave = max(enter, first), min(leave, second)
    return (enter, leave) if enter <= leave else (math.nan, math.nan)


@settings(deadline=None)
@given(SEEDS, st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.3]), min_size=3, max_size=3))
def test_box_against_a_loop(seed: int, straight: list[float]) -> None:
    rays = random_rays(30, seed)
    if any(straight):
        rays.directions[:10] = torch.tensor(straight).double()
        rays.origins[:3] = torch.tensor([-0.5, 0.25, 1.0]).double()  # on faces and corners
    lower, upper = torch.tensor([[-0.5, -0.25, -1.0], [0.5, 0.75, 1.0]]).double()
    enter, leave = intersect_box(rays, lower, upper)
    for i in range(30):
        expected = box_by_loop(
            rays.origins[i].tolist(), rays.directions[i].tolist(), lower.tolist(), upper.tolist()
        )
        found = torch.stack([enter[i], leave[i]])
        torch.testing.assert_close(found, torch.tensor(expected).double(), equal_nan=True)


@settings(deadline=None)
@given(SEEDS, st.floats(0.1, 3))
def test_sphere_points_lie_on_the_sphere(seed: int, radius: float) -> None:
    rays, centre = random_rays(30, seed), torch.tensor([0.2, -0.1, 0.3]).double()
    enter, leave = intersect_sphere(rays, centre, radius)
    hit = enter.isfinite()
    assert bool((enter[hit] <= leave[hit]).all())
    for t in (enter, leave):
        points = rays.origins + t[:, None] * rays.directions
        torch.testing.assert_close((points - centre)[hit].norm(dim=-1), torch.full_like(t[hit], radius))
    line = plucker(Rays(rays.origins - centre, rays.directions).normalised())
    assert torch.equal(hit, line[:, 3:].norm(dim=-1) <= radius)


def test_sphere_from_far_away_in_float32() -> None:
    rays = Rays(torch.tensor([[0.0, 0.5, -1000.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    enter, leave = intersect_sphere(rays, torch.zeros(3), 1.0)
    assert abs(float(leave - enter) - 2 * math.sqrt(0.75)) < 2e-4
