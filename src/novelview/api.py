"""The Python interface: what each command does, in one line each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.write import write_scene
from novelview.errors import ConfigError
from novelview.evaluation.evaluate import evaluate
from novelview.files import atomic_folder
from novelview.methods.discovery import discover, find
from novelview.methods.method import Method, Preset
from novelview.subjects import Trajectory, check_generative, generate_scene, given_views
from novelview.training import run as training
from novelview.training.distil import distil

__all__ = ["evaluate", "fit", "generate", "load", "methods", "open_scene", "preset"]


def methods() -> list[str]:
    """Names of all methods, installed plug-ins included."""
    return list(discover())


def preset(method: str, name: str | None = None) -> Preset:
    """The configuration and recipe called ``name`` of a method, or its first; the error lists the names there are."""
    return find(method).preset(name)


def fit(
    method: str,
    scene: Scene,
    *,
    preset: str | None = None,
    out: str | Path | None = None,
    start: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    teacher: str | Path | None = None,
    steps: int | None = None,
    quiet: bool = False,
    shards: bool = False,
    **config: Any,
) -> Method:
    """Train a method on a scene and return it, ready to render.

    Args:
        method: name of a method, for example "grid".
        scene: only ``scene.train`` is learnt from.
        preset: which of the method's presets to start from; None: the first.
        out: run folder for checkpoints and logs; None: keep everything in memory.
        start: run folder, name of a method that comes with weights, or checkpoint of its authors: learn on from these
            weights instead of new ones.
        seed: determines every random draw.
        resume: continue the run in ``out`` from its last checkpoint.
        teacher: for methods that are distilled: another method, as NAME or NAME:PRESET, a run folder of one, or the name of
            one that comes with weights; None: the preset's.
        steps: overrides the recipe's number of steps.
        quiet: print nothing.
        shards: keep weights and optimiser state in shards, one for each of several processes (torchrun).
        config: overrides of single fields of the method's configuration.
    """
    chosen = find(method).preset(preset)
    recipe = chosen.recipe if steps is None else replace(chosen.recipe, steps=steps)
    try:
        settings = replace(chosen.config, **config)
    except TypeError as error:
        raise ConfigError(f"{method} has no such option", why=str(error)) from None
    shared: dict[str, Any] = {
        "config": settings,
        "recipe": recipe,
        "out": out,
        "start": start,
        "seed": seed,
        "resume": resume,
        "quiet": quiet,
    }
    how = chosen.distillation
    if how is None or how.teacher is None:
        if teacher is not None:
            raise ConfigError(f"{method} learns from photographs alone", cure="leave out teacher")
        return training.fit(find(method), scene, shards=shards, **shared)
    if shards:
        raise ConfigError("A distillation cannot be sharded", cure="leave out shards")
    if teacher is not None:
        how = replace(how, teacher=str(teacher))
    return distil(find(method), scene, how, **shared)[0]


def load(source: str | Path, *, method: str | None = None, **adjust: Any) -> Method:
    """A trained method.

    Args:
        source: a run folder of ours, the name of a method that comes with weights, or, with ``method``, a checkpoint
            file of that method's authors.
        method: whose file it is; needed for official checkpoints only.
        adjust: fields of the configuration that shall differ from the trained one, where the method allows it.

    Raises:
        CheckpointError: the file cannot be read, is hostile or does not fit.
        ConfigError: a field cannot be adjusted.
        MethodError: the method reads no official checkpoints, or comes without weights.
    """
    if method is None:
        return training.load_method(source, adjust=adjust)[0]
    return training.load_official(find(method), Path(source), adjust)


def generate(
    prompt: str = "",
    *,
    model: str | Path = "viewdiff",
    image: str | Path | None = None,
    views: int = 8,
    path: Literal["orbit", "spiral", "arc"] = "orbit",
    elevation: float | None = None,
    distance: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str | None = None,
    **adjust: Any,
) -> Scene:
    """Views of a subject that no camera saw, as a scene that methods learn from.

    Args:
        prompt: the subject in words; may be empty where there is a picture.
        model: name of a generative method that comes with weights, or a run folder of one.
        image: a picture of the subject, taken to have been seen from the first camera; it is the scene's first view.
        views: number of views, the picture included.
        path: "orbit", a full ring; "spiral", two rising turns; "arc", 120 degrees of a ring.
        elevation: degrees above the horizon, of a spiral's first camera; None: the model's own.
        distance: from the subject's middle, in the model's units; None: the one that the model knows best.
        seed: determines every random draw.
        out: new folder in which the views are written as a capture, and opened; None: everything stays in memory.
        device: "cpu" or "cuda"; None takes the best there is.
        adjust: fields of the configuration that shall differ from the trained one, where the method allows it.

    Raises:
        MethodError: the method does not generate views, or comes without weights.
        ConfigError: neither words nor a picture, or a field that cannot be adjusted.
        DataError: the picture cannot be read, or no subject is found in it.
        OutputError: ``out`` is not empty, or cannot be written.
    """
    if str(model) in discover():
        check_generative(find(str(model)))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    method, info = training.load_method(model, device, adjust)
    check_generative(info.spec)
    studio = method.studio()
    cameras = Trajectory(views, path, elevation, distance).cameras(studio)
    known = None if image is None else given_views(studio, [Path(image)], cameras[0])
    scene = generate_scene(method, prompt, cameras if known is None else cameras[1:], known=known, seed=seed)
    if out is None:
        return scene
    with atomic_folder(out) as temporary:
        write_scene(temporary, scene)
    return open_scene(out, split="none")
