"""Importance sampling and losses: against loops and stated invariants."""

from __future__ import annotations

import torch

from novelview.volumes.losses import distortion, total_variation
from novelview.volumes.sampling import edges_between, importance_shares


def test_edges_run_from_near_to_far() -> None:
    near, far, share = torch.tensor([[2.0]]), torch.tensor([[8.0]]), torch.tensor([[0.0, 0.5, 1.0]])
    torch.testing.assert_close(edges_between(near, far, share, False), torch.tensor([[2.0, 5.0, 8.0]]))
    torch.testing.assert_close(edges_between(near, far, share, True), torch.tensor([[2.0, 4.0, 8.0]]))


def test_shares_invert_the_cumulative_distribution(generator: torch.Generator) -> None:
    weights = torch.rand(20, 8, generator=generator)
    jitter = torch.rand(20, 1, generator=generator)
    shares = importance_shares(weights, 0.2, 16, jitter)
    pdf = 0.8 * weights / weights.sum(dim=-1, keepdim=True) + 0.2 / 8
    for i in range(20):
        for k in range(16):
            place = float(shares[i, k]) * 8
            whole = min(int(place), 7)
            below = float(pdf[i, :whole].sum() + (place - whole) * pdf[i, whole])
            assert abs(below - (k + float(jitter[i])) / 16) < 1e-4


def test_shares_are_even_where_nothing_is_known() -> None:
    shares = importance_shares(torch.zeros(1, 8), 0.1, 4, torch.full((1, 1), 0.5))
    torch.testing.assert_close(shares, torch.tensor([[0.125, 0.375, 0.625, 0.875]]))


def test_distortion_is_the_double_sum(generator: torch.Generator) -> None:
    weights = torch.rand(5, 6, generator=generator)
    edges = torch.rand(5, 7, generator=generator).sort(dim=-1).values
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    expected = torch.zeros(5)
    for i in range(6):
        expected += weights[:, i] ** 2 * (edges[:, i + 1] - edges[:, i]) / 3
        for j in range(6):
            expected += weights[:, i] * weights[:, j] * (middle[:, i] - middle[:, j]).abs()
    torch.testing.assert_close(distortion(weights, edges), expected)


def test_total_variation_visits_every_slice(generator: torch.Generator) -> None:
    table = torch.randn(9, 4, 5, 2, generator=generator).requires_grad_()
    assert float(total_variation(torch.ones_like(table), 0, 4)) == 0
    visited = torch.zeros_like(table)
    for step in range(40):
        visited += torch.autograd.grad(total_variation(table, step, 4), table)[0].abs()
    assert bool((visited > 0).all())
