"""What verbs need of a run: the scene it was trained on or is to be shown, and where its pictures go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from novelview.cameras.camera_file import read_cameras
from novelview.cameras.cameras import Cameras
from novelview.cli.options import SceneOptions
from novelview.config import from_json
from novelview.data.open import reopen_scene
from novelview.data.procedural import described_scene, make_scene, object_scene
from novelview.data.scene import Scene
from novelview.data.scene_list import SceneList
from novelview.errors import ConfigError
from novelview.geometry.rigid import Similarity
from novelview.training.folder import RunInfo, SceneRecord
from novelview.types import Bounds


def open_run_scene(run: Path, info: RunInfo, data: Path | None = None) -> Scene:
    """The very scene of a run: same views, split, frame and bounds.

    Args:
        run: the run folder.
        info: what the run says of itself.
        data: where the capture is now; None: where it was, or in the same place relative to the run.
    """
    return _reopened(run, info.scene, data)


def open_more_scenes(run: Path, info: RunInfo) -> list[Scene]:
    """The further scenes that a run learns from."""
    return [_reopened(run, record) for record in info.more]


def open_lists(run: Path, info: RunInfo) -> list[SceneList]:
    """The lists of still more scenes that a run learns from.

    Raises:
        ConfigError: what the run says of how they are read makes no sense.
    """
    return [
        from_json(SceneOptions, {"data": record.path, **record.options}, where=run / "run.json").listed()
        for record in info.lists
    ]


def _reopened(run: Path, record: SceneRecord, data: Path | None = None) -> Scene:
    origin = record.origin
    if "procedural" in origin:
        return make_scene(**origin["procedural"])
    if "procedural_object" in origin:
        return object_scene(**origin["procedural_object"])
    if "procedural_description" in origin:
        return described_scene(**origin["procedural_description"])
    if data is not None:
        origin = {**origin, "path": str(data)}
    bounds, to_input = Bounds.from_json(record.bounds), Similarity.from_json(record.to_input)
    return reopen_scene(origin, bounds, to_input, folder=run)


def scene_to_show(run: Path, info: RunInfo, options: SceneOptions) -> Scene:
    """The scene of a run, or for methods that need no training on it, any other.

    Raises:
        ConfigError: options that only a new scene can have, for a run that knows its scene.
    """
    if options.data is not None and info.spec.traits.regime != "per-scene":
        return options.open()
    if replace(options, data=None) != SceneOptions():
        raise ConfigError(
            "How the capture is read was settled when the run was trained",
            where=run,
            cure="leave out the options about the capture, or train anew with them",
        )
    return open_run_scene(run, info, options.data)


def cameras_of_file(path: Path, scene: Scene) -> tuple[Cameras, float | None]:
    """Cameras that a file gives in the capture's coordinates, in the scene's, and its frames per second."""
    cameras, fps = read_cameras(path, scene.train.cameras[0].common_size)
    moved = scene.to_input.inverse().poses(cameras.camera_to_world)
    return replace(cameras, camera_to_world=moved), fps


def folder_for(run: Path, info: RunInfo, scene: Scene) -> Path:
    """Where what is made of a run goes: into it, or beside other runs where the scene is not its own."""
    if info.spec.traits.regime == "per-scene":
        return run
    return Path("runs") / f"{scene.name}-{info.spec.name}"
