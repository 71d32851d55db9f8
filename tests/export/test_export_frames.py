"""Pictures and depth maps: what is read back is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.errors import OutputError
from novelview.export.frames import to_bytes, write_depth, write_frame, write_frames
from novelview.types import Frames


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_pictures_are_rounded_and_clamped(tmp_path: Path) -> None:
    rgb = torch.tensor([[[0.0, 1.0, 0.5], [-0.2, 1.3, float("nan")]]])
    write_frame(tmp_path / "new" / "a.png", rgb)
    found = read(tmp_path / "new" / "a.png")
    assert found.tolist() == [[[0, 255, 128], [0, 255, 0]]]
    assert to_bytes(rgb).tolist() == found.tolist()


def test_depth_is_kept_to_half_a_step(tmp_path: Path, generator: torch.Generator) -> None:
    depth = 0.3 + 7 * torch.rand(11, 13, generator=generator)
    depth[0, 0], depth[1, 1], depth[2, 2] = 0.0, float("inf"), float("nan")
    scale = write_depth(tmp_path / "d.png", depth)
    found = read(tmp_path / "d.png")
    assert found.dtype == np.uint16
    stored = torch.from_numpy(found.astype(np.float64))
    known = depth.isfinite() & (depth > 0)
    assert stored[~known].tolist() == [0, 0, 0]
    assert float((stored * scale - depth)[known].abs().max()) <= scale / 2 + 1e-6


def test_depth_without_a_known_pixel(tmp_path: Path) -> None:
    assert write_depth(tmp_path / "d.png", torch.zeros(4, 4)) == 1.0
    assert not read(tmp_path / "d.png").any()


def test_a_folder_of_frames(tmp_path: Path, generator: torch.Generator) -> None:
    rgb, depth = torch.rand(3, 6, 8, 3, generator=generator), 1 + torch.rand(3, 6, 8, generator=generator)
    batches = [Frames(rgb[:2], depth[:2]), Frames(rgb[2:], depth[2:])]
    assert write_frames(tmp_path / "out", iter(batches), unit=10.0) == 3
    scales = json.loads((tmp_path / "out/depth.json").read_text())["scale"]
    for i, name in enumerate(["00000.png", "00001.png", "00002.png"]):
        picture = read(tmp_path / "out/rgb" / name) / 255
        np.testing.assert_allclose(picture, rgb[i], atol=0.5 / 255 + 1e-6)
        stored = read(tmp_path / "out/depth" / name).astype(float)
        np.testing.assert_allclose(stored * scales[name], 10 * depth[i], atol=scales[name])
        assert read(tmp_path / "out/depth_colour" / name).shape == (6, 8, 3)


def test_depth_has_one_colour_scale_in_all_frames(tmp_path: Path) -> None:
    """Each frame is flat, and so would have no colour but one on a scale of its own."""
    depths = torch.tensor([1.0, 2.0, 4.0, 2.0])[:, None, None].expand(4, 6, 8)
    write_frames(tmp_path / "out", [Frames(torch.zeros(4, 6, 8, 3), depths)])
    pictures = [read(tmp_path / "out/depth_colour" / f"{i:05d}.png") for i in range(4)]
    found = [picture[0, 0].tolist() for picture in pictures]
    assert all((picture == picture[0, 0]).all() for picture in pictures)
    assert found[0] == [0xFD, 0xE7, 0x25]
    assert found[2] == [0x44, 0x01, 0x54]
    assert found[1] == found[3]
    assert found[1] not in (found[0], found[2])


def test_a_method_without_depth_gives_pictures_only(tmp_path: Path) -> None:
    write_frames(tmp_path / "out", [Frames(torch.zeros(1, 4, 4, 3))])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rgb"]


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        write_frames(tmp_path, [Frames(torch.zeros(1, 4, 4, 3))])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
