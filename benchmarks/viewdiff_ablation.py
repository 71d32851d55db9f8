"""What ViewDiff's two ways to make views agree are worth: its small model with one of them taken out, and with both.

    python benchmarks/viewdiff_ablation.py [--run viewdiff] [--steps 300]

Each case begins with the weights of the same trained model, has its part taken out, and learns on for the same number of
steps from the same samples, the full model too; then all are measured as ``viewdiff_quality.py`` does. So the table says
what a model that learnt with both loses without one and with time to make up for it, not what one becomes that never had
it. The paper (Table 3) trains each anew, and measures PSNR of views made from one picture: 22.24 dB in full, 16.55 without
projection layers, 18.15 without attention across views.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from novelview.methods.discovery import discover
from novelview.methods.method import MethodSpec
from novelview.methods.recipe import Recipe
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.model import ViewDiff
from novelview.training.run import fit, load_method
from rows import keep
from viewdiff_quality import agreement, faithfulness, generated, held_out_captions

RESULT = Path(__file__).parent / "results" / "viewdiff_ablation.md"
HEAD = """# ViewDiff: what makes views agree

Made by `benchmarks/viewdiff_ablation.py`, whose head says what was done; columns as in viewdiff_quality.md, of views that
words made (grid to exchanged) or one picture (PSNR and SSIM), of held-out descriptions. "paper": its PSNR, of models
trained anew.

| model | steps | objects | grid | nearest | corners | exchanged | PSNR, best, mean image | SSIM | paper |
|---|---|---|---|---|---|---|---|---|---|
"""
CASES = ("full", "no projection layers", "no attention across views", "neither")
PAPER = {"full": "22.24", "no projection layers": "16.55", "no attention across views": "18.15"}


@dataclass(frozen=True)
class Options:
    """Compare models with parts taken out."""

    run: str = "viewdiff"
    """Trained model, a run folder or the name of the method for the bundled weights."""
    steps: int = 300
    """In which each case learns on."""
    objects: int = 20
    """Descriptions that are used, of 20."""
    out: Path = RESULT
    """Table to write."""


def main(options: Options) -> None:
    """Learn on with each case, and write its row."""
    spec = discover()["viewdiff"]
    trained, info = load_method(options.run)
    assert isinstance(trained, ViewDiff)
    words = held_out_captions()[: options.objects]
    for case in CASES:
        model = learnt_on(spec, taken_out(trained, case), info.recipe, options.steps)
        made = [generated(model, caption, i) for i, caption in enumerate(words)]
        cells = [case, str(options.steps), str(len(words)), *agreement(made)]
        cells += [*faithfulness(model, model, words), PAPER.get(case, "")]
        row = "| " + " | ".join(cells) + " |"
        keep(options.out, HEAD, f"| {case} |", row)
        print(row, flush=True)


def taken_out(trained: ViewDiff, case: str) -> ViewDiff:
    """A copy without what the case lacks; all other weights are the trained ones."""
    model = ViewDiff(without(trained.config, case))
    weights = trained.state_dict()
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return model


def without(config: ViewDiffConfig, case: str) -> ViewDiffConfig:
    """The configuration of a case."""
    multiview, learn = config.multiview, config.learn
    if case in ("no projection layers", "neither"):
        none = replace(multiview.placement, down=0, middle=False, up=0)
        multiview, learn = replace(multiview, placement=none), replace(learn, shown_weight=0.0)
    if case in ("no attention across views", "neither"):
        multiview = replace(multiview, attention=replace(multiview.attention, frames="own"))
    return replace(config, multiview=multiview, learn=learn)


def learnt_on(spec: MethodSpec, model: ViewDiff, recipe: Recipe, steps: int) -> ViewDiff:
    """The model after some steps at a third of its first rate, and with a shorter average."""
    short = replace(
        recipe,
        steps=steps,
        learning_rate=recipe.learning_rate / 3,
        warmup_steps=steps // 10,
        decay="cosine",
        ema=0.99,
    )
    torch.manual_seed(0)
    learnt = fit(spec, spec.watched(), config=model.config, recipe=short, start=model, quiet=True)
    assert isinstance(learnt, ViewDiff)
    return learnt


if __name__ == "__main__":
    main(tyro.cli(Options))
