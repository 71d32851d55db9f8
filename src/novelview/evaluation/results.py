"""What was measured: one row per rendered image, one contender per method or baseline."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from novelview.evaluation.metrics import Scores

Size = tuple[int, int]
_METRICS = tuple(f.name for f in fields(Scores))


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
        return mean_scores([row.scores for row in self.rows])

    @property
    def seconds(self) -> float:
        """Mean time per image."""
        return sum(row.seconds for row in self.rows) / len(self.rows)

    def to_json(self, sizes: Sequence[Size]) -> dict[str, Any]:
        """Mean and rows as JSON-ready values; ``sizes`` are width and height of each row's image."""
        return {
            "mean": scores_json(self.mean),
            "seconds": self.seconds,
            "views": [
                {
                    "view": row.view,
                    "size": list(size),
                    **scores_json(row.scores),
                    "seconds": row.seconds,
                    "picture": row.picture,
                }
                for row, size in zip(self.rows, sizes, strict=True)
            ],
        }


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Arithmetic mean of each metric over those of ``scores``, at least one, that have it."""

    def mean(metric: str) -> Any:
        values = [value for each in scores if (value := getattr(each, metric)) is not None]
        return sum(values) / len(values) if values else None

    return Scores(**{metric: mean(metric) for metric in _METRICS})


def scores_json(scores: Scores) -> dict[str, Any]:
    """JSON-ready values; an infinite PSNR is the text "inf"."""
    values = asdict(scores)
    return {k: str(v) if v is not None and not math.isfinite(v) else v for k, v in values.items()}


def csv_text(parts: Iterable[tuple[str, str, Contender, Sequence[Size]]]) -> str:
    """CSV with one line per image, out of (scene, which of its views, contender, width and height of each image)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scene", "on", "contender", "kind", "view", "width", "height", *_METRICS, "seconds"])
    for scene, on, contender, sizes in parts:
        for row, size in zip(contender.rows, sizes, strict=True):
            values = ["" if v is None else v for v in (getattr(row.scores, m) for m in _METRICS)]
            writer.writerow(
                [scene, on, contender.name, contender.kind, row.view, *size, *values, row.seconds]
            )
    return text.getvalue()
