"""Quark's weights on scenes that they have never seen, beside classical baselines and a grid trained on the same views.

    python benchmarks/quark_quality.py [RUN] [--data DATA] [--grid] [--tune]

Procedural: samples of a stream whose seed no training uses. Captures: every one below DATA with poses; held-out views by
its own split or every 8th, every contender given the training views alone. Sparse: eight training views, evenly
spread. Near: one held-out view, and the four training views that Quark would look at for it. With ``--grid`` a grid is
trained on these few views for some minutes (two hours for all), with ``--tune`` Quark itself is tuned on them (as long).
Started again, it goes on where it stopped; with other weights, the scores of the other contenders are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from novelview.cameras.selection import select_views  # noqa: E402
from novelview.data.procedural import ProceduralStream  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.evaluation.baselines import BASELINES  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.grid import METHOD as GRID  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.methods.quark import METHOD as QUARK  # noqa: E402
from novelview.training import fit  # noqa: E402
from novelview.training.checkpoint import latest_step  # noqa: E402
from novelview.training.run import load_method, located  # noqa: E402
from scoring import (  # noqa: E402
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

SPARSE, NEAR, FINER = 8, 4, 1.5
HEAD = f"""# Quark on scenes it has never seen

Made by `benchmarks/quark_quality.py` with the weights `{{run}}` after {{step}} steps. Mean PSNR in dB / SSIM (11x11 Gaussian
window) over held-out views (at most {{most}} per capture, evenly spread), whole images, colours sRGB in [0, 1]. Held out are
the views of a capture's own test split, or every 8th; no contender is shown any of them. Captures without poses, or of
two photographs, are left out. "views" are those there are to choose from, and those that are scored; longest side
{{max_side}} pixels. Quark looks at {{views}} of them for a frame; "finer" is with `--adjust detail={FINER}`. Both numbers
were chosen by scores on held-out views of these captures. Baselines as in `baselines.md`. The grid is trained on the same
views for about five minutes (its preset "default"). Rows of {SPARSE} views have them evenly spread over the training views;
those of {NEAR} have what Quark would look at for one held-out view, the middle one, and score that view alone. "tuned" is
Quark after `novelview train quark --preset tune --start quark` on those views, about four minutes; how fast and how long it
learns was settled after a look at held-out views of fern and dtu_scan24, which flatters these two a little.

"""
HELD_OUT_SEED, SIZE = 1_000_000, 160
FAMILIES = ("forward", "room", "table")
OURS, COLUMNS = ("quark", "finer", "tuned"), ("quark", "finer", *BASELINES, "tuned", "grid")

# Which views, how many and how large; and what scores each contender on them.
Row = tuple[str, Mapping[str, Callable[[], Score]]]


@dataclass(frozen=True)
class Options:
    """Score weights."""

    run: tyro.conf.Positional[str] = "quark"
    """Run folder, or the name of a method that comes with weights."""
    data: Path | None = None
    """Folder of capture folders."""
    scenes: tuple[str, ...] = ()
    """Only these captures."""
    max_side: int = 480
    """Longest image side of captures in pixels."""
    most: int = 4
    """Held-out views scored per capture, evenly spread."""
    sparse: bool = True
    """Also with eight views, and with four near one held-out view."""
    grid: bool = False
    """Also train a grid on these few views."""
    tune: bool = False
    """Also tune Quark on these few views."""
    samples: int = 24
    """Procedural samples of each family."""
    threads: int = 2
    """CPU threads."""
    out: Path = Path("benchmarks/results/quark_quality.md")
    """Table to write; all scores are kept beside it, as JSON."""


def main(options: Options) -> None:
    """Score what has no score yet, and write the table after each."""
    torch.set_num_threads(options.threads)
    method, _ = load_method(options.run)
    weights = weights_of(method, latest_step(located(options.run)))
    finer, _ = load_method(options.run, adjust={"detail": FINER})
    asked = {"run": options.run, "most": options.most, "max_side": options.max_side}
    head = HEAD.format(step=weights["steps"], views=weights["views"], **asked)
    kept = Kept.read(options.out.with_suffix(".json"), weights, asked, OURS)
    atomic_write_text(options.out, head + table(kept.scores, "scene | views, size", COLUMNS))
    for row, contenders in rows(options, {"quark": method, "finer": finer}):
        scores = kept.scores.setdefault(row, {})
        for name in [name for name in contenders if name not in scores]:
            scores[name] = contenders[name]()
            print(f"{row}  {name}  {shown(scores[name])}", flush=True)
            kept.write()
            atomic_write_text(options.out, head + table(kept.scores, "scene | views, size", COLUMNS))


def rows(options: Options, ours: Mapping[str, Method]) -> Iterator[Row]:
    """Every row, procedural ones first; captures with all their views, then with few."""
    views = ours["quark"].config.views
    for family in FAMILIES:
        stream = ProceduralStream((family,), seed=HELD_OUT_SEED, size=SIZE, sources=views)
        yield (
            f"procedural {family} | {views}, {options.samples} samples, {SIZE}x{SIZE}",
            procedural(stream, options.samples, ours),
        )
    scenes = list(captures(options.data, options.scenes, options.max_side, options.most))
    for scene in scenes:
        yield label(scene), captured(scene, ours)
    for few in (scattered, neighbours) if options.sparse else ():
        for scene in scenes:
            if len(scene.train) > SPARSE:
                part = few(scene)
                contenders = captured(part, ours)
                if options.grid:
                    contenders["grid"] = partial(trained_grid, part)
                if options.tune:
                    contenders["tuned"] = partial(tuned, part, options.run)
                yield label(part), contenders


def scattered(scene: Scene) -> Scene:
    """With few training views, from all over."""
    return replace(scene, train=spread(scene.train, SPARSE))


def neighbours(scene: Scene) -> Scene:
    """With one held-out view, and the training views that show it best."""
    middle = scene.test[len(scene.test) // 2]
    lenses = (middle.cameras.undistorted(), scene.train.cameras.undistorted())
    chosen = select_views(*lenses, scene.bounds.near, scene.bounds.far, NEAR)
    return replace(scene, train=scene.train[sorted(chosen.indices)], test=middle)


def label(scene: Scene) -> str:
    width, height = scene.test.cameras.sizes[0].tolist()
    return f"{scene.name} | {len(scene.train)} + {len(scene.test)}, {width}x{height}"


def procedural(
    stream: ProceduralStream, samples: int, ours: Mapping[str, Method]
) -> dict[str, Callable[[], Score]]:
    """Each contender on the first samples: as many views as a frame is made of, and one to predict."""
    mine = {name: partial(rendered, method) for name, method in ours.items()}
    makers = mine | {name: partial(swept, name) for name in BASELINES}
    return {name: partial(over_samples, maker, stream, samples) for name, maker in makers.items()}


def captured(scene: Scene, ours: Mapping[str, Method]) -> dict[str, Callable[[], Score]]:
    """Each contender on one capture."""
    mine = {name: partial(on_capture, method, scene) for name, method in ours.items()}
    return mine | {name: partial(baseline_on, name, scene) for name in BASELINES}


def trained_grid(scene: Scene) -> Score:
    """A grid that was trained on the scene's training views."""
    return on_capture(fit(GRID, scene, quiet=True), scene)


def tuned(scene: Scene, run: str) -> Score:
    """The weights, fitted to the scene's training views."""
    return on_capture(fit(QUARK, scene, preset="tune", start=run, quiet=True), scene)


if __name__ == "__main__":
    main(tyro.cli(Options))
