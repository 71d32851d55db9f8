"""How fast procedural views are made: every family, with and without anti-aliasing, on one core, two cores and a GPU.

    python benchmarks/procedural_speed.py            # writes benchmarks/results/procedural_speed.md
    python benchmarks/procedural_speed.py --quick    # prints only

Time is wall clock and includes drawing the scenes: what a training would wait for. Two cores are used as a data loader
uses them, by two processes of one thread each; two threads in one process are measured beside it.
"""

from __future__ import annotations

import argparse
import platform
import time
from multiprocessing import get_context
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402

from novelview.data.procedural import FAMILIES, ProceduralStream  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "procedural_speed.md"
SIZE, SOURCES, TARGETS = 128, 6, 2
HEAD = """# Speed of procedural views

`python benchmarks/procedural_speed.py`, {machine}, PyTorch {torch}, eager. Views per second out of
`ProceduralStream.item` at {size}x{size}, {views} views of one scene per item, scene drawing included; wall clock over
{items} items per process, after one to warm up. "Rays per pixel" counts the rays that are shaded for colour.

| family | rays per pixel | device | processes x threads | views/s |
|---|---|---|---|---|
"""


def seconds(family: str, supersample: int, device: str, threads: int, items: int, first: int) -> float:
    """Wall-clock time of ``items`` items from number ``first`` on."""
    torch.set_num_threads(threads)
    stream = ProceduralStream(
        (family,), size=SIZE, sources=SOURCES, targets=TARGETS, supersample=supersample, device=device
    )
    stream.item(first)
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for i in range(first, first + items):
        stream.item(i)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two items, nothing written")
    items = 2 if (quick := parser.parse_args().quick) else 20
    settings = [("cpu", 1, 1), ("cpu", 1, 2), ("cpu", 2, 1)] + [("cuda", 1, 1)] * torch.cuda.is_available()
    lines = []
    with get_context("spawn").Pool(2) as pool:
        for family in FAMILIES:
            for supersample in (1, 2):
                for device, processes, threads in settings:
                    work = [
                        (family, supersample, device, threads, items, k * items) for k in range(processes)
                    ]
                    rate = (SOURCES + TARGETS) * sum(items / each for each in pool.starmap(seconds, work, 1))
                    row = (family, supersample**2, device, f"{processes} x {threads}", f"{rate:.0f}")
                    lines.append("| " + " | ".join(map(str, row)) + " |")
                    print(lines[-1], flush=True)
    if not quick:
        head = HEAD.format(
            machine=platform.processor() or platform.machine(),
            torch=torch.__version__,
            size=SIZE,
            views=SOURCES + TARGETS,
            items=items,
        )
        atomic_write_text(RESULTS, head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
