"""Photographs of a capture, read when they are asked for and kept in memory within a budget."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from novelview.data.capture import ImageFiles
from novelview.errors import DataError
from novelview.types import ImageSource

MaskUse = Literal["object", "keep", "ignore"]


def system_memory() -> int:
    """Bytes of physical memory; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


class ByteCache:
    """Tensors by key; the least recently used ones leave when the budget would be exceeded. Thread-safe."""

    def __init__(self, budget: int) -> None:
        self.budget, self.held = budget, 0
        self._entries: OrderedDict[object, Tensor] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, make: Callable[[], Tensor]) -> Tensor:
        """The tensor of ``key``, made when it is not held; one larger than the budget is never held."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        # Decoding happens outside the lock: threads may decode an image twice, never wait.
        value = make()
        size = value.numel() * value.element_size()
        with self._lock:
            if key not in self._entries and size <= self.budget:
                while self.held + size > self.budget:
                    _, oldest = self._entries.popitem(last=False)
                    self.held -= oldest.numel() * oldest.element_size()
                self._entries[key] = value
                self.held += size
        return value


@dataclass(frozen=True)
class ImagePlan:
    """How the files of one view become its pixels.

    Attributes:
        files: what is read.
        transpose: apply the photograph's EXIF rotation.
        size: width and height that are delivered.
    """

    files: ImageFiles
    transpose: bool
    size: tuple[int, int]


class FileImages(ImageSource):
    """Images, masks and depth maps in files, kept at 8 bits per colour in a :class:`ByteCache`.

    Args:
        plans: one per view.
        background: what transparent and masked-out pixels show.
        masks: "object" paints everything outside the masks in the background colour, "keep" only offers them,
            "ignore" reads neither mask files nor alpha.
        depth_unit: scene units per unit of the capture.
        cache: holds decoded pixels.
    """

    def __init__(
        self,
        plans: Sequence[ImagePlan],
        background: tuple[float, float, float],
        masks: MaskUse,
        has_masks: bool,
        depth_unit: float,
        cache: ByteCache,
    ) -> None:
        self._plans, self._background, self._use = tuple(plans), torch.tensor(background), masks
        self._unit, self._cache = depth_unit, cache
        self.has_masks = has_masks
        self.has_depths = any(plan.files.depth is not None for plan in plans)

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        """Colours in [0, 1]; raises ``DataError`` naming the file when it cannot be decoded."""
        stored = self._cache.get(("pixels", index), lambda: self._decode(index))
        return stored[..., :3].float() / 255

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        stored = self._cache.get(("pixels", index), lambda: self._decode(index))
        return stored[..., 3].float() / 255

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        raw = self._cache.get(("depth", index), lambda: self._decode_depth(index))
        return raw * self._unit

    def _decode(self, index: int) -> Tensor:
        """Colours and, where the capture has masks, coverage as a fourth channel, uint8."""
        plan = self._plans[index]
        pixels = decode(plan.files.image, plan.transpose)
        rgb, alpha = pixels[..., :3], pixels[..., 3:]
        if self._use != "ignore":
            rgb = rgb * alpha + self._background * (1 - alpha)
        if plan.files.mask is not None and self._use != "ignore":
            mask = decode(plan.files.mask, plan.transpose)[..., :1]
            mask = resize(mask, (rgb.shape[1], rgb.shape[0]))
            alpha = alpha * mask
            if self._use == "object":
                rgb = rgb * mask + self._background * (1 - mask)
        whole = torch.cat([rgb, alpha], dim=-1) if self.has_masks else rgb
        return (resize(whole, plan.size) * 255).round().to(torch.uint8)

    def _decode_depth(self, index: int) -> Tensor:
        plan = self._plans[index]
        width, height = plan.size
        if plan.files.depth is None:
            return torch.zeros(height, width)
        raw = read_depth(plan.files.depth) * plan.files.depth_scale
        # Nearest: a mean of foreground and background depth is a place where nothing is.
        return F.interpolate(raw[None, None], (height, width), mode="nearest-exact")[0, 0]


def resize(image: Float[Tensor, "h w c"], size: tuple[int, int]) -> Float[Tensor, "h2 w2 c"]:
    """Area-averaged to (width, height)."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    return F.interpolate(image.permute(2, 0, 1)[None], (height, width), mode="area")[0].permute(1, 2, 0)


def decode(path: Path, transpose: bool = False) -> Float[Tensor, "h w 4"]:
    """RGBA in [0, 1], not premultiplied; alpha is 1 where the file has none."""
    try:
        with Image.open(path) as image:
            return _to_rgba(image)
    except FileNotFoundError:
        raise DataError("An image is missing", where=path, cure="restore it, or leave its view out") from None
    except Exception as error:
        raise DataError("An image cannot be read", where=path, why=str(error)) from error


def _to_rgba(image: Image.Image) -> Tensor:
    if image.mode.startswith(("I", "F")):
        grey = torch.from_numpy(np.array(image, dtype=np.float32)) / 65535
        return torch.cat([grey[..., None].expand(-1, -1, 3), torch.ones_like(grey)[..., None]], dim=-1)
    return torch.from_numpy(np.array(image.convert("RGBA"), dtype=np.float32)) / 255


def read_depth(path: Path) -> Float[Tensor, "h w"]:
    """Stored depth values, not yet scaled."""
    if path.suffix == ".npy":
        return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image, dtype=np.float32))
