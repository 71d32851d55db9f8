"""Reading other people's checkpoints without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
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


@final
class _Dtype:
    """Takes the place of numpy's dtype in a file."""

    __slots__ = ("name",)
    name: Any

    def __new__(cls, name: Any, *_: Any) -> _Dtype:
        made = super().__new__(cls)
        made.name = name
        return made

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or ">" in state:
            raise pickle.UnpicklingError("Unsupported order of bytes")


def _number(dtype: Any, data: Any) -> float | int | bool:
    """Takes the place of the function that makes numpy's scalars in a file: Python's own number."""
    if not isinstance(dtype, _Dtype) or dtype.name not in _NUMBERS or not isinstance(data, bytes):
        raise pickle.UnpicklingError("Unsupported number")
    value: float | int | bool = np.frombuffer(data, f"<{dtype.name}", count=1)[0].item()
    return value


# Names of number types in files, and where numpy's pickles look for what makes them.
_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_NUMPY: list[tuple[Any, str]] = [
    (_Dtype, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]


def load_tensors(path: Path, stand_ins: Sequence[str] = ()) -> Any:
    """What a PyTorch file holds, as long as that is tensors, numbers (numpy's too), text and containers of them.

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
        with torch.serialization.safe_globals([*_NUMPY, *((StandIn, name) for name in stand_ins)]):
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
