"""Pictures that skip empty space: the same ones, for fewer questions; when they do not."""

from __future__ import annotations

import pytest
import torch
from balls import Ball

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError
from novelview.geometry.rigid import look_at
from novelview.methods.dvr.checkpoint import OFFICIAL, OFFICIAL_SINGLE
from novelview.methods.dvr.config import SearchConfig
from novelview.methods.dvr.pictures import Cube, render_shape
from novelview.types import Frames

CENTRE, EDGE = (3.0, -1.0, 2.0), 4.0
CUBE = Cube(CENTRE, 1 / EDGE, (0.1, 0.2, 0.3))
CELLS = 16
NODES = (CELLS + 1) ** 3


def cameras(side: int) -> Cameras:
    """One from outside, one within the cube, one so near that rays begin inside the ball; all see past it."""
    eyes = torch.tensor([[3.0, -8.0, 4.0], [3.0, -2.8, 2.6], [3.0, -1.9, 2.0]])
    poses = look_at(eyes, torch.tensor([CENTRE]).expand(3, 3), torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3))
    return Cameras.pinhole(poses, torch.tensor([0.9, 0.9, 0.5, 0.5]) * side, side, side)


def drawn(
    side: int, cells: int, beyond: tuple[float, float] | None = None, steep: float = 1.0
) -> tuple[Frames, list[int]]:
    """Pictures, and for how many points the shape was asked, call by call."""
    ball = Ball(0.25, steep)
    config = SearchConfig(render_samples=64, skip_cells=cells, beyond=beyond)
    frames = render_shape(ball, CUBE, cameras(side), config, torch.device("cpu"))
    return frames, [len(points) for points in ball.asked]


@pytest.mark.parametrize("beyond", [None, (0.0, 12.0)])
@pytest.mark.parametrize("steep", [0.01, 1.0, 100.0])
def test_skipping_does_not_change_pictures(beyond: tuple[float, float] | None, steep: float) -> None:
    (full, most), (found, fewer) = (drawn(32, cells, beyond, steep) for cells in (0, CELLS))
    assert found.opacity is not None
    assert full.opacity is not None
    assert torch.equal(found.opacity, full.opacity)
    torch.testing.assert_close(found.depth, full.depth, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.rgb, full.rgb, rtol=0, atol=1e-6)
    assert 0.1 < float(full.opacity.mean()) < 0.9
    assert sum(fewer) < (0.6 if beyond is None else 0.8) * sum(most)


def test_empty_space_is_looked_for_once() -> None:
    _, asked = drawn(32, CELLS)
    assert asked[0] == NODES
    assert NODES not in asked[1:]


@pytest.mark.parametrize(("side", "cells"), [(8, CELLS), (32, 0)])
def test_small_pictures_are_searched_in_full_and_so_are_those_that_ask_for_it(side: int, cells: int) -> None:
    _, asked = drawn(side, cells)
    assert NODES not in asked
    assert sum(asked) > 3 * side**2 * 8


def test_official_models_are_searched_in_full() -> None:
    assert OFFICIAL.search.skip_cells == 0
    assert OFFICIAL_SINGLE.search.skip_cells == 0


def test_less_than_no_cells_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"search\.skip_cells") as caught:
        SearchConfig(skip_cells=-1)
    assert caught.value.cure
