"""Whether posed views show one and the same thing, by a scene that is fitted to half of them and must show the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError
from novelview.evaluation.evaluate import evaluate
from novelview.evaluation.metrics import Region, Scores
from novelview.evaluation.results import scores_json
from novelview.methods.grid.config import GridConfig
from novelview.methods.method import Method, Preset
from novelview.methods.recipe import Recipe
from novelview.types import Bounds, Views

FIT = Preset(
    GridConfig(resolution=64, colour_resolution=48, stages=3, coarse_samples=48, samples=24),
    Recipe(steps=200, batch=1024, learning_rate=0.4),
    "a few seconds on one CPU core: a coarse grid for views of some 32 to 128 pixels",
)
"""The grid that consistency is measured with; numbers of other configurations or recipes must not be compared with it."""

FEWEST = 4


@dataclass(frozen=True)
class FittedReport:
    """How well a scene fitted to every other view shows the views between.

    Attributes:
        fitted_views: number of views that the scene was fitted to.
        other_views: number of views between.
        region: what of the images was scored.
        fitted: scores on the views that the scene was fitted to. Views that contradict one another cannot all be fitted.
        others: scores on the views between: the measure of consistency.
        nearest: scores of the nearest fitted view in the place of each view between: what needs no consistency.
    """

    fitted_views: int
    other_views: int
    region: Region
    fitted: Scores
    others: Scores
    nearest: Scores

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "fitted_views": self.fitted_views,
            "other_views": self.other_views,
            "region": self.region,
            **{name: scores_json(getattr(self, name)) for name in ("fitted", "others", "nearest")},
        }


def fitted_consistency(
    views: Views, bounds: Bounds, fit: Callable[[Scene], Method], *, region: Region = "image"
) -> FittedReport:
    """Fit a scene to the first, third, fifth … view, and score it on the others.

    Args:
        views: at least four, in the order of a trajectory.
        bounds: the scene's extent.
        fit: trains a method on a scene's training views, usually the grid with the configuration and recipe of :data:`FIT`.
        region: score whole images, or only what the views' masks show.

    Raises:
        DataError: there are fewer than four views.
        ConfigError: "mask" is asked for, and the views have none.
    """
    if len(views) < FEWEST:
        raise DataError(
            "There are too few views to fit a scene to half of them",
            why=f"there are {len(views)}",
            cure=f"give at least {FEWEST}",
        )
    if region == "mask" and not views.has_masks:
        raise ConfigError("These views have no masks to score", cure="score whole images")
    scene = Scene(name="generated", train=views[::2], test=views[1::2], bounds=bounds)
    method = fit(scene)
    others = evaluate(method, scene, baselines=["nearest-view"], region=region, quiet=True)
    fitted = evaluate(method, scene, baselines=False, on="train", region=region, quiet=True)
    return FittedReport(
        fitted_views=len(scene.train),
        other_views=len(scene.test),
        region=region,
        fitted=fitted.mean,
        others=others.mean,
        nearest=others.contenders[1].mean,
    )
