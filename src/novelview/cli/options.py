"""Options that several verbs share, and how a scene is opened from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from novelview.data.fitting import MaskUse
from novelview.data.open import open_scene
from novelview.data.scene import Scene

T = TypeVar("T")


@dataclass(frozen=True)
class SceneOptions:
    """Which capture, and how it is read."""

    data: Path
    """Capture folder or its defining file (transforms.json, COLMAP model, poses_bounds.npy, …)."""
    format: str | None = None
    """Capture format; found out by looking when absent."""
    split: str | None = None
    """What is held out: every-8, fraction-0.9, llff, nerfstudio, own, none, or a JSON file.
    Default: the capture's own, else every-8."""
    scale: float = 1.0
    """Image size as a fraction of what is on disk; 0.125 is one eighth."""
    max_side: int | None = None
    """Alternatively, longest image side in pixels."""
    near: float | None = None
    """Nearest visible depth in the capture's units; estimated when absent."""
    far: float | None = None
    """Farthest visible depth in the capture's units; estimated when absent."""
    masks: MaskUse = "object"
    """What masks mean. object: nothing is there outside them; ignore: as if there were none."""

    def open(self) -> Scene:
        """Read the capture."""
        return open_scene(
            self.data,
            format=self.format,
            split=self.split,
            scale=self.scale,
            max_side=self.max_side,
            near=self.near,
            far=self.far,
            masks=self.masks,
        )


def parse(kind: type[T], arguments: Sequence[str], verb: str) -> T:
    """Parse the options of a verb into ``kind``; prints help or a usage error and exits as usual."""
    return tyro.cli(kind, args=list(arguments), prog=f"novelview {verb}", description=kind.__doc__)


Positional = Annotated[T, tyro.conf.Positional]
Unprefixed = Annotated[T, tyro.conf.arg(name="")]
