"""Run folders: what was trained, how and on what, in files that can be moved together.

Layout: ``run.json`` (method, configuration, recipe, seed, scene), ``split.json`` (names of the views),
``metrics.jsonl``, ``checkpoints/`` and ``latest.json`` (see :mod:`novelview.training.checkpoint`).
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from novelview.config import from_json, to_json
from novelview.data.scene import Scene
from novelview.data.scene_list import SceneList
from novelview.errors import CheckpointError, ConfigError, OutputError
from novelview.files import atomic_folder, atomic_write_json
from novelview.geometry.rigid import Similarity
from novelview.methods.discovery import find
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method, MethodSpec
from novelview.methods.recipe import Recipe
from novelview.random import generator_for
from novelview.training.checkpoint import FORMAT, read_json
from novelview.types import Bounds

# Scenes are measured anew when they are opened; another machine may round differently.
_SCENE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class SceneRecord:
    """What a run remembers of its scene, so that it can be rendered without the photographs.

    Attributes:
        name: of the scene.
        origin: facts that open the same scene again.
        bounds: :meth:`Bounds.to_json`.
        to_input: :meth:`Similarity.to_json`.
    """

    name: str
    origin: dict[str, Any]
    bounds: dict[str, Any]
    to_input: dict[str, Any]


@dataclass(frozen=True)
class ListRecord:
    """What a run remembers of a list of scenes.

    Attributes:
        path: of the list.
        count: how many scenes it named.
        options: how they are read.
    """

    path: str
    count: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Split:
    """Names of the views a method has learnt from, and of those it has never seen."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class _RunFile:
    method: str
    config: dict[str, Any]
    recipe: Recipe
    seed: int
    scene: SceneRecord
    more: tuple[SceneRecord, ...] = ()
    lists: tuple[ListRecord, ...] = ()
    distillation: Distillation | None = None
    start: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class RunInfo:
    """What a run folder says about itself.

    Attributes:
        spec: the method.
        config: the method's configuration dataclass.
        recipe: how it is trained.
        seed: of every random draw.
        scene: what is remembered of the scene.
        split: which views were for training, which held out.
        more: further scenes it was trained on.
        start: how the weights came about that it began with; empty where they were new.
        lists: lists of still more scenes.
        distillation: how it learns from a teacher, if it does.
    """

    spec: MethodSpec
    config: Any
    recipe: Recipe
    seed: int
    scene: SceneRecord
    split: Split
    more: tuple[SceneRecord, ...] = ()
    start: str = ""
    lists: tuple[ListRecord, ...] = ()
    distillation: Distillation | None = None

    @property
    def bounds(self) -> Bounds:
        """Extent of the scene, in scene units."""
        return Bounds.from_json(self.scene.bounds)

    @property
    def to_input(self) -> Similarity:
        """Carries scene coordinates back to the user's own."""
        return Similarity.from_json(self.scene.to_input)

    def build(self) -> Method:
        """The method before its first step; the same weights for the same seed."""
        bounds = self.bounds if self.spec.traits.regime == "per-scene" else None
        # Initial weights come from torch's global generator, which is put back afterwards.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.set_state(generator_for(self.seed, "weights").get_state())
            return self.spec.build(self.config, bounds)


def describe(
    spec: MethodSpec,
    config: Any,
    recipe: Recipe,
    scene: Scene,
    seed: int,
    more: Sequence[Scene] = (),
    start: str = "",
    lists: Sequence[SceneList] = (),
    distillation: Distillation | None = None,
) -> RunInfo:
    """What a run of ``spec`` on ``scene``, and perhaps more, would say about itself."""
    split, others = Split(scene.train.names, scene.test.names), tuple(_record(each) for each in more)
    listed = tuple(ListRecord(str(each.path.resolve()), len(each), to_json(each.options)) for each in lists)
    return RunInfo(spec, config, recipe, seed, _record(scene), split, others, start, listed, distillation)


def _record(scene: Scene) -> SceneRecord:
    return SceneRecord(
        scene.name, to_json(scene.origin), to_json(scene.bounds.to_json()), scene.to_input.to_json()
    )


