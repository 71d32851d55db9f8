"""Insides of meshes, against solids that are known exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.geometry import winding
from novelview.geometry.winding import WindingNumbers, open_edges

QUADS = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))


def cube(lower: float = 0.0, upper: float = 1.0) -> tuple[Tensor, Tensor]:
    corners = [(x, y, z) for z in (lower, upper) for y in (lower, upper) for x in (lower, upper)]
    faces = [three for a, b, c, d in QUADS for three in ((a, b, c), (a, c, d))]
    return torch.tensor(corners, dtype=torch.float64), torch.tensor(faces)


def both(*meshes: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    begin = [0, *torch.tensor([len(vertices) for vertices, _ in meshes]).cumsum(0).tolist()]
    faces = [faces + first for (_, faces), first in zip(meshes, begin, strict=False)]
    return torch.cat([vertices for vertices, _ in meshes]), torch.cat(faces)


def octahedron_split(times: int) -> tuple[Tensor, Tensor]:
    """The solid |x| + |y| + |z| < 1, its faces cut into four so many times."""
    vertices = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    faces = torch.tensor(
        [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    )
    for _ in range(times):
        a, b, c = vertices[faces].unbind(dim=1)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        soup = torch.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], dim=1).reshape(-1, 3)
        vertices, numbers = soup.unique(dim=0, return_inverse=True)
        faces = numbers.reshape(-1, 3)
    return vertices, faces


@pytest.mark.parametrize("pairs", [1 << 21, 300])
@pytest.mark.parametrize("times", [0, 1, 5])
def test_random_points_of_an_octahedron(
    times: int, pairs: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winding, "_PAIRS_AT_ONCE", pairs)
    vertices, faces = octahedron_split(times)
    assert open_edges(faces) == 0
    points = 2.4 * torch.rand(4000, 3, generator=generator, dtype=torch.float64) - 1.2
    truth = (points.abs().sum(dim=1) < 1).long()
    assert torch.equal(WindingNumbers(vertices, faces)(points), truth)
    assert torch.equal(WindingNumbers(vertices, faces.flip(1))(points), -truth)


def test_rays_through_edges_and_corners_count_once() -> None:
    """A lattice that meets the cube's diagonals, edges and upright faces exactly."""
    axis = torch.arange(-1, 6, dtype=torch.float64) / 4
    heights = torch.tensor([-0.3, 0.1, 0.7, 1.2], dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis, heights)
    found = WindingNumbers(*cube())(points)
    assert set(found.tolist()) == {0, 1}
    x, y, z = points.unbind(dim=1)
    # Half-open: what is on the upper sides in x and y is outside, so that cubes side by side share no point.
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1) & (z > 0) & (z < 1)
    assert torch.equal(found == 1, inside)


def test_hollows_and_overlaps(generator: torch.Generator) -> None:
    points = 3 * torch.rand(2000, 3, generator=generator, dtype=torch.float64) - 1
    vertices, faces = cube(0.25, 0.75)
    outer, inner = (
        ((points > low) & (points < high)).all(dim=1).long() for low, high in ((0, 1), (0.25, 0.75))
    )
    assert torch.equal(WindingNumbers(*both(cube(), (vertices, faces.flip(1))))(points), outer - inner)
    assert torch.equal(WindingNumbers(*both(cube(), (vertices, faces)))(points), outer + inner)


def test_turned_and_far_away(generator: torch.Generator) -> None:
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    turn = turn * turn.det()
    points = 3 * torch.rand(3000, 3, generator=generator, dtype=torch.float64) - 1
    vertices, faces = cube()
    found = WindingNumbers(1000 * vertices @ turn.T + 5000, faces)(1000 * points @ turn.T + 5000)
    assert torch.equal(found, ((points > 0) & (points < 1)).all(dim=1).long())


def test_open_edges_are_counted() -> None:
    _, faces = cube()
    assert open_edges(faces) == 0
    assert open_edges(faces[1:]) == 3
    # A face that looks the other way is passed twice the same way along its three edges.
    assert open_edges(torch.cat([faces[1:], faces[:1].flip(1)])) == 3
    assert open_edges(faces[:0]) == 0


def test_nothing_is_inside_of_nothing() -> None:
    found = WindingNumbers(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))(torch.zeros(2, 3))
    assert found.tolist() == [0, 0]
    assert WindingNumbers(*cube())(torch.zeros(0, 3)).shape == (0,)
