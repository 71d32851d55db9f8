"""A scene fitted to half of the views shows the others only where they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest

from novelview.errors import ConfigError, DataError
from novelview.evaluation.fitted import FIT, FittedReport, fitted_consistency
from novelview.training import fit

if TYPE_CHECKING:
    from conftest import Ring

QUICK = partial(
    fit,
    "grid",
    config=replace(FIT.config, resolution=40, colour_resolution=32, coarse_samples=32, samples=16),
    recipe=replace(FIT.recipe, steps=60),
    device="cpu",
    quiet=True,
)


Report = Callable[[str], FittedReport]


@pytest.fixture(scope="module")
def report(ring: Ring) -> Report:
    """What was measured on one of the ring's sets, each fitted once."""
    return cache(lambda name: fitted_consistency(ring.sets[name], ring.bounds, QUICK))


def test_true_views_are_shown(report: Report) -> None:
    true = report("true")
    assert (true.fitted_views, true.other_views) == (6, 6)
    assert true.others.psnr > true.nearest.psnr + 5
    assert true.fitted.psnr > 25


@pytest.mark.parametrize("damaged", ["recoloured", "shifted", "spun", "others"])
def test_every_disagreement_shows(report: Report, damaged: str) -> None:
    true, found = report("true").others, report(damaged).others
    assert found.psnr < true.psnr - 3
    assert found.ssim_gaussian11 < true.ssim_gaussian11 - 0.02


def test_other_things_are_worse_than_slight_changes(report: Report) -> None:
    slight = min(report(name).others.psnr for name in ("recoloured", "shifted"))
    assert max(report(name).others.psnr for name in ("spun", "others")) < slight


def test_report_goes_into_json(report: Report) -> None:
    values = report("true").to_json()
    assert values["region"] == "image"
    assert values["others"]["psnr"] == report("true").others.psnr


def test_three_views_are_too_few(ring: Ring) -> None:
    with pytest.raises(DataError, match="too few views"):
        fitted_consistency(ring.sets["true"][:3], ring.bounds, QUICK)


def test_masks_are_scored_where_there_are_some(ring: Ring) -> None:
    with pytest.raises(ConfigError, match="no masks"):
        fitted_consistency(ring.sets["true"][:4], ring.bounds, QUICK, region="mask")
