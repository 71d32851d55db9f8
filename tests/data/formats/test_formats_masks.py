"""Masks in a folder beside the images, which no file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from novelview.data.formats import read_capture
from novelview.data.open import open_scene

Image = Callable[..., Path]


@pytest.mark.parametrize("name", ["{}.png", "{}.png.png", "{}.JPG"])
@pytest.mark.parametrize("folder", ["masks", "mask"])
def test_every_reader_takes_them(colmap: Path, image: Image, name: str, folder: str) -> None:
    assert read_capture(colmap).files[0].mask is None
    for i in range(4):
        image(colmap / folder / name.format(i), mode="L")
    capture = read_capture(colmap)
    assert [each.mask for each in capture.files] == [colmap / folder / name.format(i) for i in range(4)]
    assert f"Masks are those of the folder {folder!r}." in capture.notes


def test_masks_of_labels_count_and_are_noted(transforms: Callable[..., Path], image: Image) -> None:
    root = transforms()
    pixels = np.zeros((6, 8), dtype=np.uint8)
    pixels[2:, 4:] = 255
    for value, noted in ((255, False), (1, True)):
        for i in range(4):
            PIL.Image.fromarray(np.minimum(pixels, value)).save(image(root / "masks" / f"{i}.png"))
        scene = open_scene(root, split="none", near=1.0, far=9.0)
        assert any("Masks hold labels" in note for note in scene.notes) is noted
        assert torch.equal(scene.train.mask(3), torch.from_numpy(pixels).float() / 255)


def test_masks_of_some_images_only_are_left_out_and_said(llff: Path, image: Image) -> None:
    for i in range(3):
        image(llff / "masks" / f"{i}.png", mode="L")
    capture = read_capture(llff)
    assert all(each.mask is None for each in capture.files)
    assert any("1 of 4 images have no mask of their name in it: 3.png" in note for note in capture.notes)


def test_masks_that_a_file_names_count_more(transforms: Callable[..., Path], image: Image) -> None:
    root = transforms(lambda data: data["frames"][1].update(mask_path="images/0.png"))
    for i in range(4):
        image(root / "masks" / f"{i}.png", mode="L")
    masks = [each.mask for each in read_capture(root).files]
    assert masks == [None, root / "images" / "0.png", None, None]


def test_images_in_parts_have_masks_in_parts(blender: Path, image: Image) -> None:
    for part, i in (("train", 0), ("train", 1), ("val", 0), ("test", 0)):
        image(blender / "masks" / part / f"r_{i}.png", mode="L")
    assert [each.mask.parent.name for each in read_capture(blender).files if each.mask] == [
        "train",
        "train",
        "val",
        "test",
    ]


def test_nothing_outside_the_capture_is_looked_at(
    transforms: Callable[..., Path], image: Image, tmp_path: Path
) -> None:
    def flat(data: dict) -> None:
        for i, frame in enumerate(data["frames"]):
            frame["file_path"] = f"{i}.png"

    root = transforms(flat)
    inner = tmp_path / "inner"
    inner.mkdir()
    (root / "transforms.json").rename(inner / "transforms.json")
    for i in range(4):
        image(inner / f"{i}.png")
        image(root / "masks" / f"{i}.png", mode="L")
    assert all(each.mask is None for each in read_capture(inner).files)
