"""Connected regions of pictures."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from novelview.geometry.regions import connected_regions


def _flooded(inside: torch.Tensor, corners: bool) -> torch.Tensor:
    """The same, pixel by pixel."""
    height, width = inside.shape
    region = torch.full((height, width), -1)
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)] + corners * [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    count = 0
    for start in torch.nonzero(inside).tolist():
        if region[start[0], start[1]] >= 0:
            continue
        heap = [start]
        while heap:
            y, x = heap.pop()
            if 0 <= y < height and 0 <= x < width and inside[y, x] and region[y, x] < 0:
                region[y, x] = count
                heap += [[y + down, x + across] for down, across in steps]
        count += 1
    return region


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.floats(0.2, 0.9), st.booleans())
def test_regions_are_those_of_a_flood(
    height: int, width: int, seed: int, share: float, corners: bool
) -> None:
    inside = torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) < share
    assert torch.equal(connected_regions(inside, corners=corners), _flooded(inside, corners))


def test_a_long_winding_region_is_one() -> None:
    inside = torch.zeros(61, 61, dtype=torch.bool)
    inside[::2] = True
    inside[1::4, -1] = True
    inside[3::4, 0] = True
    assert int(connected_regions(inside).max()) == 0
    inside[30, 30] = False
    assert int(connected_regions(inside).max()) == 1
