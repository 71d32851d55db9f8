"""Checkpoints of a run: folders that appear whole, hold no code, and can be moved with the run.

Layout below the run folder, all of it safetensors and JSON::

    latest.json                       {"step": 2000, "folder": "checkpoints/step-0002000"}
    checkpoints/step-0002000/
        model.safetensors             the method's state
        average.safetensors           averaged weights, where the recipe asks for them
        optimizer.safetensors         "<parameter>.<entry>"
        state.json                    Progress
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from novelview.config import from_json, to_json
from novelview.errors import CheckpointError, ConfigError, OutputError
from novelview.files import atomic_folder, atomic_write_json
from novelview.methods.method import Method

FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """The part of a training's state that is not tensors.

    Attributes:
        step: number of steps done.
        structure: what the method says of its present shapes.
        skipped: number of steps whose gradient was refused.
        updates: number of updates of the weight average.
        seconds: time spent in training steps.
        scaler: state of the float16 loss scale; empty where none is used.
        format: version of this layout.
    """

    step: int
    structure: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0
    updates: int = 0
    seconds: float = 0.0
    scaler: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to go on, or a renderer to begin."""

    progress: Progress
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class _Pointer:
    step: int
    folder: str


def save_checkpoint(run: Path, checkpoint: Checkpoint, keep: int = 2) -> None:
    """Write a checkpoint below the folder ``run``, make it the latest, and remove all but the last ``keep``.

    Whenever the process dies, ``latest.json`` points to a whole checkpoint.

    Raises:
        OutputError: the disk is full or refuses; the previous checkpoint stays the latest.
    """
    step = checkpoint.progress.step
    folder = Path("checkpoints") / f"step-{step:07d}"
    if latest_step(run) == step:
        return
    with atomic_folder(run / folder, overwrite=True) as temporary:
        write_tensors(temporary / "model.safetensors", checkpoint.model)
        write_tensors(temporary / "optimizer.safetensors", checkpoint.optimizer)
        if checkpoint.average is not None:
            write_tensors(temporary / "average.safetensors", checkpoint.average)
        atomic_write_json(temporary / "state.json", to_json(checkpoint.progress))
    atomic_write_json(run / "latest.json", to_json(_Pointer(step, folder.as_posix())))
    _prune(run / "checkpoints", keep, latest=run / folder)


def latest_step(run: Path) -> int | None:
    """Step of the latest checkpoint; None when there is none yet."""
    if not (run / "latest.json").exists():
        return None
    return read_json(run / "latest.json", _Pointer).step


def read_checkpoint(run: Path, *, training: bool = True) -> Checkpoint:
    """The latest checkpoint of the folder ``run``; the optimiser is left out unless ``training``.

    Raises:
        CheckpointError: there is none, or a file of it is missing, damaged or of another version.
    """
    if not (run / "latest.json").exists():
        raise CheckpointError(
            "There is no checkpoint", where=run, why="latest.json is absent", cure="name a run folder"
        )
    folder = run / read_json(run / "latest.json", _Pointer).folder
    progress = read_json(folder / "state.json", Progress)
    if progress.format != FORMAT:
        raise CheckpointError(
            f"A checkpoint of format {progress.format} cannot be read",
            where=folder,
            why=f"this version of novelview reads format {FORMAT}",
            cure="use the version of novelview that wrote it",
        )
    average = folder / "average.safetensors"
    return Checkpoint(
        progress=progress,
        model=read_tensors(folder / "model.safetensors"),
        optimizer=read_tensors(folder / "optimizer.safetensors") if training else {},
        average=read_tensors(average) if average.exists() else None,
    )


def load_weights(method: Method, checkpoint: Checkpoint, *, averaged: bool, where: str | Path) -> None:
    """Give the method the checkpoint's shapes and weights.

    Args:
        method: built from the configuration of the run.
        checkpoint: what to load.
        averaged: take the averaged weights where there are any, as for rendering.
        where: named in errors.

    Raises:
        CheckpointError: names or shapes differ; names them.
    """
    method.restructure(checkpoint.progress.structure)
    state = method.state_dict()
    check_tensors(checkpoint.model, state, where)
    method.load_state_dict(checkpoint.model)
    if averaged and checkpoint.average is not None:
        learning = {name: p for name, p in method.named_parameters() if p.requires_grad}
        check_tensors(checkpoint.average, learning, where)
        for name, parameter in learning.items():
            parameter.data.copy_(checkpoint.average[name])


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str | Path) -> None:
    """Raise :class:`CheckpointError` unless names and shapes are the same; the error names what differs."""
    faults = [f"missing: {name}" for name in expected if name not in found]
    faults += [f"unknown: {name}" for name in found if name not in expected]
    faults += [
        f"{name} has shape {tuple(found[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise CheckpointError(
            "The weights do not fit the method",
            where=where,
            why="; ".join(faults[:5]) + more,
            cure="load them with the method and configuration that they were trained with",
        )


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file; ``OutputError`` when that is impossible."""
    # Copies, because the format refuses tensors that share memory.
    copies = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    try:
        save_file(copies, path)
    except SafetensorError as error:
        raise OutputError(
            "Cannot write", where=path, why=str(error), cure="check the path and the disk"
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU; ``CheckpointError`` when it is missing or damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_json(path: Path, kind: type[T]) -> T:
    """Read a dataclass that :func:`~novelview.config.to_json` wrote.

    Raises:
        CheckpointError: the file is missing, no JSON, or has unknown or missing keys.
    """
    try:
        return from_json(kind, json.loads(path.read_text(encoding="utf-8")), where=path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    except ConfigError as error:
        raise CheckpointError(error.what, where=path, why=error.why, cure=error.cure) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    if isinstance(error, FileNotFoundError):
        return CheckpointError("A file is missing", where=path, cure="copy the run folder again, all of it")
    cure = "copy it again from where it is whole; an older checkpoint may be left beside it"
    return CheckpointError("A file is damaged or cannot be read", where=path, why=str(error), cure=cure)


def _prune(checkpoints: Path, keep: int, latest: Path) -> None:
    """Remove old checkpoints, those of an abandoned future and what a kill left half-written."""
    whole = sorted(folder for folder in checkpoints.glob("step-*") if folder <= latest)
    stale = [folder for folder in checkpoints.iterdir() if folder not in whole[-keep:]]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
