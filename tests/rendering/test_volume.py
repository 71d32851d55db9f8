"""Volume rendering against the integral written as a loop, against its invariants and against gradcheck."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from novelview.rendering.volume import (
    alpha_from_density,
    composite,
    disparity,
    mean_depth,
    opacity,
    over,
    thickness_from_field,
    weights_from_alpha,
    weights_from_density,
)

media = st.lists(st.tuples(st.floats(0, 1e4, width=32), st.floats(0, 100, width=32)), min_size=1, max_size=12)


def slow_weights(density: list[float], deltas: list[float], epsilon: float) -> list[float]:
    light, weights = 1.0, []
    for sigma, delta in zip(density, deltas, strict=True):
        alpha = 1 - math.exp(-sigma * delta)
        weights.append(light * alpha)
        light *= 1 - alpha + epsilon
    return weights


def columns(medium: list[tuple[float, float]], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    density, deltas = torch.tensor(medium, dtype=dtype).T
    return density, deltas


def nerf_weights(density: Tensor, deltas: Tensor) -> Tensor:
    return weights_from_alpha(alpha_from_density(density, deltas), epsilon=1e-10)


@given(medium=media)
def test_both_ways_equal_the_loop(medium: list[tuple[float, float]]) -> None:
    density, deltas = columns(medium)
    exact = slow_weights(density.tolist(), deltas.tolist(), 0.0)
    torch.testing.assert_close(weights_from_density(density, deltas).tolist(), exact, atol=2e-6, rtol=0)
    exact = slow_weights(density.tolist(), deltas.tolist(), 1e-10)
    torch.testing.assert_close(nerf_weights(density, deltas).tolist(), exact, atol=2e-6, rtol=0)


@pytest.mark.parametrize("make", [weights_from_density, nerf_weights])
@given(medium=media)
def test_weights_are_shares_of_the_light(make: object, medium: list[tuple[float, float]]) -> None:
    weights = make(*columns(medium))  # type: ignore[operator]
    assert bool((weights >= 0).all())
    assert float(weights.sum()) <= 1 + 1e-5


@pytest.mark.parametrize("make", [weights_from_density, nerf_weights])
@given(medium=media, behind=media)
def test_an_opaque_sample_hides_everything_behind(
    make: object, medium: list[tuple[float, float]], behind: list[tuple[float, float]]
) -> None:
    weights = make(*columns([*medium, (1e4, 1.0), *behind]))  # type: ignore[operator]
    assert float(weights[len(medium) + 1 :].sum()) < 1e-8
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("make", [weights_from_density, nerf_weights])
@given(medium=media, behind=media)
def test_what_lies_behind_changes_nothing_before(
    make: object, medium: list[tuple[float, float]], behind: list[tuple[float, float]]
) -> None:
    alone = make(*columns(medium))  # type: ignore[operator]
    together = make(*columns([*medium, *behind]))  # type: ignore[operator]
    torch.testing.assert_close(together[: len(medium)], alone, atol=1e-6, rtol=1e-5)


@given(medium=media, cut=st.floats(0.1, 0.9))
def test_cutting_an_interval_in_two_keeps_the_opacity(medium: list[tuple[float, float]], cut: float) -> None:
    halves = [part for sigma, d in medium for part in ((sigma, d * cut), (sigma, d * (1 - cut)))]
    whole = opacity(weights_from_density(*columns(medium, torch.float64)))
    torch.testing.assert_close(opacity(weights_from_density(*columns(halves, torch.float64))), whole)


def test_thin_media_are_not_rounded_away() -> None:
    weights = weights_from_density(torch.full((3,), 1e-9), torch.ones(3))
    torch.testing.assert_close(weights, torch.full((3,), 1e-9))


def test_a_huge_last_interval_keeps_what_is_before_it() -> None:
    density, deltas = torch.tensor([0.3, 0.2, 0.5]), torch.tensor([1.0, 1.0, 1e10])
    expected = slow_weights(density.tolist(), deltas.tolist(), 0.0)
    torch.testing.assert_close(weights_from_density(density, deltas).tolist(), expected)


@pytest.mark.parametrize("make", [weights_from_density, nerf_weights])
def test_gradients_are_those_of_finite_differences(make: object, generator: torch.Generator) -> None:
    density = (3 * torch.rand(2, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    deltas = (0.1 + torch.rand(2, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(make, (density, deltas))


@pytest.mark.parametrize("make", [weights_from_density, nerf_weights])
def test_gradients_are_finite_behind_opaque_samples(make: object) -> None:
    density = torch.tensor([0.0, 1e6, 5.0, 0.0], requires_grad=True)
    make(density, torch.tensor([1.0, 1.0, 1.0, 1e10])).square().sum().backward()  # type: ignore[operator]
    assert density.grad is not None
    assert bool(density.grad.isfinite().all())


def test_composite_sums_values_by_weight() -> None:
    weights = torch.tensor([[0.5, 0.25], [0.0, 1.0]])
    values = torch.tensor([[[1.0, 0, 4], [0, 1, 0]], [[9, 9, 9], [1, 2, 3]]])
    assert composite(weights, values).tolist() == [[0.5, 0.25, 2], [1, 2, 3]]
    assert opacity(weights).tolist() == [0.75, 1]


def test_over_lets_the_background_through() -> None:
    seen = over(torch.tensor([[0.2, 0.0, 0.0]]), torch.tensor([0.25]), torch.ones(1, 3))
    torch.testing.assert_close(seen, torch.tensor([[0.95, 0.75, 0.75]]))


def test_mean_depth_and_disparity_of_nothing_are_zero_and_never_nan() -> None:
    weights = torch.tensor([[0.0, 0.0], [0.1, 0.3]], requires_grad=True)
    depths = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    torch.testing.assert_close(mean_depth(weights, depths), torch.tensor([0.0, 1.75]))
    torch.testing.assert_close(disparity(weights, depths), torch.tensor([0.0, 1 / 1.75]))
    disparity(weights, depths).sum().backward()
    assert weights.grad is not None
    assert bool(weights.grad.isfinite().all())


def naive_neus(values: list[float], sharpness: float) -> list[float]:
    """Alphas of NeuS's equation 13 and their products, as a loop."""
    outside = [1 / (1 + math.exp(sharpness * value)) for value in values]
    light, weights = 1.0, []
    for before, after in pairwise(outside):
        alpha = max((before - after) / before, 0.0)
        weights.append(light * alpha)
        light *= 1 - alpha
    return weights


def weights_of_field(values: Tensor, sharpness: float) -> Tensor:
    thickness = thickness_from_field(values, sharpness)
    return weights_from_density(thickness, torch.ones_like(thickness))


@given(values=st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=12), sharpness=st.floats(1, 50))
def test_weights_of_a_field_are_those_of_neus(values: list[float], sharpness: float) -> None:
    found = weights_of_field(torch.tensor(values, dtype=torch.float64), sharpness)
    torch.testing.assert_close(found.tolist(), naive_neus(values, sharpness), atol=1e-9, rtol=0)


def test_sharp_fields_stop_all_light_where_they_are_first_crossed() -> None:
    values = torch.tensor([-0.5, -0.2, 0.1, 0.4, -0.3, 0.2])
    torch.testing.assert_close(weights_of_field(values, 1000.0), torch.tensor([0.0, 1, 0, 0, 0]))


def test_fields_deep_inside_and_far_outside_have_finite_gradients() -> None:
    values = torch.tensor([-1.0, 1.0, 2.0, -1.0], requires_grad=True)
    weights_of_field(values, 1e4).square().sum().backward()
    assert values.grad is not None
    assert bool(values.grad.isfinite().all())
