"""Colour maps: their ends, their order, and what is not a number."""

from __future__ import annotations

import math

import pytest
import torch

from novelview.export.colours import ColourMap, colourise, colourise_depth, depth_range

LUMINANCE = torch.tensor([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", ["viridis", "inferno"])
def test_brightness_rises_with_the_value(name: ColourMap) -> None:
    colours = colourise(torch.linspace(0, 1, 200), name)
    assert bool(((colours**2.2) @ LUMINANCE).diff().gt(0).all())
    assert float(colours.min()) >= 0
    assert float(colours.max()) <= 1


def test_ends_outside_and_nan() -> None:
    values = torch.tensor([0.0, -3.0, 1.0, 9.0, float("inf"), float("-inf"), float("nan")])
    colours = (colourise(values, "viridis") * 255).round().long().tolist()
    dark, bright = [0x44, 0x01, 0x54], [0xFD, 0xE7, 0x25]
    assert colours == [dark, dark, bright, bright, bright, dark, [0, 0, 0]]


def test_depth_is_coloured_evenly_in_disparity() -> None:
    depth = torch.tensor([[1.0, 2.0, 4.0, 0.0, float("inf")]])
    expected = colourise(torch.tensor([[1.0, 1 / 3, 0.0, float("nan"), float("nan")]]), "viridis")
    torch.testing.assert_close(colourise_depth(depth, (1.0, 4.0)), expected)


def test_depth_finds_its_own_range() -> None:
    depth = 1 / torch.linspace(0.2, 2.0, 500).reshape(20, 25)
    brightness = colourise_depth(depth) @ LUMINANCE
    assert float(brightness[0, 0]) < 0.2
    assert float(brightness[-1, -1]) > 0.8
    assert not colourise_depth(torch.zeros(3, 3)).any()
    assert bool(colourise_depth(torch.full((3, 3), 2.0)).isfinite().all())


def test_one_range_for_pictures_of_any_size() -> None:
    """Percentiles over all known values of all pictures, whatever is unknown in them."""
    small, large = torch.full((10, 10), 2.0), torch.full((1000, 800), 8.0)
    large[:, ::2] = 0.0
    assert depth_range([large]) == pytest.approx((8.0, 8.0))
    assert depth_range(iter([small, small, small, large[:20, :20]])) == pytest.approx((2.0, 8.0))
    even = 1 / torch.linspace(1.0, 2.0, 400 * 500).reshape(400, 500)
    assert depth_range([even]) == pytest.approx((1 / 1.98, 1 / 1.02), rel=1e-2)
    assert depth_range([torch.zeros(3, 3), torch.full((2, 2), math.nan)]) == (1.0, math.inf)
