"""Depths along rays, against slow loops, invariants and recorded numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from novelview.geometry.intervals import (
    disparity_depths,
    lengths,
    linear_depths,
    midpoints,
    sample_pdf,
    stratified,
)

weights = st.lists(st.floats(0, 10, width=32), min_size=1, max_size=8)
seeds = st.integers(0, 2**31)


def slow_sample_pdf(edges: list[float], weights: list[float], u: float) -> float:
    """Walk along the bins until the area under the histogram reaches ``u``."""
    filled = [w + 1e-5 for w in weights]
    total, passed = sum(filled), 0.0
    for low, high, w in zip(edges[:-1], edges[1:], filled, strict=True):
        if passed + w / total > u:
            step = w / total if w / total >= 1e-5 else 1.0
            return low + (u - passed) / step * (high - low)
        passed += w / total
    return edges[-1]


def increasing(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.rand(count, generator=generator, dtype=torch.float64).add(0.01).cumsum(0)


def test_linear_depths_have_equal_steps_and_both_ends() -> None:
    depths = linear_depths(torch.tensor([2.0, 1.0]), torch.tensor([6.0, 3.0]), 5)
    assert depths.tolist() == [[2, 3, 4, 5, 6], [1, 1.5, 2, 2.5, 3]]


def test_disparity_depths_have_equal_steps_of_inverse_depth() -> None:
    depths = disparity_depths(torch.tensor([1.0]), torch.tensor([4.0]), 4)
    torch.testing.assert_close(1 / depths, torch.tensor([[1.0, 0.75, 0.5, 0.25]]))


def test_midpoints_and_lengths() -> None:
    depths = torch.tensor([[1.0, 2.0, 4.0]])
    assert midpoints(depths).tolist() == [[1.5, 3]]
    assert lengths(depths, last=9.0).tolist() == [[1, 2, 9]]


@given(seed=seeds, count=st.integers(2, 9))
def test_stratified_samples_stay_in_their_strata(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    depths = increasing(count, seed)
    jittered = stratified(depths, torch.rand(count, generator=generator, dtype=torch.float64))
    bounds = [float(depths[0]), *midpoints(depths).tolist(), float(depths[-1])]
    for i in range(count):
        assert bounds[i] <= float(jittered[i]) < bounds[i + 1]


def test_stratified_fills_each_stratum_evenly() -> None:
    depths = torch.tensor([0.0, 1.0, 3.0]).expand(3, 3)
    u = torch.tensor([0.0, 0.5, 1.0])[:, None].expand(3, 3)
    assert stratified(depths, u).tolist() == [[0, 0.5, 2], [0.25, 1.25, 2.5], [0.5, 2, 3]]


@given(weights=weights, seed=seeds)
def test_sample_pdf_equals_a_walk_along_the_bins(weights: list[float], seed: int) -> None:
    edges = increasing(len(weights) + 1, seed)
    u = torch.rand(16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = sample_pdf(edges, torch.tensor(weights, dtype=torch.float64), u)
    expected = [slow_sample_pdf(edges.tolist(), weights, x) for x in u.tolist()]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


@given(weights=weights, seed=seeds)
def test_sample_pdf_is_monotone_and_inside(weights: list[float], seed: int) -> None:
    edges = increasing(len(weights) + 1, seed)
    found = sample_pdf(edges, torch.tensor(weights, dtype=torch.float64), torch.linspace(0, 1, 33).double())
    assert bool((found.diff() >= -1e-12).all())
    assert bool((found >= edges[0] - 1e-12).all())
    assert bool((found <= edges[-1] + 1e-12).all())


@settings(max_examples=10)
@given(seed=seeds)
def test_sample_pdf_follows_the_histogram(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(5, generator=generator)
    found = sample_pdf(torch.arange(6.0), weights, torch.rand(20_000, generator=generator))
    share = torch.histc(found, 5, 0, 5) / len(found)
    torch.testing.assert_close(share, weights / weights.sum(), atol=0.02, rtol=0)


@pytest.mark.parametrize(("u", "expected"), [(None, "pdf_det"), ("pdf_u", "pdf_rand")])
def test_sample_pdf_gives_the_recorded_depths(shared: Path, u: str | None, expected: str) -> None:
    with np.load(shared / "fixtures/r2l/a/functions.npz") as recorded:
        data = {name: torch.from_numpy(recorded[name]) for name in recorded.files if name.startswith("pdf_")}
    chosen = torch.linspace(0, 1, 24).expand(20, 24) if u is None else data[u]
    found = sample_pdf(data["pdf_bins"], data["pdf_weights"], chosen)
    torch.testing.assert_close(found, data[expected], atol=1e-6, rtol=0)
