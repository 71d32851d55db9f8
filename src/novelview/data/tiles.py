"""Batches of square pieces of images, for networks that make many pixels of one ray."""

from __future__ import annotations

import torch
from torch import Tensor

from novelview.data.samplers import PixelSampler, slice_rows
from novelview.errors import ConfigError, DataError
from novelview.random import generator_for
from novelview.types import Views


class TileSampler(PixelSampler):
    """Square tiles at random places of all views.

    A batch holds them tile by tile, and each row by row: ``batch.rays.reshape(tiles, tile, tile)``. Tiles begin at any
    pixel. Their middles are uniform over the images, and those that would reach beyond are pushed back inside, so that
    pixels at the border are not seldom seen.

    Args:
        views: at least one, each at least ``tile`` pixels wide and high.
        batch: rays per step, a multiple of ``tile * tile``.
        seed: of the draws.
        tile: side of a tile in pixels.
        memory: bytes of pixels kept; None: a quarter of the memory there is.
        known_share: this share of the tiles begins at a pixel of the object whose depth is known, but for those that would
            reach beyond their image and have it elsewhere in them; see :class:`~novelview.data.samplers.PixelSampler`.

    Raises:
        ConfigError: no view, a view smaller than a tile, or a batch that is not made of whole tiles; from ``batch``, slices
            that are not; or ``known_share`` is no share, or more than 0 without depths.
        DataError: a lens model gives no ray for some pixels.
    """

    def __init__(
        self,
        views: Views,
        batch: int,
        seed: int,
        *,
        tile: int,
        memory: int | None = None,
        known_share: float = 0.0,
    ) -> None:
        if not len(views) or batch < 1 or batch % tile**2:
            raise ConfigError(
                f"Cannot draw {batch} rays in tiles of {tile}x{tile} from {len(views)} views",
                why=f"a tile has {tile**2} rays",
                cure=f"set batch to a multiple of {tile**2}, and give at least one view",
            )
        _check_sizes(views, tile)
        super().__init__(views, seed, memory, known_share)
        if not self._lenses.complete:
            raise DataError(
                "A lens model gives no ray for some pixels",
                why="tiles need a ray through each of their pixels",
                cure="undistort the photographs, or use a method that learns single rays",
            )
        self._tiles, self._side = batch // tile**2, tile

    def _rows(self, index: int, count: int) -> range:
        if self._tiles % count:
            raise ConfigError(
                f"{self._tiles} tiles cannot be cut into {count} equal slices",
                cure=f"set batch to a multiple of processes x accumulation x {self._side**2}",
            )
        return slice_rows(self._tiles * self._side**2, index, count)

    def _draw(self, step: int, slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        generator = generator_for(self._seed, "tiles", step)
        slot = self._draw_slots(slots, self._tiles, generator)
        sizes = self._cameras.sizes[slots[slot]]
        middles = torch.rand(self._tiles, 2, generator=generator, dtype=torch.float64) * sizes
        corners = (middles - self._side / 2).round().long().clamp(min=0)
        corners = self._some_known(step, slots[slot], slot, corners)
        left, top = torch.minimum(corners, sizes - self._side).unbind(-1)
        along = torch.arange(self._side)
        x = (left[:, None, None] + along).expand(-1, self._side, -1)
        y = (top[:, None, None] + along[:, None]).expand(-1, -1, self._side)
        return slot.repeat_interleave(self._side**2), x.flatten(), y.flatten()


def _check_sizes(views: Views, tile: int) -> None:
    small = torch.nonzero((views.cameras.sizes < tile).any(dim=-1))[:, 0].tolist()
    if small:
        width, height = views.cameras.sizes[small[0]].tolist()
        least = int(views.cameras.sizes.min())
        raise ConfigError(
            f"{len(small)} of {len(views)} images are smaller than a tile of {tile}x{tile}",
            where=views.names[small[0]],
            why=f"this one has {width}x{height} pixels",
            cure=f"set tile to {least} at most, or give larger images",
        )
