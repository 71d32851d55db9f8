"""Bilinear lookup: exact at centres, exact on ramps, the same as a slow loop, honest about the outside."""

from __future__ import annotations

import math

import torch

from novelview.cameras.cameras import Cameras
from novelview.geometry.warp import sample_bilinear


def pixel_grid(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y], dim=-1)


def test_pixel_centres_give_the_image_back(generator: torch.Generator) -> None:
    image = torch.rand(7, 9, 3, generator=generator)
    values, inside = sample_bilinear(image, pixel_grid(7, 9))
    torch.testing.assert_close(values, image, atol=1e-5, rtol=0)
    assert bool(inside.all())


def test_a_ramp_is_reproduced_between_centres(generator: torch.Generator) -> None:
    grid = pixel_grid(20, 30)
    pixels = 0.5 + torch.rand(200, 2, generator=generator) * torch.tensor([29.0, 19.0])
    values, inside = sample_bilinear(grid, pixels)
    torch.testing.assert_close(values, pixels, atol=1e-4, rtol=0)
    assert bool(inside.all())


def test_values_are_those_of_a_slow_loop(generator: torch.Generator) -> None:
    image = torch.rand(5, 6, 2, generator=generator)
    pixels = torch.rand(60, 2, generator=generator) * torch.tensor([6.0, 5.0])
    values, _ = sample_bilinear(image, pixels)
    for (x, y), value in zip(pixels.tolist(), values, strict=True):
        left, top = math.floor(x - 0.5), math.floor(y - 0.5)
        expected = torch.zeros(2)
        for column in (left, left + 1):
            for row in (top, top + 1):
                weight = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
                expected += weight * image[min(max(row, 0), 4), min(max(column, 0), 5)]
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)


def test_outside_is_marked_and_finite(generator: torch.Generator) -> None:
    image = torch.rand(5, 6, 3, generator=generator)
    nan, far = float("nan"), 1e30
    pixels = torch.tensor([[0.0, 0.0], [6.0, 5.0], [-0.01, 2.0], [3.0, 5.01], [nan, 2.0], [far, -far]])
    values, inside = sample_bilinear(image, pixels)
    assert inside.tolist() == [True, True, False, False, False, False]
    assert bool(values.isfinite().all())


def test_a_camera_that_looks_at_itself_sees_its_own_image(generator: torch.Generator) -> None:
    pose = torch.eye(3, 4)[None]
    camera = Cameras.pinhole(pose, torch.tensor([20.0, 22.0, 8.0, 6.0]), 16, 12)
    image = torch.rand(12, 16, 3, generator=generator)
    rays = camera.rays()
    pixels, _ = camera.project((rays.origins + 2.5 * rays.directions).reshape(-1, 3))
    values, _ = sample_bilinear(image, pixels[0].reshape(12, 16, 2))
    torch.testing.assert_close(values, image, atol=1e-4, rtol=0)
