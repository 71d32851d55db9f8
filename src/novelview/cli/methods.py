"""``novelview methods``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table

from novelview.methods.discovery import discover
from novelview.methods.method import MethodSpec


@dataclass(frozen=True)
class Methods:
    """List the methods, what they need and their presets."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    tyro.cli(Methods, args=arguments, prog="novelview methods", description=Methods.__doc__)
    console = Console(highlight=False)
    for spec in discover().values():
        console.print(f"[bold]{spec.name}[/]  {spec.title} ({spec.paper})")
        console.print(f"  {spec.summary}")
        console.print(f"  {_needs(spec)}")
        table = Table("", "", show_header=False, box=None, padding=(0, 1, 0, 2))
        for name, preset in spec.presets.items():
            table.add_row(f"--preset {name}", preset.summary)
        console.print(table)
    return 0


def _needs(spec: MethodSpec) -> str:
    traits = spec.traits
    views = f"at least {traits.min_views} views"
    if traits.max_views is not None:
        views = f"{traits.min_views} to {traits.max_views} views"
    needs = ", ".join(["poses", *sorted(traits.needs)])
    return f"{traits.regime}; {views}; needs {needs}"
