"""Checkpoints of the authors' code and of its PyTorch ports: what is in them, and what must be guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from novelview.errors import CheckpointError, ConfigError
from novelview.methods.nerf.config import NeRFConfig
from novelview.methods.nerf.model import NeRF
from novelview.methods.official import SYNTHETIC, as_tensors, fill, held, matrix, read_file
from novelview.nn.encodings import frequency_width
from novelview.types import Bounds

COARSE, FINE = "network_fn_state_dict", "network_fine_state_dict"
WHAT = "a NeRF"
ONLY = "the paper's network is the only one known: one skip, after the fifth layer"

# The authors' rays pass through the corner of each pixel.
OFFICIAL = NeRFConfig(pixel_centre=0.0)


def load_official(
    path: Path,
    *,
    config: NeRFConfig = OFFICIAL,
    bounds: Bounds = SYNTHETIC,
) -> NeRF:
    """A NeRF out of a checkpoint of the authors' code (nerf-pytorch and R2L's teacher); nothing in it is run.

    Args:
        path: a file that holds ``network_fn_state_dict`` and ``network_fine_state_dict``.
        config: how to sample, and in which coordinates, which the file does not say; the shape of the network
            is read off the file.
        bounds: extent of the scene, in the frame that the checkpoint was trained in.

    Raises:
        CheckpointError: the file cannot be read, asks for code to be run, or its tensors do not fit together.
    """
    content = read_file(path)
    coarse, fine = (_network_tensors(content, key, path) for key in (COARSE, FINE))
    method = NeRF(_with_architecture(config, coarse, path), bounds)
    for network, tensors in ((method.coarse, coarse), (method.fine, fine)):
        fill(network, tensors, path, what=WHAT, cure=ONLY)
    return method.eval()


def _network_tensors(content: Any, key: str, path: Path) -> dict[str, Tensor]:
    tensors = content.get(key) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(
            "This is not a NeRF checkpoint",
            where=path,
            why=f"it has no tensors under {key!r}; it holds {held(content)}",
            cure="give a file of the authors' code, trained with coarse and fine sampling",
        )
    return as_tensors(tensors, path)


def _with_architecture(config: NeRFConfig, tensors: dict[str, Tensor], path: Path) -> NeRFConfig:
    """``config`` with width, depth, octaves and use of viewing directions from the shapes of the weights."""
    first = matrix(tensors, "pts_linears.0.weight", path, what=WHAT)
    width = first.shape[0]
    found: dict[str, Any] = {
        "width": width,
        "depth": sum(name.startswith("pts_linears.") and name.endswith(".weight") for name in tensors),
        "point_octaves": _octaves("pts_linears.0.weight", first.shape[1], path),
        "view_directions": "alpha_linear.weight" in tensors,
    }
    if found["view_directions"]:
        name = "views_linears.0.weight"
        found["direction_octaves"] = _octaves(
            name, matrix(tensors, name, path, what=WHAT).shape[1] - width, path
        )
    try:
        return replace(config, **found)
    except ConfigError as error:
        raise CheckpointError("This is not a NeRF checkpoint", where=path, why=error.what) from None


def _octaves(name: str, channels: int, path: Path) -> int:
    octaves = (channels // 3 - 1) // 2
    if octaves < 0 or frequency_width(3, octaves) != channels:
        raise CheckpointError(
            "This is not a NeRF checkpoint",
            where=path,
            why=f"{name!r} takes {channels} encoded values, and no number of octaves gives as many",
        )
    return octaves
