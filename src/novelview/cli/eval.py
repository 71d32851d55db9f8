"""``novelview eval RUN``: how good a run is on the views it has not seen, beside classical baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.runs import folder_for, scene_to_show
from novelview.errors import ConfigError
from novelview.evaluation.evaluate import evaluate
from novelview.evaluation.report import Report
from novelview.nn.lpips import LPIPS


@dataclass(frozen=True)
class Eval:
    """Score a run on its held-out views and write report.html, report.json, report.csv and the pictures."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    out: Path | None = None
    """Folder of the report. Default: report in the run, or in runs/CAPTURE-METHOD."""
    on: Literal["test", "train"] = "test"
    """Which views. train scores what the method has learnt from; the report says so."""
    region: Literal["image", "mask"] = "image"
    """Score whole images, or only what the capture's masks show."""
    baselines: bool = True
    """Also score nearest view and two plane sweeps."""
    lpips: Literal["alex", "vgg"] | None = None
    """Also measure LPIPS with this trunk; needs both files below."""
    lpips_trunk: Path | None = None
    """ImageNet weights of the trunk (torchvision's alexnet or vgg16 state dict)."""
    lpips_linear: Path | None = None
    """LPIPS weights (alex.pth or vgg.pth of the LPIPS authors)."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Eval, arguments, "eval")
    method, info, run = options.method.load(options.device)
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
        lpips=_lpips(options),
    )
    report.write(folder)
    print_means(report)
    Console(highlight=False, soft_wrap=True).print(f"wrote {folder / 'report.html'}")
    return 0


def print_means(report: Report) -> None:
    """Mean scores as a table."""
    views = report.test_views if report.on == "test" else report.train_views
    table = Table(
        title=f"{report.scene}: mean over {views} {'held-out' if report.on == 'test' else 'TRAINING'} views"
    )
    metrics = [("psnr", "PSNR dB", ".2f"), ("ssim_gaussian11", "SSIM", ".4f"), ("lpips", "LPIPS", ".4f")]
    known = [metric for metric in metrics if getattr(report.mean, metric[0]) is not None]
    table.add_column("")
    for _, title, _ in known:
        table.add_column(title, justify="right")
    for contender in report.contenders:
        table.add_row(
            contender.name, *[format(getattr(contender.mean, metric), style) for metric, _, style in known]
        )
    Console(highlight=False).print(table)


def _lpips(options: Eval) -> LPIPS | None:
    if options.lpips is None:
        if options.lpips_trunk or options.lpips_linear:
            raise ConfigError("LPIPS weights are given, but no trunk", cure="add --lpips alex or --lpips vgg")
        return None
    return LPIPS.from_files(options.lpips, options.lpips_trunk, options.lpips_linear)
