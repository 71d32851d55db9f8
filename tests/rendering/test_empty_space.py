"""Empty space: nothing that a full search finds may be lost, far less is asked, and what can be lost is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from novelview.geometry.rays import Rays, intersect_box
from novelview.rendering.empty_space import EmptySpace
from novelview.rendering.surface import Crossing, Field, first_crossing

HALF = 0.5
CORNER = torch.full((3,), HALF, dtype=torch.float64)


class Counted:
    """A field that knows for how many points it was asked."""

    def __init__(self, field: Field) -> None:
        self.field, self.points = field, 0

    def __call__(self, points: Tensor) -> Tensor:
        self.points += len(points)
        return self.field(points)


def box_rays(count: int, seed: int = 0) -> tuple[Rays, Tensor, Tensor]:
    """From outside or from within the cube, directions of any length, and where they are in it."""
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(3, count, 3, generator=generator, dtype=torch.float64) - 0.5
    origins = torch.where(
        random[2, :, :1] < 0.4, 2 * torch.nn.functional.normalize(random[0], dim=-1), random[0]
    )
    rays = Rays(origins, (0.9 * random[1] - origins) * (1 + random[2, :, 1:2]))
    enter, leave = intersect_box(rays, -CORNER, CORNER)
    return rays, enter.clamp(min=0), leave


def lattice(field: Field, cells: int = 24) -> EmptySpace:
    return EmptySpace.of(field, -CORNER, CORNER, cells=cells)


def both(field: Field, cells: int = 24, samples: int = 64, seed: int = 0) -> tuple[Crossing, Crossing]:
    """What the search finds without and with a lattice."""
    rays, near, far = box_rays(500, seed)
    ways = (None, lattice(field, cells))
    found, full = [first_crossing(field, rays, near, far, samples=samples, empty=way) for way in ways][::-1]
    return full, found


def require_equal(full: Crossing, found: Crossing) -> None:
    assert torch.equal(found.hit, full.hit)
    assert torch.equal(found.inside, full.inside)
    torch.testing.assert_close(found.depth, full.depth, rtol=0, atol=1e-12)


def waves(seed: int, frequency: float) -> Field:
    """Sums of waves in all directions, inside in less than half of the cube."""
    generator = torch.Generator().manual_seed(seed)
    turns = frequency * torch.randn(3, 20, generator=generator, dtype=torch.float64)
    phases = 2 * math.pi * torch.rand(20, generator=generator, dtype=torch.float64)
    return lambda points: torch.sin(points @ turns + phases).mean(dim=-1) - 0.1


def creases(seed: int) -> Field:
    """A random network of two hidden layers: flat between steep creases."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(size, 64, generator=generator, dtype=torch.float64) * scale
        for size, scale in ((3, 8), (64, 0.2))
    )
    shift, last = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    return lambda points: torch.relu(torch.relu(points @ first + 2 * shift) @ second) @ last - 1


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), frequency=st.sampled_from([2.0, 5.0, 10.0, 30.0, 100.0]))
def test_waves_are_found_as_without(seed: int, frequency: float) -> None:
    require_equal(*both(waves(seed, frequency), seed=seed))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000))
def test_creases_are_found_as_without(seed: int) -> None:
    require_equal(*both(creases(seed), seed=seed))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), cells=st.integers(4, 30), thickness=st.sampled_from([0.3, 0.02, 0.002]))
def test_thin_sheets_of_distances_are_kept(seed: int, cells: int, thickness: float) -> None:
    """However thin and however it lies: the slopes on both sides say that a surface may be between the corners."""
    normal = torch.nn.functional.normalize(
        torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=0
    )
    sheet = lambda points: thickness / 2 - (points @ normal - 0.1).abs()  # noqa: E731
    full, found = both(sheet, cells, samples=300, seed=seed)
    require_equal(full, found)
    assert thickness < 0.01 or bool(full.hit.any())


def test_what_rises_and_falls_between_corners_can_be_lost() -> None:
    """The limit that the docstring names: a needle in a plain shows at no corner; larger than a cell it does."""
    centre = torch.full((3,), 0.5 / 24, dtype=torch.float64)

    def needle(width: float) -> Field:
        return lambda points: 2 * torch.exp(-((points - centre) / width).square().sum(dim=-1)) - 1

    assert bool(lattice(needle(0.004))(centre[None]))
    assert not bool(lattice(needle(0.03))(centre[None]))


