"""Parameters and floating point operations of Quark's presets, counted, not estimated.

    python benchmarks/quark_cost.py

Counts convolutions and matrix products of one frame (a multiplication and an addition are two operations) while the
network runs on tensors without content. Look-ups, norms, activations and the sums of the attention over views (10 GFLOP
in the preset quark at 1080p) are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode

from novelview.files import atomic_write_text
from novelview.methods.quark import METHOD
from novelview.methods.quark.config import QuarkConfig
from novelview.methods.quark.network import Network
from novelview.methods.quark.rig import Rig

HEAD = """# Quark: parameters and operations

Made by `benchmarks/quark_cost.py`. Operations of convolutions and matrix products of one frame; two per multiplication
and addition; the attention's sums over views are not among them. Stages by module; the specification's figures are for
the paper's preset at 1080p with 8 views: 0.96 million parameters, 497 to 515 GFLOP.

| preset | views | frame | parameters | GFLOP | encoder | updates | fusion | rest |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Count parameters and operations."""

    out: Path = Path("benchmarks/results/quark_cost.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the table."""
    cases = [("quark", 8, (1920, 1080)), ("quark+", 8, (1920, 1080))]
    cases += [("small", views, (480, 270)) for views in (4, 6, 8)]
    text = HEAD + "".join(row(*case) + "\n" for case in cases)
    atomic_write_text(options.out, text)
    print(text)


def row(preset: str, views: int, size: tuple[int, int]) -> str:
    """One preset's figures."""
    config: QuarkConfig = replace(METHOD.presets[preset].config, views=views)
    network = Network(config).to("meta").requires_grad_(False)
    width, height = size
    rig = Rig(
        camera=torch.empty(1, 3, 3, device="meta"),
        pose=torch.empty(1, 3, 4, device="meta"),
        cameras=torch.empty(1, views, 3, 3, device="meta"),
        poses=torch.empty(1, views, 3, 4, device="meta"),
        weights=torch.empty(1, views, device="meta"),
        near=torch.empty(1, device="meta"),
        far=torch.empty(1, device="meta"),
        aspect=width / height,
    )
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.empty(1, views, 3, height, width, device="meta"), rig)
    counts = {name: sum(found.values()) / 1e9 for name, found in counter.get_flop_counts().items()}
    total = counter.get_total_flops() / 1e9
    parts = [
        sum(
            count
            for name, count in counts.items()
            if name.split(".")[1:2] == [part] and is_leaf(name, counts)
        )
        for part in ("encoder", "updates", "fusion")
    ]
    cells = " | ".join(f"{each:.1f}" for each in [total, *parts, total - sum(parts)])
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return f"| {preset} | {views} | {width}x{height} | {millions:.3f} M | {cells} |"


def is_leaf(name: str, counts: dict[str, float]) -> bool:
    """Whether no other module's count is part of this one's."""
    return not any(other.startswith(name + ".") for other in counts)


if __name__ == "__main__":
    main(tyro.cli(Options))
