"""Corners and matches where the answer is known."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.evaluation.matching import LocalFeatures, local_features, match_features


def texture(generator: torch.Generator, height: int = 48, width: int = 64) -> Tensor:
    noise = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    return F.interpolate(noise, (height, width), mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1)


def displacement(first: Tensor, second: Tensor) -> Tensor:
    a, b = local_features(first), local_features(second)
    pairs = match_features(a, b)
    assert len(pairs) > 30
    return b.pixels[pairs[:, 1]] - a.pixels[pairs[:, 0]]


def test_a_shift_is_found(generator: torch.Generator) -> None:
    image = texture(generator, 64, 80)
    moved = displacement(image[:56, :70], image[3:59, 5:75])
    assert moved.median(dim=0).values.tolist() == pytest.approx([-5, -3], abs=0.02)
    wrong = (moved - torch.tensor([-5.0, -3.0])).norm(dim=1) > 1
    assert float(wrong.float().mean()) < 0.1


def test_part_of_a_pixel_is_found(generator: torch.Generator) -> None:
    fine = texture(generator, 192, 256)
    # Eight columns of the fine image are two of the coarse one; six are one and a half.
    first, second = (F.avg_pool2d(fine[:, s : s + 240].permute(2, 0, 1), 4).permute(1, 2, 0) for s in (0, 6))
    assert displacement(first, second).median(dim=0).values.tolist() == pytest.approx([-1.5, 0], abs=0.05)


def test_a_size_is_found(generator: torch.Generator) -> None:
    large = texture(generator, 96, 128)
    small = F.interpolate(large.permute(2, 0, 1)[None], (48, 64), mode="bilinear", antialias=True)[0]
    a, b = local_features(large), local_features(small.permute(1, 2, 0))
    pairs = match_features(a, b)
    assert len(pairs) > 30
    errors = (b.pixels[pairs[:, 1]] - a.pixels[pairs[:, 0]] / 2).norm(dim=1)
    assert float(errors.median()) < 0.3


def test_brightness_and_contrast_change_nothing(generator: torch.Generator) -> None:
    image = texture(generator)
    moved = displacement(image, 0.4 * image + 0.3)
    assert float(moved.norm(dim=1).median()) < 0.02


def test_nothing_is_found_where_nothing_is() -> None:
    found = local_features(torch.full((40, 40, 3), 0.5))
    assert len(found) == 0
    assert match_features(found, found).shape == (0, 2)


def test_an_edge_has_no_corner() -> None:
    image = torch.zeros(40, 40, 3)
    image[:, 20:] = 1.0
    assert len(local_features(image)) == 0


def test_what_has_a_double_is_not_matched() -> None:
    pixels = torch.tensor([[5.0, 5.0], [30.0, 5.0], [5.0, 30.0]])
    twins = LocalFeatures(pixels, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), apart=3.0)
    single = LocalFeatures(pixels[:2], torch.tensor([[1.0, 0.0], [0.0, 1.0]]), apart=3.0)
    assert match_features(twins, single).tolist() == [[2, 1]]


def test_a_double_in_the_same_place_does_no_harm() -> None:
    pixels = torch.tensor([[5.0, 5.0], [5.5, 5.0]])
    scales = LocalFeatures(pixels, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), apart=3.0)
    single = LocalFeatures(pixels[:1], torch.tensor([[1.0, 0.0]]), apart=3.0)
    assert len(match_features(scales, single)) == 1
