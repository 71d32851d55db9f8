"""LVSM's image preparation: the official arithmetic, and cameras that still belong to their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.squares import squares
from novelview.errors import ConfigError
from novelview.geometry.lenses import Lens
from novelview.types import ImageSource, Views


def ramp(width: int, height: int) -> Views:
    """One view whose red channel and mask grow along x, green and depth along y."""
    camera = Cameras.pinhole(
        torch.eye(4)[None, :3], torch.tensor([50.0, 52.0, width / 2, height / 2]), width, height
    )
    x, y = camera.pixel_grid().unbind(-1)
    image = torch.stack([x / width, y / height, torch.full_like(x, 0.5)], dim=-1)
    return Views.from_tensors(camera, image[None], image[None, ..., 0], 1 + image[None, ..., 1])


def test_images_and_intrinsics_are_the_official_ones(shared: Path) -> None:
    with np.load(shared / "fixtures/lvsm/a/data.npz") as data:
        recorded = {name: torch.from_numpy(data[name][0]) for name in data.files}
    poses = torch.linalg.inv(recorded["raw_w2c"]).float()
    cameras = Cameras.pinhole(poses, recorded["raw_fxfycxcy"].float(), 80, 45)
    views = squares(Views.from_tensors(cameras, recorded["raw_images"].float() / 255), 32)
    assert torch.equal(views.images(), recorded["image"].permute(0, 2, 3, 1))
    assert torch.equal(views.cameras.intrinsics, recorded["fxfycxcy"])
    assert views.cameras.common_size == (32, 32)
    torch.testing.assert_close(
        views.cameras.camera_to_world, recorded["c2w_before_normalisation"][:, :3], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("stored", "crop", "expected"),
    [
        ((80, 45), True, (32, 32)),
        ((80, 45), False, (56, 32)),
        ((45, 80), True, (16, 16)),
        ((45, 80), False, (16, 32)),
        ((60, 96), False, (16, 32)),  # 20 pixels are two and a half patches: ties go to the even number.
        ((84, 96), False, (32, 32)),  # As are 28 three and a half.
        ((4, 64), False, (8, 32)),
        ((32, 32), True, (32, 32)),
    ],
)
def test_the_size_is_a_multiple_of_the_patch(
    stored: tuple[int, int], crop: bool, expected: tuple[int, int]
) -> None:
    views = squares(ramp(*stored), 32, crop=crop)
    assert views.cameras.common_size == expected
    width, height = expected
    for channel in (views.image(0), views.mask(0), views.depth(0)):
        assert channel.shape[:2] == (height, width)


@pytest.mark.parametrize("crop", [True, False])
def test_pixels_stay_on_their_rays(crop: bool) -> None:
    stored = ramp(80, 48)
    views = squares(stored, 32, crop=crop)
    directions = views.cameras.rays().directions[0]
    seen = directions[..., :2] * stored.cameras.intrinsics[0, :2] + stored.cameras.intrinsics[0, 2:]
    expected = seen / stored.cameras.sizes[0]
    inner = (slice(3, -3), slice(3, -3))
    torch.testing.assert_close(views.image(0)[inner][..., :2], expected[inner], atol=4e-3, rtol=0)
    torch.testing.assert_close(views.mask(0)[inner], expected[inner][..., 0], atol=4e-3, rtol=0)
    # The nearest of the stored pixels is at most half of one away.
    torch.testing.assert_close(views.depth(0)[inner], 1 + expected[inner][..., 1], atol=0.51 / 48, rtol=0)


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    stored = ramp(32, 32)
    views = squares(stored, 32)
    torch.testing.assert_close(views.image(0), stored.image(0), atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(views.cameras.intrinsics, stored.cameras.intrinsics)
    assert torch.equal(squares(views, 32).image(0), views.image(0))


def test_views_may_differ_in_size_and_a_subset_is_a_subset() -> None:
    parts = [ramp(80, 48), ramp(48, 80), ramp(64, 64)]
    mixed = Views(
        Cameras.concatenate([part.cameras for part in parts]),
        ("a", "b", "c"),
        _Several(parts),
        (0, 1, 2),
    )
    views = squares(mixed, 32)
    assert views.cameras.sizes.tolist() == [[32, 32], [16, 16], [32, 32]]
    some = views[[2, 1]]
    assert some.names == ("c", "b")
    assert torch.equal(some.image(1), squares(parts[1], 32).image(0))


class _Several(ImageSource):
    """Images of different sizes."""

    def __init__(self, parts: list[Views]) -> None:
        self._parts = parts
        self.has_masks = self.has_depths = False

    def image(self, index: int) -> torch.Tensor:
        return self._parts[index].image(0)


def test_a_lens_is_straightened_first() -> None:
    stored = ramp(80, 48)
    bent = replace(
        stored.cameras,
        lens=torch.tensor([int(Lens.OPENCV)]),
        distortion=torch.tensor([[0.05] + [0.0] * 7]),
    )
    views = squares(stored.with_cameras(bent), 32)
    assert views.cameras.lens.tolist() == [Lens.PINHOLE]
    pixels, _ = bent.project(views.cameras.rays().directions.reshape(-1, 3))
    expected = (pixels[0] / bent.sizes[0]).reshape(32, 32, 2)
    inner = (slice(4, -4), slice(4, -4))
    torch.testing.assert_close(views.image(0)[inner][..., :2], expected[inner], atol=6e-3, rtol=0)
    torch.testing.assert_close(views.mask(0)[inner], expected[inner][..., 0], atol=6e-3, rtol=0)
    assert not bool(views.depth(0).any())


@pytest.mark.parametrize(("size", "multiple"), [(0, 8), (30, 8), (-8, 8), (8, 0)])
def test_impossible_sizes_are_refused(size: int, multiple: int) -> None:
    with pytest.raises(ConfigError, match="Bad image height"):
        squares(ramp(32, 32), size, multiple)
