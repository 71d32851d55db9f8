"""How close two sets of images are as distributions, by features of a network: FID and KID. Pure functions.

FID (Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017) is the Fréchet distance of the Gaussians with the
features' means and covariances; it is biased upwards, the more the fewer images there are. KID (Bińkowski et al.,
Demystifying MMD GANs, 2018) is an unbiased estimate of a squared maximum mean discrepancy, so it may be a little below 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import DataError

_LARGEST_SUBSET = 1000


@dataclass(frozen=True)
class DistributionScores:
    """Generated images against reference images, with everything that the numbers depend on.

    Attributes:
        fid: Fréchet distance of the features.
        kid: mean over subsets of the unbiased squared maximum mean discrepancy, not multiplied by 1000.
        kid_std: its standard deviation over the subsets.
        generated: number of generated images.
        reference: number of reference images.
        network: what the features are of.
        dimension: of the features.
        masks: what masks did to the images before the network saw them.
        subset: number of images in each of KID's subsets.
        subsets: their number.
        notes: what limits the numbers, one sentence each.
    """

    fid: float
    kid: float
    kid_std: float
    generated: int
    reference: int
    network: str
    dimension: int
    masks: str
    subset: int
    subsets: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "notes": list(self.notes)}


def compare_distributions(
    generated: Float[Tensor, "n d"],
    reference: Float[Tensor, "m d"],
    generator: torch.Generator,
    *,
    network: str,
    masks: str,
    subset: int | None = None,
    subsets: int = 100,
) -> DistributionScores:
    """FID and KID of two sets of features.

    Args:
        generated: features of generated images.
        reference: of real ones, by the same network.
        generator: of KID's subsets, on the CPU.
        network: its name, for the result.
        masks: what was done with masks, for the result.
        subset: images per subset; None: 1000, or half of the smaller set where that is less.
        subsets: their number.

    Raises:
        DataError: a set has fewer than two images, or fewer than a subset.
    """
    fewest, dimension = min(len(generated), len(reference)), generated.shape[1]
    size = min(_LARGEST_SUBSET, max(2, fewest // 2)) if subset is None else subset
    fid = frechet_of_features(generated, reference)
    mean, deviation = kernel_distance(generated, reference, generator, subset=size, subsets=subsets)
    notes = []
    if fewest <= dimension:
        notes.append(
            f"FID of {fewest} images in {dimension} dimensions is far above its limit for many images: "
            "compare it only with values of as many images, or take KID."
        )
    return DistributionScores(
        fid=fid,
        kid=mean,
        kid_std=deviation,
        generated=len(generated),
        reference=len(reference),
        network=network,
        dimension=dimension,
        masks=masks,
        subset=size,
        subsets=subsets,
        notes=tuple(notes),
    )


def frechet_of_features(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]) -> float:
    """Fréchet distance of the Gaussians that fit two sets of features; covariances divide by one less than their number.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) of covariances A and B, in float64; 0 for equal Gaussians.

    Raises:
        DataError: a set has fewer than two features.
    """
    _require(first, second, 2)
    return _frechet(*_gaussian(first), *_gaussian(second))


def kernel_distance(
    first: Float[Tensor, "n d"],
    second: Float[Tensor, "m d"],
    generator: torch.Generator,
    *,
    subset: int,
    subsets: int = 100,
) -> tuple[float, float]:
    """KID: mean and standard deviation of :func:`polynomial_mmd` over random subsets, drawn without replacement.

    Raises:
        DataError: a set has fewer features than a subset, or a subset fewer than two.
    """
    _require(first, second, max(2, subset))

    def some(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:subset].to(features.device)]

    values = torch.tensor([polynomial_mmd(some(first), some(second)) for _ in range(subsets)])
    return float(values.mean()), float(values.std(correction=0))


def polynomial_mmd(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, in float64."""
    a, b = first.double(), second.double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:
        values = kernel(x, x)
        return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def _frechet(
    mean_a: Float[Tensor, " d"],
    factor_a: Float[Tensor, "k d"],
    mean_b: Float[Tensor, " d"],
    factor_b: Float[Tensor, "l d"],
) -> float:
    """Fréchet distance of Gaussians whose covariances are F^T F of their factors F.

    The trace of the root of the covariances' product is the sum of the singular values of F_a F_b^T: nothing is squared
    before its root is taken, so covariances of less than full rank do no harm.
    """
    difference = (mean_a - mean_b).double().square().sum()
    cross = torch.linalg.svdvals(factor_a @ factor_b.T).sum()
    traces = factor_a.square().sum() + factor_b.square().sum()
    return max(0.0, float(difference + traces - 2 * cross))


def _gaussian(features: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "k d"]]:
    """Mean of features and a factor of their covariance, in float64."""
    values = features.double()
    mean = values.mean(dim=0)
    factor = (values - mean) / (len(values) - 1) ** 0.5
    # Few features are a small factor already; of many, the root of the covariance is a smaller one.
    return mean, factor if factor.shape[0] <= factor.shape[1] else _square_root(factor.T @ factor)


def _square_root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """Root of a symmetric matrix without negative eigenvalues, in float64."""
    values, vectors = torch.linalg.eigh(matrix.double())
    # Rounding leaves tiny eigenvalues where there are none, and their roots would be large.
    rounding = len(values) * torch.finfo(values.dtype).eps * values.abs().max()
    roots = torch.where(values > rounding, values, 0.0).sqrt()
    return (vectors * roots) @ vectors.T


def _require(first: Tensor, second: Tensor, count: int) -> None:
    if min(len(first), len(second)) < count:
        raise DataError(
            "There are too few images to compare as distributions",
            why=f"{len(first)} and {len(second)}, and each set must have at least {count}",
            cure="give more images, or smaller subsets",
        )
