"""What feeds a training: batches that depend on the seed and the step alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from novelview.errors import ConfigError
from novelview.geometry.lenses import Lens
from novelview.geometry.rays import Rays
from novelview.random import generator_for
from novelview.types import RayBatch, Sample, Views


class Sampler(ABC):
    """An endless, stateless sequence of batches."""

    @abstractmethod
    def batch(self, step: int, index: int = 0, count: int = 1) -> RayBatch | Sample:
        """Slice ``index`` of ``count`` equal slices of the global batch of ``step``.

        The slices of one step together are the batch that ``count=1`` gives, in order.
        """


class RaySampler(Sampler):
    """Random pixels of all views, uniformly, with their rays and colours."""

    def __init__(
        self,
        views: Views,
        batch: int,
        seed: int,
        *,
        one_view_per_step: bool = False,
        centre_crop_steps: int = 0,
    ) -> None:
        if not len(views):
            raise ConfigError("There is no view to sample rays from")
        self._views, self._batch, self._seed = views, batch, seed
        self._one_view, self._crop_steps = one_view_per_step, centre_crop_steps
        self._sizes = views.cameras.sizes
        self._pixels = self._sizes.prod(dim=-1)
        self._ends = self._pixels.cumsum(0)
        images = [(views.image(i).reshape(-1, 3) * 255).round().to(torch.uint8) for i in range(len(views))]
        self._colours = torch.cat(images)
        self._masks = (
            torch.cat([views.mask(i).flatten() for i in range(len(views))]) if views.has_masks else None
        )
        self._depths = (
            torch.cat([views.depth(i).flatten() for i in range(len(views))]) if views.has_depths else None
        )

    def batch(self, step: int, index: int = 0, count: int = 1) -> RayBatch:
        if self._batch % count:
            raise ConfigError(f"A batch of {self._batch} rays cannot be cut into {count} equal slices")
        rows = self._batch // count
        view, pixel = self._draw(step)
        chosen = slice(index * rows, (index + 1) * rows)
        return self._gather(view[chosen], pixel[chosen])

    def _draw(self, step: int) -> tuple[Tensor, Tensor]:
        """View and pixel (x, y) of every ray of a step."""
        generator = generator_for(self._seed, "rays", step)
        if self._one_view:
            view = torch.randint(len(self._views), (1,), generator=generator).expand(self._batch)
        else:
            drawn = torch.randint(int(self._ends[-1]), (self._batch,), generator=generator)
            view = torch.searchsorted(self._ends, drawn, right=True)
        size = self._sizes[view]
        spread = torch.rand(self._batch, 2, generator=generator)
        if step < self._crop_steps:
            spread = 0.25 + spread / 2
        return view, torch.minimum((spread * size).long(), size - 1)

    def _gather(self, view: Tensor, pixel: Tensor) -> RayBatch:
        cameras = self._views.cameras
        flat = (self._ends - self._pixels)[view] + pixel[:, 1] * self._sizes[view, 0] + pixel[:, 0]
        centre = pixel + 0.5
        if bool((cameras.lens != Lens.PINHOLE).any()):
            found = cameras[view].rays_through(centre[:, None]).reshape(len(view))
        else:
            local = (centre - cameras.intrinsics[view, 2:]) / cameras.intrinsics[view, :2]
            local = torch.cat([local, torch.ones_like(local[:, :1])], dim=-1)
            found = Rays(cameras.centres[view], (cameras.rotations[view] @ local[..., None])[..., 0])
        return RayBatch(
            rays=found,
            rgb=self._colours[flat].float() / 255,
            view=view,
            mask=None if self._masks is None else self._masks[flat],
            depth=None if self._depths is None else self._depths[flat],
        )
