"""Score a run on fixed held-out samples, and put it in the place of its method's bundled weights if it is better.

    python training/bundle_weights.py RUN [--keep-always]

The samples are neither those of any training nor those that `benchmarks/*_quality.py` report.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tyro  # noqa: E402

from novelview.data.procedural import ProceduralStream  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.training.bundle import bundle  # noqa: E402
from novelview.training.checkpoint import read_checkpoint  # noqa: E402
from novelview.training.run import load_method  # noqa: E402
from scoring import over_samples, rendered  # noqa: E402

SAMPLES, SEED = 24, 1_500_000


@dataclass(frozen=True)
class HeldOut:
    """What a method's weights are scored on, and how they come along.

    Attributes:
        families: of procedural samples.
        size: width and height of their images.
        views: photographs of each.
        adjust: settings that differ from the training's where the weights are used.
    """

    families: tuple[str, ...]
    size: int
    views: int
    adjust: dict[str, Any] = field(default_factory=dict)


HELD_OUT = {
    "quark": HeldOut(("forward", "room", "table"), 160, 6, adjust={"views": 4}),
    "lvsm": HeldOut(("object",), 96, 4),
}


@dataclass(frozen=True)
class Options:
    """Score a run and bundle it."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    keep_always: bool = False
    """Bundle it even where the weights that are there score better."""


def main(options: Options) -> None:
    """Replace the bundled weights where the run is better."""
    method, info = load_method(options.run)
    name, held_out = info.spec.name, HELD_OUT[info.spec.name]
    place = ROOT / "src" / "novelview" / "methods" / name / "weights"
    found = scores(method, held_out)
    before = json.loads((place / "card.json").read_text())["scores"] if place.exists() else {}
    print(json.dumps({"found": found, "before": before}, indent=1))
    if before and found["mean"]["psnr"] <= before["mean"]["psnr"] and not options.keep_always:
        print("the weights that are there are better")
        return
    progress = read_checkpoint(options.run, training=False).progress
    card: dict[str, Any] = {
        "method": name,
        "preset": "small",
        "data": f"endless procedural scenes ({', '.join(held_out.families)}) alone; no photograph",
        "steps": progress.step,
        "of steps": info.recipe.steps,
        "batch": info.recipe.batch,
        "begun with": info.start or "new weights",
        "seconds": round(progress.seconds),
        "parameters": sum(each.numel() for each in method.parameters()),
        "held out": f"{SAMPLES} samples of each family from seed {SEED}, {held_out.size}x{held_out.size}, "
        f"{held_out.views} views",
        "settings while rendering": held_out.adjust,
        "scores": found,
        "licence": "Apache-2.0",
    }
    made, old = place.with_name("weights-new"), place.with_name("weights-old")
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    bundle(options.run, made, card, held_out.adjust)
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def scores(method: Method, held_out: HeldOut) -> dict[str, dict[str, float]]:
    """Mean PSNR and SSIM per family and over all."""
    found = {}
    for family in held_out.families:
        stream = ProceduralStream((family,), seed=SEED, size=held_out.size, sources=held_out.views)
        means = over_samples(partial(rendered, method), stream, SAMPLES)
        found[family] = dict(zip(("psnr", "ssim"), means, strict=True))
    mean = {key: fmean(each[key] for each in found.values()) for key in ("psnr", "ssim")}
    return {**found, "mean": mean}


if __name__ == "__main__":
    main(tyro.cli(Options))
