"""Look-ups: against a written-out sum over corners, and at the nodes themselves."""

from __future__ import annotations

import itertools

import torch

from novelview.volumes.lookup import nearest, trilinear

SHAPE = (5, 4, 7)


def test_value_is_the_weighted_sum_of_eight_corners(generator: torch.Generator) -> None:
    table = torch.randn(*SHAPE, 2, generator=generator)
    place = (0.3, 0.55, 0.8)
    expected = torch.zeros(2)
    for corner in itertools.product((0, 1), repeat=3):
        weight, node = 1.0, []
        for side, share, count in zip(corner, place, SHAPE, strict=True):
            low = int(share * (count - 1))
            part = share * (count - 1) - low
            weight *= part if side else 1 - part
            node.append(low + side)
        expected += weight * table[node[0], node[1], node[2]]
    found = trilinear(table, (torch.tensor(place[:1]), torch.tensor(place[1:2]), torch.tensor(place[2:])))
    torch.testing.assert_close(found[0], expected)


def test_nodes_keep_their_values_and_outside_is_the_nearest_face(generator: torch.Generator) -> None:
    table = torch.randn(*SHAPE, 1, generator=generator)
    axes = [torch.linspace(0, 1, count) for count in SHAPE]
    x, y, z = (axis.reshape(-1) for axis in torch.meshgrid(*axes, indexing="ij"))
    torch.testing.assert_close(trilinear(table, (x, y, z)), table.reshape(-1, 1), atol=1e-4, rtol=1e-4)
    beyond = trilinear(table, (torch.tensor([3.0]), torch.tensor([0.0]), torch.tensor([-0.5])))
    torch.testing.assert_close(beyond[0], table[-1, 0, 0])


def test_nearest_finds_the_cell_and_stays_inside() -> None:
    table = torch.arange(24.0).reshape(2, 3, 4)
    x, y, z = torch.tensor([[0.6, -1.0]]), torch.tensor([[0.4, 0.5]]), torch.tensor([[0.99, 7.0]])
    assert nearest(table, (x, y, z)).tolist() == [[float(table[1, 1, 3]), float(table[0, 1, 3])]]
