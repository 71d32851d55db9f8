"""``novelview train METHOD --data DIR``: train a method, in any state of interruption."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from novelview.cli.options import Positional, SceneOptions, Unprefixed, parse
from novelview.cli.runs import open_lists, open_more_scenes, open_run_scene
from novelview.data.scene import Scene
from novelview.data.scene_list import SceneList, is_scene_list
from novelview.errors import ConfigError
from novelview.evaluation.evaluate import evaluate
from novelview.methods.discovery import discover, find
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method, MethodSpec, Preset
from novelview.methods.recipe import Recipe
from novelview.training import Evaluate, Interrupted, Rhythm, distil, fit, leave_processes, open_run
from novelview.training.folder import RunInfo, describe
from novelview.training.journal import Stage, told
from novelview.training.run import check_scenes

# Enough held-out views for a curve; the report of `novelview eval` uses all of them.
_WATCHED_VIEWS = 3
# What follows these may be called like a method without naming the one that is trained.
_VALUED = ("--data", "--more", "--out", "--preset", "--split", "--start", "--teacher")


@dataclass(frozen=True)
class _Common:
    """Train a method on a capture. Everything is kept in a run folder, from which it is rendered and scored."""

    method: Positional[str]
    """Name of a method: see `novelview methods`."""
    scene: Unprefixed[SceneOptions]
    more: tuple[Path, ...] = ()
    """Further captures to learn from, read with the same options; feed-forward methods only. Also text files that list
    captures, one path per line, which are opened when they are needed and learnt from whole."""
    preset: str | None = None
    """Starting point for all options below: see `novelview methods`. Default: the first one there."""
    out: Path | None = None
    """Run folder. Default: runs/CAPTURE-METHOD."""
    start: str | None = None
    """Run folder, name of a method that comes with weights, or checkpoint of its authors: learn on from these weights.
    Default: new ones."""
    seed: int = 0
    """Determines every random draw."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""
    shards: bool = False
    """Under torchrun: each process keeps a part of the weights and of the optimiser's state instead of all."""
    resume: bool = False
    """Go on with the run in --out from its last checkpoint."""
    tensorboard: bool = False
    """Also write TensorBoard files into the run."""
    rhythm: Rhythm = field(default_factory=Rhythm)
    """How often to save, evaluate and log."""


@dataclass(frozen=True)
class _Resume:
    """Go on with a run that was interrupted, exactly where it stopped."""

    resume: Path
    """Run folder."""
    data: Path | None = None
    """Where the capture is now, if it moved since."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""
    shards: bool = False
    """Under torchrun: each process keeps a part of the weights and of the optimiser's state instead of all."""
    tensorboard: bool = False
    """Also write TensorBoard files into the run."""
    rhythm: Rhythm = field(default_factory=Rhythm)
    """How often to save, evaluate and log."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb; an interrupted training exits with 128 plus the signal's number."""
    try:
        if _names_run(arguments):
            status = _go_on(parse(_Resume, arguments, "train"))
        else:
            status = _start(_parse(arguments))
    except Interrupted as stop:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(stop), markup=False)
        status = 128 + stop.signal
    # Not after other errors, which may have struck this process alone.
    leave_processes()
    return status


def _start(options: Any) -> int:
    scene = _scene_of(find(options.method), options.scene)
    named = [(replace(options.scene, data=path), is_scene_list(path)) for path in options.more]
    more = [each.open() for each, listed in named if not listed]
    for each in (scene, *more):
        for note in each.notes:
            Console(stderr=True, highlight=False).print(f"note: {each.name}: {note}", markup=False)
    out = options.out or Path("runs") / f"{scene.name}-{options.method}"
    lists = [each.listed() for each, listed in named if listed]
    asked = describe(
        find(options.method),
        options.config,
        options.recipe,
        scene,
        options.seed,
        distillation=_settings(options),
    )
    return _learn(
        asked, scene, out, options, more=more, lists=lists, start=options.start, resume=options.resume
    )


def _scene_of(spec: MethodSpec, options: SceneOptions) -> Scene:
    """The capture; where none is named, what a feed-forward method is judged by while it trains on its own data."""
    if options.data is None and spec.watched is not None:
        return spec.watched()
    return options.open()


def _go_on(options: _Resume) -> int:
    info = open_run(options.resume)
    scene = open_run_scene(options.resume, info, options.data)
    more, lists = open_more_scenes(options.resume, info), open_lists(options.resume, info)
    return _learn(info, scene, options.resume, options, more=more, lists=lists, start=None, resume=True)


