"""Seconds for 10,000 rays: R2L's networks beside the NeRF they learn from, each as fast as it gets.

    python benchmarks/r2l_speed.py [--run RUN] [--teacher RUN] [--write]

The published networks and NeRF have random weights, which their time does not depend on. The time of grids depends on
what is in them: ``--run`` names a run folder of R2L with the preset grid, ``--teacher`` the one it learnt from. Every
contender first looks for its own best number of rays at once; then all take turns, and medians count. ``--write``
keeps the table in ``benchmarks/results/r2l_speed.md``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from lvsm_speed import processor  # noqa: E402
from novelview.cameras.cameras import Cameras  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.geometry.rigid import look_at  # noqa: E402
from novelview.light_field import Subject  # noqa: E402
from novelview.methods import nerf, r2l  # noqa: E402
from novelview.methods.official import SYNTHETIC  # noqa: E402
from r2l_contenders import (  # noqa: E402
    SMALL,
    Contender,
    drawn,
    flops_of,
    has_onnxruntime,
    in_onnxruntime,
    in_torch,
    rays_of,
)
from turns import Trained, taking_turns  # noqa: E402

RESULT = Path(__file__).parent / "results" / "r2l_speed.md"
RAYS = 10_000
PUBLISHED = ("W256D88", "W181D88", "W256D44", "W363D22")
# The authors' code gives its network 65,536 points at once: so many rays of 64 + 128 points.
AUTHORS_RAYS = 65_536 // 192
HEAD = """# R2L: seconds for 10,000 rays

Made by `benchmarks/r2l_speed.py`: threads {threads}, torch {torch}, {processor}. Rounds {rounds}, of which medians are
given; in each all take turns, with the number of rays at once that was the fastest for them. Pictures of {side}x{side}
rays, seconds scaled to 10,000. bfloat16 is autocast. MFLOP are counted from the modules: linear layers, and in grids the
close look-ups, two operations for each value at eight nodes, as if no ray ended early. "faster" is NeRF's best time in
float32, and in bfloat16, by this one; "fewer FLOP" its operations by these. NeRF with 65,536 points at once is how the
authors' code cuts its work, measured on {small}x{small} rays.{missing}

| contender | precision | rays at once | MFLOP per ray | s per 10,000 rays | faster than float32 / bfloat16 | fewer FLOP |
|---|---|---|---|---|---|---|
"""
WITHOUT = " Nothing was measured in onnxruntime: {why}."


@dataclass(frozen=True)
class Options:
    """Measure seconds for 10,000 rays."""

    run: Path | None = None
    """Run folder of R2L with the preset grid."""
    teacher: Path | None = None
    """Run folder of what it learnt from."""
    presets: tuple[str, ...] = PUBLISHED
    """Which of the published networks to measure."""
    threads: int = 1
    """CPU threads."""
    rounds: int = 3
    """Turns that count."""
    side: int = 100
    """Rays along each side of the picture."""
    write: bool = False
    """Keep the table."""


def main(options: Options) -> None:
    """Print the table, and keep it if asked to."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        contenders = list(entered(options, Path(folder)))
    sizes = [each.fastest() for each in contenders]
    calls = {
        f"{each.name}, {each.precision}": partial(each.draw, each.camera, size)
        for each, size in zip(contenders, sizes, strict=True)
    }
    seconds = [
        taken * RAYS / rays_of(each.camera)
        for each, taken in zip(contenders, taking_turns(calls, options.rounds).values(), strict=True)
    ]
    page = head(options, contenders)
    for each, size, taken in zip(contenders, sizes, seconds, strict=True):
        page += row(each, size, taken, contenders[0], (seconds[0], seconds[1]))
    print(page)
    if options.write:
        atomic_write_text(RESULT, page)


def entered(options: Options, folder: Path) -> Iterator[Contender]:
    """All that is measured; NeRF in float32 comes first, because the others are measured by it."""
    camera = synthetic_camera(options.side)
    teacher: Any = nerf.METHOD.build(nerf.METHOD.preset("default").config, SYNTHETIC).eval()
    yield from in_torch("NeRF", teacher, None, camera)
    small, draw = camera.resized(SMALL, SMALL), partial(drawn, teacher, None, "float32")
    name, flops = "NeRF, 65,536 points at once", flops_of(teacher)
    yield Contender(name, "float32, torch", flops, (AUTHORS_RAYS,), draw, small, small)
    for preset in options.presets:
        student = r2l.METHOD.build(r2l.METHOD.preset(preset).config, SYNTHETIC).eval()
        subject = Subject(preset, camera, SYNTHETIC.near, SYNTHETIC.far)
        yield from in_torch(preset, student, None, camera)
        yield from in_onnxruntime(r2l.METHOD, student, None, subject, folder)
    for run in (options.run, options.teacher):
        if run is not None:
            trained = Trained.open(run)
            camera, bounds = trained.cameras(1, options.side, options.side), trained.scene.bounds
            subject = Subject(trained.name, camera, bounds.near, bounds.far)
            yield from in_torch(trained.name, trained.method, trained.state, camera)
            yield from in_onnxruntime(trained.info.spec, trained.method, trained.state, subject, folder)


def synthetic_camera(side: int) -> Cameras:
    """One like those of NeRF's synthetic scenes, at distance 4 from an object."""
    pose = look_at(torch.tensor([[0.0, -3.4, 2.1]]), torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]]))
    intrinsics = torch.tensor([1.39, 1.39, 0.5, 0.5]) * side
    return Cameras.pinhole(pose, intrinsics, side, side)


def head(options: Options, contenders: list[Contender]) -> str:
    """What was measured, and how."""
    missing = ""
    if not any("onnxruntime" in each.precision for each in contenders):
        why = "no contender can be exported" if has_onnxruntime() else "it is not installed here"
        missing = WITHOUT.format(why=why)
    return HEAD.format(
        threads=options.threads,
        torch=torch.__version__,
        processor=processor(),
        rounds=options.rounds,
        side=options.side,
        small=SMALL,
        missing=missing,
    )


def row(
    each: Contender, size: int, seconds: float, first: Contender, first_seconds: tuple[float, float]
) -> str:
    """One contender beside NeRF in float32 and in bfloat16."""
    flops, fewer = "-", "-"
    if each.flops and first.flops:
        flops, fewer = f"{each.flops / 1e6:.4g}", f"{first.flops / each.flops:.1f}"
    faster = " / ".join(f"{taken / seconds:.1f}" for taken in first_seconds)
    figures = f"{size or 'its own'} | {flops} | {seconds:.3f} | {faster} | {fewer}"
    return f"| {each.name} | {each.precision} | {figures} |\n"


if __name__ == "__main__":
    main(tyro.cli(Options))
