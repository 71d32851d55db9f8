"""Distance from the outline of a silhouette."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.geometry import silhouettes
from novelview.geometry.silhouettes import silhouette_distance


def disc(height: int, width: int, radius: float) -> Tensor:
    """Signed distance from a circle off the middle of pixels, positive inside."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return radius - torch.hypot(x - width / 2 - 0.3, y - height / 2 + 0.2)


def test_straight_edges_are_met_exactly() -> None:
    coverage = torch.zeros(5, 9)
    coverage[:, 3:] = 1
    coverage[:, 2] = 0.25
    # Coverage passes 1/2 a third of the way from the centre of column 2 to that of column 3.
    expected = torch.arange(9.0) - 2 - 1 / 3
    torch.testing.assert_close(silhouette_distance(coverage), expected.expand(5, 9))
    torch.testing.assert_close(silhouette_distance(coverage.T.contiguous()), expected[:, None].expand(9, 5))


@pytest.mark.parametrize(("soft", "bias", "error"), [(True, 0.01, 0.3), (False, 0.03, 0.51)])
def test_a_disc(soft: bool, bias: float, error: float) -> None:
    true = disc(70, 90, 25.0)
    found = silhouette_distance((true + 0.5).clamp(0, 1) if soft else (true > 0).float())
    assert (found - true)[true.abs() < 2].mean().abs() < bias
    assert (found - true).abs().max() < error
    assert bool(((found > 0) == (true > 0))[true.abs() > 0.5].all())


def test_parts_and_holes_are_near_the_nearest_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    coverage = torch.zeros(20, 30)
    coverage[3:17, 2:20] = 1
    coverage[8:12, 8:12] = 0
    coverage[5, 25] = 1
    found = silhouette_distance(coverage)
    assert found[5, 25].item() == 0.5
    assert found[5, 24].item() == -0.5
    assert found[9, 9].item() == -1.5
    assert found[5, 10].item() == pytest.approx(2.5)
    monkeypatch.setattr(silhouettes, "_AT_ONCE", 1)
    assert torch.equal(silhouette_distance(coverage), found)


def test_without_an_outline_it_is_the_diagonal() -> None:
    assert silhouette_distance(torch.zeros(3, 4)).unique().tolist() == [-5.0]
    assert silhouette_distance(torch.ones(3, 4)).unique().tolist() == [5.0]
    assert silhouette_distance(torch.ones(1, 1)).item() == pytest.approx(2**0.5)
