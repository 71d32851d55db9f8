"""Scores of views that were generated from few known ones, several times over, against the true views."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import DataError
from novelview.evaluation.metrics import Scores
from novelview.evaluation.results import mean_scores, scores_json
from novelview.evaluation.scoring import score_image
from novelview.nn.lpips import LPIPS


@dataclass(frozen=True)
class RepeatedScores:
    """Scores of several samples of the same views.

    Attributes:
        mean: over samples and views.
        best: of each view the best sample's value, each metric for itself, meaned over views. It knows the truth when it
            chooses, so it is no fair score of one sample.
        mean_image: scores of the mean of all samples, meaned over views; a blurred image can score well here.
        infinite: how many values of PSNR, of single samples, were infinite; none is in a mean.
    """

    mean: Scores
    best: Scores
    mean_image: Scores
    infinite: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        scores = {name: scores_json(getattr(self, name)) for name in ("mean", "best", "mean_image")}
        return {**scores, "infinite": self.infinite}


@dataclass(frozen=True)
class ReconstructionScores:
    """How well views that were not given are made up from those that were.

    Attributes:
        samples: how often each view was generated.
        views: number of views.
        whole: of the images as they are.
        masked: of images that are white outside the true masks, both the generated and the true ones; scored whole. None
            without masks.
    """

    samples: int
    views: int
    whole: RepeatedScores
    masked: RepeatedScores | None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "samples": self.samples,
            "views": self.views,
            "whole": self.whole.to_json(),
            "masked": None if self.masked is None else self.masked.to_json(),
        }


def score_reconstruction(
    samples: Float[Tensor, "s n h w 3"],
    truth: Float[Tensor, "n h w 3"],
    masks: Float[Tensor, "n h w"] | None = None,
    *,
    lpips: LPIPS | None = None,
) -> ReconstructionScores:
    """PSNR, SSIM and LPIPS of generated views against true ones, as they are and before white (ViewDiff, Table 2).

    Args:
        samples: each view several times, colours in [0, 1]; values outside are clamped.
        truth: the true views, known ones left out.
        masks: true coverage in [0, 1], which blends both images with white.
        lpips: perceptual network; None: LPIPS is not measured.

    Raises:
        DataError: there is no sample or no view, a colour is not finite, or images are too small for a metric.
    """
    if not len(samples) or not len(truth):
        raise DataError("There is nothing to score", why=f"{len(samples)} samples of {len(truth)} views")
    if not bool(samples.isfinite().all()):
        raise DataError(
            "A generated colour is not finite", cure="take other weights, or --adjust precision=float32"
        )
    samples = samples.clamp(0, 1)
    masked = None
    if masks is not None:
        masked = _repeated(_on_white(samples, masks), _on_white(truth, masks), lpips)
    return ReconstructionScores(len(samples), len(truth), _repeated(samples, truth, lpips), masked)


def mean_repeated(scores: Sequence[RepeatedScores]) -> RepeatedScores:
    """Means over groups of views, each counting once."""
    return RepeatedScores(
        mean=_mean([each.mean for each in scores]),
        best=_mean([each.best for each in scores]),
        mean_image=_mean([each.mean_image for each in scores]),
        infinite=sum(each.infinite for each in scores),
    )


def _repeated(samples: Tensor, truth: Tensor, lpips: LPIPS | None) -> RepeatedScores:
    every = [
        [score_image(sample[i], truth[i], lpips=lpips) for sample in samples] for i in range(len(truth))
    ]  # by view, then by sample
    merged = [
        score_image(image, true, lpips=lpips) for image, true in zip(samples.mean(dim=0), truth, strict=True)
    ]
    best = [_best(of_view) for of_view in every]
    flat = [each for of_view in every for each in of_view]
    return RepeatedScores(
        mean=_mean(flat),
        best=_mean(best),
        mean_image=_mean(merged),
        infinite=sum(math.isinf(each.psnr) for each in flat),
    )


def _best(of_view: Sequence[Scores]) -> Scores:
    """Highest PSNR and SSIM, lowest LPIPS."""
    found: dict[str, Any] = {}
    for metric in (each.name for each in fields(Scores)):
        values = [value for each in of_view if (value := getattr(each, metric)) is not None]
        choose: Callable[[list[float]], float] = min if metric == "lpips" else max
        found[metric] = choose(values) if values else None
    return Scores(**found)


def _mean(scores: Sequence[Scores]) -> Scores:
    """Means in which infinite values of PSNR, as of the paper, do not count; infinite where all are."""
    mean = mean_scores(scores)
    finite = [each.psnr for each in scores if math.isfinite(each.psnr)]
    return Scores(**{**vars(mean), "psnr": sum(finite) / len(finite) if finite else math.inf})


def _on_white(images: Tensor, masks: Float[Tensor, "n h w"]) -> Tensor:
    coverage = masks[..., None]
    return torch.lerp(torch.ones_like(images), images, coverage.expand_as(images))
