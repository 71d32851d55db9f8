"""The next step's batch, made and read from disk while the present step runs on an accelerator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from novelview.data.samplers import Sampler
from novelview.types import Batch, ImageSource, RayBatch, Views

Slices = tuple[tuple[int, int], ...]
"""(index, count) of the slices of a step that are wanted, as :meth:`Sampler.batch` takes them."""


class Ahead:
    """Batches of a sampler whose pixels are in memory: those of a step, while those of the next one are being made.

    The sampler is called from one thread only, which is not the caller's; its ``concurrent`` says whether it may be. What
    it gives, and any error, is what it would have given without this.

    Args:
        sampler: stateless, as all are.
        slices: what is wanted of every step.
    """

    def __init__(self, sampler: Sampler, slices: Slices) -> None:
        self._sampler, self._slices = sampler, slices
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._readers = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="pixels")
        self._step = -1
        self._next: Future[list[Batch]] | None = None

    def batches(self, step: int) -> list[Batch]:
        """The slices of ``step``; those of the step after it begin to be made."""
        due = self._next if self._next is not None and self._step == step else self._begin(step)
        made = due.result()
        self._step, self._next = step + 1, self._begin(step + 1)
        return made

    def close(self) -> None:
        """End the threads; what they are at is finished first."""
        self._maker.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)

    def _begin(self, step: int) -> Future[list[Batch]]:
        return self._maker.submit(self._make, step)

    def _make(self, step: int) -> list[Batch]:
        return [self._read(self._sampler.batch(step, index, count)) for index, count in self._slices]

    def _read(self, batch: Batch) -> Batch:
        """The same batch with colours in memory; what several samples have in common is read for each."""
        if isinstance(batch, RayBatch):
            return batch
        parts = [views for sample in batch for views in (sample.sources, sample.targets)]
        images = [[self._readers.submit(views.image, i) for i in range(len(views))] for views in parts]
        held = [
            _held(views, [image.result() for image in each])
            for views, each in zip(parts, images, strict=True)
        ]
        return tuple(
            replace(sample, sources=sources, targets=targets)
            for sample, sources, targets in zip(batch, held[::2], held[1::2], strict=True)
        )


def _held(views: Views, images: Sequence[Tensor]) -> Views:
    return replace(views, source=_HeldImages(views, images), indices=tuple(range(len(views))))


class _HeldImages(ImageSource):
    """Colours in memory, of any sizes; masks and depths as ``views`` has them."""

    def __init__(self, views: Views, images: Sequence[Tensor]) -> None:
        self._views, self._images = views, images
        self.has_masks, self.has_depths = views.has_masks, views.has_depths

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._images[index]

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return self._views.mask(index)

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        return self._views.depth(index)
