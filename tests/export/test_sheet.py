"""Many pictures as one."""

from __future__ import annotations

import torch

from novelview.export.sheet import enlarged, sheet


def test_pictures_stand_in_rows_in_their_order() -> None:
    pictures = torch.linspace(0, 0.8, 5)[:, None, None, None].expand(5, 6, 8, 3)
    found = sheet(pictures, least=6)
    assert found.shape == (2 * 6 + 4, 3 * 8 + 2 * 4, 3)
    for i in range(5):
        top, left = i // 3 * 10, i % 3 * 12
        assert torch.equal(found[top : top + 6, left : left + 8], pictures[i])
    assert bool((found[6:10] == 1).all())
    assert bool((found[10:, 24:] == 1).all())


def test_small_pictures_are_enlarged_and_large_ones_left_alone() -> None:
    pictures = torch.rand(2, 6, 9, 3, generator=torch.Generator().manual_seed(0))
    assert enlarged(pictures, 20).shape == (2, 24, 36, 3)
    assert enlarged(pictures, 6) is pictures
    assert sheet(pictures, least=12, columns=1).shape == (28, 18, 3)
