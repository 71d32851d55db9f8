"""``novelview eval RUN``: how good a run is on the views it has not seen, beside classical baselines.

With ``--index``, a feed-forward method is scored on many captures by the protocol of its papers instead; with ``--mesh``,
a surface is scored against a reference (``eval_mesh.py``); with ``--generated``, views that no camera saw
(``eval_generated.py``); with ``--reconstruct``, what a generative method makes of few photographs
(``eval_reconstruction.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from novelview.cli import eval_generated, eval_mesh, eval_reconstruction
from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.runs import folder_for, scene_to_show
from novelview.cli.scores import LpipsOptions, print_scores
from novelview.errors import ConfigError
from novelview.evaluation.evaluate import evaluate
from novelview.evaluation.evaluate_index import evaluate_index
from novelview.evaluation.report import Report
from novelview.methods.method import Method, MethodSpec


@dataclass(frozen=True)
class Eval:
    """Score a run on its held-out views and write report.html, report.json, report.csv and the pictures.

    With --index, score a feed-forward method on views of many captures, and write report.json and report.csv.
    With --mesh FILE --reference FILE and no run, score a surface; `novelview eval --mesh --help` shows the options.
    With --generated FOLDER and no run, score generated views; `novelview eval --generated --help` shows the options.
    With --reconstruct K, score what a generative method makes of K photographs; `novelview eval --reconstruct --help`."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    out: Path | None = None
    """Folder of the report. Default: report in the run, in runs/CAPTURE-METHOD, or in runs/INDEX-METHOD."""
    index: Path | None = None
    """Evaluation index: JSON of the form {scene: null or {"context": [i, j], "target": [a, b, c]}}, views counted from 0.
    --data then is a folder of captures, each named like its scene, or a text file with the path of one per line. Where
    captures state no depth range, finding it takes seconds for each: give --near and --far if you know them."""
    size: int | None = None
    """With --index: height in pixels of the images, whose middle square is scored. Default: 256."""
    on: Literal["test", "train"] = "test"
    """Which views. train scores what the method has learnt from; the report says so."""
    region: Literal["image", "mask"] = "image"
    """Score whole images, or only what the capture's masks show."""
    baselines: bool = True
    """Also score nearest view and two plane sweeps; an index is for the method alone."""
    lpips: Unprefixed[LpipsOptions] = field(default_factory=LpipsOptions)
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    named = {word.partition("=")[0] for word in arguments}
    if "--mesh" in named:
        return eval_mesh.run(arguments)
    if "--generated" in named:
        return eval_generated.run(arguments)
    if "--reconstruct" in named:
        return eval_reconstruction.run(arguments)
    options = parse(Eval, arguments, "eval")
    _check(options)
    method, info, run = options.method.load(options.device)
    if options.index is not None:
        _score_index(options, options.index, method, info.spec)
        return 0
    scene = scene_to_show(run, info, options.scene)
    folder = options.out or folder_for(run, info, scene) / "report"
    report = evaluate(
        method,
        scene,
        name=info.spec.name,
        folder=folder,
        baselines=options.baselines,
        on=options.on,
        region=options.region,
        lpips=options.lpips.load(),
    )
    report.write(folder)
    print_means(report)
    Console(highlight=False, soft_wrap=True).print(f"wrote {folder / 'report.html'}")
    return 0


def print_means(report: Report) -> None:
    """Mean scores as a table."""
    views = report.test_views if report.on == "test" else report.train_views
    kind = "held-out" if report.on == "test" else "TRAINING"
    means = {contender.name: contender.mean for contender in report.contenders}
    print_scores(f"{report.scene}: mean over {views} {kind} views", means)


def _check(options: Eval) -> None:
    """Refuse options that make no sense together."""
    if options.index is None:
        if options.size is not None:
            raise ConfigError(
                "Only an index has a --size", cure="add --index FILE, or give --scale or --max-side"
            )
        return
    if options.on != "test" or options.region != "image":
        raise ConfigError(
            "The targets of an index are scored whole",
            where=options.index,
            cure="leave out --on and --region",
        )
    if replace(options.scene, data=None, format=None, near=None, far=None) != SceneOptions():
        raise ConfigError(
            "An index says itself which views of a capture are used, and --size how large",
            where=options.index,
            cure="of the options about the capture, give --data, --format, --near and --far only",
        )


def _score_index(options: Eval, index: Path, method: Method, spec: MethodSpec) -> None:
    if options.scene.data is None:
        raise ConfigError("No captures are named", cure="add --data DIR, or --data LIST.txt")
    report = evaluate_index(
        method,
        spec,
        index,
        options.scene.data,
        size=256 if options.size is None else options.size,
        format=options.scene.format,
        near=options.scene.near,
        far=options.scene.far,
        lpips=options.lpips.load(),
    )
    folder = options.out or Path("runs") / f"{index.stem}-{spec.name}" / "report"
    report.write(folder)
    print_scores(f"{index.stem}: mean over {len(report.scenes)} scenes", {spec.name: report.mean})
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{len(report.without_entry)} scenes without entry, {len(report.missing)} scenes missing on disk"
    )
    console.print(f"wrote {folder / 'report.json'}")
