"""Quark's weights on scenes that they have never seen, beside classical baselines and a grid trained on the same views.

    python benchmarks/quark_quality.py [RUN] [--data DATA] [--grid]

Procedural: samples of a stream whose seed no training uses. Captures: every one below DATA with poses; held-out views by
its own split or every 8th, every contender given the training views alone. Sparse: as many training views, evenly
spread, as Quark looks at for one frame; with ``--grid`` a grid is trained on these for five minutes (hours for all).
Rows are added to the table of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from novelview.training.run import load_method  # noqa: E402
from novelview.types import Sample  # noqa: E402

HEAD = f"""# Quark on scenes it has never seen

Made by `benchmarks/quark_quality.py`. Mean PSNR in dB / SSIM (11x11 Gaussian window) over held-out views, whole images,
colours sRGB in [0, 1]. "views" are those there are to choose from, and those that are scored. Baselines as in
`baselines.md`. The grid is trained on the same views for about five minutes (its preset "default").

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
    """Write the table, row by row."""
    torch.set_num_threads(options.threads)
    method, _ = load_method(options.run)
    text = HEAD
    for line in rows(options, method):
        print(line, flush=True)
        text += line + "\n"
        atomic_write_text(options.out, text)


def rows(options: Options, method: Method) -> Iterator[str]:
    """The table's rows."""
    for family in FAMILIES:
        yield procedural(options, method, family)
    folders = [] if options.data is None else sorted(path for path in options.data.iterdir() if path.is_dir())
    for folder in folders:
        if options.scenes and folder.name not in options.scenes:
            continue
        try:
            scene = open_scene(folder, max_side=options.max_side)
        except NovelviewError:
            continue
        if len(scene.test) and len(scene.train) > 1:
            yield captured(options, method, scene, "-")
            views = method.config.views
            if options.sparse and len(scene.train) > views:
                few = sparse(scene, views)
                yield captured(options, method, few, trained_grid(few) if options.grid else "-")


def procedural(options: Options, method: Method, family: str) -> str:
    """Samples of a family: as many views as a frame is made of, and one to predict."""
    scores = held_out_scores(method, family, options.samples, tuple(BASELINES))
    cells = [f"{found:.2f} / {alike:.3f}" for found, alike in scores.values()]
    views = f"{method.config.views}, {options.samples} samples, {SIZE}x{SIZE}"
    return f"| procedural {family} | {views} | {' | '.join(cells)} | - |"


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


def captured(options: Options, method: Method, scene: Scene, grid: str) -> str:
    """One capture's row."""
    step = max(1, len(scene.test) // options.most)
    names = scene.test.names[::step][: options.most]
    report = evaluate(method, scene, name="quark", views=names, quiet=True)
    cells = [f"{each.mean.psnr:.2f} / {each.mean.ssim_gaussian11:.3f}" for each in report.contenders]
    width, height = scene.test.cameras.sizes[0].tolist()
    views = f"{len(scene.train)} + {len(names)}, {width}x{height}"
    return f"| {scene.name} | {views} | {' | '.join(cells)} | {grid} |"


def sparse(scene: Scene, count: int) -> Scene:
    """The same scene with few training views, evenly spread over their order."""
    chosen = [round(i * (len(scene.train) - 1) / (count - 1)) for i in range(count)]
    return replace(scene, train=scene.train[chosen])


def trained_grid(scene: Scene) -> str:
    """Scores of a grid that was trained on the scene's training views."""
    method = fit(GRID, scene, quiet=True)
    mean = evaluate(method, scene, name="grid", baselines=False, quiet=True).mean
    return f"{mean.psnr:.2f} / {mean.ssim_gaussian11:.3f}"


if __name__ == "__main__":
    main(tyro.cli(Options))
