"""Look-ups: against grid_sample, a written-out sum over corners, and finite differences."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from novelview.methods.grid.lookup import Coordinates, nearest, trilinear, trilinear_reference

SHAPE = (5, 4, 7)


def positions(count: int, generator: torch.Generator) -> Coordinates:
    """Inside, outside and exactly on nodes and faces."""
    x, y, z = torch.rand(3, count, generator=generator) * 1.4 - 0.2
    x[:3], y[:3], z[:3] = (
        torch.tensor([0.0, 1.0, 0.5]),
        torch.tensor([1.0, 0.0, 0.5]),
        torch.tensor([0, 1, 0.5]),
    )
    return x, y, z


@pytest.mark.parametrize("channels", [1, 5])
def test_values_and_gradients_are_those_of_grid_sample(channels: int, generator: torch.Generator) -> None:
    where = positions(200, generator)
    weights = torch.randn(channels, 200, generator=generator)
    table = torch.randn(channels, *SHAPE, generator=generator).requires_grad_()
    fast, reference = trilinear(table, where), trilinear_reference(table, where)
    torch.testing.assert_close(fast, reference, atol=1e-4, rtol=1e-4)
    gradients = [torch.autograd.grad((values * weights).sum(), table)[0] for values in (fast, reference)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_value_is_the_weighted_sum_of_eight_corners(generator: torch.Generator) -> None:
    table = torch.randn(2, *SHAPE, generator=generator)
    place = (0.3, 0.55, 0.8)
    expected = torch.zeros(2)
    for corner in itertools.product((0, 1), repeat=3):
        weight, node = 1.0, []
        for side, share, count in zip(corner, place, SHAPE, strict=True):
            low = int(share * (count - 1))
            part = share * (count - 1) - low
            weight *= part if side else 1 - part
            node.append(low + side)
        expected += weight * table[:, node[0], node[1], node[2]]
    found = trilinear(table, (torch.tensor(place[:1]), torch.tensor(place[1:2]), torch.tensor(place[2:])))
    torch.testing.assert_close(found[:, 0], expected)


def test_gradient_passes_gradcheck(generator: torch.Generator) -> None:
    table = torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64).requires_grad_()
    x, y, z = torch.rand(3, 6, generator=generator, dtype=torch.float64)

    def lookup(values: Tensor) -> Tensor:
        return trilinear(values, (x, y, z))

    assert torch.autograd.gradcheck(lookup, table)


def test_nodes_keep_their_values(generator: torch.Generator) -> None:
    table = torch.randn(1, *SHAPE, generator=generator)
    axes = [torch.linspace(0, 1, count) for count in SHAPE]
    x, y, z = (axis.reshape(-1) for axis in torch.meshgrid(*axes, indexing="ij"))
    torch.testing.assert_close(trilinear(table, (x, y, z)), table.reshape(1, -1), atol=1e-4, rtol=1e-4)


def test_nearest_finds_the_cell_and_stays_inside() -> None:
    table = torch.arange(24.0).reshape(2, 3, 4)
    x, y, z = torch.tensor([[0.6, -1.0]]), torch.tensor([[0.4, 0.5]]), torch.tensor([[0.99, 7.0]])
    assert nearest(table, (x, y, z)).tolist() == [[float(table[1, 1, 3]), float(table[0, 1, 3])]]
