"""Checkpoints of authors' code: read without running anything, and held against what a network expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from novelview.errors import CheckpointError
from novelview.safe_pickle import load_tensors
from novelview.types import Bounds

# Checkpoints of single scenes say nothing of the scene; these are the bounds of NeRF's synthetic ones.
SYNTHETIC = Bounds(
    near=2.0,
    far=6.0,
    box_min=(-1.5, -1.5, -1.5),
    box_max=(1.5, 1.5, 1.5),
    unbounded=False,
    background=(1.0, 1.0, 1.0),
)


def read_file(path: Path, stand_ins: Sequence[str] = ()) -> Any:
    """What a ``.safetensors`` or a PyTorch file holds; nothing in it is run.

    Args:
        path: the file.
        stand_ins: full names of classes whose objects are read as inert stand-ins, see
            :func:`~novelview.safe_pickle.load_tensors`.

    Raises:
        CheckpointError: the file is missing, damaged, or asks for code to be run.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return load_tensors(path, stand_ins)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            "This checkpoint cannot be read", where=path, why=str(error), cure="download or copy it again"
        ) from error


def as_tensors(content: Any, path: Path, *, what: str = "state dict") -> dict[str, Tensor]:
    """``content`` as a state dict, without the prefix that data parallelism leaves on names.

    Raises:
        CheckpointError: it is something else; says what it holds.
    """
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"This is not a {what}", where=path, why=f"it holds {held(content)}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def held(content: Any) -> str:
    """What a file holds, for errors."""
    if not isinstance(content, Mapping):
        return type(content).__name__
    names = list(map(str, content))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"


def matrix(tensors: Mapping[str, Tensor], name: str, path: Path, *, what: str) -> Tensor:
    """The matrix of that name, by whose shape a configuration is found out.

    Raises:
        CheckpointError: there is none.
    """
    if name not in tensors or tensors[name].dim() != 2:
        raise CheckpointError(f"This is not {what}", where=path, why=f"it has no matrix {name!r}")
    return tensors[name]


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, what: str, cure: str = "") -> None:
    """Give a module weights.

    Args:
        module: gets them.
        tensors: all that it has, and nothing more.
        path: named in errors.
        what: the network's name, for errors.
        cure: what to do about others.

    Raises:
        CheckpointError: names or shapes differ; names each.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is not known" for name in found if name not in expected]
    faults += [
        f"{name} is {list(found[name])} instead of {list(expected[name])}"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise CheckpointError(
            f"The weights are not those of {what}", where=path, why="; ".join(faults[:8]) + more, cure=cure
        )
    module.load_state_dict(dict(tensors))
