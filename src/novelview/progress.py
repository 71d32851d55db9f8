"""Progress for people at a terminal, silence for pipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


def progress_bar(console: Console, *more: ProgressColumn, transient: bool = True) -> Progress:
    """The bar that all long work shows; disabled where the console is quiet or no terminal.

    Args:
        console: where to; standard error for everything that is not the result itself.
        more: columns beside text, bar, count and remaining time.
        transient: wipe the bar away when the work is done.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *more,
        console=console,
        refresh_per_second=4,
        transient=transient,
        disable=console.quiet or not console.is_terminal,
    )


def track(items: Iterable[T], count: int, text: str) -> Iterator[T]:
    """Pass ``items`` through under a progress bar on standard error; no bar where that is not a terminal."""
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(text, total=count)
        for item in items:
            yield item
            bar.advance(task)
