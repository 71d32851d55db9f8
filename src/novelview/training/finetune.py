"""How long a student learns from photographs: until views that are kept for validation get no better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from novelview.config import to_json
from novelview.data.scene import Scene
from novelview.files import atomic_write_json
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method
from novelview.training.checkpoint import read_json
from novelview.training.engine import Evaluate
from novelview.training.log import psnr
from novelview.types import Bounds, Views

# Fewer training views have none to spare.
_FEWEST = 5


class Enough(Exception):
    """Validation has not improved for long: there is no use in going on."""


@dataclass(frozen=True)
class Best:
    """What scored best so far: after how many steps, and the PSNR on the validation views then."""

    step: int
    psnr: float


def validation_split(scene: Scene, every: int) -> tuple[Scene, Views]:
    """The scene without some of its training views, and these; none of them where the scene has hardly any."""
    count = len(scene.train)
    kept = list(range(every // 2, count, every)) if count >= _FEWEST else []
    if count >= _FEWEST and not kept:
        kept = [count // 2]
    rest = [i for i in range(count) if i not in kept]
    return replace(scene, train=scene.train[rest]), scene.train[kept]


@torch.no_grad()
def mean_psnr(method: Method, views: Views, known: Views, bounds: Bounds) -> float | None:
    """Mean over views of the PSNR of what the method renders, dB; None where there is no view.

    Args:
        method: in evaluation mode.
        views: to score.
        known: what the method may look at.
        bounds: of the scene.
    """
    if not len(views):
        return None
    state = method.condition(known, bounds)
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    errors = [
        (method.render(state, views.cameras[i].to(device)).rgb[0].cpu() - views.image(i)).square().mean()
        for i in range(len(views))
    ]
    return sum(psnr(float(error)) for error in errors) / len(errors)


class Judge:
    """Scores the validation views during a training, and ends it by :class:`Enough` when they get no better.

    Args:
        views: for validation.
        scene: what the method learns from.
        settings: how often it is asked, and its patience.
        file: keeps the best score for a training that is resumed; None: in memory alone.
        watch: further figures, of views that decide nothing.
        patient: never end it: one of several processes must not leave the others alone.

    Attributes:
        best: so far; None before the first look.
    """

    def __init__(
        self,
        views: Views,
        scene: Scene,
        settings: Distillation,
        file: Path | None,
        watch: Evaluate | None = None,
        patient: bool = False,
    ) -> None:
        self._views, self._scene, self._settings = views, scene, settings
        self._file, self._watch, self._patient = file, watch, patient
        self.best = read_json(file, Best) if file is not None and file.exists() else None

    def __call__(self, method: Method, step: int) -> dict[str, float]:
        score = mean_psnr(method, self._views, self._scene.train, self._scene.bounds)
        assert score is not None
        if self.best is None or score > self.best.psnr:
            self.best = Best(step, score)
            if self._file is not None:
                atomic_write_json(self._file, to_json(self.best))
        elif not self._patient and step - self.best.step >= self._settings.longest_wait:
            raise Enough
        return {"validation psnr": score, **(self._watch(method, step) if self._watch is not None else {})}
