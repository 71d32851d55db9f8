"""A generative method on photographs: views made from few of them, several times over, against the true ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.data.middle import middle_squares
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError
from novelview.evaluation.metrics import MetricSettings
from novelview.evaluation.reconstruction import (
    ReconstructionScores,
    RepeatedScores,
    mean_repeated,
    score_reconstruction,
)
from novelview.evaluation.scoring import inference
from novelview.export.frames import write_frame
from novelview.export.sheet import sheet
from novelview.files import atomic_write_json
from novelview.generation import Request, Studio
from novelview.geometry.rigid import Similarity
from novelview.methods.method import Method
from novelview.nn.lpips import LPIPS
from novelview.random import generator_for
from novelview.types import Bounds, Views


@dataclass(frozen=True)
class ReconstructionPlan:
    """What is made from what.

    Attributes:
        given: views that the method is given.
        made: others that it makes of them.
        groups: how many such groups are drawn.
        samples: how often each group is made.
        prompt: what the views show, in words; may be empty.
        seed: of all that is drawn.
    """

    given: int = 1
    made: int = 4
    groups: int = 10
    samples: int = 3
    prompt: str = ""
    seed: int = 0


@dataclass(frozen=True)
class GroupResult:
    """One group of views.

    Attributes:
        given: names of the views that were given.
        made: names of those that were made.
        scores: of the made ones.
        picture: the given and the true views in a row, below them the given and those of the first sample.
    """

    given: tuple[str, ...]
    made: tuple[str, ...]
    scores: ReconstructionScores
    picture: Float[Tensor, "2 k h w 3"]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"given": list(self.given), "made": list(self.made), "scores": self.scores.to_json()}


@dataclass(frozen=True)
class ReconstructionReport:
    """Scores of a method on one capture, with everything that they depend on.

    Attributes:
        method: its name.
        scene: the capture's.
        plan: what was made from what.
        size: side of the pictures in pixels.
        settings: what the metrics mean.
        groups: of views.
        origin: facts that open the same scene again.
    """

    method: str
    scene: str
    plan: ReconstructionPlan
    size: int
    settings: MetricSettings
    groups: tuple[GroupResult, ...]
    origin: dict[str, Any]

    @property
    def whole(self) -> RepeatedScores:
        """Means over the groups, of images as they are."""
        return mean_repeated([each.scores.whole for each in self.groups])

    @property
    def masked(self) -> RepeatedScores | None:
        """Means over the groups, of images that are white outside the true masks; None without masks."""
        found = [each.scores.masked for each in self.groups if each.scores.masked is not None]
        return mean_repeated(found) if found else None

    def write(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``views.png``, which shows the first groups; raises ``OutputError``."""
        atomic_write_json(Path(folder) / "report.json", self.to_json())
        shown = torch.cat([each.picture.flatten(0, 1) for each in self.groups[:8]])
        write_frame(Path(folder) / "views.png", sheet(shown, columns=self.groups[0].picture.shape[1]))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "method": self.method,
            "scene": self.scene,
            "origin": self.origin,
            "plan": asdict(self.plan),
            "images": {"size": self.size, "crop": "middle square"},
            "settings": asdict(self.settings),
            "whole": self.whole.to_json(),
            "masked": None if self.masked is None else self.masked.to_json(),
            "groups": [each.to_json() for each in self.groups],
        }


def evaluate_reconstruction(
    method: Method,
    scene: Scene,
    plan: ReconstructionPlan,
    *,
    name: str,
    lpips: LPIPS | None = None,
    done: Callable[[], None] = lambda: None,
) -> ReconstructionReport:
    """Score views made from few photographs against those that were taken (ViewDiff, CVPR 2024, Table 2).

    Each group is drawn without replacement; pictures are middle squares of the method's size.

    Args:
        method: generative, on its device.
        scene: photographs of one subject in its box, z up; of what is held out, where something is.
        plan: what is made from what.
        name: of the method.
        lpips: perceptual network; None: LPIPS is not measured.
        done: called after each sample.

    Raises:
        ConfigError: a number of the plan is below 1, or the method's pictures are not square.
        DataError: there are fewer views than a group needs.
    """
    room, views = method.studio(), scene.test if len(scene.test) else scene.train
    _check(plan, len(views), room, scene.name)
    results = []
    with inference(method):
        for i in range(plan.groups):
            order = torch.randperm(len(views), generator=generator_for(plan.seed, "group", i)).tolist()
            group = middle_squares(views[order[: plan.given + plan.made]], room.width)
            known, others = group[: plan.given], group[plan.given :]
            samples = []
            for s in range(plan.samples):
                samples.append(
                    made_from(
                        method, known, others, scene.bounds, plan.prompt, plan.seed + i * plan.samples + s
                    )
                )
                done()
            results.append(_scored(known, others, torch.stack(samples), lpips))
    settings = MetricSettings(mean="arithmetic mean over samples, the views of a group, then the groups")
    settings = settings.with_lpips(None if lpips is None else lpips.trunk)
    return ReconstructionReport(
        name, scene.name, plan, room.width, settings, tuple(results), dict(scene.origin)
    )


def made_from(
    method: Method, known: Views, others: Views, bounds: Bounds, prompt: str, seed: int
) -> Float[Tensor, "n h w 3"]:
    """What a method makes of ``known`` before the cameras of ``others``; their world becomes that of its studio.

    Args:
        method: generative.
        known: views that are given, of the studio's size.
        others: of the same subject; only their cameras are looked at.
        bounds: of the subject, in the world of the views.
        prompt: the subject in words; may be empty.
        seed: of all that is drawn.
    """
    moved = _into(bounds, method.studio().bounds)
    cameras = others.cameras.moved(moved)
    given = known.with_cameras(known.cameras.moved(moved))
    return method.generate(Request(prompt, cameras, given, seed)).rgb.float().cpu()


def _check(plan: ReconstructionPlan, views: int, room: Studio, scene: str) -> None:
    if min(plan.given, plan.made, plan.groups, plan.samples) < 1:
        raise ConfigError("The numbers of given and made views, groups and samples begin at 1")
    if room.width != room.height:
        raise ConfigError("Only methods of square pictures can be scored on middle squares of photographs")
    if views < plan.given + plan.made:
        raise DataError(
            "A capture has too few views for a group",
            where=scene,
            why=f"{plan.given} are given and {plan.made} made, it has {views}",
            cure="make fewer, or hold out more",
        )


def _into(bounds: Bounds, room: Bounds) -> Similarity:
    """The middle of one box on that of another, longest side on longest side; both stand upright."""
    low, high, theirs_low, theirs_high = (
        torch.tensor(corner) for corner in (bounds.box_min, bounds.box_max, room.box_min, room.box_max)
    )
    scale = float((theirs_high - theirs_low).max() / (high - low).max())
    return Similarity(scale, torch.eye(3), (theirs_low + theirs_high) / 2 - scale * (low + high) / 2)


def _scored(
    known: Views, others: Views, samples: Float[Tensor, "s n h w 3"], lpips: LPIPS | None
) -> GroupResult:
    truth, given = others.images(), known.images()
    masks = others.masks() if others.has_masks else None
    scores = score_reconstruction(samples, truth, masks, lpips=lpips)
    picture = torch.stack([torch.cat([given, truth]), torch.cat([given, samples[0].clamp(0, 1)])])
    return GroupResult(known.names, others.names, scores, picture)
