"""Scores of repeated generations against direct uses of each metric."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from novelview.errors import DataError
from novelview.evaluation.metrics import psnr, ssim
from novelview.evaluation.reconstruction import score_reconstruction
from novelview.nn.lpips import LPIPS


@pytest.fixture
def case(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Three samples of two views, the views, and their masks."""
    truth = torch.rand(2, 16, 20, 3, generator=generator)
    samples = (truth + 0.2 * torch.randn(3, 2, 16, 20, 3, generator=generator)).clamp(0, 1)
    return samples, truth, torch.rand(2, 16, 20, generator=generator)


def test_mean_is_over_samples_and_views(case: tuple[Tensor, Tensor, Tensor]) -> None:
    samples, truth, _ = case
    scores = score_reconstruction(samples, truth)
    values = torch.tensor([[psnr(s[i], truth[i]) for s in samples] for i in range(2)])
    assert (scores.samples, scores.views) == (3, 2)
    assert scores.whole.mean.psnr == pytest.approx(float(values.mean()))
    assert scores.whole.best.psnr == pytest.approx(float(values.amax(dim=1).mean()))
    assert scores.masked is None


def test_the_mean_image_has_less_noise(case: tuple[Tensor, Tensor, Tensor]) -> None:
    samples, truth, _ = case
    scores = score_reconstruction(samples, truth).whole
    expected = sum(psnr(samples[:, i].mean(dim=0), truth[i]) for i in range(2)) / 2
    assert scores.mean_image.psnr == pytest.approx(expected)
    assert scores.mean_image.psnr > scores.best.psnr


def test_masks_put_both_before_white(case: tuple[Tensor, Tensor, Tensor]) -> None:
    samples, truth, masks = case
    white = [masks[..., None] * each + 1 - masks[..., None] for each in (samples, truth)]
    scores = score_reconstruction(samples, truth, masks)
    assert scores.masked is not None
    values = [ssim(s[i], white[1][i], "uniform7") for s in white[0] for i in range(2)]
    assert scores.masked.mean.ssim_uniform7 == pytest.approx(sum(values) / 6, abs=1e-6)
    assert scores.whole == score_reconstruction(samples, truth).whole


def test_best_is_chosen_for_each_view_and_metric() -> None:
    truth = torch.full((2, 16, 16, 3), 0.5)
    samples = torch.stack([truth, truth])
    samples[0, 0] += 0.1
    samples[0, 1] += 0.01
    samples[1, 0] += 0.01
    samples[1, 1] += 0.1
    scores = score_reconstruction(samples, truth).whole
    assert scores.best.psnr == pytest.approx(40, abs=1e-3)
    assert scores.mean.psnr == pytest.approx(30, abs=1e-3)


def test_best_of_a_distance_is_the_smallest(generator: torch.Generator) -> None:
    torch.manual_seed(0)
    network = LPIPS("alex").eval().requires_grad_(False)
    for weight in network.weights:
        weight.fill_(1.0)
    truth = torch.rand(1, 32, 32, 3, generator=generator)
    samples = torch.stack([truth, truth.flip(1)])
    scores = score_reconstruction(samples, truth, lpips=network).whole
    assert scores.best.lpips == 0
    assert scores.mean.lpips == pytest.approx(float(network(truth[0].flip(0), truth[0])) / 2)


def test_infinite_values_do_not_count(case: tuple[Tensor, Tensor, Tensor]) -> None:
    samples, truth, _ = case
    samples[0, 0] = truth[0]
    scores = score_reconstruction(samples, truth).whole
    others = [psnr(samples[s, i], truth[i]) for s in range(3) for i in range(2) if (s, i) != (0, 0)]
    assert scores.infinite == 1
    assert scores.mean.psnr == pytest.approx(sum(others) / 5)


def test_perfect_samples_are_infinitely_good() -> None:
    truth = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    scores = score_reconstruction(truth[None], truth)
    assert math.isinf(scores.whole.mean.psnr)
    assert scores.to_json()["whole"]["mean"]["psnr"] == "inf"


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        score_reconstruction(torch.zeros(0, 2, 16, 16, 3), torch.zeros(2, 16, 16, 3))


def test_colours_must_be_finite() -> None:
    with pytest.raises(DataError, match="not finite"):
        score_reconstruction(torch.full((1, 1, 16, 16, 3), torch.nan), torch.zeros(1, 16, 16, 3))
