"""What feeds a training: batches that depend on the seed and the step alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from novelview.types import RayBatch, Sample


class Sampler(ABC):
    """An endless, stateless sequence of batches."""

    @abstractmethod
    def batch(self, step: int, index: int = 0, count: int = 1) -> RayBatch | Sample:
        """Slice ``index`` of ``count`` equal slices of the global batch of ``step``.

        The slices of one step together are the batch that ``count=1`` gives, in order.
        """
