"""Seconds for one view of a surface: DVR here beside a plain twin that does what the authors' code does.

    python benchmarks/dvr_speed.py [--quick] [--write]

Both draw the same view of the same network, in turns; where they differ is said, and how often the network is asked. It
is small, fitted to a procedural object, and set into one of the published size, which then costs what any of that size
does. Other objects, and a random network full of creases, are counted and compared, not timed. ``--write``
keeps the tables in ``benchmarks/results/dvr_speed.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from dvr_twins import BEYOND, fitted, jagged, marched, widened  # noqa: E402
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
FITTED_WIDTH, JAGGED_WIDTH = 64, 256
HEAD = """# DVR: seconds for one view

Made by `benchmarks/dvr_speed.py`: torch {torch}, {processor}, {threads} thread.
One view of {side}x{side} pixels of the object `{name}`, {share:.0%} of which meet it; {samples} samples per ray; the
decoder {width}x5, float32. It holds a network of width {fitted} that was fitted to the object in {steps} steps (volume IoU
{iou:.3f}), and zeros. Medians of {rounds} turns.

"Plain": all samples of all rays and the colours of all rays are asked. "All asked": rays that miss the cube meet nothing,
others are asked until they arrive (`search.skip_cells` 0). "Rays beyond": those that miss it are searched, too, as the
authors do. "DVR": samples in empty space are not asked, either; {nodes:,} of its evaluations, at the corners of
{cells}^3 cells, say where that is, once for all views of a call. Differences are to the plain picture: pixels that meet
something in one of both, and the largest of depth (cube units) and colour in the others.

| way | seconds | faster | evaluations | fewer | pixels that differ | depth | colour |
|---|---|---|---|---|---|---|---|
"""
OTHERS = """
Other networks, of width {fitted} (evaluations do not depend on it), DVR beside plain. "Jagged": random, of width {jagged},
steep, full of creases, and inside here and there. Differences are to "all asked": a random network goes on outside of the
cube, where the plain way meets it.

| network | volume IoU | pixels that meet it | plain | all asked | DVR | fewer | pixels that differ | depth | colour |
|---|---|---|---|---|---|---|---|---|---|
"""
NAMES = ("ball-and-box", "torus", "cup", "vase", "shape")
PLAIN, BEYOND_TOO, ALL, DVR = "plain", "DVR, rays beyond", "DVR, all asked", "DVR"


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
    steps: int = 1500
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
    """Print the tables, and keep them if asked to."""
    if options.quick:
        options = Options(width=FITTED_WIDTH, side=96, steps=400)
    torch.set_num_threads(options.threads)
    small = fitted(options.name, FITTED_WIDTH, options.steps)
    drawn = Drawn(widened(small, options.width), options)
    seconds = taking_turns({name: partial(drawn.draw, name) for name in drawn.ways}, options.rounds)
    page = head(options, small, drawn.pictures[PLAIN])
    for name, taken in seconds.items():
        page += f"| {name} | {taken:.2f} | {seconds[PLAIN] / taken:.1f} | {drawn.asked[name]:,} | {drawn.beside(name)} |\n"
    page += OTHERS.format(fitted=FITTED_WIDTH, jagged=JAGGED_WIDTH) + "".join(others(options))
    print(page)
    if options.write and not options.quick:
        atomic_write_text(RESULT, page)


class Drawn:
    """One view of one network, drawn in several ways.

    Attributes:
        ways: of drawing it, by name.
        pictures: what each of them that was drawn shows: colour, depth and hit of each ray, (r, 5).
        asked: for how many points it asked the network.
    """

    def __init__(self, decoder: Decoder, options: Options) -> None:
        camera, samples = orbit_cameras(1, options.side, 0), options.samples
        self.ways = {
            PLAIN: lambda: marched(decoder, camera.rays().reshape(-1), samples),
            BEYOND_TOO: partial(
                rendered, decoder, camera, SearchConfig(render_samples=samples, skip_cells=0, beyond=BEYOND)
            ),
            ALL: partial(rendered, decoder, camera, SearchConfig(render_samples=samples, skip_cells=0)),
            DVR: partial(rendered, decoder, camera, SearchConfig(render_samples=samples)),
        }
        self.pictures: dict[str, torch.Tensor] = {}
        self.asked: dict[str, int] = {}
        self._points = 0
        decoder.register_forward_pre_hook(self._count)

    def draw(self, name: str) -> None:
        """In one of the ways."""
        self._points = 0
        self.pictures[name] = self.ways[name]()
        self.asked[name] = self._points

    def beside(self, name: str, reference: str = PLAIN) -> str:
        """Cells that compare how often one way asks with the plain one, and what it shows with the reference."""
        found, wanted = self.pictures[name], self.pictures[reference]
        alike = found[:, 4] == wanted[:, 4]
        off = (found - wanted)[alike].abs().amax(dim=0)
        fewer = self.asked[PLAIN] / self.asked[name]
        return f"{fewer:.1f} | {int((~alike).sum())} | {float(off[3]):.1e} | {float(off[:3].max()):.1e}"

    def _count(self, decoder: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self._points += len(given[0])


def rendered(decoder: Decoder, camera: Cameras, config: SearchConfig) -> torch.Tensor:
    """Colour, depth and hit of each ray as the method draws them: (r, 5)."""
    frames = render_shape(Decoded(decoder), Cube((0, 0, 0), 1.0, WHITE), camera, config, torch.device("cpu"))
    assert frames.depth is not None
    assert frames.opacity is not None
    parts = [frames.rgb[0], frames.depth[0, ..., None], frames.opacity[0, ..., None]]
    return torch.cat(parts, dim=-1).reshape(-1, 5)


def head(options: Options, small: Decoder, picture: torch.Tensor) -> str:
    """What was measured, and how."""
    cells = SearchConfig().skip_cells
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
        iou=agreement(options.name, small),
        rounds=options.rounds,
        nodes=(cells + 1) ** 3,
        cells=cells,
    )


def agreement(name: str, decoder: Decoder) -> float:
    """Volume IoU of a network and the object that it was fitted to."""
    solid, corner = make_object(name, 0), torch.full((3,), 0.5)
    return volume_iou(Decoded(decoder).field, solid.field, -corner, corner, generator_for(0, "iou"))


def others(options: Options) -> Iterator[str]:
    """A row for each object but the one that is timed, and for a jagged network."""
    for name in NAMES:
        if name != options.name:
            small = fitted(name, FITTED_WIDTH, options.steps)
            yield row(name, f"{agreement(name, small):.3f}", small, options)
    yield row("jagged", "-", jagged(JAGGED_WIDTH), options)


def row(name: str, iou: str, decoder: Decoder, options: Options) -> str:
    """How often the ways ask one network, and how far they differ."""
    drawn = Drawn(decoder, options)
    for way in (PLAIN, ALL, DVR):
        drawn.draw(way)
    met = float(drawn.pictures[PLAIN][:, 4].mean())
    asked = " | ".join(f"{drawn.asked[way]:,}" for way in (PLAIN, ALL, DVR))
    return f"| {name} | {iou} | {met:.0%} | {asked} | {drawn.beside(DVR, ALL)} |\n"


if __name__ == "__main__":
    main(tyro.cli(Options))
