"""Seconds for one view of a surface: DVR here beside a plain twin that does what the authors' code does.

    python benchmarks/dvr_speed.py [--quick] [--write]

Both draw the same view of the same network, in turns; where they differ is said. The network is small, fitted to a
procedural object, and set into one of the published size, which then costs what any of that size does. ``--write`` keeps
the table in ``benchmarks/results/dvr_speed.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from dvr_twins import BEYOND, fitted, marched, widened  # noqa: E402
from lvsm_speed import processor  # noqa: E402
from novelview.cameras.cameras import Cameras  # noqa: E402
from novelview.data.procedural.object_views import orbit_cameras  # noqa: E402
from novelview.data.procedural.objects import make_object  # noqa: E402
from novelview.evaluation.geometry import volume_iou  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.dvr.config import SearchConfig  # noqa: E402
from novelview.methods.dvr.decoder import Decoder  # noqa: E402
from novelview.methods.dvr.pictures import WHITE, Cube, render_shape  # noqa: E402
from novelview.methods.dvr.shape import Decoded  # noqa: E402
from novelview.random import generator_for  # noqa: E402
from turns import taking_turns  # noqa: E402

RESULT = Path(__file__).parent / "results" / "dvr_speed.md"
FITTED_WIDTH = 64
HEAD = """# DVR: seconds for one view

Made by `benchmarks/dvr_speed.py`: torch {torch}, {processor}, {threads} thread.
One view of {side}x{side} pixels of the object `{name}`, {share:.0%} of which meet it; {samples} samples per ray; the
decoder {width}x5, float32. It holds a network of width {fitted} that was fitted to the object in {steps} steps (volume IoU
{iou:.3f}), and zeros. Medians of {rounds} turns.

"Plain": all samples of all rays and the colours of all rays are asked. "Rays beyond": those that miss the cube are
searched as the authors do; without, they meet nothing. Differences are to the plain picture: pixels that meet something in
one of both, and the largest of depth (cube units) and colour in the others.

| way | seconds | faster | pixels that differ | depth | colour |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Measure seconds for one view."""

    name: str = "ball-and-box"
    """Procedural object."""
    width: int = 512
    """Of the decoder."""
    samples: int = 64
    """Per ray."""
    side: int = 128
    """Width and height of the view, pixels."""
    steps: int = 600
    """By which the small decoder is fitted to the object."""
    rounds: int = 1
    """Turns that count; one more warms up."""
    threads: int = 1
    """CPU threads."""
    quick: bool = False
    """A tiny setting, to see that all works."""
    write: bool = False
    """Keep the table."""


def main(options: Options) -> None:
    """Print the table, and keep it if asked to."""
    if options.quick:
        options = Options(width=FITTED_WIDTH, side=48, steps=400)
    torch.set_num_threads(options.threads)
    small = fitted(options.name, FITTED_WIDTH, options.steps)
    decoder, camera = widened(small, options.width), orbit_cameras(1, options.side, 0)
    ways = {
        "plain": lambda: marched(decoder, camera.rays().reshape(-1), options.samples),
        "DVR, rays beyond": partial(drawn, decoder, camera, options.samples, BEYOND),
        "DVR": partial(drawn, decoder, camera, options.samples, None),
    }
    pictures: dict[str, torch.Tensor] = {}
    calls = {name: partial(remembered, pictures, name, way) for name, way in ways.items()}
    seconds = taking_turns(calls, options.rounds)
    page = head(options, small, pictures["plain"])
    page += "".join(
        row(name, taken, seconds["plain"], pictures[name], pictures["plain"])
        for name, taken in seconds.items()
    )
    print(page)
    if options.write and not options.quick:
        atomic_write_text(RESULT, page)


def drawn(
    decoder: Decoder, camera: Cameras, samples: int, beyond: tuple[float, float] | None
) -> torch.Tensor:
    """Colour, depth and hit of each ray as the method draws them: (r, 5)."""
    config = SearchConfig(render_samples=samples, beyond=beyond)
    frames = render_shape(Decoded(decoder), Cube((0, 0, 0), 1.0, WHITE), camera, config, torch.device("cpu"))
    assert frames.depth is not None
    assert frames.opacity is not None
    parts = [frames.rgb[0], frames.depth[0, ..., None], frames.opacity[0, ..., None]]
    return torch.cat(parts, dim=-1).reshape(-1, 5)


def remembered(pictures: dict[str, torch.Tensor], name: str, way: object) -> None:
    """Keeps what one way draws."""
    assert callable(way)
    pictures[name] = way()


def head(options: Options, small: Decoder, picture: torch.Tensor) -> str:
    """What was measured, and how."""
    solid, corner = make_object(options.name, 0), torch.full((3,), 0.5)
    iou = volume_iou(Decoded(small).field, solid.field, -corner, corner, generator_for(0, "iou"))
    return HEAD.format(
        torch=torch.__version__,
        processor=processor(),
        threads=options.threads,
        side=options.side,
        name=options.name,
        share=float(picture[:, 4].mean()),
        samples=options.samples,
        width=options.width,
        fitted=FITTED_WIDTH,
        steps=options.steps,
        iou=iou,
        rounds=options.rounds,
    )


def row(name: str, seconds: float, plain: float, found: torch.Tensor, wanted: torch.Tensor) -> str:
    """One way beside the plain one."""
    alike = found[:, 4] == wanted[:, 4]
    off = (found - wanted)[alike].abs().amax(dim=0)
    differences = f"{int((~alike).sum())} | {float(off[3]):.1e} | {float(off[:3].max()):.1e}"
    return f"| {name} | {seconds:.2f} | {plain / seconds:.1f} | {differences} |\n"


if __name__ == "__main__":
    main(tyro.cli(Options))
