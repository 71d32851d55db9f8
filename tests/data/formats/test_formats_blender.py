"""NeRF's synthetic scenes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.errors import DataError
from novelview.geometry.images import resize_area

# Colours are kept at 8 bits once the background is behind them.
LEVEL = 1 / 255


def edit(path: Path, change: Callable[[dict], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_parts_white_background_and_default_range(blender: Path) -> None:
    capture = read_capture(blender)
    assert capture.names == ("train/r_0.png", "train/r_1.png", "val/r_0.png", "test/r_0.png")
    assert capture.partition == {"train": (0, 1), "val": (2,), "test": (3,)}
    assert capture.background == (1.0, 1.0, 1.0)
    assert capture.near_far is not None
    assert capture.near_far.tolist() == [[2.0, 6.0]] * 4
    assert any("defaults of the Blender format" in note for note in capture.notes)


def test_other_distances_have_no_default_range(blender: Path) -> None:
    def closer(data: dict) -> None:
        for frame in data["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] *= 0.5

    for part in ("train", "val", "test"):
        edit(blender / f"transforms_{part}.json", closer)
    capture = read_capture(blender)
    assert capture.near_far is None
    assert not any("default" in note for note in capture.notes)


def test_missing_parts_are_left_out(blender: Path) -> None:
    (blender / "transforms_val.json").unlink()
    assert read_capture(blender).partition == {"train": (0, 1), "test": (2,)}


def test_validation_may_repeat_the_test_images(blender: Path) -> None:
    (blender / "transforms_val.json").write_bytes((blender / "transforms_test.json").read_bytes())
    assert read_capture(blender).partition == {"train": (0, 1), "val": (2,), "test": (2,)}


def test_held_out_images_leave_the_training_part(blender: Path) -> None:
    first = json.loads((blender / "transforms_train.json").read_text())["frames"][0]
    edit(blender / "transforms_test.json", lambda data: data["frames"].append(first))
    capture = read_capture(blender)
    assert capture.partition == {"train": (1,), "val": (2,), "test": (3, 0)}
    assert any("they are held out" in note for note in capture.notes)


def test_one_image_with_two_poses_is_refused(blender: Path) -> None:
    edit(blender / "transforms_test.json", lambda data: data["frames"][0].update(file_path="train/r_0"))
    with pytest.raises(DataError, match=r"two different poses: .*transforms_test\.json"):
        read_capture(blender)


def test_field_of_view_of_the_data_set_fills_in(blender: Path) -> None:
    wanted = read_capture(blender).cameras.intrinsics
    angle = json.loads((blender / "transforms_train.json").read_text())["camera_angle_x"]
    for part in ("train", "val", "test"):
        edit(blender / f"transforms_{part}.json", lambda data: data.pop("camera_angle_x"))
    with pytest.raises(DataError, match="no focal length"):
        read_capture(blender)
    (blender / "dataset_info.json").write_text(json.dumps({"camera_angle_x": angle, "resolution": [8, 6]}))
    torch.testing.assert_close(read_capture(blender).cameras.intrinsics, wanted)


def test_poses_and_focal_length_of_the_official_loader(shared: Path) -> None:
    expected = np.load(shared / "fixtures/r2l/a/blender_expected.npz")
    capture = read_capture(shared / "fixtures/r2l/a/blender")
    height, width, focal = expected["half_hwf"]
    opengl = capture.cameras.camera_to_world * torch.tensor([1.0, -1.0, -1.0, 1.0])
    np.testing.assert_allclose(opengl.numpy(), expected["half_poses"][:, :3], atol=2e-6)
    assert capture.cameras.sizes.tolist() == [[2 * width, 2 * height]] * len(capture.cameras)
    np.testing.assert_allclose(capture.cameras.intrinsics[:, :2].numpy(), 2 * focal, rtol=1e-6)
    assert capture.partition is not None
    for part in ("train", "val", "test"):
        assert list(capture.partition[part]) == expected[f"half_i_{part}"].tolist()


def test_pixels_of_the_official_loader(shared: Path) -> None:
    """Full size: every 8th view of validation and testing, and white where nothing is."""
    expected = np.load(shared / "fixtures/r2l/a/blender_expected.npz")
    folder = shared / "fixtures/r2l/a/blender"
    partition = read_capture(folder).partition
    assert partition is not None
    chosen = [*partition["train"], *partition["val"][::8], *partition["test"][::8]]
    counts = [len(expected[f"full_i_{part}"]) for part in ("train", "val", "test")]
    assert counts == [len(partition["train"]), *(len(partition[part][::8]) for part in ("val", "test"))]
    views = open_scene(folder, split="none", normalise=False).train[chosen]
    found = torch.stack([views.image(i) for i in range(len(views))]).numpy()
    np.testing.assert_allclose(found, expected["full_images_white"], atol=LEVEL / 2 + 1e-6, rtol=0)
    opengl = views.cameras.camera_to_world * torch.tensor([1.0, -1.0, -1.0, 1.0])
    np.testing.assert_allclose(opengl.numpy(), expected["full_poses"][:, :3], atol=2e-6)
    height, width, focal = expected["full_hwf"]
    assert views.cameras.common_size == (width, height)
    np.testing.assert_allclose(views.cameras.intrinsics[:, :2].numpy(), focal, rtol=1e-6)


def test_own_split_is_that_of_the_official_loader(shared: Path) -> None:
    expected = np.load(shared / "fixtures/r2l/a/blender_expected.npz")
    scene = open_scene(shared / "fixtures/r2l/a/blender", normalise=False)
    for views, part in ((scene.train, "train"), (scene.test, "test")):
        assert views.names == tuple(f"{part}/r_{i}.png" for i in range(len(expected[f"half_i_{part}"])))
        opengl = views.cameras.camera_to_world * torch.tensor([1.0, -1.0, -1.0, 1.0])
        recorded = expected["half_poses"][expected[f"half_i_{part}"], :3]
        np.testing.assert_allclose(opengl.numpy(), recorded, atol=2e-6)


def test_half_size_is_the_mean_of_what_is_seen_at_full_size(shared: Path) -> None:
    """The official loader takes means of colour and of opacity and blends these; we take the mean of the blends."""
    expected = np.load(shared / "fixtures/r2l/a/blender_expected.npz")
    folder = shared / "fixtures/r2l/a/blender"
    views = open_scene(folder, split="none", scale=0.5, normalise=False).train
    found = torch.stack([views.image(i) for i in range(len(views))])
    # The recorded images of full size, in halves: what a camera with pixels twice as large sees.
    seen = torch.from_numpy(expected["full_images_white"])
    halves = torch.stack([resize_area(image, 8, 8) for image in seen])
    torch.testing.assert_close(found[[0, 1, 2, 3, 5, 13]], halves, atol=LEVEL / 2 + 1e-6, rtol=0)
    # Both loaders differ by how colour and opacity go together within the four pixels, and by nothing else.
    for image, view, official in zip(found, views.names, expected["half_images_white"], strict=True):
        rgba = torch.from_numpy(np.array(Image.open(folder / view))).float() / 255
        rgb, alpha = rgba[..., :3], rgba[..., 3:]
        together = resize_area(rgb * alpha, 8, 8) - resize_area(rgb, 8, 8) * resize_area(alpha, 8, 8)
        assert float(together.abs().max()) > 10 * LEVEL
        torch.testing.assert_close(
            image, torch.from_numpy(official) + together, atol=LEVEL / 2 + 1e-6, rtol=0
        )
    assert views.cameras.common_size == tuple(expected["half_hwf"][:2])
    np.testing.assert_allclose(views.cameras.intrinsics[:, :2].numpy(), expected["half_hwf"][2], rtol=1e-6)
