"""Pictures that people have of a subject, as a studio's camera would have taken them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.portrait import Portrait, before, cut_out, middle_square, read_portrait
from novelview.errors import DataError

BLUE = (0.2, 0.3, 0.8)


def _block(width: int = 60, height: int = 40) -> Portrait:
    """A blue block of 10 x 16 pixels near the lower right corner, before white; the mask says so."""
    mask = torch.zeros(height, width)
    mask[20:36, 45:55] = 1
    rgb = torch.ones(height, width, 3)
    rgb[mask > 0] = torch.tensor(BLUE)
    return Portrait("block", rgb, mask)


def test_the_subject_comes_into_the_middle_at_its_size() -> None:
    found = cut_out(_block(), side=32, share=0.5, background=(0.0, 1.0, 0.0))
    assert found.mask is not None
    expected = torch.zeros(32, 32)
    expected[8:24, 11:21] = 1
    torch.testing.assert_close(found.mask, expected)
    green = torch.tensor([0.0, 1.0, 0.0]).expand(32, 32, 3)
    colours = torch.where(expected[..., None] > 0, torch.tensor(BLUE), green)
    torch.testing.assert_close(found.rgb, colours)


def test_without_a_mask_the_background_tells_the_subject() -> None:
    masked, block = cut_out(_block(), 32, 0.5, (1.0, 1.0, 1.0)), _block()
    found = cut_out(Portrait("bare", block.rgb), 32, 0.5, (1.0, 1.0, 1.0))
    torch.testing.assert_close(found.rgb, masked.rgb, atol=0.02, rtol=0)


def test_a_picture_before_its_own_background_stays_as_it_is() -> None:
    found = middle_square(_block(), 40)
    assert found.mask is None
    assert torch.equal(found.rgb, _block().rgb[:, 10:50])
    whole = before(_block(), 30, 20, None)
    assert whole.mask is None
    assert whole.size == (30, 20)


def test_a_whole_picture_keeps_its_subject_in_its_place() -> None:
    found = before(_block(), 30, 20, (0.0, 0.0, 0.0))
    assert found.mask is not None
    assert float(found.mask.sum()) == pytest.approx(40)
    assert float(found.rgb[0, 0].max()) == 0
    torch.testing.assert_close(found.rgb[14, 25], torch.tensor(BLUE))


def _written(path: Path, pixels: np.ndarray, **more: object) -> Path:
    Image.fromarray(pixels).save(path, **more)
    return path


def test_alpha_is_the_mask_where_it_is_used(tmp_path: Path) -> None:
    pixels = np.full((8, 10, 4), 255, dtype=np.uint8)
    assert read_portrait(_written(tmp_path / "opaque.png", pixels)).mask is None
    pixels[:, :5, 3] = 51
    mask = read_portrait(_written(tmp_path / "clear.png", pixels)).mask
    assert mask is not None
    torch.testing.assert_close(mask[0], torch.tensor([0.2] * 5 + [1.0] * 5))


def test_a_mask_file_goes_first_and_may_be_larger(tmp_path: Path) -> None:
    pixels = np.full((8, 10, 4), 255, dtype=np.uint8)
    pixels[..., 3] = 100
    picture = _written(tmp_path / "picture.png", pixels)
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[:8] = 255
    found = read_portrait(picture, _written(tmp_path / "mask.png", mask)).mask
    assert found is not None
    assert found[:4].eq(1).all()
    assert found[4:].eq(0).all()


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = _written(tmp_path / "turned.jpg", np.zeros((8, 12, 3), dtype=np.uint8), exif=exif)
    assert read_portrait(path).size == (8, 12)


def test_a_mask_of_other_proportions_is_refused(tmp_path: Path) -> None:
    picture = _written(tmp_path / "picture.png", np.zeros((8, 10, 3), dtype=np.uint8))
    mask = _written(tmp_path / "mask.png", np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(DataError, match=r"does not fit its picture: .*mask\.png"):
        read_portrait(picture, mask)


def test_an_empty_mask_is_refused() -> None:
    empty = Portrait("empty.png", torch.ones(8, 8, 3), torch.zeros(8, 8))
    with pytest.raises(DataError, match=r"leaves nothing of it: empty\.png"):
        cut_out(empty, 8, 0.5, (1.0, 1.0, 1.0))
