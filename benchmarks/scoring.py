"""What tables of quality have in common: mean scores of methods and baselines on samples and on captures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from novelview.data.open import open_scene
from novelview.data.procedural import ProceduralStream
from novelview.data.scene import Scene
from novelview.errors import NovelviewError
from novelview.evaluation.baselines import baseline
from novelview.evaluation.metrics import psnr, ssim
from novelview.files import atomic_write_json
from novelview.methods.method import Method
from novelview.types import Sample, Views

Score = tuple[float, float]  # Mean PSNR and SSIM.
Maker = Callable[[Sample], torch.Tensor]


@dataclass(frozen=True)
class Kept:
    """Scores by row and contender, and what they are of.

    Attributes:
        file: JSON in which they are kept.
        weights: what tells the weights from others.
        asked: the protocol.
        scores: by row, then by contender.
    """

    file: Path
    weights: dict[str, Any]
    asked: dict[str, Any]
    scores: dict[str, dict[str, Score]]

    @staticmethod
    def read(file: Path, weights: dict[str, Any], asked: dict[str, Any], ours: Collection[str]) -> Kept:
        """What the file keeps: nothing of another protocol, and nothing of ours with other weights."""
        found = json.loads(file.read_text()) if file.exists() else {}
        scores = found["scores"] if found.get("asked") == asked else {}
        if found.get("weights") != weights:
            scores = {
                row: {name: score for name, score in each.items() if name not in ours}
                for row, each in scores.items()
            }
        return Kept(file, weights, asked, scores)

    def write(self) -> None:
        atomic_write_json(self.file, {"weights": self.weights, "asked": self.asked, "scores": self.scores})


def weights_of(method: Method, step: int) -> dict[str, Any]:
    """What tells weights and their settings from others."""
    digest, model = hashlib.sha256(), method.state_dict()
    for name in sorted(model):
        digest.update(model[name].contiguous().numpy().tobytes())
    return {"steps": step, "views": method.config.views, "sha256": digest.hexdigest()}


def table(scores: Mapping[str, Mapping[str, Score]], head: str, columns: Collection[str]) -> str:
    """All rows that have a score, in the order in which they were made."""
    width = head.count("|") + 1
    lines = [f"| {head} | {' | '.join(columns)} |", f"|{'---|' * (width + len(columns))}"]
    for row, found in scores.items():
        cells = [shown(found[name]) if name in found else "-" for name in columns]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown(score: Score) -> str:
    return f"{score[0]:.2f} / {score[1]:.3f}"


def captures(data: Path | None, scenes: Collection[str], max_side: int, most: int) -> Iterator[Scene]:
    """Captures below a folder that can be scored, with as many held-out views as are asked for."""
    folders = [] if data is None else sorted(path for path in data.iterdir() if path.is_dir())
    for folder in folders:
        if scenes and folder.name not in scenes:
            continue
        try:
            scene = open_scene(folder, max_side=max_side)
        except NovelviewError:
            continue
        if len(scene.test) and len(scene.train) > 1:
            yield replace(scene, test=spread(scene.test, min(most, len(scene.test))))


def rendered(method: Method, sample: Sample) -> torch.Tensor:
    """What a method shows of a sample's first target."""
    state = method.condition(sample.sources, sample.bounds)
    return method.render(state, sample.targets.cameras[:1]).rgb[0]


def swept(name: str, sample: Sample) -> torch.Tensor:
    """What a baseline shows of it."""
    return baseline(name, sample.sources, sample.bounds, sample.targets.cameras[:1]).rgb[0]


@torch.no_grad()
def over_samples(maker: Maker, stream: ProceduralStream, samples: int, views: int | None = None) -> Score:
    """Means over the first samples of a stream, each with its first ``views`` sources, or all."""
    items = (stream.item(i) for i in range(samples))
    cut = (replace(sample, sources=sample.sources[:views]) for sample in items)
    return mean_score((maker(sample), sample.targets.image(0)) for sample in cut)


@torch.no_grad()
def on_capture(method: Method, scene: Scene) -> Score:
    """Means over the held-out views."""
    state, test = method.condition(scene.train, scene.bounds), scene.test
    return mean_score((method.render(state, test.cameras[i]).rgb[0], test.image(i)) for i in range(len(test)))


@torch.no_grad()
def baseline_on(name: str, scene: Scene) -> Score:
    """Means of a baseline over the held-out views."""
    test = scene.test
    return mean_score(
        (baseline(name, scene.train, scene.bounds, test.cameras[i]).rgb[0], test.image(i))
        for i in range(len(test))
    )


def mean_score(pairs: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> Score:
    """Means over renderings and what they should be."""
    scores = [
        (psnr(image.clamp(0, 1), truth), ssim(image.clamp(0, 1), truth, "gaussian11"))
        for image, truth in pairs
    ]
    return fmean(a for a, _ in scores), fmean(b for _, b in scores)


def spread(views: Views, count: int) -> Views:
    """So many of the views, evenly spread over their order."""
    return views[[round(i * (len(views) - 1) / max(1, count - 1)) for i in range(count)]]
