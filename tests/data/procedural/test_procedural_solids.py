"""Hits, normals and shadows against the definition of each shape, marched along every ray in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from novelview.data.procedural.draw import planes
from novelview.data.procedural.intersect import first_hit, shadowed
from novelview.data.procedural.solids import Shape, Solids
from novelview.geometry.rigid import random_rotations

STEP = 4e-3
HOLE = 0.62
FARTHEST = 12.0


@pytest.fixture(scope="module")
def heap() -> Solids:
    """Three of each solid, at random."""
    generator = torch.Generator().manual_seed(3)
    count = 3 * int(Shape.PLANE)
    return Solids(
        shape=torch.arange(count) % int(Shape.PLANE),
        rotation=random_rotations(count, generator),
        scale=0.3 + 0.5 * torch.rand(count, 3, generator=generator),
        centre=2.2 * torch.randn(count, 3, generator=generator),
    )


@pytest.fixture(scope="module")
def bundles(heap: Solids) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Points outside and, from each, rays towards the heap."""
    generator = torch.Generator().manual_seed(4)
    bundles = []
    for _ in range(8):
        origin = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=-1) * 7
        goals = heap.centre[torch.randint(len(heap), (60,), generator=generator)]
        goals = goals + 0.4 * torch.randn(60, 3, generator=generator)
        bundles.append((origin, torch.nn.functional.normalize(goals - origin, dim=-1).T.contiguous()))
    return bundles


def inside(solids: Solids, k: int, points: np.ndarray) -> np.ndarray:
    """Whether float64 points (n, 3) lie in solid ``k``: the definition of the shape."""
    rotation, centre = solids.rotation[k].double().numpy(), solids.centre[k].double().numpy()
    x, y, z = ((points - centre) @ rotation / solids.scale[k].double().numpy()).T
    radius, level = np.hypot(x, z), np.abs(y) <= 1
    return {
        Shape.ELLIPSOID: x * x + y * y + z * z <= 1,
        Shape.BOX: (np.abs(x) <= 1) & level & (np.abs(z) <= 1),
        Shape.CYLINDER: (radius <= 1) & level,
        Shape.FRUSTUM: (radius <= 0.7 - 0.3 * y) & level,
        Shape.RING: (radius <= 1) & (radius >= HOLE) & level,
    }[Shape(int(solids.shape[k]))]


def march(solids: Solids, origin: np.ndarray, direction: np.ndarray) -> tuple[float, int]:
    """First entry by small steps, refined by bisection; thin corners may be stepped over."""
    best, which = math.inf, 0
    for k in range(len(solids)):
        t = np.arange(0.0, FARTHEST, STEP)
        entered = inside(solids, k, origin + t[:, None] * direction)
        if entered.any() and not entered[0]:
            high = t[int(entered.argmax())]
            low = high - STEP
            for _ in range(40):
                middle = (low + high) / 2
                if inside(solids, k, (origin + middle * direction)[None])[0]:
                    high = middle
                else:
                    low = middle
            if high < best:
                best, which = high, k
    return best, which


def test_first_hits_are_where_a_float64_march_enters(heap: Solids, bundles: list) -> None:
    seen: set[int] = set()
    stepped_over = 0
    for origin, directions in bundles:
        distance, which = first_hit(heap, origin, directions)
        for i in range(directions.shape[1]):
            o, d = origin.double().numpy(), directions[:, i].double().numpy()
            expected, solid = march(heap, o, d)
            found, k = float(distance[i]), int(which[i])
            if abs(found - expected) < 2e-4 * max(1.0, expected) or found == expected:
                seen |= {int(heap.shape[solid])} if math.isfinite(expected) else set()
                assert k == solid
                continue
            # Only a corner thinner than a step may have been marched past: the ray is in the solid just behind.
            assert found < expected
            t = found + np.geomspace(1e-6, STEP, 200)
            assert inside(heap, k, o + t[:, None] * d).any()
            stepped_over += 1
    assert seen == set(range(int(Shape.PLANE)))
    assert stepped_over < 10


def test_a_ray_through_the_hole_of_a_ring_misses_it() -> None:
    ring = Solids(
        torch.tensor([Shape.RING]), torch.eye(3)[None], torch.tensor([[1.0, 0.5, 1.0]]), torch.zeros(1, 3)
    )
    straight = torch.tensor([[0.0], [-1.0], [0.0]])
    for x, expected in ((0.0, math.inf), (0.5, math.inf), (0.7, 1.5), (0.99, 1.5), (1.01, math.inf)):
        distance, _ = first_hit(ring, torch.tensor([x, 2.0, 0.0]), straight)
        assert float(distance) == pytest.approx(expected)
    # In at the top of the hole, onto its far wall, whose normal points to the axis.
    slanted = torch.tensor([[1.0], [-2.0], [0.0]])
    distance, which = first_hit(ring, torch.tensor([-0.4, 2.0, 0.0]), slanted)
    assert float(distance) == pytest.approx(HOLE + 0.4, abs=1e-5)
    point = torch.tensor([[HOLE], [2 - 2 * (HOLE + 0.4)], [0.0]])
    _, normal = ring.surface(point, which)
    torch.testing.assert_close(normal, torch.tensor([[-1.0], [0.0], [0.0]]), atol=1e-5, rtol=0)


