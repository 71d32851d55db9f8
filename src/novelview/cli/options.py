"""Options that several verbs share, and how a scene is opened from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import tyro

from novelview.data.fitting import MaskUse
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.scene_list import SceneList, read_scene_list
from novelview.errors import ConfigError
from novelview.methods.method import Method
from novelview.training.folder import RunInfo
from novelview.training.run import load_method, located

T = TypeVar("T")
Positional = Annotated[T, tyro.conf.Positional]
Unprefixed = Annotated[T, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class SceneOptions:
    """Which capture, and how it is read."""

    data: Path | None = None
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
    normalise: bool = True
    """Work in a frame of the scene's own, with z up; no: in the capture's coordinates, which official weights may need."""

    def open(self) -> Scene:
        """Read the capture.

        Raises:
            ConfigError: none is named.
        """
        if self.data is None:
            raise ConfigError("No capture is named", cure="add --data DIR")
        return open_scene(self.data, **self._reading())

    def listed(self) -> SceneList:
        """The captures of the list ``data``, which are not read yet; all views are for training unless ``split`` says.

        Raises:
            DataError: the list cannot be read.
        """
        assert self.data is not None
        return read_scene_list(self.data, **{**self._reading(), "split": self.split or "none"})

    def _reading(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "data"}


@dataclass(frozen=True)
class MethodOptions:
    """Which trained method."""

    run: Positional[str]
    """Run folder that `novelview train` wrote, or the name of a method that comes with weights."""
    adjust: tuple[str, ...] = ()
    """Settings that shall differ from the run's, where the method allows it, for example views=8."""

    def load(self, device: str | None = None) -> tuple[Method, RunInfo, Path]:
        """The method on a device (the best there is when None), what its run says of it, and the run's folder."""
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        method, info = load_method(self.run, device, settings(self.adjust))
        return method, info, located(self.run)


def settings(words: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` as JSON values; what is no JSON is a string."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"Bad --adjust {word!r}", cure="give NAME=VALUE, for example views=8")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def parse(kind: type[T], arguments: Sequence[str], verb: str) -> T:
    """Parse the options of a verb into ``kind``; prints help or a usage error and exits as usual."""
    return tyro.cli(kind, args=list(arguments), prog=f"novelview {verb}", description=kind.__doc__)
