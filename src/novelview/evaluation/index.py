"""An evaluation index: which views of which captures a feed-forward method is given, and which it has to show."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from novelview.data.capture import Capture
from novelview.data.open import open_scene
from novelview.data.scene_list import read_scene_list
from novelview.errors import DataError
from novelview.types import Sample, Views


@dataclass(frozen=True)
class Entry:
    """What an index says of a scene; views are counted from 0 in the order of the capture.

    Attributes:
        context: views that the method is given, in this order.
        target: views that are scored; some may be context views too.
    """

    context: tuple[int, ...]
    target: tuple[int, ...]

    def sample(self, capture: Capture, near: float | None = None, far: float | None = None) -> Sample:
        """The views that the entry names, in a scene of these views alone.

        Args:
            capture: with all its views.
            near: smallest depth along z that a camera sees, in units of the capture; None: as the capture states it, or
                else found in the context views, which takes seconds.
            far: largest such depth.

        Raises:
            DataError: the capture has fewer views, or an image cannot be read.
            ConfigError: depths that are not 0 < near < far.
        """
        chosen = sorted({*self.context, *self.target})
        if chosen[-1] >= len(capture.names):
            raise DataError(
                f"The index names view {chosen[-1]}",
                where=capture.path,
                why=f"the capture has {len(capture.names)} views, counted from 0",
                cure="take the captures that the index was made for, with all their views",
            )
        place = {view: i for i, view in enumerate(chosen)}
        part = replace(
            capture,
            cameras=capture.cameras[chosen],
            names=tuple(capture.names[i] for i in chosen),
            files=tuple(capture.files[i] for i in chosen),
            near_far=None if capture.near_far is None else capture.near_far[chosen],
            partition={
                "train": tuple(place[i] for i in self.context),
                "test": tuple(place[i] for i in self.target),
            },
        )
        scene = open_scene(part, split="own", near=near, far=far)
        sources = _named(scene.train, [capture.names[i] for i in self.context])
        return Sample(sources, _named(scene.test, [capture.names[i] for i in self.target]), scene.bounds)


def read_index(path: Path) -> dict[str, Entry | None]:
    """Entries by scene; None for scenes that the index knows but leaves out.

    The file is that of pixelSplat (CVPR 2024), with which LVSM is evaluated too: JSON of the form
    {scene: null | {"context": [i, j], "target": [a, b, c]}}.

    Raises:
        DataError: the file cannot be read or has another form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("Cannot read an evaluation index", where=path, why=str(error)) from error
    if not isinstance(values, dict):
        raise _malformed(path, "it is no JSON object")
    return {scene: _entry(value, scene, path) for scene, value in values.items()}


def find_captures(data: Path, scenes: Collection[str]) -> dict[str, Path]:
    """Captures by the scene they show.

    Args:
        data: a folder whose subfolders are captures, each named like its scene; or a list of captures, see
            :func:`~novelview.data.scene_list.read_scene_list`, of which those that do not exist are passed over. A listed
            folder is named like its scene; a listed file is, or else its folder.
        scenes: names that are looked for.

    Raises:
        DataError: ``data`` is neither, or two captures are called alike.
    """
    if data.is_dir():
        return {path.name: path for path in sorted(data.iterdir()) if path.is_dir()}
    found: dict[str, Path] = {}
    for path in read_scene_list(data).captures:
        if not path.exists():
            continue
        names = [path.name] if path.is_dir() else [path.stem, path.parent.name]
        scene = next((name for name in names if name in scenes), names[0])
        if scene in found:
            raise DataError(
                f"Two captures are called {scene!r}", where=data, why=f"{found[scene]} and {path}"
            )
        found[scene] = path
    return found


def _entry(value: Any, scene: str, path: Path) -> Entry | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _malformed(path, f"the entry of {scene!r} is neither null nor an object")
    return Entry(_numbers(value, "context", scene, path), _numbers(value, "target", scene, path))


def _numbers(value: dict[str, Any], key: str, scene: str, path: Path) -> tuple[int, ...]:
    views = value.get(key)
    # To Python, true and false are integers.
    if not isinstance(views, list) or not views or any(type(i) is not int or i < 0 for i in views):
        raise _malformed(path, f"{key!r} of {scene!r} is no list of view numbers")
    if len(set(views)) < len(views):
        raise _malformed(path, f"{key!r} of {scene!r} names a view twice")
    return tuple(views)


def _malformed(path: Path, why: str) -> DataError:
    form = '{scene: null or {"context": [i, j], "target": [a, b, c]}}'
    return DataError("This is not an evaluation index", where=path, why=why, cure=f"the form is {form}")


def _named(views: Views, names: list[str]) -> Views:
    return views[[views.names.index(name) for name in names]]
