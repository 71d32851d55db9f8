"""Reading other people's checkpoints without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch

from novelview.errors import CheckpointError


@final
class StandIn:
    """Takes the place of an object whose class must not run: holds what was saved of it, and does nothing.

    Attributes:
        state: the object's attributes, which may be anything that a file can hold; they are looked at, never called.
    """

    __slots__ = ("state",)
    state: dict[Any, Any]

    # Without arguments, so that a file cannot hand any to a constructor.
    def __new__(cls) -> StandIn:
        made = super().__new__(cls)
        made.state = {}
        return made

    # All that a file wants to set goes through here: none of it becomes an attribute of this object.
    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            raise pickle.UnpicklingError(f"Unsupported state: {type(state).__name__}")
        self.state = state


def load_tensors(path: Path, stand_ins: Sequence[str] = ()) -> Any:
    """What a PyTorch file holds, as long as that is tensors, numbers, text and containers of them.

    Args:
        path: the file.
        stand_ins: full names, such as "argparse.Namespace", of classes that may occur too: their objects become
            :class:`StandIn`, and the classes themselves are neither looked up nor called.

    Raises:
        CheckpointError: the file is missing, damaged, or asks for code to be run; nothing of it was run.
    """
    if not path.is_file():
        raise CheckpointError("There is no such checkpoint", where=path, cure="check the path")
    try:
        with torch.serialization.safe_globals([(StandIn, name) for name in stand_ins]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "This checkpoint is refused",
            where=path,
            why=f"it is damaged, or it wants to run code when it is read ({_first_line(error)})",
            cure="ask its author for a file that holds plain tensors only",
        ) from None
    except Exception as error:  # A damaged file can fail anywhere in the decoder.
        raise CheckpointError(
            "This checkpoint cannot be read",
            where=path,
            why=f"it is damaged or not a PyTorch file ({_first_line(error)})",
            cure="download or copy it again",
        ) from error


def _first_line(error: Exception) -> str:
    """The decoder's own words, without its advice to switch the safety off."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (telling or lines or [type(error).__name__])[0]
