"""Tables of which every run exchanges its own rows."""

from __future__ import annotations

from pathlib import Path

from novelview.files import atomic_write_text


def keep(path: Path, head: str, begin: str, row: str) -> None:
    """Write a Markdown table anew, with a row instead of the one that begins as it does.

    Args:
        path: the page, which need not exist yet.
        head: all that stands before the first row.
        begin: cells by which the row is known.
        row: all of it.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rule = next((i for i, line in enumerate(lines) if line.startswith("|---")), len(lines))
    kept = [line for line in lines[rule + 1 :] if line.startswith("| ") and not line.startswith(begin)]
    atomic_write_text(path, head + "\n".join(sorted([*kept, row])) + "\n")
