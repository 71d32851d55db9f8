"""What an evaluation found: as values, as JSON, as CSV, and as a page to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

from novelview.evaluation.gallery import gallery, mean_table, view_table
from novelview.evaluation.metrics import MetricSettings, Scores
from novelview.evaluation.page import document, table
from novelview.evaluation.results import Contender, Size, csv_text
from novelview.files import atomic_write_json, atomic_write_text


@dataclass(frozen=True)
class Report:
    """Scores of a method and of baselines on the same views, with everything that the numbers depend on.

    Attributes:
        scene: its name.
        method: its name.
        on: "test": held-out views; "train": views the method has learnt from.
        train_views: how many views the method could learn from.
        test_views: how many views the scene holds out.
        sizes: width and height of each scored image.
        settings: what the metrics mean.
        contenders: the method first.
        truth: files of the photographs, relative to ``folder``; empty where pictures were not kept.
        folder: where the pictures are.
        origin: facts that open the same scene again.
        notes: what was noticed about the scene.
    """

    scene: str
    method: str
    on: Literal["test", "train"]
    train_views: int
    test_views: int
    sizes: tuple[Size, ...]
    settings: MetricSettings
    contenders: tuple[Contender, ...]
    truth: tuple[str, ...] = ()
    folder: Path | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> Scores:
        """The method's own mean scores."""
        return self.contenders[0].mean

    def write(self, folder: str | Path) -> None:
        """Write ``report.json``, ``report.csv`` and ``report.html``, each whole or not at all.

        The page embeds small copies of the pictures that were kept, so it can be moved and read offline.

        Raises:
            OutputError: a file cannot be written.
        """
        folder = Path(folder)
        atomic_write_json(folder / "report.json", self.to_json())
        atomic_write_text(folder / "report.csv", self.to_csv())
        atomic_write_text(folder / "report.html", self.to_html())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values; an infinite PSNR is the text "inf"."""
        return {
            "scene": self.scene,
            "method": self.method,
            "on": self.on,
            "train_views": self.train_views,
            "test_views": self.test_views,
            "origin": self.origin,
            "notes": list(self.notes),
            "settings": asdict(self.settings),
            "photographs": list(self.truth),
            "contenders": [
                {"name": contender.name, "kind": contender.kind, **contender.to_json(self.sizes)}
                for contender in self.contenders
            ],
        }

    def to_csv(self) -> str:
        """One line per contender and view."""
        return csv_text((self.scene, self.on, contender, self.sizes) for contender in self.contenders)

    def to_html(self) -> str:
        """A page that stands alone."""
        title = f"{self.method} on {self.scene}"
        body = [
            f"<h1>{escape(title)}</h1>",
            f'<p class="soft">{escape(self._subtitle())}</p>',
            self._warning(),
            self._facts(),
            "<h2>Means over the scored views</h2>",
            mean_table(self.contenders),
            gallery(self.contenders, self.truth, self.folder) if self.folder else "",
            "<h2>Every view</h2>",
            f"<details><summary>{len(self.sizes)} views</summary>{view_table(self.contenders)}</details>",
            "<h2>What the numbers mean</h2>",
            table([], [[k, str(v)] for k, v in asdict(self.settings).items()], style="words"),
        ]
        return document(title, "\n".join(body))

    def _subtitle(self) -> str:
        if self.on == "train":
            return "Novel view synthesis, scored on views the method has learnt from"
        return "Novel view synthesis, scored on held-out photographs"

    def _warning(self) -> str:
        if self.on == "test":
            return ""
        return (
            '<p class="warning">These numbers are on TRAINING views. They say how well the method remembers '
            "photographs it has seen, not how well it shows the scene from elsewhere. The baselines were not "
            "given the view they had to show.</p>"
        )

    def _facts(self) -> str:
        sizes = sorted(set(self.sizes))
        size = f"{sizes[0][0]}×{sizes[0][1]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
        facts: dict[str, Any] = {
            "training views": self.train_views,
            "held-out views": self.test_views,
            "scored views": len(self.sizes),
            "image size": size,
            "split": self.origin.get("split", {}).get("name"),
            "format": self.origin.get("format"),
        }
        items = [f"<li>{escape(k)} <b>{escape(str(v))}</b></li>" for k, v in facts.items() if v is not None]
        notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in self.notes)
        return f'<ul class="facts">{"".join(items)}</ul>{notes}'
