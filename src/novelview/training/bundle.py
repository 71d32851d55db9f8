"""Runs that were not trained in their place: bundled weights, and checkpoints of a method's authors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from novelview.config import to_json
from novelview.errors import CheckpointError, MethodError
from novelview.files import atomic_folder, atomic_write_json
from novelview.methods.method import MethodSpec
from novelview.training.checkpoint import Checkpoint, Progress, read_checkpoint, save_checkpoint
from novelview.training.folder import create_run, describe, open_run
from novelview.training.run import load_official


def bundle(
    run: Path,
    out: Path,
    card: dict[str, Any],
    adjust: Mapping[str, Any] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write a new run folder with the weights alone, averaged where the recipe asked for it, and a card.

    Args:
        run: run folder of a feed-forward method.
        out: new folder.
        card: what the weights were trained on, for how long, and how they score; JSON.
        adjust: fields of the configuration that shall differ from the run's while rendering.
        half: keep 16 bits of each weight.

    Raises:
        CheckpointError: the run has no checkpoint yet, or belongs to one scene.
        ConfigError: a field cannot be adjusted.
        OutputError: ``out`` holds something already, or cannot be written.
    """
    info, checkpoint = open_run(run), read_checkpoint(run, training=False)
    if info.spec.traits.regime == "per-scene":
        raise CheckpointError("A run of one scene is of no use to others", where=run)
    progress = checkpoint.progress
    weights = {**checkpoint.model, **(checkpoint.average or {})}
    if half:
        weights = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
    with atomic_folder(out) as temporary:
        # Where the training's captures lay is nobody else's business.
        config = info.spec.adjusted(info.config, adjust or {})
        create_run(temporary / "run", replace(info, config=config, more=(), lists=()))
        slim = Checkpoint(Progress(progress.step, progress.structure, seconds=progress.seconds), weights, {})
        save_checkpoint(temporary / "run", slim)
        atomic_write_json(temporary / "card.json", to_json(card))


def convert_official(
    spec: MethodSpec, file: Path, out: Path, adjust: Mapping[str, Any] | None = None
) -> None:
    """Write a new run folder with the weights of a checkpoint of the method's authors; nothing in it is executed.

    Args:
        spec: a feed-forward method that reads such checkpoints.
        file: the checkpoint.
        out: new folder.
        adjust: fields of the configuration that the file does not hold.

    Raises:
        MethodError: the method reads no such checkpoints, or its weights belong to one scene.
        CheckpointError: the file cannot be read, is hostile or does not fit.
        ConfigError: a field cannot be adjusted.
        OutputError: ``out`` holds something already, or cannot be written.
    """
    if spec.traits.regime == "per-scene" or spec.watched is None:
        raise MethodError(
            f"A checkpoint of {spec.title} is of no use without its scene",
            cure="load it in Python, where the scene's bounds can be given",
        )
    official: Any = load_official(spec, file, adjust or {})
    recipe, story = spec.preset().recipe, f"the authors' checkpoint {file.name}"
    info = describe(spec, official.config, recipe, spec.watched(), seed=0, start=story)
    create_run(out, info)
    save_checkpoint(out, Checkpoint(Progress(0, official.structure()), official.state_dict(), {}))
