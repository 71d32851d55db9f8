"""``novelview convert METHOD FILE``: a checkpoint of a method's authors as a run, which every other verb takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from novelview.cli.options import Positional, parse, settings
from novelview.methods.discovery import find
from novelview.training.bundle import convert_official


@dataclass(frozen=True)
class Convert:
    """Make a run of a checkpoint of a feed-forward method's authors; nothing in the file is executed."""

    method: Positional[str]
    """Whose checkpoint it is: see `novelview methods`."""
    file: Positional[Path]
    """The checkpoint."""
    out: Path | None = None
    """New run folder. Default: runs/FILE-METHOD."""
    adjust: tuple[str, ...] = ()
    """Settings that the file does not hold, for example frame=all."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Convert, arguments, "convert")
    spec = find(options.method)
    out = options.out or Path("runs") / f"{options.file.stem}-{spec.name}"
    convert_official(spec, options.file, out, settings(options.adjust))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"wrote {out}; now for example: novelview render {out} --data CAPTURE")
    return 0
