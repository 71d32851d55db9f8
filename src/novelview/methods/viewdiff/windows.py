"""Which views are made together, in which order, and which earlier ones they look at: plans as plain numbers.

ViewDiff makes more views than fit into memory one window after the other (section 3.4). A window looks at all views of the
first one, which stands for the whole subject, and at the later halves of the windows made just before, its neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from novelview.errors import ConfigError


@dataclass(frozen=True)
class Window:
    """Views that are denoised together.

    Attributes:
        new: numbers of the views that are made.
        known: of those that are looked at, made before or given.
        guided: whether words are followed more strictly than views (classifier-free guidance).
    """

    new: tuple[int, ...]
    known: tuple[int, ...]
    guided: bool


def in_order(count: int, at_once: int, known: int = 0, *, sides: int) -> tuple[Window, ...]:
    """The published condition sets for a trajectory whose views are made as they come.

    Args:
        count: views of the trajectory, numbered from 0 in its order.
        at_once: views that are made together; the last window may have fewer.
        known: views that are given besides; they are numbered from ``count`` on, and all windows look at them.
        sides: that the trajectory goes on at in turn, 1 or 2: so many windows before are a window's neighbours.

    Raises:
        ConfigError: a negative number, or none at once.
    """
    _check_sizes(at_once, count, known)
    batches = [tuple(range(i, min(i + at_once, count))) for i in range(0, count, at_once)]
    return _windows(batches, tuple(range(count, count + known)), sides=sides)


def plan(count: int, at_once: int, known: int = 0, *, closed: bool = False) -> tuple[Window, ...]:
    """The same idea for any trajectory: every view is made once.

    The first window has views from all along the trajectory. The others go through the rest, as evenly filled as can be:
    from the first view on, or, on a closed trajectory, from there on both sides in turn until they meet.

    Args:
        count: views of the trajectory, numbered from 0 in its order.
        at_once: most views that are made together.
        known: views that are given besides; they are numbered from ``count`` on, and all windows look at them.
        closed: whether the last view is a neighbour of the first.

    Raises:
        ConfigError: a negative number, or none at once.
    """
    _check_sizes(at_once, count, known)
    given = tuple(range(count, count + known))
    if count <= at_once:
        return _windows([tuple(range(count))] if count else [], given, sides=1)
    # The middles of as many equal parts: no place is far from one, whether the trajectory is closed or not.
    first = tuple((2 * i + 1) * count // (2 * at_once) for i in range(at_once))
    left = deque(sorted(set(range(count)) - set(first)))
    parts = -(-len(left) // at_once)
    sizes = [len(left) // parts + (i < len(left) % parts) for i in range(parts)]
    batches = [first, *(_taken(left, size, i if closed else None) for i, size in enumerate(sizes))]
    return _windows(batches, given, sides=2 if closed else 1)


def is_closed(centres: Float[Tensor, "n 3"]) -> bool:
    """Whether a trajectory's last camera is as near to its first as any other is to the one after it, or nearly so."""
    if len(centres) < 3:
        return False
    steps = centres.diff(dim=0).norm(dim=-1)
    return bool((centres[-1] - centres[0]).norm() <= 1.25 * steps.max())


def _taken(left: deque[int], size: int, turn: int | None) -> tuple[int, ...]:
    """Take views away: in order where ``turn`` is None, else from both ends, from the last on, from the first on, …"""
    if turn is None:
        return tuple(left.popleft() for _ in range(size))
    # Outwards, so that the later half is where the next windows begin.
    ends = [i % 2 if turn == 0 else turn % 2 for i in range(size)]
    return tuple(left.pop() if end else left.popleft() for end in ends)


def _check_sizes(at_once: int, count: int = 0, known: int = 0) -> None:
    if count < 0 or at_once < 1 or known < 0:
        raise ConfigError(
            f"There is no plan for {count} views, {at_once} at once and {known} given",
            cure="give no negative number, and make at least one view at once",
        )


def _windows(batches: Sequence[tuple[int, ...]], given: tuple[int, ...], *, sides: int) -> tuple[Window, ...]:
    """Batches with what they look at: what is given, the first, and the later halves of the last one of each side."""
    windows = []
    for i, batch in enumerate(batches):
        recent = batches[max(1, i - sides) : i]
        halves = [view for other in recent for view in other[len(other) - len(other) // 2 :]]
        known = (*given, *(batches[0] if i else ()), *halves)
        windows.append(Window(batch, known, guided=not known))
    return tuple(windows)
