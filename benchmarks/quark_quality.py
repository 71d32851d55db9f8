"""Quark's weights on scenes that they have never seen, beside classical baselines and a grid trained on the same views.

    python benchmarks/quark_quality.py [RUN] [--data DATA] [--grid]

Procedural: samples of a stream whose seed no training uses. Captures: every one below DATA with poses; held-out views by
its own split or every 8th, every contender given the training views alone. Sparse: eight training views, evenly
spread; with ``--grid`` a grid is trained on these for five minutes (an hour for all). Started again, it goes on where
it stopped.
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

SPARSE, FINER = 8, 1.5
HEAD = f"""# Quark on scenes it has never seen

Made by `benchmarks/quark_quality.py` with the weights `{{run}}` after {{step}} steps. Mean PSNR in dB / SSIM (11x11 Gaussian
window) over held-out views (at most {{most}} per capture, evenly spread), whole images, colours sRGB in [0, 1]. Held out are
the views of a capture's own test split, or every 8th; no contender is shown any of them. Captures without poses, or of
two photographs, are left out. "views" are those there are to choose from, and those that are scored; longest side
{{max_side}} pixels. Quark looks at {{views}} of them for a frame; "finer" is with `--adjust detail={FINER}`. Both numbers
were chosen by scores on held-out views of these captures. Baselines as in `baselines.md`. The grid is trained on the same
views for about five minutes (its preset "default").

| scene | views, size | quark | finer | {" | ".join(BASELINES)} | grid |
|---|---|---|---|{"---|" * len(BASELINES)}---|
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
    """Also with eight views only."""
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
    method, info = load_method(options.run)
    finer, _ = load_method(options.run, adjust={"detail": FINER})
    asked = {"run": options.run, "most": options.most, "max_side": options.max_side}
    text = HEAD.format(step=latest_step(located(options.run)), views=info.config.views, **asked)
    if options.out.exists() and options.out.read_text().startswith(text):
        text = options.out.read_text()
    for start, score in rows(options, method, finer):
        if f"\n{start}" not in text:
            text += start + score() + "\n"
            print(text.splitlines()[-1], flush=True)
            atomic_write_text(options.out, text)


def rows(options: Options, method: Method, finer: Method) -> Iterator[tuple[str, Callable[[], str]]]:
    """How each row begins, and what makes the rest of it."""
    for family in FAMILIES:
        views = f"{method.config.views}, {options.samples} samples, {SIZE}x{SIZE}"
        yield f"| procedural {family} | {views} |", partial(procedural, options, method, finer, family)
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
            yield row_start(scene), partial(captured, method, finer, scene, grid=False)
            if options.sparse and len(scene.train) > SPARSE:
                few = replace(scene, train=spread(scene.train, SPARSE))
                yield row_start(few), partial(captured, method, finer, few, grid=options.grid)


def row_start(scene: Scene) -> str:
    width, height = scene.test.cameras.sizes[0].tolist()
    return f"| {scene.name} | {len(scene.train)} + {len(scene.test)}, {width}x{height} |"


def procedural(options: Options, method: Method, finer: Method, family: str) -> str:
    """Scores on samples of a family: as many views as a frame is made of, and one to predict."""
    scores = held_out_scores(method, family, options.samples, tuple(BASELINES))
    finest = held_out_scores(finer, family, options.samples)
    return line([scores.pop("quark"), finest["quark"], *scores.values()], "-")


def line(scores: list[tuple[float, float]], grid: str) -> str:
    """The rest of a row."""
    return f" {' | '.join(f'{found:.2f} / {alike:.3f}' for found, alike in scores)} | {grid} |"


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


def captured(method: Method, finer: Method, scene: Scene, grid: bool) -> str:
    """Scores on one capture."""
    quark, *baselines = evaluate(method, scene, name="quark", quiet=True).contenders
    finest = evaluate(finer, scene, name="finer", baselines=False, quiet=True).contenders[0]
    means = [each.mean for each in (quark, finest, *baselines)]
    return line([(each.psnr, each.ssim_gaussian11) for each in means], trained_grid(scene) if grid else "-")


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
