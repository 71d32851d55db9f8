"""What was measured: one row per rendered image, one contender per method or baseline."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from novelview.evaluation.metrics import Scores


@dataclass(frozen=True)
class Row:
    """One rendered image.

    Attributes:
        view: name of the photograph.
        scores: how close the image is to it.
        seconds: wall-clock time of rendering it.
        picture: the image's file, relative to the report's folder; None where pictures were not kept.
    """

    view: str
    scores: Scores
    seconds: float
    picture: str | None = None


@dataclass(frozen=True)
class Contender:
    """The method, or a baseline.

    Attributes:
        name: for tables.
        kind: which of the two it is.
        rows: one per view, in the order of the report's views.
    """

    name: str
    kind: Literal["method", "baseline"]
    rows: tuple[Row, ...]

    @property
    def mean(self) -> Scores:
        """Arithmetic mean of each metric over the views where it was measured."""
        return Scores(**{f.name: self._mean_of(f.name) for f in fields(Scores)})

    @property
    def seconds(self) -> float:
        """Mean time per image."""
        return sum(row.seconds for row in self.rows) / len(self.rows)

    def _mean_of(self, metric: str) -> Any:
        values = [value for row in self.rows if (value := getattr(row.scores, metric)) is not None]
        return sum(values) / len(values) if values else None
