"""The part of a run that others need to render with it: what comes along with the program as bundled weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from novelview.config import to_json
from novelview.errors import CheckpointError
from novelview.files import atomic_folder, atomic_write_json
from novelview.training.checkpoint import Checkpoint, Progress, read_checkpoint, save_checkpoint
from novelview.training.folder import create_run, open_run


def bundle(run: Path, out: Path, card: dict[str, Any], adjust: Mapping[str, Any] | None = None) -> None:
    """Write a new run folder with the weights alone, averaged where the recipe asked for it, and a card.

    Args:
        run: run folder of a feed-forward method.
        out: new folder.
        card: what the weights were trained on, for how long, and how they score; JSON.
        adjust: fields of the configuration that shall differ from the run's while rendering.

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
    with atomic_folder(out) as temporary:
        # Where the training's captures lay is nobody else's business.
        config = info.spec.adjusted(info.config, adjust or {})
        create_run(temporary / "run", replace(info, config=config, more=()))
        slim = Checkpoint(Progress(progress.step, progress.structure, seconds=progress.seconds), weights, {})
        save_checkpoint(temporary / "run", slim)
        atomic_write_json(temporary / "card.json", to_json(card))
