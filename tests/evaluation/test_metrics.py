"""Metrics against scikit-image, the official SSIM value, slow loops, and what a metric must satisfy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from novelview.errors import DataError
from novelview.evaluation.metrics import SsimWindow, depth_errors, psnr, ssim, ssim_map

# How many pixels of the border each leaves out.
WINDOWS: dict[SsimWindow, int] = {"gaussian11": 0, "gaussian11_valid": 5, "uniform7": 3}


def pair(generator: torch.Generator, height: int = 24, width: int = 31) -> tuple[Tensor, Tensor]:
    truth = torch.rand(height, width, 3, generator=generator)
    return (truth + 0.2 * torch.randn(truth.shape, generator=generator)).clamp(0, 1), truth


def test_psnr_is_that_of_scikit_image(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    assert psnr(image, truth) == pytest.approx(
        peak_signal_noise_ratio(truth.numpy(), image.numpy(), data_range=1.0), abs=1e-5
    )


def test_uniform7_is_the_default_of_scikit_image(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    expected = structural_similarity(truth.numpy(), image.numpy(), channel_axis=-1, data_range=1.0)
    assert ssim(image, truth, "uniform7") == pytest.approx(expected, abs=1e-6)


def test_gaussian11_is_that_of_scikit_image_away_from_the_border(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    _, expected = structural_similarity(
        truth.numpy().astype(np.float64),
        image.numpy().astype(np.float64),
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    found = ssim_map(image, truth, "gaussian11")
    np.testing.assert_allclose(found[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-9)


def test_gaussian11_valid_is_that_of_scikit_image(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    expected = structural_similarity(
        truth.numpy(), image.numpy(), channel_axis=-1, data_range=1.0, gaussian_weights=True, sigma=1.5
    )
    assert ssim(image, truth, "gaussian11_valid") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("part", ["a", "b"])
def test_psnr_and_gaussian11_valid_are_those_recorded_for_lvsm(shared: Path, part: str) -> None:
    with np.load(shared / "fixtures/lvsm/loss_metrics.npz") as values:
        recorded = {key: torch.from_numpy(values[f"{part}_{key}"]) for key in ("pred", "target")}
        expected = values[f"{part}_metric_psnr"], values[f"{part}_metric_ssim"]
    images, truths = (each.flatten(0, 1).permute(0, 2, 3, 1) for each in recorded.values())
    pairs = list(zip(images.clamp(0, 1), truths, strict=True))
    np.testing.assert_allclose([psnr(a, b) for a, b in pairs], expected[0], rtol=0, atol=1e-4)
    found = [ssim(a, b, "gaussian11_valid") for a, b in pairs]
    np.testing.assert_allclose(found, expected[1], rtol=0, atol=1e-6)


def test_gaussian11_is_the_official_value(shared: Path) -> None:
    values = np.load(shared / "fixtures/r2l/a/functions.npz", allow_pickle=False)
    a, b = (torch.from_numpy(values[key]).permute(1, 2, 0) for key in ("ssim_a_chw", "ssim_b_chw"))
    assert ssim(a, b, "gaussian11") == pytest.approx(float(values["ssim"]), abs=1e-5)


def test_gaussian11_is_a_slow_loop_with_zeros_outside(generator: torch.Generator) -> None:
    image, truth = pair(generator, 12, 13)
    weights = [math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)]
    padded_a = torch.nn.functional.pad(image[..., 0].double(), (5, 5, 5, 5))
    padded_b = torch.nn.functional.pad(truth[..., 0].double(), (5, 5, 5, 5))
    for row, column in [(0, 0), (3, 12), (11, 6)]:
        sums = dict.fromkeys(["a", "b", "aa", "bb", "ab"], 0.0)
        for i in range(11):
            for j in range(11):
                weight = weights[i] * weights[j] / sum(weights) ** 2
                a, b = float(padded_a[row + i, column + j]), float(padded_b[row + i, column + j])
                for key, value in {"a": a, "b": b, "aa": a * a, "bb": b * b, "ab": a * b}.items():
                    sums[key] += weight * value
        a, b = sums["a"], sums["b"]
        expected = (2 * a * b + 1e-4) * (2 * (sums["ab"] - a * b) + 9e-4)
        expected /= (a * a + b * b + 1e-4) * (sums["aa"] - a * a + sums["bb"] - b * b + 9e-4)
        assert float(ssim_map(image, truth, "gaussian11")[row, column, 0]) == pytest.approx(
            expected, abs=1e-9
        )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0.01, 0.3))
def test_metrics_are_symmetric_and_best_for_equal_images(seed: int, noise: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(14, 12, 3, generator=generator)
    image = (truth + noise * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    assert psnr(truth, truth) == math.inf
    assert psnr(image, truth) == psnr(truth, image)
    for window in WINDOWS:
        assert ssim(truth, truth, window) == pytest.approx(1, abs=1e-9)
        assert ssim(image, truth, window) == pytest.approx(ssim(truth, image, window), abs=1e-12)
        assert ssim(image, truth, window) < 1


def test_a_mask_leaves_everything_outside_it_out(generator: torch.Generator) -> None:
    image, truth = pair(generator, 40, 40)
    mask = torch.zeros(40, 40)
    mask[12:28, 10:30] = 1
    spoilt = torch.where(mask[..., None] > 0, image, torch.rand(40, 40, 3, generator=generator))
    inside = image[12:28, 10:30], truth[12:28, 10:30]
    assert psnr(spoilt, truth, mask) == pytest.approx(psnr(*inside), abs=1e-6)
    assert psnr(spoilt, truth, mask) != pytest.approx(psnr(spoilt, truth), abs=0.1)
    for window, border in WINDOWS.items():
        values = ssim_map(image, truth, window)[12 - border : 28 - border, 10 - border : 30 - border]
        assert ssim(image, truth, window, mask) == pytest.approx(float(values.mean()), abs=1e-9)


def test_a_full_mask_changes_nothing(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    full = torch.ones(image.shape[:2])
    assert psnr(image, truth, full) == pytest.approx(psnr(image, truth), abs=1e-9)
    assert ssim(image, truth, "uniform7", full) == pytest.approx(ssim(image, truth, "uniform7"), abs=1e-9)


def test_an_empty_mask_and_a_tiny_image_are_refused(generator: torch.Generator) -> None:
    image, truth = pair(generator)
    with pytest.raises(DataError, match="no foreground"):
        psnr(image, truth, torch.zeros(image.shape[:2]))
    for window, side in (("gaussian11", 11), ("gaussian11_valid", 11), ("uniform7", 7)):
        ssim(image[:side], truth[:side], window)
        with pytest.raises(DataError, match=rf"(?s)too small.*window is {side}x{side}"):
            ssim(image[: side - 1], truth[: side - 1], window)


def test_depth_errors_count_known_pixels_only() -> None:
    truth = torch.tensor([[1.0, 2.0], [4.0, 0.0]])
    depth = torch.tensor([[1.5, 2.0], [3.0, 99.0]])
    assert depth_errors(depth, truth) == pytest.approx((0.75 / 3, math.sqrt(1.25 / 3)))
    mask = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    assert depth_errors(depth, truth, mask) == pytest.approx((0.25, math.sqrt(0.125)))
    assert depth_errors(depth, torch.zeros(2, 2)) is None
