"""Rendered frames as files: 8-bit PNG pictures, and depth as 16-bit PNG with its scale beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from novelview.export.colours import colourise_depth, depth_range
from novelview.files import atomic_file, atomic_folder, atomic_write_json
from novelview.types import Frames

_LARGEST = 65535


def to_bytes(rgb: Float[Tensor, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Colours in [0, 1] rounded to 8 bit; what lies outside is clamped, NaN becomes black."""
    return (rgb.detach().nan_to_num(0.0) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def write_frame(path: str | Path, rgb: Float[Tensor, "h w 3"]) -> None:
    """Write one picture as PNG, whole or not at all; raises ``OutputError``."""
    with atomic_file(path) as temporary:
        Image.fromarray(to_bytes(rgb)).save(temporary, format="PNG")


def write_depth(path: str | Path, depth: Float[Tensor, "h w"]) -> float:
    """Write depth as 16-bit PNG and return its scale: depth = scale * stored value, and 0 means unknown."""
    depth = depth.detach().double().cpu()
    known = (depth > 0) & depth.isfinite()
    scale = float(depth[known].max()) / _LARGEST if bool(known.any()) else 1.0
    stored = torch.where(known, (depth / scale).round().clamp(1, _LARGEST), 0.0)
    with atomic_file(path) as temporary:
        Image.fromarray(stored.numpy().astype(np.uint16)).save(temporary, format="PNG")
    return scale


def write_frames(folder: str | Path, frames: Iterable[Frames], *, unit: float = 1.0) -> int:
    """Write frames as they come into ``rgb/``, ``depth/`` and ``depth_colour/``; returns how many.

    Depth is written where the method knows it, in units of the input; ``depth.json`` has each file's scale. In the
    colour pictures near is bright yellow, far is dark violet and unknown is black, on one scale for all frames.

    Args:
        folder: a new or empty folder; appears when all frames are written.
        frames: any number of frames at a time.
        unit: units of the input per scene unit (``scene.to_input.scale``).

    Raises:
        OutputError: the folder has something in it or cannot be written.
    """
    count, scales = 0, {}
    with atomic_folder(folder) as temporary:
        for batch in frames:
            for i in range(len(batch)):
                name = f"{count:05d}.png"
                write_frame(temporary / "rgb" / name, batch.rgb[i])
                if batch.depth is not None:
                    scales[name] = write_depth(temporary / "depth" / name, unit * batch.depth[i])
                count += 1
        if scales:
            _colour_depths(temporary, scales)
            meaning = "depth along z = scale * stored 16-bit value, in units of the input; 0 is unknown"
            atomic_write_json(temporary / "depth.json", {"meaning": meaning, "scale": scales})
    return count


def _colour_depths(folder: Path, scales: dict[str, float]) -> None:
    """Colour pictures of the depth maps in a folder; read back, because their common scale is known last."""

    def stored() -> Iterator[Tensor]:
        for name, scale in scales.items():
            with Image.open(folder / "depth" / name) as image:
                yield torch.from_numpy(np.asarray(image).astype(np.float32) * scale)

    near_far = depth_range(stored())
    for name, depth in zip(scales, stored(), strict=True):
        write_frame(folder / "depth_colour" / name, colourise_depth(depth, near_far))
