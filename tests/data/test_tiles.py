"""Tiles of images: whole, in order, on their rays, the same for everyone, and never of an image that is too small."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.samplers import TURN_SHARE, TURN_STEPS
from novelview.data.tiles import TileSampler
from novelview.errors import ConfigError, DataError
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import random_rotations
from novelview.random import generator_for
from novelview.types import ImageSource, RayBatch, Views

SIZES = ((20, 12), (9, 30), (16, 16))
TILE = 8


class Numbered(ImageSource):
    """Images that say of each pixel which view, column and row it is; masks and depths too."""

    has_masks = has_depths = True

    def __init__(self, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
        self._sizes = sizes

    def image(self, index: int) -> Tensor:
        width, height = self._sizes[index]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        return torch.stack([torch.full_like(x, index), x, y], dim=-1) / 255

    def mask(self, index: int) -> Tensor:
        return self.image(index)[..., 1]

    def depth(self, index: int) -> Tensor:
        return 1 + self.image(index)[..., 2]


def views() -> Views:
    poses = torch.cat([random_rotations(3, generator_for(1)), torch.eye(3)[..., None]], dim=-1)
    parts = [
        Cameras.pinhole(poses[i : i + 1], torch.tensor([21.0, 23.0, 8.0, 9.0]), *SIZES[i]) for i in range(3)
    ]
    return Views(Cameras.concatenate(parts), ("a", "b", "c"), Numbered(), (0, 1, 2))


def places(batch: RayBatch, tile: int = TILE) -> Tensor:
    """View, column and row of every pixel, (tiles, tile, tile, 3)."""
    return (batch.rgb * 255).round().long().reshape(-1, tile, tile, 3)


def test_tiles_are_whole_squares_in_order() -> None:
    found = places(TileSampler(views(), 50 * TILE**2, 0, tile=TILE).batch(3))
    along = torch.arange(TILE)
    corner = found[:, :1, :1]
    offset = torch.stack([torch.zeros(TILE, TILE), *torch.meshgrid(along, along, indexing="xy")], dim=-1)
    assert torch.equal(found, corner + offset.long())
    assert set(found[:, 0, 0, 0].tolist()) == {0, 1, 2}
    assert bool((corner[..., 1:] % 2 == 1).any())


def test_rays_and_channels_belong_to_their_pixels() -> None:
    seen = views()
    batch = TileSampler(seen, 20 * TILE**2, 0, tile=TILE).batch(0)
    view, x, y = places(batch).reshape(-1, 3).unbind(-1)
    assert torch.equal(batch.view, view)
    assert batch.views == 3
    assert batch.mask is not None
    assert batch.depth is not None
    torch.testing.assert_close(batch.mask, x / 255)
    torch.testing.assert_close(batch.depth, 1 + y / 255)
    for i in range(3):
        rays = seen.cameras[i].rays()[0]
        here = view == i
        torch.testing.assert_close(batch.rays.directions[here], rays.directions[y[here], x[here]])
        assert torch.equal(batch.rays.origins[here], rays.origins[y[here], x[here]])


@given(step=st.integers(0, 10_000), count=st.sampled_from([1, 2, 3, 6]), seed=st.integers(0, 5))
def test_slices_are_the_batch_and_it_depends_on_seed_and_step_alone(step: int, count: int, seed: int) -> None:
    one, other = (TileSampler(views(), 6 * TILE**2, seed, tile=TILE) for _ in range(2))
    other.batch(step + 1)
    whole, parts = one.batch(step), [other.batch(step, i, count) for i in range(count)]
    assert torch.equal(torch.cat([part.rgb for part in parts]), whole.rgb)
    assert torch.equal(torch.cat([part.rays.directions for part in parts]), whole.rays.directions)
    assert not torch.equal(one.batch(step + 1).rgb, whole.rgb)


def test_pixels_at_the_border_are_not_seldom_seen() -> None:
    cameras = views().cameras[[2]]
    sampler = TileSampler(Views(cameras, ("c",), Numbered(), (2,)), 4000 * 4**2, 0, tile=4)
    found = places(sampler.batch(0), 4)
    seen = torch.zeros(16, 16).index_put_(
        (found[..., 2].flatten(), found[..., 1].flatten()), torch.tensor(1.0), accumulate=True
    )
    middle = seen[5:11, 5:11].mean()
    torch.testing.assert_close(seen[0, 4:12].mean() / middle, torch.tensor(0.625), atol=0.05, rtol=0)
    assert float(seen.min() / middle) > 0.3


def test_images_of_the_size_of_a_tile_are_learnt_whole() -> None:
    sampler = TileSampler(Views(views().cameras[[2]], ("c",), Numbered(), (2,)), 256, 0, tile=16)
    assert torch.equal(places(sampler.batch(0), 16)[0], (Numbered().image(2) * 255).round().long())


def test_images_take_turns_where_memory_is_small() -> None:
    count, held = 3 * TURN_SHARE, TURN_SHARE
    cameras = Cameras.pinhole(torch.eye(4).repeat(count, 1, 1), torch.tensor([5.0, 5.0, 4.0, 4.0]), 8, 8)
    source = Numbered(((8, 8),) * count)
    many = Views(cameras, tuple(map(str, range(count))), source, tuple(range(count)))
    sampler = TileSampler(many, 40 * 64, 0, tile=8, memory=held * 64 * 8)
    seen = [set(sampler.batch(turn * TURN_STEPS).view.tolist()) for turn in range(count)]
    assert all(len(each) <= held for each in seen)
    assert set().union(*seen) == set(range(count))


@pytest.mark.parametrize(("batch", "tile"), [(100, 8), (0, 8), (63, 8)])
def test_batches_are_made_of_whole_tiles(batch: int, tile: int) -> None:
    with pytest.raises(ConfigError, match="8x8") as caught:
        TileSampler(views(), batch, 0, tile=tile)
    assert "64" in (caught.value.cure or "")


def test_slices_are_made_of_whole_tiles() -> None:
    with pytest.raises(ConfigError, match="6 tiles cannot be cut into 4"):
        TileSampler(views(), 6 * TILE**2, 0, tile=TILE).batch(0, 0, 4)


def test_an_image_smaller_than_a_tile_is_named() -> None:
    with pytest.raises(ConfigError, match="1 of 3 images are smaller than a tile of 10x10") as caught:
        TileSampler(views(), 100, 0, tile=10)
    assert caught.value.where == "b"
    assert "9x30" in (caught.value.why or "")
    assert "9 at most" in (caught.value.cure or "")
    with pytest.raises(ConfigError, match="from 0 views"):
        TileSampler(views()[[]], 64, 0, tile=8)


def test_a_lens_that_loses_pixels_is_refused() -> None:
    seen = views()[[2]]
    fisheye = replace(
        seen.cameras,
        intrinsics=torch.tensor([[4.0, 4.0, 8.0, 8.0]]),
        lens=torch.tensor([int(Lens.FISHEYE)]),
        distortion=torch.zeros(1, 8),
    )
    assert bool(fisheye.rays().directions.isnan().any())
    with pytest.raises(DataError, match="no ray for some pixels"):
        TileSampler(seen.with_cameras(fisheye), 64, 0, tile=8)


def test_a_mild_lens_is_followed() -> None:
    seen = views()[[2]]
    bent = replace(
        seen.cameras,
        lens=torch.tensor([int(Lens.OPENCV)]),
        distortion=torch.tensor([[-0.1, *[0.0] * 7]]),
    )
    batch = TileSampler(seen.with_cameras(bent), 4 * 64, 0, tile=8).batch(0)
    _, x, y = places(batch).reshape(-1, 3).unbind(-1)
    torch.testing.assert_close(batch.rays.directions, bent.rays().directions[0, y, x])


class Unreadable(Numbered):
    def image(self, index: int) -> Tensor:
        raise DataError("Cannot read an image", where="b.png")


def test_images_are_read_when_they_are_needed() -> None:
    sampler = TileSampler(replace(views(), source=Unreadable()), 64, 0, tile=8)
    with pytest.raises(DataError, match="Cannot read an image") as caught:
        sampler.batch(0)
    assert caught.value.where == "b.png"
