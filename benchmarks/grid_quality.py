"""How good the grid is after how long: held-out PSNR and SSIM against training time, and rendering speed.

    python benchmarks/grid_quality.py DATA [--presets fast default high] [--scenes demo fox …] [--threads 2]

DATA is the folder of capture folders. "demo" is the embedded procedural scene at 100x100. Every scene keeps its own
split, or holds out every 8th view; images are reduced to a longest side of about 120 pixels. Times are wall-clock, so
the machine should do nothing else; looking at held-out views on the way is not counted. Writes
``benchmarks/results/grid_quality.md``: rows of other scenes and presets that stand there are kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from novelview.allocator import tune_allocator
from novelview.data.open import open_scene
from novelview.data.procedural import demo_scene
from novelview.data.scene import Scene
from novelview.evaluation.evaluate import evaluate
from novelview.evaluation.report import Report
from novelview.files import atomic_write_text
from novelview.methods.grid import METHOD
from novelview.methods.method import Method, Preset
from novelview.training.engine import Rhythm, train

RESULTS = Path(__file__).parent / "results" / "grid_quality.md"
LOOKS = 4
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
HEAD = """# Grid: held-out views against time

`python benchmarks/grid_quality.py DATA`, {threads} threads, torch {torch}; wall-clock seconds of training alone.
The curve gives seconds and mean PSNR on the way; PSNR and SSIM (11x11 Gaussian window) at the end are over all held-out
views. Rendering is timed on one thread, per view, the fastest view. The grid's settings were chosen on held-out views
of demo and fox, its smoothing (distortion, total variation by the number of views) also on those of chair_synthetic,
co3d_apple, dtu_scan24, fern, fountain_p11, maryrose and redkitchen_a, which flatters these a little.

| scene | views, size | preset | steps | training s | PSNR | SSIM | curve: s → PSNR | rays/s, one core |
|---|---|---|---|---|---|---|---|---|
"""


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


class Curve:
    """Held-out PSNR on the way, by the seconds that were spent on training alone."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._away, self._start = scene, 0.0, time.perf_counter()
        self.points: list[str] = []

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start - self._away

    def look(self, method: Method, step: int) -> dict[str, float]:
        before = time.perf_counter()
        psnr = scores(method, self._scene).mean.psnr
        self.points.append(f"{before - self._start - self._away:.0f} → {psnr:.2f}")
        self._away += time.perf_counter() - before
        return {"psnr": psnr}


def main(options: Options) -> None:
    """Add the rows that were asked for to the table."""
    for name in options.scenes:
        scene = demo_scene() if name == "demo" else open_scene(options.data / name, scale=SCENES[name])
        for preset in options.presets:
            row = measure(name, scene, preset, METHOD.presets[preset], options.threads)
            print(row, flush=True)
            keep(row, options.threads)


def scores(method: Method, scene: Scene) -> Report:
    return evaluate(method, scene, name="grid", baselines=False, quiet=True)


def measure(name: str, scene: Scene, preset: str, chosen: Preset, threads: int, device: str = "cpu") -> str:
    """One row: a training from scratch. The rate of rays includes the way back from a GPU."""
    torch.set_num_threads(threads)
    recipe = chosen.recipe
    method = METHOD.build(chosen.config, scene.bounds).to(device)
    sampler = METHOD.sampler([scene], chosen.config, recipe, 0)
    curve = Curve(scene)
    train(
        method,
        sampler,
        recipe,
        rhythm=Rhythm(evaluate=recipe.steps // LOOKS),
        evaluate=curve.look,
        quiet=True,
    )
    seconds = curve.seconds
    torch.set_num_threads(1)
    contender = scores(method, scene).contenders[0]
    width, height = scene.test.cameras.sizes[0].tolist()
    cells = (
        name,
        f"{len(scene.train)} + {len(scene.test)}, {width}x{height}",
        preset,
        str(recipe.steps),
        f"{seconds:.0f}",
        f"{contender.mean.psnr:.2f}",
        f"{contender.mean.ssim_gaussian11:.3f}",
        ", ".join(curve.points),
        f"{width * height / min(row.seconds for row in contender.rows):,.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def keep(row: str, threads: int) -> None:
    """Put a row into the table, in place of the one for the same scene and preset."""
    old = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = {_key(line): line for line in [*old, row] if line.startswith("| ") and "PSNR" not in line}
    order = sorted(rows, key=lambda key: (list(SCENES).index(key[0]), list(METHOD.presets).index(key[1])))
    head = HEAD.format(threads=threads, torch=torch.__version__)
    atomic_write_text(RESULTS, head + "\n".join(rows[key] for key in order) + "\n")


def _key(row: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in row.split("|")]
    return cells[1], cells[3]


if __name__ == "__main__":
    tune_allocator()
    main(tyro.cli(Options))
