"""Pixels whose depth is known get their share of each batch, and nothing else changes."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.samplers import TURN_SHARE, TURN_STEPS, PixelSampler, RaySampler
from novelview.data.tiles import TileSampler
from novelview.errors import ConfigError
from novelview.types import ImageSource, RayBatch, Views

SIZES = ((40, 24), (18, 60), (32, 32))
# Of each view (x, y): known on the object. The last one has none.
KNOWN = (((3, 5), (39, 23), (0, 7)), ((17, 0),), ())


class Dotted(ImageSource):
    """Pixels that say where they are; depth at ``KNOWN``, and at one pixel beside the object."""

    has_masks = has_depths = True

    def __init__(self, copies: int = 1) -> None:
        self.sizes, self.known = SIZES * copies, KNOWN * copies

    def image(self, index: int) -> Tensor:
        width, height = self.sizes[index]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        return torch.stack([torch.full_like(x, index), x, y], dim=-1) / 255

    def mask(self, index: int) -> Tensor:
        width, height = self.sizes[index]
        mask = torch.ones(height, width)
        mask[10, 10] = 0.4
        return mask

    def depth(self, index: int) -> Tensor:
        width, height = self.sizes[index]
        depth = torch.zeros(height, width)
        depth[10, 10] = 9.0
        for x, y in self.known[index]:
            depth[y, x] = 1 + index
        return depth


def views(copies: int = 1) -> Views:
    parts = [
        Cameras.pinhole(torch.eye(4)[None, :3], torch.tensor([21.0, 23.0, 8.0, 9.0]), *size) for size in SIZES
    ]
    cameras = Cameras.concatenate(parts * copies)
    count = len(cameras)
    return Views(cameras, tuple(map(str, range(count))), Dotted(copies), tuple(range(count)))


def places(batch: RayBatch) -> Tensor:
    """View, column and row of every ray."""
    return (batch.rgb * 255).round().long()


def sampler(kind: str, share: float, batch: int, seed: int = 0, **options: int) -> PixelSampler:
    if kind == "rays":
        return RaySampler(views(), batch, seed, known_share=share, **options)
    return TileSampler(views(), batch, seed, tile=2, known_share=share, **options)


def test_every_so_many_rays_go_to_a_known_pixel_of_their_view() -> None:
    plain, some = (places(sampler("rays", share, 4000).batch(3)) for share in (0.0, 0.25))
    changed = (plain != some).any(dim=-1)
    here = torch.arange(4000) % 4 == 3
    assert not bool((changed & ~here).any())
    # Which view rays are of does not change, and those of a view without known pixels stay.
    assert torch.equal(plain[:, 0], some[:, 0])
    assert not bool(changed[plain[:, 0] == 2].any())
    drawn = Counter(map(tuple, some[here & (plain[:, 0] < 2)].tolist()))
    assert set(drawn) == {(view, x, y) for view, known in enumerate(KNOWN) for x, y in known}
    of_the_first = [drawn[0, x, y] for x, y in KNOWN[0]]
    assert min(of_the_first) > 0.7 * sum(of_the_first) / 3


def test_depths_and_rays_of_known_pixels_belong_to_them() -> None:
    batch = sampler("rays", 0.5, 200).batch(0)
    assert batch.depth is not None
    view, x, y = places(batch).unbind(-1)
    assert torch.equal(batch.view, view)
    for i in range(3):
        here = view == i
        rays = views().cameras[i].rays()[0]
        torch.testing.assert_close(batch.rays.directions[here], rays.directions[y[here], x[here]])
        torch.testing.assert_close(batch.depth[here], Dotted().depth(i)[y[here], x[here]])
    half = batch.depth[1::2][view[1::2] < 2]
    assert bool(((half == 1) | (half == 2)).all())


def test_tiles_begin_at_known_pixels_or_hold_them() -> None:
    batch = sampler("tiles", 0.25, 4 * 1000).batch(5)
    plain = places(sampler("tiles", 0.0, 4 * 1000).batch(5)).reshape(-1, 4, 3)
    found = places(batch).reshape(-1, 4, 3)
    assert torch.equal(
        found - found[:, :1], torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]]).expand(1000, 4, 3)
    )
    here = (torch.arange(1000) % 4 == 3) & (plain[:, 0, 0] < 2)
    assert torch.equal(found[~here], plain[~here])
    # A tile at the last pixel of an image, or of a row, is pushed back.
    assert set(map(tuple, found[here][:, 0].tolist())) == {(0, 3, 5), (0, 38, 22), (0, 0, 7), (1, 16, 0)}
    assert batch.depth is not None
    assert bool((batch.depth.reshape(-1, 4)[here] > 0).any(dim=-1).all())


@pytest.mark.parametrize("kind", ["rays", "tiles"])
@pytest.mark.parametrize("share", [0.25, 0.3, 1.0])
def test_slices_are_the_batch_and_it_depends_on_seed_and_step_alone(kind: str, share: float) -> None:
    one, other = (sampler(kind, share, 96) for _ in range(2))
    other.batch(8)
    whole, parts = one.batch(7), [other.batch(7, i, 4) for i in range(4)]
    assert torch.equal(torch.cat([part.rgb for part in parts]), whole.rgb)
    assert not torch.equal(sampler(kind, share, 96, seed=1).batch(7).rgb, whole.rgb)
    assert not torch.equal(one.batch(8).rgb, whole.rgb)


def test_images_that_take_turns_take_their_known_pixels_along() -> None:
    """What is drawn is known in the image that is there now, and the same after a resume."""
    many = views(TURN_SHARE)
    memory = TURN_SHARE * 60 * 32 * 8
    one = RaySampler(many, 300, 0, memory=memory, known_share=0.5)
    for turn in range(4):
        batch = one.batch(turn * TURN_STEPS)
        view, x, y = places(batch)[1::2].unbind(-1)
        for place in zip(view.tolist(), x.tolist(), y.tolist(), strict=True):
            if place[0] % 3 < 2:
                assert place[1:] in KNOWN[place[0] % 3]
        fresh = RaySampler(many, 300, 0, memory=memory, known_share=0.5)
        assert torch.equal(fresh.batch(turn * TURN_STEPS).rgb, batch.rgb)
    assert len(set(one.batch(0).view.tolist())) < len(many)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="where depths are known") as caught:
        sampler("rays", share, 8)
    assert caught.value.cure


@pytest.mark.parametrize("kind", [RaySampler, TileSampler])
def test_without_depths_none_is_known(kind: type[RaySampler | TileSampler]) -> None:
    bare = Views.from_tensors(views().cameras[[0]], torch.zeros(1, 24, 40, 3))
    options = {"tile": 2} if kind is TileSampler else {}
    with pytest.raises(ConfigError, match=r"a share of 0\.25") as caught:
        kind(bare, 8, 0, known_share=0.25, **options)
    assert caught.value.why == "the views have no depths"
