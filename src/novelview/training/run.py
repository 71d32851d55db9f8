"""From a scene to a trained method, and from its run folder back to the method, in one call each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from novelview.data.scene import Scene
from novelview.data.scene_list import ManyScenes, SceneList
from novelview.errors import CheckpointError, ConfigError, MethodError
from novelview.methods.discovery import discover, find
from novelview.methods.method import Method, MethodSpec
from novelview.methods.recipe import Recipe
from novelview.training.checkpoint import (
    Checkpoint,
    Progress,
    latest_step,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from novelview.training.engine import DEFAULT_RHYTHM, Evaluate, Rhythm, make_accelerator, train
from novelview.training.folder import RunInfo, check_same, create_run, describe, open_run
from novelview.training.optim import check_recipe
from novelview.training.sharding import check_method, check_processes


def fit(
    method: str | MethodSpec,
    scene: Scene,
    *,
    more: Sequence[Scene] = (),
    lists: Sequence[SceneList] = (),
    preset: str | None = None,
    config: Any = None,
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    start: str | Path | Method | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
    rhythm: Rhythm = DEFAULT_RHYTHM,
    evaluate: Evaluate | None = None,
    quiet: bool = False,
    tensorboard: bool = False,
    shards: bool = False,
) -> Method:
    """Train a method on a scene and return it, ready to render.

    Args:
        method: name or specification.
        scene: its training views are learnt from, its test views never touched.
        more: further scenes to learn from; feed-forward methods only.
        lists: lists of still more, which are opened when a step needs them; those that are unusable are passed over.
        preset: configuration and recipe to start from; None: the method's first.
        config: configuration instead of the preset's.
        recipe: recipe instead of the preset's.
        out: run folder; None keeps everything in memory.
        start: run folder, name of a method that comes with weights, checkpoint of its authors, or such a method in
            memory: learn on from these weights instead of new ones.
        resume: go on with the run in ``out``; starts it where there is none yet.
        seed: of initial weights and every random draw.
        device: "cpu" or "cuda"; None takes the best there is.
        rhythm: how often to save, evaluate and log.
        evaluate: called with the method and the number of steps done; its figures are logged.
        quiet: print nothing.
        tensorboard: also write TensorBoard files into the run.
        shards: keep weights and optimiser state in shards, one for each of several processes.

    Raises:
        MethodError: unknown method, or the scene lacks what the method needs.
        ConfigError: unknown preset, a setting that cannot work or differs from those of the run that is resumed.
        CheckpointError: the run cannot be resumed because a file is damaged.
        OutputError: the run folder holds something already, or cannot be written.
        Interrupted: SIGINT or SIGTERM came; the run is saved.
    """
    spec = find(method) if isinstance(method, str) else method
    chosen = spec.preset(preset)
    config, recipe = config or chosen.config, recipe or chosen.recipe
    check_scenes(spec, [scene, *more], lists)
    accelerator = make_accelerator(device)
    check_recipe(recipe, accelerator.num_processes)
    first = None if start is None else _weights_of(spec, start)
    info = describe(spec, config, recipe, scene, seed, more, "" if first is None else first.story, lists)
    # What cannot be done is refused before anything is written.
    if shards:
        check_processes(accelerator)
        check_method(info.build())
    if first is not None:
        load_weights(info.build(), first.checkpoint, averaged=True, where=first.where)
    scenes = ManyScenes([scene, *more], lists, partial(check_scene, spec)) if lists else [scene, *more]
    sampler = spec.sampler(scenes, config, recipe, seed)
    folder = Path(out) if out is not None else None
    if resume and folder is None:
        raise ConfigError(
            "There is nothing to resume", why="no run folder is named", cure="name one with out"
        )
    afresh = first is None and (folder is None or latest_step(folder) is None)
    if folder is not None:
        if afresh:
            _begin_anew(info.build(), spec, scene)
        info = prepare_folder(folder, info, resume, accelerator)
    built = info.build()
    if first is not None:
        _begin_with(built, first, folder, recipe, accelerator)
    elif afresh:
        _begin_anew(built, spec, scene)
    return train(
        built,
        sampler,
        recipe,
        folder,
        seed=seed,
        accelerator=accelerator,
        rhythm=rhythm,
        evaluate=evaluate,
        quiet=quiet,
        tensorboard=tensorboard,
        shards=shards,
    )


def load_method(
    source: str | Path, device: str = "cpu", adjust: Mapping[str, Any] | None = None
) -> tuple[Method, RunInfo]:
    """The method as the run's latest checkpoint left it, ready to render, and what the run says of it.

    Averaged weights are used where the recipe asked for them.

    Args:
        source: a run folder, or the name of a method that comes with weights.
        device: where to.
        adjust: fields of the configuration that shall differ from the run's.

    Raises:
        CheckpointError: no run folder, no checkpoint yet, or a file that is damaged or does not fit.
        ConfigError: a field cannot be adjusted.
        MethodError: the run's method is not installed.
    """
    folder = located(source)
    info = open_run(folder)
    info = replace(info, config=info.spec.adjusted(info.config, adjust or {}))
    method = info.build()
    load_weights(method, read_checkpoint(folder, training=False), averaged=True, where=folder)
    return method.to(device).eval(), info


def load_official(spec: MethodSpec, file: Path, adjust: Mapping[str, Any]) -> Method:
    """The method out of a checkpoint of its authors, ready to render; nothing in the file is executed.

    Raises:
        MethodError: the method reads no such checkpoints.
        CheckpointError: the file cannot be read, is hostile or does not fit.
        ConfigError: a field cannot be adjusted.
    """
    if spec.load_official is None:
        raise MethodError(f"{spec.title} reads no official checkpoints", cure="name a run folder instead")
    official: Any = spec.load_official(file)
    if adjust:
        config, weights = spec.adjusted(official.config, adjust), official.state_dict()
        official = spec.build(config, None).eval()
        official.load_state_dict(weights)
    loaded: Method = official
    return loaded


def located(source: str | Path) -> Path:
    """The run folder of that path, or of the weights that come with the method of that name."""
    folder, spec = Path(source), discover().get(str(source))
    if folder.exists() or spec is None:
        return folder
    if spec.weights is None:
        raise MethodError(
            f"{spec.title} comes without weights",
            cure=f"train it: novelview train {spec.name} --data CAPTURE",
        )
    return spec.weights


def check_scenes(spec: MethodSpec, scenes: Sequence[Scene], lists: Sequence[SceneList] = ()) -> None:
    """Raise :class:`MethodError` when the method cannot learn from so many scenes, or one lacks what it needs.

    Listed scenes are counted, not opened.
    """
    count = len(scenes) + sum(map(len, lists))
    if count > 1 and spec.traits.regime == "per-scene":
        raise MethodError(
            f"{spec.title} learns one scene at a time",
            why=f"{count} are named",
            cure="name one capture",
        )
    for scene in scenes:
        check_scene(spec, scene)


# Where each of what a scene can lack would be found.
_PLACES = {
    "masks": "give masks, white where the object is: as alpha channel of the images, as files of the same names in a folder "
    "'masks' beside that of the images, or as mask_path of the frames in transforms.json",
    "depth maps": "give depth along z as depth_file_path of the frames in transforms.json, or as EXR files in DVR's layout",
}


def check_scene(spec: MethodSpec, scene: Scene) -> None:
    """Raise :class:`MethodError` when ``scene`` lacks what the method declares to need."""
    traits = spec.traits
    if len(scene.train) < traits.min_views:
        raise MethodError(
            f"{spec.title} needs at least {traits.min_views} training views",
            where=scene.name,
            why=f"the scene has {len(scene.train)}, besides {len(scene.test)} held-out ones",
            cure="hold out fewer views, or add photographs",
        )
    missing = []
    if "masks" in traits.needs and not scene.train.has_masks:
        missing.append("masks")
    if "depth" in traits.needs and not scene.train.has_depths:
        missing.append("depth maps")
    if missing:
        ignored = "masks" in missing and scene.origin.get("masks") == "ignore"
        raise MethodError(
            f"{spec.title} needs {' and '.join(missing)}",
            where=scene.name,
            why="the scene was opened with masks=ignore" if ignored else "the capture has none",
            cure="; ".join([*(_PLACES[it] for it in missing), "or choose a method that does without"]),
        )


@dataclass(frozen=True)
class _First:
    """Weights that a training begins with.

    Attributes:
        checkpoint: theirs.
        where: the run that they are of; for errors.
        story: how they came about, in a line.
    """

    checkpoint: Checkpoint
    where: str | Path
    story: str


def _weights_of(spec: MethodSpec, source: str | Path | Method) -> _First:
    if isinstance(source, Method):
        checkpoint = Checkpoint(Progress(0, source.structure()), source.state_dict(), {})
        return _First(checkpoint, "start", "another training's weights")
    folder = located(source)
    if folder.is_file() and spec.load_official is not None:
        official = load_official(spec, folder, {})
        checkpoint = Checkpoint(Progress(0, official.structure()), official.state_dict(), {})
        return _First(checkpoint, folder, f"the authors' checkpoint {folder.name}")
    info, checkpoint = open_run(folder), read_checkpoint(folder, training=False)
    if info.spec.name != spec.name:
        raise CheckpointError(
            f"{spec.title} cannot begin with these weights",
            where=folder,
            why=f"they are of {info.spec.title}",
            cure=f"name a run of {spec.name}",
        )
    before = f"{info.start}, then " if info.start else ""
    progress = checkpoint.progress
    return _First(checkpoint, folder, f"{before}{progress.step} steps, {progress.seconds:.0f} seconds")


def _begin_anew(method: Method, spec: MethodSpec, scene: Scene) -> None:
    """Let new weights take what they need from the scene, if the method learns from one."""
    if spec.traits.regime == "per-scene":
        method.begin(scene.train)


def _begin_with(
    method: Method, first: _First, run: Path | None, recipe: Recipe, accelerator: Accelerator
) -> None:
    """Give the method its first weights, and keep them as the run's checkpoint before its first step."""
    load_weights(method, first.checkpoint, averaged=True, where=first.where)
    if run is not None and latest_step(run) is None and accelerator.is_main_process:
        learning = {name: p.detach() for name, p in method.named_parameters() if p.requires_grad}
        average = learning if recipe.ema is not None else None
        save_checkpoint(run, Checkpoint(Progress(0, method.structure()), method.state_dict(), {}, average))
    accelerator.wait_for_everyone()


def prepare_folder(folder: Path, asked: RunInfo, resume: bool, accelerator: Accelerator) -> RunInfo:
    """Make the run, or check that it is the one asked for; the same on every process."""
    begun = (folder / "run.json").exists()
    accelerator.wait_for_everyone()
    if not (resume and begun):
        if accelerator.is_main_process:
            create_run(folder, asked)
        accelerator.wait_for_everyone()
        return asked
    saved = open_run(folder)
    check_same(folder, saved, asked)
    # The extent as it was measured then, so that not even its rounding changes.
    return replace(asked, scene=replace(saved.scene, origin=asked.scene.origin))
