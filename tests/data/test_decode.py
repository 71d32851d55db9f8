"""Masks in every way that files hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.decode import holds_labels, read_mask

DISC = np.hypot(*np.mgrid[-3.5:4, -3.5:4]) < 3
TRUTH = torch.from_numpy(DISC).float()[..., None]


def indexed(colours: list[int]) -> Image.Image:
    """An indexed image whose first two colours are these six numbers."""
    image = Image.fromarray(DISC.astype(np.uint8))
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colours)
    return image


IMAGES = {
    "white": (Image.fromarray(DISC.astype(np.uint8) * 255), False),
    "one bit": (Image.fromarray(DISC), False),
    "ones": (Image.fromarray(DISC.astype(np.uint8)), True),
    "ones in colour": (Image.fromarray(DISC.astype(np.uint8)[..., None].repeat(3, 2)), True),
    "ones of 16 bits": (Image.fromarray(DISC.astype(np.uint16)), True),
    "ones, opaque": (
        Image.fromarray(np.dstack([DISC, DISC, DISC, DISC | True]) * np.uint8([1, 1, 1, 255])),
        True,
    ),
    "indexed, white": (indexed([0, 0, 0, 255, 255, 255]), False),
    "indexed, ones": (indexed([0, 0, 0, 1, 1, 1]), True),
    "indexed, dark red": (indexed([0, 0, 0, 128, 0, 0]), True),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_every_kind_of_file_says_the_same(kind: str, tmp_path: Path) -> None:
    image, labels = IMAGES[kind]
    image.save(tmp_path / "mask.png")
    assert torch.equal(read_mask(tmp_path / "mask.png"), TRUTH)
    assert holds_labels(tmp_path / "mask.png") is labels


def test_soft_and_empty_masks_stay_as_they_are(tmp_path: Path) -> None:
    for values in (np.zeros((2, 3)), np.array([[0, 1, 2], [100, 200, 1]])):
        Image.fromarray(values.astype(np.uint8)).save(tmp_path / "mask.png")
        torch.testing.assert_close(
            read_mask(tmp_path / "mask.png")[..., 0], torch.tensor(values / 255).float()
        )
        assert not holds_labels(tmp_path / "mask.png")


def test_alpha_is_never_a_label(tmp_path: Path) -> None:
    alpha = np.zeros((2, 2, 4), dtype=np.uint8)
    alpha[0, 0, 3] = 1
    Image.fromarray(alpha).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").max().item() == pytest.approx(1 / 255)
    assert not holds_labels(tmp_path / "mask.png")
