"""What feeds a training: batches that depend on the seed and the step alone."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.images import system_memory
from novelview.errors import ConfigError, DataError
from novelview.geometry.lenses import Lens
from novelview.geometry.rays import Rays
from novelview.random import generator_for
from novelview.types import Batch, RayBatch, Views

MEMORY_SHARE = 4  # Pixels to sample from may fill one part in this many of the memory, unless told otherwise.
TURN_STEPS = 200  # Steps between two exchanges of images that do not all fit in memory,
TURN_SHARE = 8  # of one part in this many.


class Sampler(ABC):
    """An endless, stateless sequence of batches.

    Attributes:
        concurrent: whether another thread than the one that made it may call it, one at a time.
    """

    concurrent: ClassVar[bool] = False

    @abstractmethod
    def batch(self, step: int, index: int = 0, count: int = 1) -> Batch:
        """Slice ``index`` of ``count`` equal slices of the global batch of ``step``.

        The slices of one step together are the batch that ``count=1`` gives, in order.
        """


class PixelSampler(Sampler, ABC):
    """Pixels of views as rays with colours, and masks and depths where there are any. Abstract.

    Colours are kept at 8 bits. Images that do not fit in memory take turns: which ones are present depends on
    seed and step alone, so that a resumed training sees what an uninterrupted one would have seen. Images are read when
    a batch first needs them; ``batch`` raises ``DataError`` where one cannot be read.

    Args:
        views: at least one.
        seed: of the draws.
        memory: bytes of pixels kept; None: a quarter of the memory there is.
        known_share: this share of what is drawn goes to pixels of the object whose depth is known, evenly over those of
            each view; for depths so sparse that random pixels would hardly ever have one.

    Raises:
        ConfigError: ``known_share`` is no share, or more than 0 without depths.
        DataError: a lens model gives no ray for any pixel.
    """

    concurrent = True

    def __init__(self, views: Views, seed: int, memory: int | None, known_share: float = 0.0) -> None:
        if not 0 <= known_share <= float(views.has_depths):
            raise ConfigError(
                f"Cannot draw a share of {known_share} of the pixels where depths are known",
                why=None if views.has_depths else "the views have no depths",
                cure="give a share from 0 to 1, and 0 without depths",
            )
        self._seed, self._cameras, self._known_share = seed, views.cameras, known_share
        self._lenses = _LensTable(views.cameras)
        budget = (system_memory() // MEMORY_SHARE if memory is None else memory) - self._lenses.nbytes
        self._pixels = _PixelStore(views, seed, budget)

    def batch(self, step: int, index: int = 0, count: int = 1) -> RayBatch:
        rows = self._rows(index, count)
        slots = self._pixels.turn_to(step)
        slot, x, y = (drawn[rows.start : rows.stop] for drawn in self._draw(step, slots))
        view = slots[slot]
        x, y = self._lenses.usable(view, x, y)
        rgb, mask, depth = self._pixels.read(slot, y * self._cameras.sizes[view, 0] + x)
        return RayBatch(self._rays(view, x, y), rgb, view, len(self._cameras), mask, depth)

    @abstractmethod
    def _rows(self, index: int, count: int) -> range:
        """Which rows of a global batch belong to slice ``index`` of ``count`` equal ones; ``ConfigError`` where none do."""

    @abstractmethod
    def _draw(self, step: int, slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slot and pixel (x, y) of every ray of the global batch; ``slots`` holds the view in each slot."""

    def _draw_slots(self, slots: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """``count`` slots, as often as they have pixels."""
        ends = self._cameras.sizes[slots].prod(dim=-1).cumsum(0)
        return torch.searchsorted(
            ends, torch.randint(int(ends[-1]), (count,), generator=generator), right=True
        )

    def _some_known(self, step: int, view: Tensor, slot: Tensor, pixel: Tensor) -> Tensor:
        """Pixels (n, 2) of views that are in slots, of which ``known_share`` gives way to known ones of the same view."""
        if not self._known_share:
            return pixel
        places, counts = self._pixels.known()
        # Evenly among the others, so that slices of a batch have equally many.
        turns = (torch.arange(len(slot) + 1, dtype=torch.float64) * self._known_share).floor()
        some = (turns[1:] > turns[:-1]) & (counts[slot] > 0)
        share = torch.rand(
            len(slot), generator=generator_for(self._seed, "known pixels", step), dtype=torch.float64
        )
        slot, width = slot[some], self._cameras.sizes[view[some], 0]
        within = torch.minimum((share[some] * counts[slot]).long(), counts[slot] - 1)
        place = places[(counts.cumsum(0) - counts)[slot] + within]
        known = torch.stack([place % width, place // width], dim=-1)
        return pixel.index_put((torch.nonzero(some)[:, 0],), known)

    def _rays(self, view: Tensor, x: Tensor, y: Tensor) -> Rays:
        local = self._lenses.directions(view, x, y)
        directions = (self._cameras.rotations[view] @ local[..., None])[..., 0]
        return Rays(self._cameras.centres[view], directions)


class RaySampler(PixelSampler):
    """Random pixels, uniformly over all views.

    Args:
        views: at least one.
        batch: rays per step.
        seed: of the draws.
        one_view_per_step: all rays of a step come from one view (NeRF's synthetic scenes, as in R2L).
        centre_crop_steps: for so many steps, draw from the central half of width and height only.
        memory: bytes of pixels kept; None: a quarter of the memory there is.
        known_share: see :class:`PixelSampler`; these may lie beside the central half.

    Raises:
        ConfigError: no view, or no ray to draw; or ``known_share`` is no share, or more than 0 without depths.
        DataError: a lens model gives no ray for any pixel.
    """

    def __init__(
        self,
        views: Views,
        batch: int,
        seed: int,
        *,
        one_view_per_step: bool = False,
        centre_crop_steps: int = 0,
        memory: int | None = None,
        known_share: float = 0.0,
    ) -> None:
        if not len(views) or batch < 1:
            raise ConfigError(
                f"Cannot draw {batch} rays from {len(views)} views", cure="at least one of each"
            )
        super().__init__(views, seed, memory, known_share)
        self._size, self._one_view, self._crop_steps = batch, one_view_per_step, centre_crop_steps

    def _rows(self, index: int, count: int) -> range:
        return slice_rows(self._size, index, count)

    def _draw(self, step: int, slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        generator = generator_for(self._seed, "rays", step)
        if self._one_view:
            slot = torch.randint(len(slots), (1,), generator=generator).expand(self._size)
        else:
            slot = self._draw_slots(slots, self._size, generator)
        sizes = self._cameras.sizes[slots[slot]]
        share = torch.rand(self._size, 2, generator=generator, dtype=torch.float64)
        if step < self._crop_steps:
            share = 0.25 + share / 2
        pixel = torch.minimum((share * sizes).long(), sizes - 1)
        x, y = self._some_known(step, slots[slot], slot, pixel).unbind(-1)
        return slot, x, y


def slice_rows(size: int, index: int, count: int) -> range:
    """Which rows of a global batch belong to slice ``index`` of ``count`` equal ones."""
    if size % count or not 0 <= index < count:
        raise ConfigError(
            f"A batch of {size} cannot be cut into {count} equal slices",
            cure="choose a batch that is a multiple of processes x accumulation",
        )
    return range(index * size // count, (index + 1) * size // count)


class _PixelStore:
    """Colours, masks and depths of as many views as fit, in slots of the size of the largest image."""

    def __init__(self, views: Views, seed: int, budget: int) -> None:
        count, area = len(views), int(views.cameras.sizes.prod(dim=-1).max())
        slot_bytes = area * (3 + int(views.has_masks) + 4 * int(views.has_depths))
        held = min(count, max(1, budget // slot_bytes))
        self._views, self._area = views, area
        # Views that all fit never move; otherwise they pass by in a shuffled circle.
        shuffled = torch.randperm(count, generator=generator_for(seed, "order of views"))
        self._order = torch.arange(count) if held == count else shuffled
        self._present = [-1] * held
        self._colours = torch.zeros(held * area, 3, dtype=torch.uint8)
        self._masks = torch.zeros(held * area, dtype=torch.uint8) if views.has_masks else None
        self._depths = torch.zeros(held * area) if views.has_depths else None
        self._known: dict[int, Tensor] = {}

    def turn_to(self, step: int) -> Tensor:
        """Load what is due at ``step``; returns which view each slot holds."""
        held, count = len(self._present), len(self._order)
        turn = 0 if held == count else step // TURN_STEPS
        start = turn * max(1, held // TURN_SHARE)
        due = [(q % held, int(self._order[q % count])) for q in range(start, start + held)]
        missing = [(slot, view) for slot, view in due if self._present[slot] != view]
        if missing:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                list(pool.map(lambda item: self._load(*item), missing))
        return torch.tensor(self._present)

    def read(self, slot: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Colour, mask and depth of pixels given by their row-major position."""
        place = slot * self._area + pixel
        mask = None if self._masks is None else self._masks[place].float() / 255
        return self._colours[place].float() / 255, mask, None if self._depths is None else self._depths[place]

    def known(self) -> tuple[Tensor, Tensor]:
        """Row-major pixels with known depth and no less than half on the mask, slot by slot; and how many each has."""
        for slot in range(len(self._present)):
            if slot not in self._known:
                self._known[slot] = torch.nonzero(self._is_known(slot))[:, 0]
        parts = [self._known[slot] for slot in range(len(self._present))]
        return torch.cat(parts), torch.tensor([len(part) for part in parts])

    def _is_known(self, slot: int) -> Tensor:
        pixels = int(self._views.cameras.sizes[self._present[slot]].prod())
        place = slice(slot * self._area, slot * self._area + pixels)
        assert self._depths is not None
        known = self._depths[place] > 0
        return known if self._masks is None else known & (self._masks[place] >= 128)

    def _load(self, slot: int, view: int) -> None:
        self._known.pop(slot, None)
        pixels = int(self._views.cameras.sizes[view].prod())
        place = slice(slot * self._area, slot * self._area + pixels)
        self._colours[place] = (self._views.image(view).reshape(-1, 3) * 255).round().to(torch.uint8)
        if self._masks is not None:
            self._masks[place] = (self._views.mask(view).reshape(-1) * 255).round().to(torch.uint8)
        if self._depths is not None:
            self._depths[place] = self._views.depth(view).reshape(-1)
        self._present[slot] = view


class _LensTable:
    """Directions of single pixels in camera coordinates.

    Undoing a distortion is an iteration, too slow for every batch: each different camera gets a table.
    """

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._start = torch.full((len(cameras),), -1)
        tables: dict[tuple[float, ...], int] = {}
        parts, length = [torch.zeros(0, 2)], 0
        for i in torch.nonzero(cameras.lens != Lens.PINHOLE)[:, 0].tolist():
            facts = (cameras.lens[i : i + 1], cameras.sizes[i], cameras.intrinsics[i], cameras.distortion[i])
            key = tuple(torch.cat([fact.double() for fact in facts]).tolist())
            if key not in tables:
                tables[key] = length
                parts.append(_straightened(cameras[i]))
                length += len(parts[-1])
            self._start[i] = tables[key]
        self._table = torch.cat(parts)
        self._stand_in = self._stand_ins()
        self.nbytes = self._table.nbytes + (0 if self._stand_in is None else self._stand_in.nbytes)

    def usable(self, view: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same pixels, but others of the same view for those that no ray passes through."""
        if self._stand_in is None:
            return x, y
        width, start = self._cameras.sizes[view, 0], self._start[view]
        pixel = torch.where(start >= 0, self._stand_in[start.clamp(min=0) + y * width + x], y * width + x)
        return pixel % width, pixel // width

    @property
    def complete(self) -> bool:
        """Whether a ray passes through every pixel of every view."""
        return self._stand_in is None

    def directions(self, view: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Directions with z = 1 through the pixels' centres."""
        cameras = self._cameras
        centre = torch.stack([x, y], dim=-1) + 0.5
        local = (centre - cameras.intrinsics[view, 2:]) / cameras.intrinsics[view, :2]
        if len(self._table):
            start = self._start[view]
            place = start.clamp(min=0) + y * cameras.sizes[view, 0] + x
            local = torch.where(
                (start >= 0)[:, None], self._table[place.clamp(max=len(self._table) - 1)], local
            )
        return torch.cat([local, torch.ones_like(local[:, :1])], dim=-1)

    def _stand_ins(self) -> Tensor | None:
        """For each pixel of the tables a pixel of the same camera with a ray: itself, or else any other."""
        lost = self._table.isnan().any(dim=-1)
        if not bool(lost.any()):
            return None
        stand_in = torch.zeros(len(self._table), dtype=torch.long)
        starts = [*sorted(set(self._start[self._start >= 0].tolist())), len(self._table)]
        for begin, end in pairwise(starts):
            good = torch.nonzero(~lost[begin:end])[:, 0]
            if not len(good):
                raise DataError("A lens model gives no ray for any pixel", cure="check the distortion values")
            others = torch.randint(len(good), (end - begin,), generator=generator_for(0, "stand-ins"))
            stand_in[begin:end] = torch.where(lost[begin:end], good[others], torch.arange(end - begin))
        return stand_in


def _straightened(camera: Cameras) -> Tensor:
    """(x/z, y/z) of every pixel of one camera, row-major; NaN where the lens has no ray."""
    directions = camera.rays().directions.reshape(-1, 3) @ camera.rotations[0]
    return directions[:, :2] / directions[:, 2:]