def test_normals_point_out_and_stand_upright_on_the_surface(heap: Solids, bundles: list) -> None:
    generator = torch.Generator().manual_seed(5)
    for origin, directions in bundles[:3]:
        distance, which = first_hit(heap, origin, directions)
        hit = distance.isfinite()
        points, which, towards = (
            (origin[:, None] + distance * directions)[:, hit],
            which[hit],
            directions[:, hit],
        )
        _, normals = heap.surface(points, which)
        torch.testing.assert_close(normals.norm(dim=0), torch.ones(len(which)))
        assert bool(((normals * towards).sum(0) < 1e-3).all())
        # Rays beside the first, onto the same solid, meet it where its tangent plane is, to second order.
        for i in range(0, len(which), 3):
            point, normal, k = points[:, i].double(), normals[:, i].double(), int(which[i])
            beside = torch.randn(3, generator=generator).double()
            beside = 1e-3 * (beside - normal * (beside @ normal))
            assert not inside(heap, k, (point + beside + 1e-4 * normal).numpy()[None])[0] or _near_edge(
                heap, k, point
            )
            assert inside(heap, k, (point + beside - 1e-4 * normal).numpy()[None])[0] or _near_edge(
                heap, k, point
            )


def _near_edge(solids: Solids, k: int, point: torch.Tensor) -> bool:
    """Whether an edge of the solid is within reach of the test above, so that one tangent plane does not do."""
    generator = torch.Generator().manual_seed(0)
    around = point.float()[:, None] + 6e-3 * torch.randn(3, 64, generator=generator)
    _, normals = solids.surface(around, torch.full((64,), k))
    return bool((normals.T @ normals < 0.9).any())


def test_a_point_is_in_shadow_where_the_light_meets_something_else_first(heap: Solids) -> None:
    light = torch.tensor([0.0, 0.0, 9.0])
    points = 3 * torch.randn(3, 400, generator=torch.Generator().manual_seed(6))
    expected = []
    for i in range(400):
        t = np.linspace(0, 0.998, 2500)
        way = light.double().numpy() + t[:, None] * (points[:, i] - light).double().numpy()
        expected.append(any(inside(heap, k, way).any() for k in range(len(heap))))
    assert 40 < sum(expected) < 360
    differ = shadowed(heap, points, light) != torch.tensor(expected)
    assert int(differ.sum()) <= 2, "only rays that graze a corner may differ"


def test_a_plane_is_seen_from_its_front_only_and_casts_no_shadow() -> None:
    floor = planes([(0.0, 0.0, 1.0)], [(0.0, 0.0, -1.0)])
    down, up = torch.tensor([[0.6], [0.0], [-2.0]]), torch.tensor([[0.0], [0.0], [1.0]])
    assert float(first_hit(floor, torch.zeros(3), down)[0]) == pytest.approx(0.5)
    assert math.isinf(float(first_hit(floor, torch.tensor([0.0, 0.0, -2.0]), up)[0]))
    assert not bool(shadowed(floor, torch.tensor([[0.0], [0.0], [-3.0]]), torch.tensor([0.0, 0.0, 5.0])))
    torch.testing.assert_close(
        floor.surface(torch.tensor([[3.0], [1.0], [-1.0]]), torch.tensor([0]))[1],
        torch.tensor([[0.0], [0.0], [1.0]]),
    )


def test_corners_hold_every_solid_tightly(heap: Solids) -> None:
    generator = torch.Generator().manual_seed(7)
    directions = torch.nn.functional.normalize(torch.randn(3, 20_000, generator=generator), dim=0)
    for k in range(len(heap)):
        alone = heap[torch.tensor([k])]
        # From afar inwards: the surface as seen from all around.
        points = []
        for axis in (*torch.eye(3), *-torch.eye(3)):
            origin = alone.centre[0] + 50 * axis
            aim = alone.centre[0][:, None] + 1.2 * directions - origin[:, None]
            distance, _ = first_hit(alone, origin, aim)
            hit = distance.isfinite()
            points.append((origin[:, None] + distance * aim)[:, hit])
        surface = torch.cat(points, dim=1)
        lower, upper = alone.corners()
        assert bool((surface.amin(1) >= lower - 1e-4).all())
        assert bool((surface.amax(1) <= upper + 1e-4).all())
        assert bool(((surface - alone.centre[0][:, None]).norm(dim=0) <= alone.radius + 1e-4).all())
        if alone.shape[0] in (Shape.ELLIPSOID, Shape.BOX):
            assert float((upper - surface.amax(1)).max()) < 0.12
