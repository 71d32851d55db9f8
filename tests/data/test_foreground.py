"""Masks of subjects before a background of one colour, against true ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from novelview.data.foreground import foreground, with_foregrounds
from novelview.data.procedural import object_scene
from novelview.errors import DataError
from novelview.types import Views

WHITE, OFF_WHITE = (1.0, 1.0, 1.0), (0.96, 0.95, 0.92)
NAMES = ("torus", "cup", "chair")


@pytest.fixture(scope="module")
def truth() -> list[tuple[Tensor, Tensor]]:
    """Colours of objects without what is behind them, and their coverage."""
    found = []
    for name in NAMES:
        views = object_scene(name, 1, views=3, size=64, test_every=0, shaded=True).train
        for i in range(len(views)):
            mask = views.mask(i)[..., None]
            own = (views.image(i) - (1 - mask)) / mask.clamp_min(1e-6)
            found.append((own.clamp(0, 1) * (mask > 0), mask))
    return found


def _overlap(found: Tensor, true: Tensor) -> float:
    """Intersection over union of soft masks."""
    return float(torch.minimum(found, true).sum() / torch.maximum(found, true).sum())


def _compressed(picture: Tensor) -> Tensor:
    file = io.BytesIO()
    Image.fromarray((picture * 255).round().to(torch.uint8).numpy()).save(file, "JPEG", quality=85)
    return torch.from_numpy(np.array(Image.open(file))).float() / 255


@pytest.mark.parametrize("behind", [WHITE, OFF_WHITE], ids=["white", "off-white"])
@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("harm", ["none", "noise", "compression"])
def test_masks_are_the_true_ones(
    truth: list[tuple[Tensor, Tensor]],
    behind: tuple[float, float, float],
    light: bool,
    harm: str,
    generator: torch.Generator,
) -> None:
    overlaps = []
    for own, mask in truth:
        # Light: from 0.75 to 0.9 of white.
        colour = 0.75 + 0.15 * own if light else own
        picture = colour * mask + torch.tensor(behind) * (1 - mask)
        if harm == "noise":
            picture = (picture + 0.01 * torch.randn(picture.shape, generator=generator)).clamp(0, 1)
        if harm == "compression":
            picture = _compressed(picture)
        overlaps.append(_overlap(foreground(picture), mask[..., 0]))
    assert sum(overlaps) / len(overlaps) > (0.955 if harm == "compression" else 0.98)
    assert min(overlaps) > (0.9 if harm == "compression" else 0.94)


def _disc(radius: float, size: int = 64) -> Tensor:
    place = torch.arange(size) + 0.5 - size / 2
    return (radius + 0.5 - (place[:, None] ** 2 + place**2).sqrt()).clamp(0, 1)


def _picture(coverage: Tensor, colour: tuple[float, ...], behind: Tensor) -> Tensor:
    return behind + coverage[..., None] * (torch.tensor(colour) - behind)


def test_the_outline_is_soft() -> None:
    disc = _disc(20)
    found = foreground(_picture(disc, (0.7, 0.2, 0.1), torch.ones(3)))
    torch.testing.assert_close(found, disc, atol=2e-3, rtol=0)


def test_a_hole_shows_the_background_and_a_light_patch_does_not() -> None:
    ring = _disc(24) - _disc(10)
    hole = foreground(_picture(ring, (0.2, 0.3, 0.6), torch.ones(3)))
    assert float(hole[32, 32]) == 0
    # So little different from the background that it alone would be none.
    patch = _picture(_disc(24), (0.2, 0.3, 0.6), torch.ones(3))
    patch = _picture(_disc(10), (0.965, 0.965, 0.965), patch)
    assert float(foreground(patch)[32, 32]) == 1


def test_a_gleam_is_filled() -> None:
    gleam = _picture(_disc(20), (0.1, 0.1, 0.1), torch.ones(3))
    gleam[30:32, 30:32] = 1
    assert float(foreground(gleam)[30:32, 30:32].min()) == 1


def test_specks_are_left_out() -> None:
    picture = _picture(_disc(15), (0.1, 0.4, 0.1), torch.ones(3))
    picture[3, 5] = 0.5
    assert float(foreground(picture)[:8].max()) == 0


def test_a_subject_may_touch_the_edges() -> None:
    picture = torch.ones(64, 64, 3)
    picture[20:] = torch.tensor([0.3, 0.2, 0.1])
    picture[20:, :14] = picture[20:, 50:] = 1.0
    found = foreground(picture)
    assert float(found[22:, 16:48].min()) == 1
    assert float(found[:18].max()) == 0


def test_a_background_of_many_colours_is_refused() -> None:
    picture = torch.linspace(0, 1, 64)[:, None, None].expand(64, 64, 3)
    with pytest.raises(DataError, match=r"not of one colour: photo\.png[^$]*give masks"):
        foreground(picture, name="photo.png")


def test_nothing_is_no_subject() -> None:
    with pytest.raises(DataError, match="nothing to be seen"):
        foreground(torch.full((32, 32, 3), 0.9))


def test_views_keep_cameras_names_and_pixels() -> None:
    views = object_scene("cup", 0, views=2, size=48, test_every=0).train
    bare = Views.from_tensors(views.cameras, views.images(), names=["a", "b"])
    found = with_foregrounds(bare)
    assert found.names == ("a", "b")
    assert torch.equal(found.images(), views.images())
    assert torch.equal(found.cameras.camera_to_world, views.cameras.camera_to_world)
    assert _overlap(found.masks(), views.masks()) > 0.97
