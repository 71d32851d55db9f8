"""Plans of what is generated when: the authors' own, step by step, and what holds of any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from novelview.cameras.studio_paths import tour_arcs
from novelview.errors import ConfigError
from novelview.methods.viewdiff.spherical import azimuths_between
from novelview.methods.viewdiff.windows import Window, in_order, is_closed, plan


def _trace(shared: Path, name: str) -> list[dict[str, Any]]:
    text = (shared / "fixtures" / "viewdiff" / "sliding_window_trace.json").read_text()
    steps: list[dict[str, Any]] = json.loads(text)["traces"][name]
    return steps


def _check(found: Sequence[Window], steps: list[dict[str, Any]], at_once: int) -> None:
    def number(recorded: int) -> int:
        return recorded // 100 * at_once + recorded % 100

    assert [w.new for w in found] == [tuple(map(number, s["new_ids"])) for s in steps]
    assert [w.known for w in found] == [tuple(map(number, s["known_ids"])) for s in steps]
    assert [w.guided for w in found] == [s["guidance"] > 1 for s in steps]


def test_the_published_tour_is_the_recorded_one(shared: Path) -> None:
    steps = _trace(shared, "smooth_theta60")
    _check(in_order(80, 10, sides=2), steps, 10)
    azimuths = [azimuth for arc in tour_arcs() for azimuth in azimuths_between(*arc, 10)]
    assert azimuths == [azimuth for s in steps for azimuth in s["phis"]]


def test_the_published_tour_with_one_side_is_the_recorded_one(shared: Path) -> None:
    _check(in_order(35, 5, sides=1), _trace(shared, "not_alternating_n5"), 5)


COUNTS = st.integers(0, 90)
AT_ONCE = st.integers(1, 13)
KNOWN = st.integers(0, 3)


@given(COUNTS, AT_ONCE, KNOWN, st.booleans())
def test_every_view_is_made_once_out_of_what_is_known(
    count: int, at_once: int, known: int, closed: bool
) -> None:
    windows = plan(count, at_once, known, closed=closed)
    assert sorted(view for window in windows for view in window.new) == list(range(count))
    done = set(range(count, count + known))
    for window in windows:
        assert len(set(window.known)) == len(window.known)
        assert set(window.known) <= done
        assert set(range(count, count + known)) <= set(window.known)
        done |= set(window.new)


@given(COUNTS, AT_ONCE, KNOWN, st.booleans())
def test_windows_are_full_and_few(count: int, at_once: int, known: int, closed: bool) -> None:
    sizes = [len(window.new) for window in plan(count, at_once, known, closed=closed)]
    assert len(sizes) == -(-count // at_once)
    assert all(1 <= size <= at_once for size in sizes)
    assert max(sizes[1:], default=0) - min(sizes[1:], default=0) <= 1


@given(COUNTS, AT_ONCE, KNOWN, st.booleans())
def test_only_a_first_window_without_given_views_is_guided(
    count: int, at_once: int, known: int, closed: bool
) -> None:
    windows = plan(count, at_once, known, closed=closed)
    assert [window.guided for window in windows] == [i == 0 and not known for i in range(len(windows))]


@given(st.integers(2, 90), st.integers(1, 13))
def test_the_first_window_is_spread_evenly(count: int, at_once: int) -> None:
    first = plan(count, at_once)[0].new
    around = [*first, first[0] + count]
    gaps = [after - before for before, after in pairwise(around)]
    assert max(gaps) - min(gaps) <= 1
    assert max(first[0], count - 1 - first[-1]) <= max(gaps)


def test_a_closed_trajectory_is_made_on_both_sides_in_turn() -> None:
    windows = plan(20, 4, known=1, closed=True)
    assert windows[0] == Window((2, 7, 12, 17), (20,), guided=False)
    assert windows[1] == Window((0, 19, 1, 18), (20, 2, 7, 12, 17), guided=False)
    assert windows[2].new == (16, 15, 14, 13)
    assert windows[2].known == (20, 2, 7, 12, 17, 1, 18)
    assert windows[3].new == (3, 4, 5, 6)
    assert windows[3].known == (20, 2, 7, 12, 17, 1, 18, 14, 13)
    assert windows[4].new == (11, 10, 9, 8)
    assert windows[4].known == (20, 2, 7, 12, 17, 14, 13, 5, 6)


def test_an_open_trajectory_is_made_in_its_order() -> None:
    windows = plan(12, 4)
    assert windows[0].new == (1, 4, 7, 10)
    assert [window.new for window in windows[1:]] == [(0, 2, 3, 5), (6, 8, 9, 11)]
    assert windows[2].known == (1, 4, 7, 10, 3, 5)


def test_a_short_trajectory_is_one_window() -> None:
    assert plan(8, 8) == (Window(tuple(range(8)), (), guided=True),)
    assert plan(0, 8, known=2) == ()


@pytest.mark.parametrize("numbers", [(-1, 4, 0), (3, 0, 0), (3, 2, -1)])
def test_plans_that_cannot_be(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="There is no plan"):
        plan(*numbers)


def test_rings_are_closed_and_arcs_are_not() -> None:
    turn = torch.arange(12) * (2 * torch.pi / 12)
    ring = torch.stack([turn.cos(), turn.sin(), torch.zeros(12)], dim=-1)
    assert is_closed(ring)
    assert not is_closed(ring[:9])
    assert not is_closed(ring[:2])


def test_views_in_order_look_at_what_is_given_at_the_first_window_and_at_its_neighbours() -> None:
    windows = in_order(7, 2, known=1, sides=2)
    assert [window.new for window in windows] == [(0, 1), (2, 3), (4, 5), (6,)]
    assert [window.known for window in windows] == [(7,), (7, 0, 1), (7, 0, 1, 3), (7, 0, 1, 3, 5)]
    assert not any(window.guided for window in windows)
