"""How good the grid is after how long: held-out PSNR, training time and rendering speed, scene by scene.

    python benchmarks/grid_quality.py DATA [--presets fast default high] [--scenes demo fox …] [--threads 2]

DATA is the folder of capture folders. "demo" is the embedded procedural scene at 100x100. Every scene keeps its own
split, or holds out every 8th view; images are reduced to a longest side of about 120 pixels. Times are wall-clock, so
the machine should do nothing else. Writes ``benchmarks/results/grid_quality.md`` and, with ``--lookups``,
``benchmarks/results/grid_lookups.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from torch import Tensor

from novelview.allocator import tune_allocator
from novelview.data.open import open_scene
from novelview.data.procedural import demo_scene
from novelview.data.scene import Scene
from novelview.evaluation.evaluate import evaluate
from novelview.files import atomic_write_text
from novelview.methods.grid import METHOD
from novelview.methods.grid.lookup import Coordinates, trilinear, trilinear_reference
from novelview.methods.method import Preset
from novelview.training.engine import train

Lookup = Callable[[Tensor, Coordinates], Tensor]

RESULTS = Path(__file__).parent / "results"
SCENES = {
    "demo": 1.0,
    "chair_synthetic": 1 / 4,
    "fox": 1 / 8,
    "fern": 1 / 8,
    "fountain_p11": 1 / 8,
    "dtu_scan24": 1 / 8,
    "templering": 1 / 5,
    "maryrose": 1 / 8,
    "redkitchen_a": 1 / 5,
    "co3d_apple": 1 / 8,
    "snowmiku": 1 / 8,
}


@dataclass(frozen=True)
class Options:
    """Measure the grid on real and procedural scenes."""

    data: tyro.conf.Positional[Path]
    """Folder of capture folders."""
    presets: tuple[str, ...] = ("fast", "default", "high")
    """Presets to train, each from scratch."""
    scenes: tuple[str, ...] = tuple(SCENES)
    """Scenes to train on."""
    threads: int = 2
    """Threads of the training; rendering is measured on one."""
    lookups: bool = False
    """Only compare the grid look-ups with grid_sample, on one thread."""


def main(options: Options) -> None:
    """Write the table that was asked for."""
    if options.lookups:
        atomic_write_text(RESULTS / "grid_lookups.md", _lookups())
        return
    lines = [
        f"# Grid: held-out views, {options.threads} threads, torch {torch.__version__}",
        "",
        "| scene | images | preset | training s | held-out PSNR | SSIM | rays/s on one core |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.scenes:
        scene = demo_scene() if name == "demo" else open_scene(options.data / name, scale=SCENES[name])
        for preset in options.presets:
            lines.append(_line(name, scene, preset, METHOD.presets[preset], options.threads))
            print(lines[-1], flush=True)
            atomic_write_text(RESULTS / "grid_quality.md", "\n".join(lines) + "\n")


def _line(name: str, scene: Scene, preset: str, chosen: Preset, threads: int) -> str:
    torch.set_num_threads(threads)
    method = METHOD.build(chosen.config, scene.bounds)
    start = time.perf_counter()
    train(method, METHOD.sampler(scene, chosen.config, chosen.recipe, 0), chosen.recipe, quiet=True)
    seconds = time.perf_counter() - start
    torch.set_num_threads(1)
    report = evaluate(method, scene, name="grid", baselines=False)
    contender = report.contenders[0]
    width, height = scene.test.cameras.sizes[0].tolist()
    speed = width * height / min(row.seconds for row in contender.rows)
    counts = f"{len(scene.train)} + {len(scene.test)}, {width}x{height}"
    mean = contender.mean
    return f"| {name} | {counts} | {preset} | {seconds:.0f} | {mean.psnr:.2f} | {mean.ssim_gaussian11:.3f} | {speed:,.0f} |"


def _lookups() -> str:
    """Nanoseconds per point of a look-up and of its gradient, along rays through a grid of 96 nodes per axis."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    start, along = torch.rand(2, 1024, 1, 3, generator=generator)
    points = (start + 0.3 * (along - 0.5) * torch.linspace(0, 1, 64)[:, None]).reshape(-1, 3)
    x, y, z = (axis.contiguous() for axis in points.unbind(dim=-1))
    lines = [
        f"# Look-ups in a grid of 96 x 96 x 96, nanoseconds per point, one thread, torch {torch.__version__}",
        "",
        "| channels | grid_sample forward | both ways | ours forward | both ways |",
        "|---|---|---|---|---|",
    ]
    for channels in (1, 3, 12):
        table = torch.rand(channels, 96, 96, 96, generator=generator).requires_grad_()
        cells = [
            _fastest(partial(work, lookup, table, (x, y, z)))
            for lookup in (trilinear_reference, trilinear)
            for work in (_forward, _both_ways)
        ]
        lines.append(f"| {channels} | " + " | ".join(f"{1e9 * cell / len(x):.0f}" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _forward(lookup: Lookup, table: Tensor, position: Coordinates) -> None:
    with torch.no_grad():
        lookup(table, position)


def _both_ways(lookup: Lookup, table: Tensor, position: Coordinates) -> None:
    lookup(table, position).sum().backward()


def _fastest(work: Callable[[], object], repeats: int = 8) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    tune_allocator()
    main(tyro.cli(Options))
