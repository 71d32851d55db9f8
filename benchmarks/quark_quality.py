"""Quark's weights on scenes that they have never seen, beside classical baselines and a grid trained on the same views.

    python benchmarks/quark_quality.py [RUN] [--data DATA] [--grid]

Procedural: samples of a stream whose seed no training uses. Captures: every one below DATA with poses; held-out views by
its own split or every 8th, every contender given the training views alone. Sparse: as many training views, evenly
spread, as Quark looks at for one frame; with ``--grid`` a grid is trained on these for five minutes (hours for all).
Started again, it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from novelview.data.open import open_scene  # noqa: E402
from novelview.data.procedural import ProceduralStream  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.errors import NovelviewError  # noqa: E402
from novelview.evaluation.baselines import BASELINES, baseline  # noqa: E402
from novelview.evaluation.evaluate import evaluate  # noqa: E402
from novelview.evaluation.metrics import psnr, ssim  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.grid import METHOD as GRID  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.training import fit  # noqa: E402
from novelview.training.checkpoint import latest_step  # noqa: E402
from novelview.training.run import load_method, located  # noqa: E402
from novelview.types import Sample, Views  # noqa: E402

HEAD = f"""# Quark on scenes it has never seen

Made by `benchmarks/quark_quality.py` with the weights `{{run}}` after {{step}} steps. Mean PSNR in dB / SSIM (11x11 Gaussian
window) over held-out views (at most {{most}} per capture, evenly spread), whole images, colours sRGB in [0, 1]. Held out are
the views of a capture's own test split, or every 8th; no contender is shown any of them. Captures without poses, or of
two photographs, are left out. "views" are those there are to choose from, and those that are scored; longest side
{{max_side}} pixels. Baselines as in `baselines.md`. The grid is trained on the same views for about five minutes (its preset
"default").

| scene | views, size | quark | {" | ".join(BASELINES)} | grid |
|---|---|---|{"---|" * len(BASELINES)}---|
"""
HELD_OUT_SEED, SIZE = 1_000_000, 160
FAMILIES = ("forward", "room", "table")


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
    most: int = 8
    """Held-out views scored per capture, evenly spread."""
    sparse: bool = True
    """Also with only as many views as are looked at for one frame."""
    grid: bool = False
    """Also train a grid on the sparse views."""
    samples: int = 24
    """Procedural samples of each family."""
    threads: int = 2
    """CPU threads."""
    out: Path = Path("benchmarks/results/quark_quality.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the table, row by row; one of the same weights and settings that was interrupted is gone on with."""
    torch.set_num_threads(options.threads)
    method, _ = load_method(options.run)
    step = latest_step(located(options.run))
    text = HEAD.format(run=options.run, step=step, most=options.most, max_side=options.max_side)
    if options.out.exists() and options.out.read_text().startswith(text):
        text = options.out.read_text()
    for start, score in rows(options, method):
        if f"\n{start}" not in text:
            text += start + score() + "\n"
            print(text.splitlines()[-1], flush=True)
            atomic_write_text(options.out, text)


def rows(options: Options, method: Method) -> Iterator[tuple[str, Callable[[], str]]]:
    """How each row begins, and what makes the rest of it."""
    for family in FAMILIES:
        views = f"{method.config.views}, {options.samples} samples, {SIZE}x{SIZE}"
        yield f"| procedural {family} | {views} |", partial(procedural, options, method, family)
    folders = [] if options.data is None else sorted(path for path in options.data.iterdir() if path.is_dir())
    for folder in folders:
        if options.scenes and folder.name not in options.scenes:
            continue
        try:
            scene = open_scene(folder, max_side=options.max_side)
        except NovelviewError:
            continue
        if len(scene.test) and len(scene.train) > 1:
            scene = replace(scene, test=spread(scene.test, min(options.most, len(scene.test))))
            yield row_start(scene), partial(captured, method, scene, grid=False)
            if options.sparse and len(scene.train) > method.config.views:
                few = replace(scene, train=spread(scene.train, method.config.views))
                yield row_start(few), partial(captured, method, few, grid=options.grid)


def row_start(scene: Scene) -> str:
    width, height = scene.test.cameras.sizes[0].tolist()
    return f"| {scene.name} | {len(scene.train)} + {len(scene.test)}, {width}x{height} |"


def procedural(options: Options, method: Method, family: str) -> str:
    """Scores on samples of a family: as many views as a frame is made of, and one to predict."""
    scores = held_out_scores(method, family, options.samples, tuple(BASELINES))
    cells = [f"{found:.2f} / {alike:.3f}" for found, alike in scores.values()]
    return f" {' | '.join(cells)} | - |"


@torch.no_grad()
def held_out_scores(
    method: Method, family: str, samples: int, baselines: tuple[str, ...] = (), seed: int = HELD_OUT_SEED
) -> dict[str, tuple[float, float]]:
    """Mean PSNR and SSIM of the method, called "quark", and of baselines on the first held-out samples of a family."""
    stream = ProceduralStream((family,), seed=seed, size=SIZE, sources=method.config.views)
    scores: dict[str, list[tuple[float, float]]] = {}
    for i in range(samples):
        sample = stream.item(i)
        truth = sample.targets.image(0)
        for name, image in contenders(method, sample, baselines):
            scores.setdefault(name, []).append((psnr(image, truth), ssim(image, truth, "gaussian11")))
    return {name: (fmean(a for a, _ in each), fmean(b for _, b in each)) for name, each in scores.items()}


def contenders(
    method: Method, sample: Sample, baselines: tuple[str, ...]
) -> Iterator[tuple[str, torch.Tensor]]:
    """What each makes of a sample's sources."""
    camera, bounds = sample.targets.cameras[:1], sample.bounds
    yield "quark", method.render(method.condition(sample.sources, bounds), camera).rgb[0]
    for name in baselines:
        yield name, baseline(name, sample.sources, bounds, camera).rgb[0]


def captured(method: Method, scene: Scene, grid: bool) -> str:
    """Scores on one capture."""
    report = evaluate(method, scene, name="quark", quiet=True)
    cells = [f"{each.mean.psnr:.2f} / {each.mean.ssim_gaussian11:.3f}" for each in report.contenders]
    return f" {' | '.join(cells)} | {trained_grid(scene) if grid else '-'} |"


def spread(views: Views, count: int) -> Views:
    """So many of the views, evenly spread over their order."""
    return views[[round(i * (len(views) - 1) / max(1, count - 1)) for i in range(count)]]


def trained_grid(scene: Scene) -> str:
    """Scores of a grid that was trained on the scene's training views."""
    method = fit(GRID, scene, quiet=True)
    mean = evaluate(method, scene, name="grid", baselines=False, quiet=True).mean
    return f"{mean.psnr:.2f} / {mean.ssim_gaussian11:.3f}"


if __name__ == "__main__":
    main(tyro.cli(Options))
