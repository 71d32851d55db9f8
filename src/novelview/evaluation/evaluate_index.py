"""A feed-forward method on many captures at once, as an evaluation index says: the protocol of its papers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from novelview.data.formats import read_capture
from novelview.data.formats.paths import listed
from novelview.data.squares import squares
from novelview.errors import ConfigError, DataError, MethodError
from novelview.evaluation.index import Entry, find_captures, read_index
from novelview.evaluation.metrics import MetricSettings, Scores
from novelview.evaluation.results import Contender, Row, Size, csv_text, mean_scores, scores_json
from novelview.evaluation.scoring import finished, inference, score_frame
from novelview.files import atomic_write_json, atomic_write_text
from novelview.methods.method import Method, MethodSpec
from novelview.nn.lpips import LPIPS
from novelview.progress import track
from novelview.types import Frames, Sample


@dataclass(frozen=True)
class SceneResult:
    """What was measured on one scene.

    Attributes:
        scene: its name in the index.
        context: names of the views that the method was given.
        size: width and height of the scored images.
        contender: the method, one row per target; the time is that of rendering, in equal parts.
    """

    scene: str
    context: tuple[str, ...]
    size: Size
    contender: Contender

    @property
    def sizes(self) -> list[Size]:
        """Width and height of each row's image."""
        return [self.size] * len(self.contender.rows)


@dataclass(frozen=True)
class IndexReport:
    """Scores of a method over the scenes of an index, with everything that the numbers depend on.

    Attributes:
        method: its name.
        index: file name of the index.
        size: height in pixels to which images were brought before their middle square was cut out.
        settings: what the metrics mean.
        scenes: those that were scored.
        without_entry: scenes that the index leaves out, or that only the captures have.
        missing: scenes that the index wants scored, but of which there is no capture.
    """

    method: str
    index: str
    size: int
    settings: MetricSettings
    scenes: tuple[SceneResult, ...]
    without_entry: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def mean(self) -> Scores:
        """Mean over the scenes of the means over their targets."""
        return mean_scores([each.contender.mean for each in self.scenes])

    def write(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.csv``, each whole or not at all; raises ``OutputError``."""
        atomic_write_json(Path(folder) / "report.json", self.to_json())
        atomic_write_text(Path(folder) / "report.csv", self.to_csv())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values; an infinite PSNR is the text "inf"."""
        return {
            "method": self.method,
            "index": self.index,
            "images": {"size": self.size, "crop": "middle square"},
            "settings": asdict(self.settings),
            "count": {
                "scored": len(self.scenes),
                "without_entry": len(self.without_entry),
                "missing": len(self.missing),
            },
            "mean": scores_json(self.mean),
            "scenes": [
                {"scene": each.scene, "context": list(each.context), **each.contender.to_json(each.sizes)}
                for each in self.scenes
            ],
            "without_entry": list(self.without_entry),
            "missing": list(self.missing),
        }

    def to_csv(self) -> str:
        """One line per target, in the columns of :meth:`~novelview.evaluation.report.Report.to_csv`."""
        return csv_text((each.scene, "index", each.contender, each.sizes) for each in self.scenes)


def evaluate_index(
    method: Method,
    spec: MethodSpec,
    index: Path,
    data: Path,
    *,
    size: int = 256,
    format: str | None = None,
    near: float | None = None,
    far: float | None = None,
    lpips: LPIPS | None = None,
) -> IndexReport:
    """Score a method on the targets of every scene of an index (LVSM, ICLR 2025, section 5; pixelSplat, CVPR 2024).

    The method is conditioned on a scene's context views and renders all its targets in one call, so that one whose frame
    depends on them works as its paper does. Images are prepared by :func:`~novelview.data.squares.squares`, cropped.
    One scene at a time is in memory; a progress bar is shown where standard error is a terminal.

    Args:
        method: trained.
        spec: what the method declares of itself.
        index: see :func:`~novelview.evaluation.index.read_index`.
        data: see :func:`~novelview.evaluation.index.find_captures`.
        size: height in pixels of the images, a multiple of 8 and of the method's ``size_multiple``.
        format: name of the captures' reader; None: detected.
        near: see :meth:`~novelview.evaluation.index.Entry.sample`.
        far: likewise.
        lpips: perceptual network; None: LPIPS is not measured.

    Raises:
        MethodError: the method is not feed-forward, needs more context views, or renders no picture of the right size.
        DataError: the index, the list or a capture cannot be read or do not fit together, or no scene is left.
        ConfigError: a size that does not fit the method.
    """
    _check_method(spec, size)
    entries = read_index(index)
    captures = find_captures(data, entries.keys())
    wanted = {scene: entry for scene, entry in entries.items() if entry is not None}
    missing = tuple(sorted(set(wanted) - set(captures)))
    found = {scene: entry for scene, entry in wanted.items() if scene in captures}
    if not found:
        raise DataError(
            "No scene of the index is there",
            where=data,
            why=f"the index has entries of {len(wanted)} scenes{': ' if missing else ''}{listed(list(missing))}",
            cure="name each capture's folder like its scene in the index",
        )
    results = []
    with inference(method) as device:
        for scene, entry in track(found.items(), len(found), "scoring scenes"):
            _check_context(spec, scene, entry)
            sample = entry.sample(read_capture(captures[scene], format), near, far)
            # The same images for all methods: LVSM's, whose patches have 8 pixels.
            sample = replace(
                sample, sources=squares(sample.sources, size), targets=squares(sample.targets, size)
            )
            results.append(_score_scene(method, sample, device, scene, spec.name, lpips))
    settings = MetricSettings(mean="arithmetic mean over a scene's targets, then over the scenes")
    return IndexReport(
        method=spec.name,
        index=index.name,
        size=size,
        settings=settings.with_lpips(None if lpips is None else lpips.trunk),
        scenes=tuple(results),
        without_entry=tuple(sorted((set(entries) | set(captures)) - set(wanted))),
        missing=missing,
    )


def _check_method(spec: MethodSpec, size: int) -> None:
    if spec.traits.regime != "feed-forward":
        raise MethodError(
            f"{spec.title} cannot be scored by an index of many scenes",
            why=f"its regime is {spec.traits.regime}, and it would need a training for each of them",
            cure="leave out the index, or choose a feed-forward method",
        )
    if size % spec.traits.size_multiple:
        raise ConfigError(
            f"{spec.title} cannot show images of {size} pixels",
            cure=f"choose a multiple of {spec.traits.size_multiple}",
        )


def _check_context(spec: MethodSpec, scene: str, entry: Entry) -> None:
    if len(entry.context) < spec.traits.min_views:
        raise MethodError(
            f"{spec.title} needs at least {spec.traits.min_views} context views",
            where=scene,
            why=f"the index gives {len(entry.context)}",
            cure="take an index with more, or another method",
        )


def _score_scene(
    method: Method, sample: Sample, device: torch.device, scene: str, name: str, lpips: LPIPS | None
) -> SceneResult:
    targets = sample.targets
    size = targets.cameras.common_size
    state = method.condition(sample.sources, sample.bounds)
    start = time.perf_counter()
    frames = finished(method.render(state, targets.cameras.to(device)))
    seconds = (time.perf_counter() - start) / len(targets)
    rows = []
    for i, view in enumerate(targets.names):
        frame = Frames(frames.rgb[i : i + 1], None if frames.depth is None else frames.depth[i : i + 1])
        scores = score_frame(frame, targets, i, targets.image(i), name=f"{name}, on {scene},", lpips=lpips)
        rows.append(Row(view, scores, seconds))
    return SceneResult(scene, sample.sources.names, size, Contender(name, "method", tuple(rows)))
