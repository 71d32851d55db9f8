"""LVSM trained by one process, by two that each keep all weights, and by two that share them: what differs, what it costs.

    python benchmarks/lvsm_processes.py

Trains the same few steps through the command line, once each way, on the CPU (gloo), and compares the checkpoints.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from novelview.files import atomic_write_text
from novelview.training.checkpoint import Checkpoint, read_checkpoint

HEAD = """# LVSM: one process, two, and two with shards

Made by `benchmarks/lvsm_processes.py` on {cores} CPU cores, torch {torch}, gloo: {steps} steps of a decoder-only network
with {parameters:.1f} M parameters (the paper's width, {layers} blocks), batch 4, views of 32x32, AdamW, clipped gradients,
averaged weights. One process has two threads, each of two has one. "Difference" is the largest of weights, optimiser
states and averages from one process's, divided by the largest magnitude in the same tensor: float32 sums in another order.
Training amplifies such rounding (`training_equality.md`); two processes with and without shards differ from one by as much.
"Peak" is the resident memory of the larger process; a plain Python that imports torch has {imports:.0f} MiB. With shards,
checkpoints are gathered whole on the main process and a whole copy of the weights waits in the CPU's memory for rendering,
which is why shards save a device's memory, and none where the CPU is the device.

| training | seconds per step | peak MiB | difference |
|---|---|---|---|
"""

# Runs a command and prints MiB of its largest process.
WATCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Options:
    """Measure trainings by several processes."""

    steps: int = 12
    """Steps of each training."""
    layers: int = 6
    """Blocks of the network."""
    out: Path = Path("benchmarks/results/lvsm_processes.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the table."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ways = {"one process": ([], []), "two, whole": (torchrun, []), "two, shards": (torchrun, ["--shards"])}
    with tempfile.TemporaryDirectory() as temporary:
        lines, first = [], None
        for number, (name, (launcher, flags)) in enumerate(ways.items()):
            run = Path(temporary) / str(number)
            peak = trained(options, run, launcher, flags)
            checkpoint = read_checkpoint(run)
            first = first or checkpoint
            seconds = checkpoint.progress.seconds / options.steps
            lines.append(f"| {name} | {seconds:.2f} | {peak:.0f} | {difference(checkpoint, first):.1e} |\n")
            print(lines[-1], end="", flush=True)
        assert first is not None
        parameters = sum(value.numel() for value in first.model.values()) / 1e6
    imports = peak_of([sys.executable, "-c", "import torch"])
    facts = {"steps": options.steps, "layers": options.layers, "parameters": parameters, "imports": imports}
    text = HEAD.format(cores=os.cpu_count(), torch=torch.__version__, **facts) + "".join(lines)
    atomic_write_text(options.out, text)


def trained(options: Options, run: Path, launcher: Sequence[str], flags: Sequence[str]) -> float:
    """Train into a folder; MiB of the largest process."""
    settings = {
        "config.architecture": "decoder-only",
        "config.positions": "rays",
        "config.width": 768,
        "config.head-width": 64,
        "config.layers": options.layers,
        "config.train-size": 32,
        "config.half-resolution": 0,
        "config.targets": 4,
        "recipe.steps": options.steps,
        "recipe.hold-steps": 0,
        "recipe.warmup-steps": 2,
        "rhythm.evaluate": 10 * options.steps,
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, *launcher, "-m", "novelview.cli.main", "train", "lvsm", "--preset", "small"]
    return peak_of([*command, "--device", "cpu", "--out", str(run), *words, *flags], 1 if launcher else 2)


def peak_of(command: Sequence[str], threads: int = 1) -> float:
    """Runs a command; MiB of its largest process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", WATCHER, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return float(done.stdout.splitlines()[-1])


def difference(found: Checkpoint, expected: Checkpoint) -> float:
    """Largest difference of any tensor, relative to its largest magnitude."""
    parts = (found.model, expected.model), (found.optimizer, expected.optimizer)
    assert found.average is not None
    assert expected.average is not None
    pairs = [*parts, (found.average, expected.average)]
    return max(_gap(one[name], other[name]) for one, other in pairs for name in other)


def _gap(found: Tensor, expected: Tensor) -> float:
    largest = float(expected.abs().max())
    return float((found - expected).abs().max()) / largest if largest else float(found.abs().max())


if __name__ == "__main__":
    main(tyro.cli(Options))
