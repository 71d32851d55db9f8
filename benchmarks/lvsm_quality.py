"""LVSM's weights on scenes that they have never seen, with one to ten photographs, beside classical baselines.

    python benchmarks/lvsm_quality.py [RUN] [--data DATA]

Procedural: samples of streams whose seed no training uses; of each, the first 1 to 10 photographs are shown and one other
view is asked for. Captures: every one below DATA with poses; held-out views by its own split or every 8th, a few
photographs spread over the training views. Started again, it goes on where it stopped; with other weights, the scores of the
other contenders are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import tyro

from novelview.data.procedural import ProceduralStream
from novelview.data.scene import Scene
from novelview.evaluation.baselines import BASELINES
from novelview.files import atomic_write_text
from novelview.methods.method import Method
from novelview.training.checkpoint import latest_step
from novelview.training.run import load_method, located
from scoring import (
    Kept,
    Score,
    baseline_on,
    captures,
    on_capture,
    over_samples,
    rendered,
    shown,
    spread,
    swept,
    table,
    weights_of,
)

HEAD = """# LVSM on scenes it has never seen

Made by `benchmarks/lvsm_quality.py` with the weights `{run}` after {step} steps, which were trained on objects with 1 to 4
photographs: more than 4, and the other families, are zero-shot. Mean PSNR in dB / SSIM (11x11 Gaussian window) over whole
images, colours sRGB in [0, 1]. Procedural: {samples} samples of {size}x{size} of each family. Captures: at most {most}
held-out views of each, {max_side} pixels on the longest side, photographs evenly spread over the training views; LVSM sees
them at most 96 pixels high, and its pictures are enlarged. Baselines as in `baselines.md`, given the same photographs.

"""
SEED, SIZE = 1_000_000, 96
VIEWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
FEW = (2, 4, 8)
COLUMNS = ("lvsm", *BASELINES)

# Which scenes, how many photographs; and what scores each contender on them.
Row = tuple[str, Mapping[str, Callable[[], Score]]]


@dataclass(frozen=True)
class Options:
    """Score weights."""

    run: tyro.conf.Positional[str] = "lvsm"
    """Run folder, or the name of a method that comes with weights."""
    data: Path | None = None
    """Folder of capture folders."""
    max_side: int = 128
    """Longest image side of captures in pixels."""
    most: int = 4
    """Held-out views scored per capture, evenly spread."""
    samples: int = 48
    """Procedural samples of each family."""
    threads: int = 2
    """CPU threads."""
    out: Path = Path("benchmarks/results/lvsm_quality.md")
    """Table to write; all scores are kept beside it, as JSON."""


def main(options: Options) -> None:
    """Score what has no score yet, and write the table after each."""
    torch.set_num_threads(options.threads)
    method, _ = load_method(options.run, adjust={"views": max(VIEWS)})
    weights = weights_of(method, latest_step(located(options.run)))
    asked = {name: getattr(options, name) for name in ("run", "most", "max_side", "samples")}
    head = HEAD.format(step=weights["steps"], size=SIZE, **asked)
    kept = Kept.read(options.out.with_suffix(".json"), weights, asked, ("lvsm",))
    for row, contenders in rows(options, method):
        scores = kept.scores.setdefault(row, {})
        for name in [name for name in contenders if name not in scores]:
            scores[name] = contenders[name]()
            print(f"{row}  {name}  {shown(scores[name])}", flush=True)
            kept.write()
            atomic_write_text(options.out, head + table(kept.scores, "scene | photographs", COLUMNS))


def rows(options: Options, method: Method) -> Iterator[Row]:
    """Objects with every number of photographs; other families and captures with a few."""
    for views in VIEWS:
        yield f"objects | {views}", procedural("object", options.samples, method, views)
    for family in ("table", "room", "forward"):
        yield f"{family} | 4", procedural(family, options.samples, method, 4)
    for scene in captures(options.data, (), options.max_side, options.most):
        for views in FEW:
            if len(scene.train) >= views:
                part = replace(scene, train=spread(scene.train, views))
                yield f"{scene.name} | {views}", captured(part, method)


def procedural(family: str, samples: int, method: Method, views: int) -> dict[str, Callable[[], Score]]:
    """Each contender on the same samples, with so many of their photographs."""
    stream = ProceduralStream((family,), seed=SEED, size=SIZE, sources=max(VIEWS))
    makers = {"lvsm": partial(rendered, method)} | {name: partial(swept, name) for name in BASELINES}
    return {name: partial(over_samples, maker, stream, samples, views) for name, maker in makers.items()}


def captured(scene: Scene, method: Method) -> dict[str, Callable[[], Score]]:
    """Each contender on one capture."""
    mine: dict[str, Callable[[], Score]] = {"lvsm": partial(on_capture, method, scene)}
    return mine | {name: partial(baseline_on, name, scene) for name in BASELINES}


if __name__ == "__main__":
    main(tyro.cli(Options))
