"""Score a run on fixed held-out samples, and put it in the place of its method's bundled weights if it is better.

    python training/bundle_weights.py RUN [--keep-always]

The samples are neither those of any training nor those that `benchmarks/*_quality.py` report.
"""

from __future__ import annotations

import json
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tyro  # noqa: E402

import viewdiff_quality  # noqa: E402
from novelview.data.procedural import ProceduralStream  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.training.bundle import bundle  # noqa: E402
from novelview.training.checkpoint import read_checkpoint  # noqa: E402
from novelview.training.run import load_method  # noqa: E402
from scoring import over_samples, rendered  # noqa: E402

SAMPLES, SEED = 24, 1_500_000


Figures = dict[str, dict[str, float]]


class HeldOut(ABC):
    """What a method's weights are scored on, and how they come along.

    Attributes:
        data: what they learnt from, in words.
        described: what they are scored on, in words.
        adjust: settings that differ from the training's where the weights are used.
        half: whether 16 bits of each weight come along.
    """

    data: str
    described: str
    adjust: dict[str, Any]
    half: bool = False

    @abstractmethod
    def scores(self, method: Method) -> Figures:
        """Figures by name; those of "mean" decide which weights are better, by "psnr"."""


@dataclass(frozen=True)
class NewViews(HeldOut):
    """Views that photographs do not show.

    Attributes:
        families: of procedural samples.
        size: width and height of their images.
        views: photographs of each.
    """

    families: tuple[str, ...]
    size: int
    views: int
    adjust: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> str:  # type: ignore[override]
        return f"endless procedural scenes ({', '.join(self.families)}) alone; no photograph"

    @property
    def described(self) -> str:  # type: ignore[override]
        return (
            f"{SAMPLES} samples of each family from seed {SEED}, {self.size}x{self.size}, {self.views} views"
        )

    def scores(self, method: Method) -> Figures:
        """Mean PSNR and SSIM per family and over all."""
        found = {}
        for family in self.families:
            stream = ProceduralStream((family,), seed=SEED, size=self.size, sources=self.views)
            means = over_samples(partial(rendered, method), stream, SAMPLES)
            found[family] = dict(zip(("psnr", "ssim"), means, strict=True))
        mean = {key: fmean(each[key] for each in found.values()) for key in ("psnr", "ssim")}
        return {**found, "mean": mean}


@dataclass(frozen=True)
class Generated(HeldOut):
    """Views of described objects whose colours and shapes no training had together."""

    data: str = "procedural objects with captions alone (data/procedural/described.py); no photograph"
    described: str = (
        "the 20 descriptions that training never draws: views from one picture (PSNR, SSIM, three samples each), and "
        "agreement of 16 views from words (PSNR of a grid fitted to half of them on the others)"
    )
    adjust: dict[str, Any] = field(default_factory=dict)
    half: bool = True

    def scores(self, method: Method) -> Figures:
        words = viewdiff_quality.held_out_captions()
        seen = viewdiff_quality.reconstructions(method, method, words, SEED)
        rings = [viewdiff_quality.generated(method, caption, SEED + i) for i, caption in enumerate(words)]
        psnr, ssim = (fmean(getattr(each.mean, name) for each in seen) for name in ("psnr", "ssim_uniform7"))
        agreement = fmean(each.others.psnr for each in viewdiff_quality.fitted(rings))
        return {"mean": {"psnr": psnr, "ssim": ssim}, "agreement from words": {"psnr": agreement}}


HELD_OUT: dict[str, HeldOut] = {
    "quark": NewViews(("forward", "room", "table"), 160, 6, adjust={"views": 4}),
    "lvsm": NewViews(("object",), 96, 4),
    "viewdiff": Generated(),
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
    found = held_out.scores(method)
    before = json.loads((place / "card.json").read_text())["scores"] if place.exists() else {}
    print(json.dumps({"found": found, "before": before}, indent=1))
    if before and found["mean"]["psnr"] <= before["mean"]["psnr"] and not options.keep_always:
        print("the weights that are there are better")
        return
    progress = read_checkpoint(options.run, training=False).progress
    card: dict[str, Any] = {
        "method": name,
        "preset": "small",
        "data": held_out.data,
        "steps": progress.step,
        "of steps": info.recipe.steps,
        "batch": info.recipe.batch,
        "begun with": info.start or "new weights",
        "seconds": round(progress.seconds),
        "parameters": sum(each.numel() for each in method.parameters()),
        "held out": held_out.described,
        "settings while rendering": held_out.adjust,
        "scores": found,
        "licence": "Apache-2.0",
    }
    made, old = place.with_name("weights-new"), place.with_name("weights-old")
    if old.exists() and not place.exists():
        old.rename(place)  # A call before this one was stopped between two names.
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    bundle(options.run, made, card, held_out.adjust, half=held_out.half)
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
