"""Plane sweep: spacing of the planes, the cost against slow loops, and what invalid samples must not do."""

from __future__ import annotations

import math

import pytest
import torch

from novelview.rendering.sweep import SINGLE_VIEW_COST, Agreement, blend, plane_cost, plane_depths


def test_planes_are_uniform_in_disparity() -> None:
    depths = plane_depths(0.5, 8.0, 16)
    assert float(depths[0]) == pytest.approx(0.5)
    assert float(depths[-1]) == pytest.approx(8.0)
    steps = (1 / depths).diff()
    torch.testing.assert_close(steps, steps.mean().expand(15), rtol=1e-4, atol=0)


def test_planes_to_infinity_are_finite_and_far() -> None:
    depths = plane_depths(2.0, math.inf, 8)
    assert bool(depths.isfinite().all())
    assert float(depths[-1]) >= 1e3 * 2.0


def test_blend_ignores_views_that_do_not_see_the_pixel(generator: torch.Generator) -> None:
    colours = torch.rand(3, 4, 5, 3, generator=generator)
    valid = torch.rand(3, 4, 5, generator=generator) > 0.4
    weights = torch.tensor([0.5, 0.3, 0.2])
    found = blend(colours, valid, weights)
    for row in range(4):
        for column in range(5):
            seen = [v for v in range(3) if valid[v, row, column]]
            total = sum(float(weights[v]) for v in seen)
            expected = sum((weights[v] / total * colours[v, row, column] for v in seen), torch.zeros(3))
            torch.testing.assert_close(found[row, column], expected, atol=1e-5, rtol=0)


def test_cost_is_an_unbiased_variance_when_nothing_else_is_asked(generator: torch.Generator) -> None:
    colours = torch.rand(5, 4, 6, 3, generator=generator)
    settings = Agreement(window=1, saturation=1e9, lonely=0.0)
    cost = plane_cost(colours, torch.ones(5, 4, 6, dtype=torch.bool), torch.full((5,), 0.2), settings)
    torch.testing.assert_close(cost, colours.var(dim=0).mean(dim=-1), atol=1e-5, rtol=1e-4)


def test_cost_is_averaged_over_the_valid_part_of_the_window(generator: torch.Generator) -> None:
    colours = torch.rand(2, 6, 6, 3, generator=generator)
    valid = torch.rand(2, 6, 6, generator=generator) > 0.2
    weights = torch.tensor([0.5, 0.5])
    sharp = plane_cost(colours, valid, weights, Agreement(window=1))
    blurred = plane_cost(colours, valid, weights, Agreement(window=3))
    both = valid.all(dim=0)
    for row in range(6):
        for column in range(6):
            if not both[row, column]:
                continue
            around = [
                float(sharp[i, j])
                for i in range(max(row - 1, 0), min(row + 2, 6))
                for j in range(max(column - 1, 0), min(column + 2, 6))
                if both[i, j]
            ]
            assert float(blurred[row, column]) == pytest.approx(sum(around) / len(around), rel=1e-4)


def test_agreement_beats_disagreement_beats_one_view_beats_none() -> None:
    colours = torch.zeros(2, 1, 4, 3)
    colours[1, 0, 1] = 1.0
    valid = torch.tensor([[[True, True, True, False]], [[True, True, False, False]]])
    cost = plane_cost(colours, valid, torch.tensor([0.5, 0.5]), Agreement(window=1))[0].tolist()
    assert cost[0] < cost[1] < cost[2] == SINGLE_VIEW_COST < cost[3] == math.inf


def test_an_object_wins_over_a_background_that_agrees_as_well() -> None:
    colours = torch.zeros(2, 1, 2, 3)
    colours[:, 0, 1] = 0.8
    args = colours, torch.ones(2, 1, 2, dtype=torch.bool), torch.tensor([0.5, 0.5]), Agreement(window=1)
    plain = plane_cost(*args)[0].tolist()
    assert plain[0] == plain[1]
    on_black = plane_cost(*args, torch.zeros(3))[0].tolist()
    on_grey = plane_cost(*args, torch.full((3,), 0.8))[0].tolist()
    assert on_black[0] > on_black[1]
    assert on_grey[1] > on_grey[0]
    assert on_black[0] - plain[0] == pytest.approx(Agreement().empty, rel=1e-5)
