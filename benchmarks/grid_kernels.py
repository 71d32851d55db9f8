"""How much faster the grid's compiled loops are than plain torch, step by step and ray by ray, in one run.

    python benchmarks/grid_kernels.py    # writes benchmarks/results/grid_kernels.md

Both paths train the embedded scene from the same state with the same rays, taking turns; the figures are medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402

from novelview.data.procedural import demo_scene  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.grid import METHOD  # noqa: E402
from novelview.methods.grid.model import Grid  # noqa: E402
from novelview.random import Draws, generator_for  # noqa: E402
from novelview.training.engine import train  # noqa: E402
from novelview.volumes import fused, reference, volume  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "grid_kernels.md"
ROUNDS = 7
HEAD = """# The grid's compiled loops beside plain torch

`python benchmarks/grid_kernels.py`, torch {torch}, float32, preset `fast` on the demo scene after {steps} steps; a step
is the loss of {batch} rays and its gradients (without the optimiser), a view has 100x100 rays. Medians of {rounds} turns.

| what | threads | plain torch, ms | compiled, ms | ratio |
|---|---|---|---|---|
"""


def main() -> None:
    scene, chosen = demo_scene(), METHOD.presets["fast"]
    method = METHOD.build(chosen.config, scene.bounds)
    sampler = METHOD.sampler([scene], chosen.config, chosen.recipe, 0)
    train(method, sampler, chosen.recipe, quiet=True)
    batch, camera = sampler.batch(0, 0, 1), scene.test.cameras[:1]

    def step() -> None:
        method.train()
        method.loss(batch, 1, Draws(generator_for(0, "step", device="cpu"), 0, 1)).total.backward()
        method.zero_grad(set_to_none=True)

    def view() -> None:
        method.eval().render(method.condition(scene.train, scene.bounds), camera)

    rows = []
    for name, work in (("training step", step), ("view", view)):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            slow, fast = compare(method, work)
            rows.append(f"| {name} | {threads} | {slow:.0f} | {fast:.0f} | {slow / fast:.1f} |")
            print(rows[-1], flush=True)
    head = HEAD.format(
        torch=torch.__version__, steps=chosen.recipe.steps, batch=chosen.recipe.batch, rounds=ROUNDS
    )
    atomic_write_text(RESULTS, head + "\n".join(rows) + "\n")


def compare(method: Grid, work: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds by plain torch and by the compiled loops, which take turns; the first turn is not counted."""
    taken: dict[ModuleType, list[float]] = {reference: [], fused: []}
    for turn in range(ROUNDS + 1):
        for module, times in taken.items():
            volume.kernels_for = lambda table, module=module: module
            start = time.perf_counter()
            work()
            if turn > 0:
                times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[reference]), statistics.median(taken[fused])


if __name__ == "__main__":
    main()
