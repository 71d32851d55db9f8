"""How close a rendered image is to a photograph: PSNR, three kinds of SSIM, depth errors. Pure functions.

Every value of this file depends on choices that differ from tool to tool; :class:`MetricSettings` states them
and travels with every result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.errors import DataError

SsimWindow = Literal["gaussian11", "gaussian11_valid", "uniform7"]
Region = Literal["image", "mask"]


@dataclass(frozen=True)
class MetricSettings:
    """What the numbers of a report mean.

    Attributes:
        region: "image" scores every pixel; "mask" only the foreground, weighted by its coverage.
        data_range: largest possible difference between two colour values.
        colours: what the values are and what happens to them first.
        psnr: how PSNR is computed.
        ssim_gaussian11: how the SSIM of the NeRF papers is computed.
        ssim_gaussian11_valid: how the SSIM of LVSM (ICLR 2025) is computed.
        ssim_uniform7: how scikit-image's default SSIM is computed.
        lpips: which perceptual network is used, or why none is.
        mean: how the values of several images become one.
    """

    region: Region = "image"
    data_range: float = 1.0
    colours: str = "sRGB as stored, clamped to [0, 1], not rounded to 8 bit"
    psnr: str = "-10 log10 of the mean squared error over pixels and channels of one image"
    ssim_gaussian11: str = (
        "11x11 Gaussian window, sigma 1.5, population covariance, zero padding at the border, "
        "K1 0.01, K2 0.03, mean over pixels and channels"
    )
    ssim_gaussian11_valid: str = (
        "11x11 Gaussian window, sigma 1.5, sample covariance, a border of 5 pixels left out, "
        "K1 0.01, K2 0.03, mean over pixels and channels (scikit-image with gaussian_weights)"
    )
    ssim_uniform7: str = (
        "7x7 uniform window, sample covariance, a border of 3 pixels left out, "
        "K1 0.01, K2 0.03, mean over pixels and channels (scikit-image's default)"
    )
    lpips: str = "not measured: no weights were given"
    mean: str = "arithmetic mean of the values of the images"

    def with_lpips(self, trunk: str | None) -> MetricSettings:
        """The settings where LPIPS is measured with the network ``trunk``, or not at all (None)."""
        if trunk is None:
            return self
        where = "whole image" if self.region == "image" else "whole image, masks not applied"
        return replace(self, lpips=f"version 0.1, {trunk} trunk, images scaled to [-1, 1], {where}")


@dataclass(frozen=True)
class Scores:
    """The metrics of one image, or their means over images; None where a metric was not measured.

    Attributes:
        psnr: decibel; infinite for identical images.
        ssim_gaussian11: structural similarity as in the NeRF papers.
        ssim_gaussian11_valid: structural similarity as in LVSM: scikit-image's with Gaussian weights.
        ssim_uniform7: structural similarity as scikit-image computes it by default.
        lpips: perceptual distance.
        depth_abs_rel: mean of |depth - truth| / truth over pixels whose depth is known.
        depth_rmse: root of the mean squared depth error over those pixels, scene units.
    """

    psnr: float
    ssim_gaussian11: float
    ssim_gaussian11_valid: float
    ssim_uniform7: float
    lpips: float | None = None
    depth_abs_rel: float | None = None
    depth_rmse: float | None = None


def psnr(
    image: Float[Tensor, "h w c"], truth: Float[Tensor, "h w c"], mask: Float[Tensor, "h w"] | None = None
) -> float:
    """Peak signal-to-noise ratio in decibel for values in [0, 1]; infinite for identical images.

    Raises:
        DataError: the mask has no foreground.
    """
    error = (image.double() - truth.double()).square().mean(dim=-1)
    return float(-10 * torch.log10(_mean_over(error, mask)))


def ssim(
    image: Float[Tensor, "h w c"],
    truth: Float[Tensor, "h w c"],
    window: SsimWindow,
    mask: Float[Tensor, "h w"] | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004) for values in [0, 1]; 1 for identical images.

    Args:
        image: rendered image.
        truth: photograph.
        window: "gaussian11" is the SSIM of the NeRF papers, "gaussian11_valid" that of LVSM (ICLR 2025), "uniform7"
            scikit-image's default; their values differ by several hundredths, so never compare one with another.
        mask: foreground coverage; the similarity map is averaged over it.

    Raises:
        DataError: the image is smaller than the window, or the mask has no foreground.
    """
    values = ssim_map(image, truth, window)
    if mask is not None:
        # A valid-only map is smaller than the image by the same border on every side.
        border = (mask.shape[0] - values.shape[0]) // 2
        mask = mask[border : mask.shape[0] - border, border : mask.shape[1] - border]
    return float(_mean_over(values.mean(dim=-1), mask))


def ssim_map(
    image: Float[Tensor, "h w c"], truth: Float[Tensor, "h w c"], window: SsimWindow
) -> Float[Tensor, "mh mw c"]:
    """Structural similarity around each pixel; "uniform7" leaves out a border of 3 pixels, "gaussian11_valid" of 5."""
    if window == "uniform7":
        return _ssim_of_windows(image, truth, torch.full((7,), 1 / 7), padding=0, correction=49 / 48)
    offsets = torch.arange(11, dtype=torch.float64) - 5
    weights = torch.exp(-(offsets**2) / (2 * 1.5**2))
    padding, correction = (5, 1.0) if window == "gaussian11" else (0, 121 / 120)
    return _ssim_of_windows(image, truth, weights / weights.sum(), padding=padding, correction=correction)


def depth_errors(
    depth: Float[Tensor, "h w"], truth: Float[Tensor, "h w"], mask: Float[Tensor, "h w"] | None = None
) -> tuple[float, float] | None:
    """Mean absolute relative error and RMSE over pixels whose true depth is known (> 0); None without any."""
    weight = (truth > 0).double() if mask is None else (truth > 0) * mask.double()
    if not bool(weight.any()):
        return None
    error = torch.where(truth > 0, depth.double() - truth.double(), 0.0)
    relative = error.abs() / truth.double().clamp(min=1e-12)
    return float(_mean_over(relative, weight)), float(_mean_over(error.square(), weight).sqrt())


def _ssim_of_windows(image: Tensor, truth: Tensor, line: Tensor, padding: int, correction: float) -> Tensor:
    """SSIM map for a separable window whose one-dimensional weights are ``line``."""
    if min(image.shape[:2]) < len(line):
        raise DataError(
            "The image is too small for SSIM",
            why=f"{image.shape[1]}x{image.shape[0]} pixels, and its window is {len(line)}x{len(line)}",
            cure="evaluate at a larger scale",
        )

    def local_mean(values: Tensor) -> Tensor:
        kernel = line.to(values)
        values = F.conv2d(values[:, None], kernel[None, None, :, None], padding=(padding, 0))
        return F.conv2d(values, kernel[None, None, None, :], padding=(0, padding))[:, 0]

    # Double precision: variances are small differences of large means.
    a, b = image.double().permute(2, 0, 1), truth.double().permute(2, 0, 1)
    mean_a, mean_b = local_mean(a), local_mean(b)
    variance_a = correction * (local_mean(a * a) - mean_a**2)
    variance_b = correction * (local_mean(b * b) - mean_b**2)
    covariance = correction * (local_mean(a * b) - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).permute(1, 2, 0)


def _mean_over(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean()
    weight = mask.to(values)
    if not bool(weight.sum() > 0):
        raise DataError(
            "There is no foreground to score",
            why="the mask of this view is empty",
            cure="score the whole image instead, or leave this view out",
        )
    return (values * weight).sum() / weight.sum()
