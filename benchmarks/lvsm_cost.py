"""Parameters and floating point operations of LVSM's networks, counted, not estimated, beside the paper's figures.

    python benchmarks/lvsm_cost.py

Counts matrix products, those of attention among them (a multiplication and an addition are two operations), while the
networks run on tensors without content. Norms, activations and softmax are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode

from novelview.cameras.cameras import Cameras
from novelview.files import atomic_write_text
from novelview.methods.lvsm import METHOD
from novelview.methods.lvsm.networks import Network, build_network
from novelview.methods.lvsm.posed import Posed

HEAD = """# LVSM: parameters and operations

Made by `benchmarks/lvsm_cost.py`. TFLOP of matrix products, two per multiplication and addition, for the presets of the
paper's size. "encode" is done once for a set of inputs, "per target" for every new view; decoder-only keeps nothing between
targets but the tokens of its inputs. "specification" is 24 N d^2 + 4 N^2 d per layer of N tokens of d channels, with
tokenisers and head. Relative positions add nothing that is counted here.

| network | size | inputs | parameters | encode | per target | specification: encode, per target |
|---|---|---|---|---|---|---|
"""
VIEWS = (1, 2, 4, 8, 16)
DEVICE = torch.device("meta")


@dataclass(frozen=True)
class Options:
    """Count parameters and operations."""

    out: Path = Path("benchmarks/results/lvsm_cost.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the table."""
    cases = [
        (preset, 256, views) for preset in ("decoder-only", "encoder-decoder", "cached") for views in VIEWS
    ]
    cases += [("decoder-only", 512, 2), ("decoder-only", 512, 4), ("small", 96, 4)]
    text = HEAD + "".join(row(*case) + "\n" for case in cases)
    atomic_write_text(options.out, text)
    print(text)


def row(preset: str, size: int, views: int) -> str:
    """One network's figures."""
    network = made(preset)
    encode, target = operations(network, size, views)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    wanted = ", ".join(f"{each / 1e12:.3g}" for each in formula(network, size, views))
    cells = f"{encode / 1e12:.3g} | {target / 1e12:.3g} | {wanted}"
    return f"| {preset} | {size} | {views} | {parameters:,} | {cells} |"


def made(preset: str) -> Network[Any]:
    """The network of a preset without content, its positions by rays."""
    with DEVICE:
        return build_network(replace(METHOD.presets[preset].config, positions="rays")).requires_grad_(False)


def operations(network: Network[Any], size: int, views: int) -> tuple[int, int]:
    """Of encoding so many views, and of one target."""
    inputs, target = posed(size, views, images=True), posed(size, 1, images=False)
    with FlopCounterMode(display=False) as encoding:
        scene = network.encode(inputs)
    with FlopCounterMode(display=False) as decoding:
        network.decode(scene, target)
    return encoding.get_total_flops(), decoding.get_total_flops()


def posed(size: int, views: int, *, images: bool) -> Posed:
    """Views of one scene without content."""
    cameras = Cameras.pinhole(torch.eye(4).expand(views, 4, 4), torch.ones(4), size, size)
    rays = torch.empty(1, views, 6, size, size, device=DEVICE)
    return Posed([cameras], rays, torch.empty(1, views, 3, size, size, device=DEVICE) if images else None)


def formula(network: Network[Any], size: int, views: int) -> tuple[float, float]:
    """What the specification expects, from numbers of tokens alone."""
    config = network.config
    n, d, area = (size // config.patch) ** 2, config.width, config.patch**2

    def layer(tokens: int, seen: int) -> float:
        return 24 * tokens * d**2 + 4 * tokens * seen * d

    known, shown = 2 * views * n * 9 * area * d, 2 * n * 6 * area * d + 2 * n * d * 3 * area
    if config.architecture == "decoder-only":
        total = (views + 1) * n
        return known, shown + config.layers * layer(total, total)
    if config.architecture == "encoder-decoder":
        encoded, decoded = config.latents + views * n, config.latents + n
        encode = config.encoder_layers * layer(encoded, encoded)
        return known + encode, shown + config.layers * layer(decoded, decoded)
    full = min(config.encoder_layers, config.layers - 1)
    # Blocks that inputs pass through, and their keys and values for the others.
    encode = full * layer(views * n, views * n) + (config.layers - full) * 4 * views * n * d**2
    return known + encode, shown + config.layers * layer(n, (views + 1) * n)


if __name__ == "__main__":
    main(tyro.cli(Options))
