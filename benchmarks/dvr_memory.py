"""Peak memory of a training step against samples per ray: DVR, and backpropagation through all samples.

    python benchmarks/dvr_memory.py [--quick] [--write]

Each measurement is a process of its own, which asks Linux for its resident size before the step and the largest one
during it. ``--write`` keeps the table in ``benchmarks/results/dvr_memory.md``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from dvr_twins import composited, fitted, widened
from novelview.data.procedural.object_views import orbit_cameras
from novelview.files import atomic_write_text
from novelview.geometry.rays import Rays
from novelview.methods.dvr.config import SearchConfig
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.learning import search
from novelview.methods.dvr.shape import Decoded
from novelview.rendering.surface import implicit_depth

RESULT = Path(__file__).parent / "results" / "dvr_memory.md"
OBJECT = "ball-and-box"
FITTED_WIDTH = 64
HEAD = """# DVR: memory of a training step

Made by `benchmarks/dvr_memory.py`: torch {torch}, 1 thread, {rays} rays through the middle of a view of the object
`{name}`, the decoder {width}x5. A step is the sum of all colours and its gradient for all parameters. MiB by which the
resident size of a fresh process grew at most in the step, and all of it; "all samples": the same network with every sample
composited, and so kept for the backward pass. Freed buffers go back to the system at once (MALLOC_MMAP_THRESHOLD_ 65536);
otherwise gaps between them count, about 50 MiB with 256 samples.

| samples per ray | DVR: growth | DVR: process | all samples: growth | all samples: process |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Measure memory."""

    samples: tuple[int, ...] = (16, 64, 256)
    """Per ray."""
    rays: int = 512
    """In a step."""
    width: int = 512
    """Of the decoder."""
    steps: int = 600
    """By which a small decoder, set into the wide one, is fitted to the object."""
    quick: bool = False
    """A tiny setting, to see that all works."""
    write: bool = False
    """Keep the table."""


def main(options: Options) -> None:
    """Print the table, and keep it if asked to."""
    if options.quick:
        options = Options(samples=(16, 64), rays=256, width=128, steps=400)
    page = HEAD.format(torch=torch.__version__, rays=options.rays, name=OBJECT, width=options.width)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "decoder.pt"
        torch.save(fitted(OBJECT, FITTED_WIDTH, options.steps).state_dict(), file)
        for samples in options.samples:
            cells = (measured(way, samples, options, file) for way in ("dvr", "all"))
            page += f"| {samples} | {' | '.join(cells)} |\n"
    print(page)
    if options.write and not options.quick:
        atomic_write_text(RESULT, page)


def measured(way: str, samples: int, options: Options, file: Path) -> str:
    """Two cells, out of a process of its own."""
    numbers = map(str, (samples, options.rays, options.width))
    command = [sys.executable, __file__, way, *numbers, str(file)]
    # Freed buffers go back to the system at once: the largest size is that of buffers in use, not of gaps between them.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    before, after = (float(word) for word in done.stdout.split())
    return f"{after - before:.0f} | {after:.0f}"


def step(way: str, samples: int, count: int, width: int, file: Path) -> None:
    """Prints the resident size in MiB before a step, and the largest one during it."""
    torch.set_num_threads(1)
    small = Decoder(FITTED_WIDTH)
    small.load_state_dict(torch.load(file, weights_only=True))
    decoder, rays = widened(small, width), through_the_middle(count)
    # Libraries take their own memory when they are first used.
    learnt(way, decoder, rays[:4], 16)
    Path("/proc/self/clear_refs").write_text("5")  # The largest size so far begins anew.
    before = resident("VmRSS")
    learnt(way, decoder, rays, samples)
    print(before, resident("VmHWM"))


def through_the_middle(count: int) -> Rays:
    """Rays of a square in the middle of a view, most of which meet the object."""
    side = int(count**0.5)
    camera = orbit_cameras(1, 3 * side, 0)[0]
    middle = camera.rays().reshape(3 * side, 3 * side)[side : 2 * side, side : 2 * side]
    return middle.reshape(side * side)


def learnt(way: str, decoder: Decoder, rays: Rays, samples: int) -> None:
    """The sum of all colours, and its gradient."""
    shape = Decoded(decoder)
    if way == "all":
        colours = composited(decoder, rays, samples)
    else:
        found = search(shape, rays, SearchConfig(), samples)
        rays = rays[found.hit]
        depth = implicit_depth(shape.field, rays, found.depth[found.hit])
        colours = shape.colour(rays.point(depth), rays.directions)
    colours.sum().backward()
    for parameter in decoder.parameters():
        assert parameter.grad is not None
        parameter.grad = None


def resident(name: str) -> float:
    """Resident size of this process, MiB: VmRSS, now; VmHWM, the largest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1] in ("dvr", "all"):
        step(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))
    else:
        main(tyro.cli(Options))
