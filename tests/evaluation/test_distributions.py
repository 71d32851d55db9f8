"""FID and KID against closed forms, slow loops and what a distance must satisfy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.errors import DataError
from novelview.evaluation.distributions import (
    compare_distributions,
    frechet_of_features,
    kernel_distance,
    polynomial_mmd,
)


def covariance(generator: torch.Generator, rank: int, size: int = 6) -> Tensor:
    half = torch.randn(size, rank, generator=generator, dtype=torch.float64)
    return half @ half.T


def features(mean: Tensor, covariance: Tensor) -> Tensor:
    """Few features of exactly this mean and covariance."""
    values, vectors = torch.linalg.eigh(covariance.double())
    half = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    rows = (len(mean) - 0.5) ** 0.5 * half
    return mean + torch.cat([rows, -rows])


def distance(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> float:
    return frechet_of_features(features(mean_a, covariance_a), features(mean_b, covariance_b))


def test_gaussians_along_the_axes_have_a_closed_form() -> None:
    a, b = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 4.0, 1.0])
    mean = torch.tensor([1.0, 2.0, 2.0])
    # The standard deviations differ by 1, 0 and 2.
    assert distance(torch.zeros(3), a.diag(), mean, b.diag()) == pytest.approx(9 + 1 + 0 + 4)


def test_the_root_is_that_of_the_product(generator: torch.Generator) -> None:
    a, b = covariance(generator, 9), covariance(generator, 9)
    roots = torch.linalg.eigvals(a @ b).real.sqrt().sum()
    expected = float(a.trace() + b.trace() - 2 * roots)
    assert distance(torch.zeros(6), a, torch.zeros(6), b) == pytest.approx(expected, abs=1e-9)


def test_a_gaussian_is_at_no_distance_from_itself_whatever_its_rank(generator: torch.Generator) -> None:
    for rank in (1, 3, 6):
        matrix = covariance(generator, rank)
        assert distance(torch.ones(6), matrix, torch.ones(6), matrix) == pytest.approx(0, abs=1e-9)


def test_distance_is_symmetric_and_ignores_rotations(generator: torch.Generator) -> None:
    a, b = covariance(generator, 2), covariance(generator, 4)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    mean = torch.randn(6, generator=generator, dtype=torch.float64)
    zero = torch.zeros(6, dtype=torch.float64)
    there = distance(mean, a, zero, b)
    assert distance(zero, b, mean, a) == pytest.approx(there)
    turned = distance(turn @ mean, turn @ a @ turn.T, zero, turn @ b @ turn.T)
    assert turned == pytest.approx(there)


def test_samples_of_gaussians_come_close_to_their_distance(generator: torch.Generator) -> None:
    a = torch.randn(20_000, 4, generator=generator)
    b = 2 * torch.randn(20_000, 4, generator=generator) + 1
    assert frechet_of_features(a, b) == pytest.approx(4 + 4, rel=0.03)


def test_features_are_reduced_to_mean_and_covariance(generator: torch.Generator) -> None:
    for counts in ((4, 5), (4, 30), (30, 40)):
        a, b = (torch.randn(n, 6, generator=generator, dtype=torch.float64) + n for n in counts)
        expected = distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov())
        assert frechet_of_features(a, b) == pytest.approx(expected)


def test_few_samples_overstate_it(generator: torch.Generator) -> None:
    few = [frechet_of_features(*torch.randn(2, n, 16, generator=generator)) for n in (12, 100, 1000)]
    assert few[0] > 2 * few[1] > 4 * few[2]


def test_mmd_is_that_of_a_slow_loop(generator: torch.Generator) -> None:
    a, b = torch.randn(5, 3, generator=generator), torch.randn(4, 3, generator=generator) + 0.5

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x.double() @ y.double()) / 3 + 1) ** 3

    within_a = sum(kernel(a[i], a[j]) for i in range(5) for j in range(5) if i != j) / 20
    within_b = sum(kernel(b[i], b[j]) for i in range(4) for j in range(4) if i != j) / 12
    across = sum(kernel(x, y) for x in a for y in b) / 20
    assert polynomial_mmd(a, b) == pytest.approx(within_a + within_b - 2 * across)


def test_kid_of_one_distribution_is_zero_in_the_mean(generator: torch.Generator) -> None:
    values = torch.tensor([polynomial_mmd(*torch.randn(2, 10, 8, generator=generator)) for _ in range(400)])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 20
    assert float(values.min()) < 0


def test_kid_repeats_with_its_generator_and_grows_with_the_difference() -> None:
    a, b = torch.randn(2, 60, 8, generator=torch.Generator().manual_seed(3))

    def distance(shift: float) -> tuple[float, float]:
        return kernel_distance(a, b + shift, torch.Generator().manual_seed(1), subset=20, subsets=30)

    assert distance(0.5) == distance(0.5)
    assert distance(0.0)[0] < distance(0.3)[0] < distance(1.0)[0]
    assert distance(0.5)[1] > 0


def test_whole_sets_have_no_spread(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 12, 4, generator=generator)
    mean, deviation = kernel_distance(a, b, generator, subset=12, subsets=5)
    assert mean == pytest.approx(polynomial_mmd(a, b))
    assert deviation == pytest.approx(0, abs=1e-6)


def test_result_states_what_it_depends_on(generator: torch.Generator) -> None:
    a, b = torch.randn(9, 20, generator=generator), torch.randn(50, 20, generator=generator)
    scores = compare_distributions(a, b, generator, network="net", masks="none")
    assert (scores.generated, scores.reference, scores.dimension) == (9, 50, 20)
    assert (scores.subset, scores.subsets) == (4, 100)
    assert scores.to_json()["masks"] == "none"
    assert "9 images in 20 dimensions" in scores.notes[0]


def test_enough_images_need_no_note(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 50, 20, generator=generator)
    assert compare_distributions(a, b, generator, network="net", masks="none").notes == ()


def test_one_image_is_no_distribution(generator: torch.Generator) -> None:
    with pytest.raises(DataError, match="too few images"):
        frechet_of_features(torch.ones(1, 3), torch.ones(5, 3))


def test_a_subset_must_fit_into_both_sets(generator: torch.Generator) -> None:
    with pytest.raises(DataError, match="at least 6"):
        kernel_distance(torch.ones(5, 3), torch.ones(9, 3), generator, subset=6)