def create_run(folder: Path, info: RunInfo) -> None:
    """Make the folder of a run that has not begun.

    Raises:
        OutputError: the folder is not empty, or cannot be written.
    """
    if (folder / "run.json").exists():
        raise OutputError(
            "There is a run already", where=folder, cure="resume it, or choose another folder for the new one"
        )
    file = _RunFile(
        method=info.spec.name,
        config=to_json(info.config),
        recipe=info.recipe,
        seed=info.seed,
        scene=info.scene,
        more=info.more,
        lists=info.lists,
        distillation=info.distillation,
        start=info.start,
        versions=_versions(),
    )
    with atomic_folder(folder) as temporary:
        atomic_write_json(temporary / "run.json", to_json(file))
        atomic_write_json(temporary / "split.json", to_json(info.split))


def open_run(folder: Path) -> RunInfo:
    """Read a run folder, whether its training is finished or not.

    Raises:
        CheckpointError: it is no run folder, or a file of it is damaged.
        MethodError: its method is not installed.
    """
    if not (folder / "run.json").exists():
        raise CheckpointError(
            "Not a run folder", where=folder, why="run.json is absent", cure="name a run folder"
        )
    file = read_json(folder / "run.json", _RunFile)
    if file.format != FORMAT:
        raise CheckpointError(
            f"A run of format {file.format} cannot be read",
            where=folder,
            why=f"this version of novelview reads format {FORMAT}",
            cure="use the version of novelview that wrote it",
        )
    split = read_json(folder / "split.json", Split)
    spec = find(file.method)
    try:
        config: Any = from_json(spec.config, file.config, where=folder / "run.json")
        info = RunInfo(
            spec,
            config,
            file.recipe,
            file.seed,
            file.scene,
            split,
            file.more,
            file.start,
            file.lists,
            file.distillation,
        )
        _ = info.bounds, info.to_input
    except ConfigError as error:
        raise CheckpointError(error.what, where=error.where, why=error.why, cure=error.cure) from error
    except (KeyError, TypeError, ValueError) as error:
        why = f"bounds or to_input make no sense ({type(error).__name__}: {error})"
        raise CheckpointError("A file is damaged", where=folder / "run.json", why=why) from error
    return info


def check_same(folder: Path, saved: RunInfo, asked: RunInfo) -> None:
    """Raise :class:`ConfigError` that names every difference between a run and what is asked of it now."""
    differences = _differences(_comparable(saved), _comparable(asked), 0.0)
    differences += _differences(_measured(saved), _measured(asked), _SCENE_TOLERANCE)
    if differences:
        raise ConfigError(
            "The run cannot be resumed with other settings",
            where=folder,
            why="; ".join(differences[:8]),
            cure="resume with the settings of the run, or start a new run in another folder",
        )


def _comparable(info: RunInfo) -> dict[str, Any]:
    """All that must be equal; where the photographs lie may change."""
    origin, *others = (
        {key: value for key, value in scene.origin.items() if key != "path"}
        for scene in (info.scene, *info.more)
    )
    return {
        "method": info.spec.name,
        "config": to_json(info.config),
        "recipe": to_json(info.recipe),
        "seed": info.seed,
        "scene": {"origin": origin, **to_json(info.split)},
        "more": others,
        "distillation": to_json(info.distillation),
        "lists": [{"count": each.count, "options": each.options} for each in info.lists],
    }


def _measured(info: RunInfo) -> dict[str, Any]:
    return {"scene": {"bounds": info.scene.bounds, "to_input": info.scene.to_input}}


def _differences(saved: Any, asked: Any, tolerance: float, key: str = "") -> list[str]:
    if isinstance(saved, dict) and isinstance(asked, dict):
        return [
            line
            for name in {**saved, **asked}
            for line in _differences(saved.get(name), asked.get(name), tolerance, f"{key}.{name}".lstrip("."))
        ]
    if isinstance(saved, list) and isinstance(asked, list) and len(saved) == len(asked):
        pairs = enumerate(zip(saved, asked, strict=True))
        return [line for i, (s, a) in pairs for line in _differences(s, a, tolerance, f"{key}[{i}]")]
    if isinstance(saved, float) and isinstance(asked, float):
        same = math.isclose(saved, asked, rel_tol=tolerance, abs_tol=tolerance)
    else:
        same = saved == asked
    return [] if same else [f"{key} is {saved} in the run, {asked} now"]


def _versions() -> dict[str, str]:
    try:
        own = version("novelview")
    except PackageNotFoundError:
        own = "unknown"
    return {"novelview": own, "torch": torch.__version__, "python": platform.python_version()}
