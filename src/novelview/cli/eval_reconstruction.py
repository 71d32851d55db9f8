"""``novelview eval METHOD --data CAPTURE --reconstruct K``: views that a generative method makes of K photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.scores import LpipsOptions, print_scores
from novelview.errors import ConfigError
from novelview.evaluation.evaluate_reconstruction import ReconstructionPlan, evaluate_reconstruction
from novelview.progress import progress_bar
from novelview.subjects import check_generative


@dataclass(frozen=True)
class EvalReconstruction:
    """Score what a generative method makes of few photographs of a subject against its other photographs: PSNR, SSIM and,
    with weights, LPIPS, each over several samples. Writes report.json, and views.png with true views above made ones.

    Where the capture has masks, images are also scored before white. All views are used, unless --split holds some out:
    then these alone. Captures in whose frame the method learnt, as of `novelview data prepare`, need --no-normalise."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    reconstruct: int = 1
    """Number of photographs that are given."""
    views: int = 4
    """Number of others that are made at once."""
    groups: int = 10
    """Number of such groups, drawn at random; papers use up to 200."""
    samples: int = 3
    """How often each group is made; papers use 20."""
    prompt: str | None = None
    """What the photographs show, in words. Default: the capture's first caption, else nothing."""
    seed: int = 0
    """Determines every random draw."""
    lpips: Unprefixed[LpipsOptions] = field(default_factory=LpipsOptions)
    out: Path | None = None
    """Folder of the report. Default: runs/CAPTURE-METHOD/reconstruction."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run."""
    # Whoever asks for help need not name a method.
    asks = not {"-h", "--help"}.isdisjoint(arguments)
    options = parse(EvalReconstruction, ["--help"] if asks else arguments, "eval")
    if options.scene.data is None:
        raise ConfigError("No capture is named", cure="add --data DIR")
    method, info, _ = options.method.load(options.device)
    check_generative(info.spec)
    scene = replace(options.scene, split=options.scene.split or "none").open()
    prompt = options.prompt if options.prompt is not None else next(iter(scene.captions), "")
    plan = ReconstructionPlan(
        options.reconstruct, options.views, options.groups, options.samples, prompt, options.seed
    )
    lpips = options.lpips.load()
    folder = options.out or Path("runs") / f"{scene.name}-{info.spec.name}" / "reconstruction"
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("reconstructing", total=plan.groups * plan.samples)
        report = evaluate_reconstruction(
            method,
            scene,
            plan,
            name=info.spec.name,
            lpips=lpips,
            done=lambda: bar.advance(task),
        )
    report.write(folder)
    for title, scores in (("images as they are", report.whole), ("white outside the masks", report.masked)):
        if scores is not None:
            rows = {
                f"one of {plan.samples} samples, in the mean": scores.mean,
                "the best of them, which the truth chose": scores.best,
                "their mean image": scores.mean_image,
            }
            print_scores(f"{scene.name}, {plan.given} given, {plan.made} made: {title}", rows)
    Console(highlight=False, soft_wrap=True).print(f"wrote {folder / 'report.json'} and views.png")
    return 0
