"""The scene: posed photographs, split for training and testing, in a frame that is kind to networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from novelview.geometry.rigid import Similarity
from novelview.types import Bounds, Views


@dataclass(frozen=True)
class Scene:
    """Posed views of one place.

    Attributes:
        name: for people and for file names.
        train: views a method may learn from.
        test: held-out views, never trained on; may be empty.
        bounds: extent, in scene units.
        to_input: carries scene coordinates back to the user's own; every export goes through it.
        origin: JSON facts that open the same scene again (path, format, split, scale, seed).
        notes: what was noticed while reading, one sentence each.
        captions: what the scene shows, in words; any one of them describes all views; may be empty.
    """

    name: str
    train: Views
    test: Views
    bounds: Bounds
    to_input: Similarity = field(default_factory=Similarity.identity)
    origin: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    @property
    def procedural(self) -> bool:
        """Whether it was made by a program, and is no capture."""
        return any(fact.startswith("procedural") for fact in self.origin)
