"""Reading other people's checkpoints without running anything that is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from novelview.errors import CheckpointError


def load_tensors(path: Path) -> Any:
    """What a PyTorch file holds, as long as that is tensors, numbers, text and containers of them.

    Raises:
        CheckpointError: the file is missing, damaged, or asks for code to be run; nothing of it was run.
    """
    if not path.is_file():
        raise CheckpointError("There is no such checkpoint", where=path, cure="check the path")
    try:
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