def test_little_of_space_is_asked() -> None:
    """Rays that miss the ball are among them."""
    field = Counted(lambda points: 0.2 - points.norm(dim=-1))
    rays, near, far = box_rays(800)
    samples = {"samples": 128, "iterations": 8}
    first_crossing(field, rays, near, far, **samples)
    full, field.points = field.points, 0
    empty = lattice(field)
    assert field.points == 25**3
    field.points = 0
    first_crossing(field, rays, near, far, empty=empty, **samples)
    assert field.points < 0.25 * full


def test_rays_through_nothing_are_not_asked() -> None:
    field = Counted(lambda points: -1 - points[:, 0] / 10)
    empty = lattice(field, cells=8)
    field.points = 0
    rays, near, far = box_rays(100)
    found = first_crossing(field, rays, near, far, samples=40, empty=empty)
    assert field.points == 0
    assert not bool((found.hit | found.inside).any())


def test_crossings_begin_with_exact_values() -> None:
    """Also where the sample before was not asked: with a lattice that stops right before the surface."""
    plane = lambda points: points[:, 2].exp() - 1  # noqa: E731
    rays = Rays(torch.tensor([[0.0, 0.0, -0.5]]), torch.tensor([[0.0, 0.0, 1.0]]))
    near, far = torch.zeros(1), torch.ones(1)
    found = [
        first_crossing(plane, rays, near, far, samples=8, iterations=0, empty=empty)
        for empty in (None, lambda points: points[..., 2] < 0)
    ]
    assert bool(found[0].hit.all())
    assert torch.equal(found[0].depth, found[1].depth)


def test_a_wrong_claim_that_is_noticed_is_not_believed() -> None:
    """Space is called empty beyond the surface: the ray is searched again in full."""
    plane = lambda points: points[:, 2] + 0.2  # noqa: E731
    rays = Rays(torch.tensor([[0.0, 0.0, -0.5]]).expand(3, 3), torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3))
    near, far = torch.tensor([0.0, 0.1, 0.4]), torch.ones(3)
    full = first_crossing(plane, rays, near, far, samples=20)
    found = first_crossing(plane, rays, near, far, samples=20, empty=lambda points: points[..., 2] < 0)
    assert full.hit.tolist() == [True, True, False]
    assert full.inside.tolist() == [False, False, True]
    for name in ("depth", "hit", "inside", "deepest"):
        assert torch.equal(getattr(found, name), getattr(full, name))


def test_a_ray_that_begins_in_empty_space_is_outside() -> None:
    field = lambda points: 0.3 - points.norm(dim=-1)  # noqa: E731
    full, found = both(field)
    require_equal(full, found)
    assert bool(full.inside.any())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_where_a_field_has_no_number_nothing_is_empty(bad: float) -> None:
    def field(points: Tensor) -> Tensor:
        return torch.where(points.norm(dim=-1) < 0.05, bad, -1.0)

    empty = lattice(field)
    assert not bool(empty(torch.zeros(1, 3, dtype=torch.float64)))
    assert bool(empty(torch.full((1, 3), 0.4, dtype=torch.float64)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_on_the_border_belong_to_the_box_and_those_beyond_do_not(dtype: torch.dtype) -> None:
    lower, upper = torch.tensor([-1.0, 2.0, 5.0], dtype=dtype), torch.tensor([1.0, 2.5, 9.0], dtype=dtype)
    empty = EmptySpace.of(lambda points: -torch.ones_like(points[:, 0]), lower, upper, cells=7)
    shares = torch.rand(500, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    shares = torch.cat([shares, shares.round()])
    within = lower + shares * (upper - lower)
    assert bool(empty(within).all())
    far: Callable[[float], Tensor] = lambda reach: torch.eye(3, dtype=dtype) * reach + (lower + upper) / 2  # noqa: E731
    for reach in (5.0, -5.0, 1e30, -1e30, torch.inf, torch.nan):
        assert not bool(empty(far(reach)).any())
    assert empty(within.reshape(4, 250, 3)).shape == (4, 250)


def test_points_at_once_do_not_matter() -> None:
    whole = lattice(waves(1, 5.0), cells=6)
    parts = EmptySpace.of(waves(1, 5.0), -CORNER, CORNER, cells=6, points_at_once=10)
    assert torch.equal(whole.empty, parts.empty)
