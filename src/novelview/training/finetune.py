"""The last stage of a distillation: on photographs, until views kept for validation get no better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from novelview.config import to_json
from novelview.data.scene import Scene
from novelview.files import atomic_write_json
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method
from novelview.training.checkpoint import Checkpoint, Progress, read_checkpoint, read_json, save_checkpoint
from novelview.training.engine import Evaluate
from novelview.training.log import psnr
from novelview.types import Bounds, Views

# Fewer training views have none to spare.
_FEWEST = 5


class Enough(Exception):
    """Validation has not improved for long: there is no use in going on."""


@dataclass(frozen=True)
class Best:
    """What scored best so far.

    Attributes:
        psnr: on the validation views.
        checkpoint: the weights, and after how many steps.
    """

    psnr: float
    checkpoint: Checkpoint


@dataclass(frozen=True)
class _Score:
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
    """Scores the validation views during the training, keeps the best weights, and ends it by :class:`Enough`.

    Args:
        views: for validation; may be none: then nothing ends early, and the last weights are the best.
        scene: what the method learns from.
        settings: how often it is asked, and its patience.
        folder: where the best weights are kept for a training that is resumed; None: in memory alone.
        watch: further figures, of views that decide nothing.
        patient: never end it: one of several processes must not leave the others alone.
    """

    def __init__(
        self,
        views: Views,
        scene: Scene,
        settings: Distillation,
        folder: Path | None,
        watch: Evaluate | None = None,
        patient: bool = False,
    ) -> None:
        self._views, self._scene, self._settings = views, scene, settings
        self._folder, self._watch, self._patient = folder, watch, patient
        self.best = self._kept()

    def __call__(self, method: Method, step: int) -> dict[str, float]:
        score = mean_psnr(method, self._views, self._scene.train, self._scene.bounds)
        if score is None or self.best is None or score > self.best.psnr:
            weights = {name: value.detach().clone() for name, value in method.state_dict().items()}
            checkpoint = Checkpoint(Progress(step, method.structure()), weights, {})
            self.best = Best(0.0 if score is None else score, checkpoint)
            if self._folder is not None:
                save_checkpoint(self._folder, checkpoint, keep=1)
                atomic_write_json(self._folder / "score.json", to_json(_Score(self.best.psnr)))
        elif not self._patient and step - self.best.checkpoint.progress.step >= self._settings.longest_wait:
            raise Enough
        figures = {} if score is None else {"validation psnr": score}
        return {**figures, **(self._watch(method, step) if self._watch is not None else {})}

    def _kept(self) -> Best | None:
        if self._folder is None or not (self._folder / "score.json").exists():
            return None
        score = read_json(self._folder / "score.json", _Score)
        return Best(score.psnr, read_checkpoint(self._folder, training=False))
