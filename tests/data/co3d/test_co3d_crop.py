"""Squares out of photographs: where they are, and that every pixel's camera ray stays the one it was."""

from __future__ import annotations

import pytest
import torch

from novelview.cameras.cameras import Cameras
from novelview.data.co3d.crop import (
    Window,
    centre_window,
    foreground_window,
    random_squares,
    random_window,
    windowed_camera,
    windowed_image,
)
from novelview.types import Views


def camera(width: int, height: int) -> Cameras:
    pose = torch.eye(3, 4, dtype=torch.float64)[None]
    return Cameras.pinhole(pose, torch.tensor([50.0, 60.0, 23.0, 21.0], dtype=torch.float64), width, height)


def ramp(width: int, height: int) -> torch.Tensor:
    """An image whose colours are x and y of its pixels' centres."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)], dim=-1)


@pytest.mark.parametrize(
    ("width", "height", "window"),
    [(10, 4, Window(3, 0, 4, 4)), (4, 10, Window(0, 3, 4, 4)), (5, 5, Window(0, 0, 5, 5))],
)
def test_the_middle(width: int, height: int, window: Window) -> None:
    assert centre_window(width, height) == window


@pytest.mark.parametrize(("x", "left"), [(0, 0), (6, 4), (13, 11), (19, 14)])
def test_the_foreground_is_in_the_middle_as_far_as_can_be(x: int, left: int) -> None:
    mask = torch.zeros(6, 20)
    mask[2, x] = mask[3, x] = 0.3
    mask[:, 9] = 0.2  # Not above the threshold.
    assert foreground_window(mask) == Window(left, 0, 6, 6)


@pytest.mark.parametrize(
    ("strong", "weak", "left"),
    [(0.19, 0.14, 0), (0.14, 0.09, 0), (0.09, 0.04, 0), (0.04, 0.0, 0), (0.0, 0.0, 7), (0.19, 0.18, 7)],
)
def test_the_threshold_is_lowered_until_something_is_above(strong: float, weak: float, left: int) -> None:
    mask = torch.zeros(6, 20)
    mask[1, 0] = mask[4, 1] = strong
    mask[1, 18] = mask[4, 19] = weak
    assert foreground_window(mask).left == left


def test_a_single_pixel_is_no_foreground() -> None:
    mask = torch.zeros(6, 20)
    mask[1, 2] = 0.9
    mask[1, 3] = 0.16
    assert foreground_window(mask) == Window(0, 0, 6, 6)
    mask[1, 3] = 0.0
    assert foreground_window(mask) == centre_window(20, 6)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [6, 12, 20, 31])
@pytest.mark.parametrize("window", [Window(5, 0, 24, 24), Window(0, 0, 40, 24), Window(16, 0, 24, 24)])
def test_pixels_show_what_their_cameras_see(window: Window, size: int, antialias: bool) -> None:
    whole, part = camera(40, 24), windowed_camera(camera(40, 24), window, size)
    image = windowed_image(ramp(40, 24), window, size, antialias).double()
    assert image.shape[:2] == part.pixel_grid().shape[:2]
    # The colours say where the pixel was in the whole image: the rays are the same.
    rays = whole.rays_through(image[..., :2].reshape(1, -1, 2)).directions.view_as(part.rays().directions)
    inner = slice(2, -2)  # At the border, there is nothing beyond to take part.
    off = (rays - part.rays().directions)[:, inner, inner]
    # Pixels that are parts of two others are off by a fifteenth of a pixel, to either side.
    whole_pixels = not antialias or size != 20
    assert float(off.abs().max()) < (1e-6 if whole_pixels else 1 / 15 / 50 + 1e-4)
    assert float(off.mean(dim=(0, 1, 2)).abs().max()) < 1e-5


def test_antialiasing_averages_what_a_pixel_covers() -> None:
    stripes = (torch.arange(64) % 2).float().expand(64, 64)[..., None].repeat(1, 1, 3)
    window = Window(0, 0, 64, 64)
    smooth, rough = (windowed_image(stripes, window, 9, antialias) for antialias in (True, False))
    assert float((smooth - 0.5).abs().max()) < 0.1
    assert float((rough - 0.5).abs().max()) > 0.3


def test_random_windows_reach_both_ends() -> None:
    generator = torch.Generator().manual_seed(0)
    found = [random_window(10, 7, generator) for _ in range(100)]
    assert {window.left for window in found} == {0, 1, 2, 3}
    assert {(w.top, w.width, w.height) for w in found} == {(0, 7, 7)}
    assert {random_window(7, 10, generator).top for _ in range(100)} == {0, 1, 2, 3}
    assert random_window(7, 7, generator) == Window(0, 0, 7, 7)


def test_random_squares_are_views_like_any_other() -> None:
    cameras = Cameras.concatenate([camera(40, 24)] * 6)
    masks = ramp(40, 24)[..., 0] / 40
    views = Views.from_tensors(cameras, (ramp(40, 24) / 40).repeat(6, 1, 1, 1), masks.repeat(6, 1, 1))
    squares = random_squares(views, 12, seed=3, index=5)
    assert squares.cameras.common_size == (12, 12)
    assert len({round(float(cx), 6) for cx in squares.cameras.intrinsics[:, 2]}) > 1
    for i in range(6):
        seen = (
            views.cameras[i].rays_through(squares.image(i)[6, 6, :2].double().view(1, 1, 2) * 40).directions
        )
        torch.testing.assert_close(
            seen[0, 0], squares.cameras[i].rays().directions[0, 6, 6], rtol=0, atol=1e-5
        )
        torch.testing.assert_close(squares.mask(i), squares.image(i)[..., 0])
    again = random_squares(views, 12, seed=3, index=5)
    assert torch.equal(again.cameras.intrinsics, squares.cameras.intrinsics)
    other = random_squares(views, 12, seed=3, index=6)
    assert not torch.equal(other.cameras.intrinsics, squares.cameras.intrinsics)