def _learn(
    info: RunInfo,
    scene: Scene,
    out: Path,
    options: Any,
    *,
    more: Sequence[Scene],
    lists: Sequence[SceneList],
    start: str | None,
    resume: bool,
) -> int:
    """Train what ``info`` describes, by way of a teacher where it says so."""
    shared: dict[str, Any] = {
        "config": info.config,
        "recipe": info.recipe,
        "out": out,
        "start": start,
        "resume": resume,
        "seed": info.seed,
        "device": options.device,
        "rhythm": options.rhythm,
        "evaluate": watch(scene),
        "tensorboard": options.tensorboard,
    }
    stages: tuple[Stage, ...] = ()
    if info.distillation is None:
        fit(info.spec, scene, more=more, lists=lists, shards=options.shards, **shared)
    else:
        check_scenes(info.spec, [scene, *more], lists)
        if options.shards:
            raise ConfigError("A distillation cannot be sharded", cure="leave out --shards")
        _, stages = distil(info.spec, scene, info.distillation, **shared)
    return _done(out, scene, stages)


def _settings(options: Any) -> Distillation | None:
    """How the method is distilled; None where it learns from photographs alone."""
    settings: Distillation | None = getattr(options, "distillation", None)
    return settings if settings is not None and settings.teacher is not None else None


def watch(scene: Scene) -> Evaluate | None:
    """Scores a few held-out views during training; None where nothing is held out."""
    if len(scene.test) == 0:
        return None
    step = max(1, len(scene.test) // _WATCHED_VIEWS)
    names = scene.test.names[::step][:_WATCHED_VIEWS]

    def score(method: Method, step: int) -> dict[str, float]:
        # A terminal has room for one bar, which is the training's.
        report = evaluate(method, scene, baselines=False, views=names, quiet=True)
        return {"held-out psnr": report.mean.psnr}

    return score


def _done(out: Path, scene: Scene, stages: tuple[Stage, ...]) -> int:
    # Of several processes, one speaks.
    console = Console(highlight=False, soft_wrap=True, quiet=os.environ.get("RANK", "0") != "0")
    for line in told(stages) if stages else ():
        console.print(line, markup=False)
    console.print(f"trained: {out}")
    console.print(f"  see it:   novelview render {out}", markup=False)
    if len(scene.test):
        console.print(f"  score it: novelview eval {out}", markup=False)
    return 0


def _names_run(arguments: Sequence[str]) -> bool:
    """Whether --resume is followed by a run folder, so that nothing else need be said."""
    for i, word in enumerate(arguments):
        if word.startswith("--resume="):
            return True
        if word == "--resume" and i + 1 < len(arguments):
            following = arguments[i + 1]
            return not following.startswith("-") and following not in discover()
    return False


def _parse(arguments: Sequence[str]) -> Any:
    """The method decides which options there are, and the preset their defaults, so both are looked for first."""
    spec = _find_method(arguments)
    preset = _find_preset(spec, arguments)
    more: list[Any] = [("config", type(preset.config), preset.config), ("recipe", Recipe, preset.recipe)]
    if preset.distillation is not None:
        more.append(("distillation", Unprefixed[Distillation], preset.distillation))
    kind = make_dataclass("Train", more, bases=(_Common,), frozen=True)
    kind.__doc__ = f"{spec.title}: {spec.summary}\n\nPreset: {preset.summary}"
    return parse(kind, arguments, "train")


def _find_method(arguments: Sequence[str]) -> MethodSpec:
    names = discover()
    for i, word in enumerate(arguments):
        if word in names and (i == 0 or arguments[i - 1] not in _VALUED):
            return names[word]
    if any(word in ("-h", "--help") for word in arguments):
        print("usage: novelview train METHOD --data DIR [options in any order]\n")
        for spec in names.values():
            print(f"  {spec.name:<10} {spec.summary}")
        print("\nnovelview train METHOD --help shows the options of a method and their defaults.")
        sys.exit(0)
    if arguments and not arguments[0].startswith("-"):
        return find(arguments[0])
    raise ConfigError(
        "No method is named", cure=f"novelview train METHOD --data DIR, with one of: {', '.join(names)}"
    )


def _find_preset(spec: MethodSpec, arguments: Sequence[str]) -> Preset:
    name = None
    for i, word in enumerate(arguments):
        if word == "--preset" and i + 1 < len(arguments):
            name = arguments[i + 1]
        elif word.startswith("--preset="):
            name = word.partition("=")[2]
    return spec.preset(name)
