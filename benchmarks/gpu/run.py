"""What only a GPU can show, by one command: that everything is right there, then how fast it is.

    python benchmarks/gpu/run.py [--data DATA] [--quick]

Runs the tests marked ``gpu`` and stops where one fails. Then measures procedural views per second, and the grid's preset
``gpu`` on the demo scene and, where DATA is the folder of captures, on fox at a quarter of its size: held-out PSNR
against training time, and rays per second. Writes ``benchmarks/gpu/results.md`` after every row. ``--quick`` trains a
hundredth of the steps, on whatever device there is, and writes nothing: it proves that the script works.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from novelview.data.open import open_scene
from novelview.data.procedural import FAMILIES, ProceduralStream, demo_scene
from novelview.data.scene import Scene
from novelview.errors import MethodError
from novelview.evaluation.evaluate import evaluate
from novelview.files import atomic_write_text
from novelview.methods.grid import METHOD
from novelview.training.engine import train

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results.md"


@dataclass(frozen=True)
class Options:
    """Measure on a GPU."""

    data: Path | None = None
    """Folder of capture folders; without it only procedural scenes are used."""
    quick: bool = False
    """Train a hundredth of the steps on any device and write nothing."""


def main(options: Options) -> None:
    """Tests first: a fast wrong answer is worth nothing."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.quick:
        raise MethodError("There is no CUDA device here", cure="run on a machine with one, or try --quick")
    if device == "cuda":
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(ROOT / "tests")], check=True)
    lines = [f"# On {_name(device)}, torch {torch.__version__}", ""]
    for line in measure(options, device):
        print(line, flush=True)
        lines.append(line)
        if not options.quick:
            atomic_write_text(RESULTS, "\n".join(lines) + "\n")


def measure(options: Options, device: str) -> Iterator[str]:
    """The lines of the result, one by one."""
    yield "| what | value |"
    yield "|---|---|"
    for family in FAMILIES:
        yield f"| {family}, views/s at 128x128 | {views_per_second(family, device, 1 if options.quick else 20):.0f} |"
    scenes = {"demo 100x100": demo_scene(), "demo 400x400": demo_scene(24 if options.quick else 400)}
    if options.data is not None:
        scenes["fox 1/4"] = open_scene(options.data / "fox", scale=1 / 4)
    for name, scene in scenes.items():
        for preset in ("fast", "gpu"):
            yield f"| grid `{preset}`, {name} | {grid(scene, preset, device, options.quick)} |"


def views_per_second(family: str, device: str, items: int) -> float:
    stream = ProceduralStream((family,), size=128, sources=6, targets=2, device=device)
    stream.item(0)
    _wait(device)
    start = time.perf_counter()
    for i in range(1, items + 1):
        stream.item(i)
    _wait(device)
    return 8 * items / (time.perf_counter() - start)


def grid(scene: Scene, preset: str, device: str, quick: bool) -> str:
    """Training time, held-out scores and rendering speed of one preset."""
    chosen = METHOD.presets[preset]
    recipe = chosen.recipe
    if quick:
        recipe = dataclasses.replace(recipe, steps=recipe.steps // 100)
    method = METHOD.build(chosen.config, scene.bounds).to(device)
    start = time.perf_counter()
    train(method, METHOD.sampler(scene, chosen.config, recipe, 0), recipe, quiet=True)
    _wait(device)
    seconds = time.perf_counter() - start
    contender = evaluate(method, scene, name="grid", baselines=False, quiet=True).contenders[0]
    width, height = scene.test.cameras.sizes[0].tolist()
    speed = width * height / min(row.seconds for row in contender.rows)
    mean = contender.mean
    return f"{seconds:.0f} s, {mean.psnr:.2f} dB, SSIM {mean.ssim_gaussian11:.3f}, {speed:,.0f} rays/s"


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "a CPU"


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(tyro.cli(Options))
