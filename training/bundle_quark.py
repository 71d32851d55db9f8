"""Score a run of Quark on the fixed held-out samples, and put it in the place of the bundled weights if it is better.

    python training/bundle_quark.py RUN [--views VIEWS] [--keep-always]

The samples are neither those of any training nor those that `benchmarks/quark_quality.py` reports.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tyro  # noqa: E402

from novelview.methods.method import Method  # noqa: E402
from novelview.training.bundle import bundle  # noqa: E402
from novelview.training.checkpoint import read_checkpoint  # noqa: E402
from novelview.training.run import load_method  # noqa: E402
from quark_quality import FAMILIES, SIZE, held_out_score  # noqa: E402

PLACE = ROOT / "src" / "novelview" / "methods" / "quark" / "weights"
SAMPLES, SEED = 24, 1_500_000


@dataclass(frozen=True)
class Options:
    """Score a run and bundle it."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    views: int = 4
    """Photographs that the bundled weights look at for a frame, unless told otherwise."""
    keep_always: bool = False
    """Bundle it even where the weights that are there score better."""


def main(options: Options) -> None:
    """Replace the bundled weights where the run is better."""
    method, info = load_method(options.run)
    found = scores(method)
    before = json.loads((PLACE / "card.json").read_text())["scores"] if PLACE.exists() else {}
    print(json.dumps({"found": found, "before": before}, indent=1))
    if before and found["mean"]["psnr"] <= before["mean"]["psnr"] and not options.keep_always:
        print("the weights that are there are better")
        return
    progress = read_checkpoint(options.run, training=False).progress
    card: dict[str, Any] = {
        "method": "quark",
        "preset": "small",
        "data": f"endless procedural scenes ({', '.join(FAMILIES)}) alone; no photograph",
        "steps": progress.step,
        "of steps": info.recipe.steps,
        "batch": info.recipe.batch,
        "begun with": info.start or "new weights",
        "seconds": round(progress.seconds),
        "parameters": sum(each.numel() for each in method.parameters()),
        "held out": f"{SAMPLES} samples of each family from seed {SEED}, {SIZE}x{SIZE}, "
        f"{method.config.views} views",
        "views while rendering": options.views,
        "scores": found,
        "licence": "Apache-2.0",
    }
    made, old = PLACE.with_name("weights-new"), PLACE.with_name("weights-old")
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    bundle(options.run, made, card, {"views": options.views})
    if PLACE.exists():
        PLACE.rename(old)
    made.rename(PLACE)
    shutil.rmtree(old, ignore_errors=True)


def scores(method: Method) -> dict[str, dict[str, float]]:
    """Mean PSNR and SSIM per family and over all."""
    found = {
        family: dict(zip(("psnr", "ssim"), held_out_score(method, family, SAMPLES, SEED), strict=True))
        for family in FAMILIES
    }
    mean = {key: fmean(found[family][key] for family in FAMILIES) for key in ("psnr", "ssim")}
    return {**found, "mean": mean}


if __name__ == "__main__":
    main(tyro.cli(Options))
