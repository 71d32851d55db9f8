"""Area averaging against a loop over overlaps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.geometry.images import resize_area


def by_loop(row: list[float], count: int) -> list[float]:
    """Mean of a row of cells over each of ``count`` equal intervals."""
    length, means = len(row) / count, []
    for i in range(count):
        low, high = i * length, (i + 1) * length
        overlaps = [max(0.0, min(high, k + 1) - max(low, k)) for k in range(len(row))]
        means.append(sum(o * v for o, v in zip(overlaps, row, strict=True)) / length)
    return means


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 14), st.integers(1, 11), st.integers(0, 99))
def test_against_a_loop(width: int, height: int, to_width: int, to_height: int, seed: int) -> None:
    image = torch.rand(height, width, 2, generator=torch.Generator().manual_seed(seed))
    rows = torch.tensor(
        [[by_loop(line.tolist(), to_width) for line in channel] for channel in image.permute(2, 0, 1)]
    )
    columns = torch.tensor([[by_loop(line.tolist(), to_height) for line in channel.T] for channel in rows])
    torch.testing.assert_close(resize_area(image, to_width, to_height), columns.permute(2, 1, 0))


def test_whole_ratios_are_block_means_and_nothing_is_lost() -> None:
    image = torch.rand(12, 18, 3, generator=torch.Generator().manual_seed(0))
    blocks = image.reshape(4, 3, 6, 3, 3).mean(dim=(1, 3))
    torch.testing.assert_close(resize_area(image, 6, 4), blocks)
    torch.testing.assert_close(resize_area(image, 5, 7).mean(dim=(0, 1)), image.mean(dim=(0, 1)))
    assert torch.equal(resize_area(image, 18, 12), image)


@pytest.mark.parametrize("size", [(36, 24), (54, 12)])
def test_enlarging_repeats_pixels(size: tuple[int, int]) -> None:
    image = torch.rand(12, 18, 1, generator=torch.Generator().manual_seed(0))
    expected = image.repeat_interleave(size[1] // 12, 0).repeat_interleave(size[0] // 18, 1)
    torch.testing.assert_close(resize_area(image, *size), expected)
