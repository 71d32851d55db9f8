"""Shapes that one photograph shows, of a family that was learnt before: volume IoU of unseen ones, beside the mean shape.

    python benchmarks/dvr_single.py [--shapes 300] [--steps 4000] [--out RUN] [--write]

Trains ``dvr-single`` on procedural chairs, then reconstructs others, each from one photograph. ``--out`` keeps the training
and goes on with it. ``--write`` keeps the row in ``benchmarks/results/dvr_single.md``; those of other settings stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402
from torch import Tensor  # noqa: E402

from lvsm_speed import processor  # noqa: E402
from novelview.data.procedural import object_scene  # noqa: E402
from novelview.data.procedural.objects import make_object  # noqa: E402
from novelview.data.visual_hull import GridField  # noqa: E402
from novelview.evaluation.geometry import volume_iou  # noqa: E402
from novelview.methods.discovery import find  # noqa: E402
from novelview.methods.dvr.pairs import FAMILY  # noqa: E402
from novelview.methods.dvr.pictures import Cube  # noqa: E402
from novelview.methods.dvr.single import SingleView  # noqa: E402
from novelview.methods.method import Preset  # noqa: E402
from novelview.random import generator_for  # noqa: E402
from novelview.rendering.surface import Field  # noqa: E402
from novelview.training import train  # noqa: E402
from novelview.types import Bounds  # noqa: E402
from rows import keep  # noqa: E402

RESULT = Path(__file__).parent / "results" / "dvr_single.md"
# Numbers of shapes that no training learns from.
UNSEEN = 1_000_000
CORNER = torch.full((3,), 0.5)
# Nodes of the mean shape along each axis, and levels that are tried on it.
NODES, LEVELS = 48, 41
HEAD = """# DVR from one photograph

Made by `benchmarks/dvr_single.py`: torch {torch}, {processor}, {threads} threads. The family: procedural chairs.
Volume IoU by {points:,} random points of the unit cube around each shape's box, which all are told. Unseen: shapes
{unseen:,} and on, one photograph each; seen: shapes that were learnt from, a photograph that was not. Mean shape: the mean
of the fields of all shapes that were learnt from, cut at the level at which its IoU with these is best.

| preset | shapes learnt | steps | unseen: IoU | its mean shape | seen: IoU | its mean shape | level | seconds |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Learn a family of shapes, and see others of it."""

    preset: str = "small"
    """Of dvr-single."""
    shapes: int = 300
    """That are learnt from."""
    steps: int | None = None
    """Of the training. Default: the preset's."""
    unseen: int = 50
    """Shapes that are reconstructed, and so many of those that were learnt from."""
    points: int = 100_000
    """By which volumes are compared."""
    seed: int = 0
    """Of the training."""
    threads: int = 2
    """CPU threads."""
    out: Path | None = None
    """Folder for checkpoints. Default: none are kept."""
    quick: bool = False
    """A tiny setting, to see that all works."""
    write: bool = False
    """Keep the row."""


def main(options: Options) -> None:
    """Print the row, and keep it if asked to."""
    if options.quick:
        options = replace(options, preset="tiny", shapes=3, steps=3, unseen=2, points=5000, write=False)
    torch.set_num_threads(options.threads)
    preset = find("dvr-single").preset(options.preset)
    config = replace(preset.config, shapes=options.shapes)
    recipe = replace(preset.recipe, steps=options.steps or preset.recipe.steps)
    began = time.perf_counter()
    method = trained(replace(preset, config=config, recipe=recipe), options)
    seconds = time.perf_counter() - began
    mean, level = mean_shape(options.shapes)
    begin = f"| {options.preset} | {options.shapes} | {recipe.steps} |"
    cells = []
    for first in (UNSEEN, 0):
        numbers = range(first, first + min(options.unseen, options.shapes if first == 0 else options.unseen))
        cells += [f"{value:.3f}" for value in scores(method, mean, numbers, options)]
    row = f"{begin} {' | '.join(cells)} | {level:.3f} | {seconds:.0f} |"
    print(row)
    if options.write:
        head = HEAD.format(
            torch=torch.__version__,
            processor=processor(),
            threads=options.threads,
            points=options.points,
            unseen=UNSEEN,
        )
        keep(RESULT, head, begin, row)


def trained(preset: Preset, options: Options) -> SingleView:
    """The method after its training, which begins where it stopped if it was kept."""
    spec = find("dvr-single")
    torch.manual_seed(options.seed)
    method = spec.build(preset.config, None)
    assert isinstance(method, SingleView)
    sampler = spec.sampler([], preset.config, preset.recipe, options.seed)
    train(method, sampler, preset.recipe, options.out, seed=options.seed)
    return method.eval()


def scores(method: SingleView, mean: Field, numbers: range, options: Options) -> tuple[float, float]:
    """Mean IoU of what the method sees, and of the mean shape, with the true shapes."""
    found, plain = [], []
    for number in numbers:
        # Cameras of a training have other numbers of views, so that no photograph is known.
        size = method.config.train_size
        scene = object_scene(FAMILY, number, views=1, size=size, test_every=0, supersample=1, upper=True)
        truth = in_cube(number, scene.bounds)
        shape = method.shape(method.condition(scene.train, scene.bounds))
        for scored, field in ((found, shape.field), (plain, mean)):
            generator = generator_for(options.seed, "iou", number)
            scored.append(volume_iou(field, truth, -CORNER, CORNER, generator, count=options.points))
    return fmean(found), fmean(plain)


def in_cube(number: int, bounds: Bounds | None = None) -> Callable[[Tensor], Tensor]:
    """The field of a shape in the unit cube around its box."""
    solid = make_object(FAMILY, number)
    bounds = bounds or Bounds(0.1, 10.0, solid.box_min, solid.box_max, unbounded=False)
    cube = Cube.around(bounds)
    centre = torch.tensor(cube.centre)

    def field(points: Tensor) -> Tensor:
        return (solid.field(points / cube.scale + centre) * cube.scale).to(points)

    return field


@torch.no_grad()
def mean_shape(shapes: int) -> tuple[Field, float]:
    """The mean of the fields of all shapes that are learnt from, cut at the level that fits these best; and that level."""
    axis = torch.linspace(-0.5, 0.5, NODES)
    nodes = torch.cartesian_prod(axis, axis, axis)
    fields = torch.stack([in_cube(number)(nodes) for number in range(shapes)])
    mean, inside = fields.mean(dim=0), fields > 0
    levels = torch.linspace(float(mean.min()), float(mean.max()), LEVELS)[:-1]
    fits = [_mean_iou(mean > level, inside) for level in levels]
    level = float(levels[max(range(len(fits)), key=fits.__getitem__)])
    values = (mean - level).reshape(NODES, NODES, NODES)
    return GridField(values, -CORNER, CORNER), level


def _mean_iou(one: Tensor, others: Tensor) -> float:
    both, either = (one & others).sum(dim=-1), (one | others).sum(dim=-1)
    return float((both / either).mean())


if __name__ == "__main__":
    main(tyro.cli(Options))
