"""Photographs of a capture, read when they are asked for and kept in memory within a budget."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.data.decode import read_depth, read_image, read_mask
from novelview.data.fitting import ImagePlan, MaskUse
from novelview.data.sparse import KeyPoints
from novelview.geometry.images import resize_area
from novelview.types import ImageSource

WHITE = (1.0, 1.0, 1.0)


def system_memory() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's if that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 8 << 30  # Windows does not say; most machines have this much.
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total


class ByteCache:
    """Tensors by key; the least recently used leave when the budget would be exceeded. Thread-safe.

    Args:
        budget: most bytes held at any moment; a tensor larger than that is never held.
    """

    def __init__(self, budget: int) -> None:
        self.budget, self.held = budget, 0
        self._entries: OrderedDict[object, Tensor] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, make: Callable[[], Tensor]) -> Tensor:
        """The tensor of ``key``, made when it is not held. Callers must not write into it."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        # Made outside the lock: two threads may make the same tensor, but none waits for another's disk.
        value = make()
        with self._lock:
            if key not in self._entries and value.nbytes <= self.budget:
                while self.held + value.nbytes > self.budget:
                    _, oldest = self._entries.popitem(last=False)
                    self.held -= oldest.nbytes
                self._entries[key] = value
                self.held += value.nbytes
        return value


class FileImages(ImageSource):
    """Images, masks and depth maps in files, decoded when asked for, kept at 8 bits per colour.

    Args:
        plans: one per view.
        cache: holds decoded pixels.
        background: what transparent and masked-out pixels show.
        masks: what to do with mask files: "object" paints everything outside in the background colour, "keep"
            offers them and leaves the pixels; "ignore" reads neither mask files nor alpha.
        has_masks: whether coverage is offered.
        depth_unit: scene units per unit of the capture.
        key_points: sparse points that views see, in units of the capture.
    """

    def __init__(
        self,
        plans: Sequence[ImagePlan],
        cache: ByteCache,
        *,
        background: tuple[float, float, float] = WHITE,
        masks: MaskUse = "object",
        has_masks: bool = False,
        depth_unit: float = 1.0,
        key_points: KeyPoints | None = None,
    ) -> None:
        self._plans, self._cache, self._masks, self._unit = tuple(plans), cache, masks, depth_unit
        self._background = torch.tensor(background)
        self.has_masks = has_masks
        self.has_depths = any(plan.files.depth is not None for plan in plans)
        self._key_points = key_points
        self.has_sparse_depths = key_points is not None

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        """Colours in [0, 1]; raises ``DataError`` naming the file when it cannot be decoded."""
        return self._pixels(index)[..., :3].float() / 255

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        """Foreground coverage in [0, 1]: mask file times alpha; only where ``has_masks``."""
        return self._pixels(index)[..., 3].float() / 255

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        """Depth along z in scene units, 0 where unknown or where the view has no depth file."""
        return self._cache.get(("depth", index), lambda: self._decode_depth(index)) * self._unit

    def sparse_depth(self, index: int) -> Float[Tensor, "h w"]:
        """Depth along z, in scene units, of the sparse points that the view sees; 0 elsewhere. Made anew each time."""
        assert self._key_points is not None
        return self._key_points.depth(index) * self._unit

    def with_depth_unit(self, unit: float) -> FileImages:
        """The same pixels from the same cache in a scene whose unit differs."""
        return FileImages(
            self._plans,
            self._cache,
            background=tuple(self._background.tolist()),
            masks=self._masks,
            has_masks=self.has_masks,
            depth_unit=unit,
            key_points=self._key_points,
        )

    def _pixels(self, index: int) -> Tensor:
        return self._cache.get(("pixels", index), lambda: self._decode(index))

    def _decode(self, index: int) -> Tensor:
        """Colours and, where the source has masks, coverage as a fourth channel, uint8."""
        plan = self._plans[index]
        pixels = read_image(plan.files.image, turn=plan.turn)
        rgb, alpha = pixels[..., :3], pixels[..., 3:]
        if alpha.shape[-1] and self._masks != "ignore":
            rgb = rgb * alpha + self._background * (1 - alpha)
        if self.has_masks:
            rgb, alpha = self._masked(plan, rgb, alpha)
            rgb = torch.cat([rgb, alpha], dim=-1)
        return (resize_area(rgb, *plan.size) * 255).round().to(torch.uint8)

    def _masked(self, plan: ImagePlan, rgb: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        coverage = alpha if alpha.shape[-1] else torch.ones_like(rgb[..., :1])
        if plan.files.mask is None:
            return rgb, coverage
        mask = read_mask(plan.files.mask, turn=plan.turn)
        mask = resize_area(mask, rgb.shape[1], rgb.shape[0])
        if self._masks == "object":
            rgb = rgb * mask + self._background * (1 - mask)
        return rgb, coverage * mask

    def _decode_depth(self, index: int) -> Tensor:
        plan = self._plans[index]
        width, height = plan.size
        if plan.files.depth is None:
            return torch.zeros(height, width)
        stored = read_depth(plan.files.depth) * plan.files.depth_scale
        # Nearest: the mean of a near and a far depth is a place where nothing is.
        return F.interpolate(stored[None, None], (height, width), mode="nearest-exact")[0, 0]
