"""Layered depth maps from nearby, in other frames, and as files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from novelview.cameras.cameras import Cameras
from novelview.errors import DataError, OutputError
from novelview.export.layers import read_layers, write_layers
from novelview.geometry.rigid import Similarity, look_at, random_rotations
from novelview.layered import LayeredDepthMap
from novelview.random import generator_for

SIZE, FOCAL = 48, 50.0
UP = torch.tensor([[0.0, -1.0, 0.0]])


def camera_at(centre: list[float], target: tuple[float, float, float] = (0.0, 0.0, 3.0)) -> Cameras:
    poses = look_at(torch.tensor([centre]), torch.tensor([target]), UP)
    return Cameras.pinhole(poses, torch.tensor([FOCAL, FOCAL, SIZE / 2, SIZE / 2]), SIZE, SIZE)


def colour(points: torch.Tensor) -> torch.Tensor:
    """A smooth texture in space."""
    return 0.5 + 0.4 * torch.stack([torch.sin(3 * points[..., i % 2] + i) for i in range(3)], dim=-1)


def two_walls() -> LayeredDepthMap:
    """A wall at depth 4 and, before its left half, one at depth 2; seen from the origin."""
    camera = camera_at([0.0, 0.0, 0.0])
    rays = camera.rays()[0]
    depths = torch.tensor([4.0, 2.0])
    points = torch.stack([depth * rays.directions for depth in depths])
    alpha = torch.ones(2, SIZE, SIZE)
    alpha[1, :, SIZE // 2 :] = 0
    disparity = (1 / depths)[:, None, None].expand(2, SIZE, SIZE)
    return LayeredDepthMap(camera, 0.7, 0.0, colour(points), alpha, disparity)


def truth(camera: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
    """What a camera sees of the two walls, by intersection."""
    rays = camera.rays()[0]
    to_near, to_far = ((z - rays.origins[..., 2]) / rays.directions[..., 2] for z in (2.0, 4.0))
    at_near = rays.origins + to_near[..., None] * rays.directions
    hit = at_near[..., 0] < 0
    depth = torch.where(hit, to_near, to_far)
    return colour(rays.origins + depth[..., None] * rays.directions), depth


@pytest.mark.parametrize("centre", [[0.0, 0.0, 0.0], [0.15, 0.1, 0.0], [-0.1, 0.0, 0.3], [0.0, 0.0, -0.2]])
def test_layers_from_nearby_show_what_is_there(centre: list[float]) -> None:
    camera = camera_at(centre)
    frames = two_walls().render(camera)
    rgb, depth = truth(camera)
    assert frames.depth is not None
    # Away from the border of the image, and of the near wall, where opacity is interpolated.
    right = (frames.depth[0] - depth).abs() < 1e-3 * depth
    inner = right[6:-6, 6:-6]
    assert float(inner.float().mean()) > 0.93
    error = (frames.rgb[0] - rgb).abs().amax(dim=-1)[6:-6, 6:-6]
    assert float(error[inner].max()) < 0.02


def test_a_slope_is_found() -> None:
    camera = camera_at([0.0, 0.0, 0.0])
    rays = camera.rays()[0]
    # The plane z = 3 + x / 2.
    depth = 3 / (1 - rays.directions[..., 0] / 2)
    points = depth[..., None] * rays.directions
    layers = LayeredDepthMap(
        camera, 1.0, 0.0, colour(points)[None], torch.ones(1, SIZE, SIZE), (1 / depth)[None]
    )
    moved = camera_at([0.2, -0.1, 0.1])
    found = layers.render(moved).depth
    assert found is not None
    there = moved.rays()[0]
    expected = (3 + there.origins[..., 0] / 2 - there.origins[..., 2]) / (
        there.directions[..., 2] - there.directions[..., 0] / 2
    )
    error = (found[0] - expected).abs()[8:-8, 8:-8]
    assert float(error.max()) < 2e-3


def test_another_world_frame_shows_the_same() -> None:
    layers = two_walls()
    moved = Similarity(2.5, random_rotations(1, generator_for(0))[0], torch.tensor([1.0, -2.0, 0.5]))
    camera = camera_at([0.1, 0.05, 0.1])
    there = replace(camera, camera_to_world=moved.poses(camera.camera_to_world))
    one, other = layers.render(camera), layers.moved(moved).render(there)
    assert one.depth is not None
    assert other.depth is not None
    torch.testing.assert_close(other.rgb, one.rgb, atol=2e-4, rtol=0)
    torch.testing.assert_close(other.depth, 2.5 * one.depth, atol=0, rtol=1e-3)


@pytest.mark.parametrize("lossless", [True, False])
def test_files_hold_the_layers(tmp_path: Path, lossless: bool) -> None:
    layers = two_walls()
    write_layers(tmp_path / "out", layers, lossless=lossless)
    back = read_layers(tmp_path / "out")
    assert (back.near, back.far) == (layers.near, layers.far)
    torch.testing.assert_close(back.camera.camera_to_world, layers.camera.camera_to_world)
    torch.testing.assert_close(back.camera.intrinsics, layers.camera.intrinsics)
    assert float((back.alpha - layers.alpha).abs().max()) <= 0.5 / 255
    assert float((back.disparity - layers.disparity).abs().max()) <= 0.35 / 65535
    assert float((back.rgb - layers.rgb).abs().mean()) < (0.5 / 255 if lossless else 4 / 255)


@pytest.mark.parametrize(("count", "size"), [(1, (4, 9)), (5, (4, 6)), (6, (9, 16)), (7, (3, 3))])
def test_any_number_of_layers_fits_into_pictures_about_as_wide_as_high(
    count: int, size: tuple[int, int], tmp_path: Path
) -> None:
    height, width = size
    generator = generator_for(0, "atlas", count)
    index = torch.arange(count)[:, None, None]
    layers = LayeredDepthMap(
        camera=Cameras.pinhole(
            torch.eye(4)[None, :3], torch.tensor([9.0, 9.0, width / 2, height / 2]), width, height
        ),
        near=1.0,
        far=0.0,
        rgb=torch.rand(count, height, width, 3, generator=generator),
        alpha=torch.rand(count, height, width, generator=generator),
        disparity=(index + torch.rand(count, height, width, generator=generator)) / count,
    )
    write_layers(tmp_path / "out", layers, lossless=True)
    with Image.open(tmp_path / "out" / "colour.png") as picture:
        assert max(picture.size) <= 2.5 * min(picture.size) or count == 1
    back = read_layers(tmp_path / "out")
    torch.testing.assert_close(back.rgb, layers.rgb, atol=0.51 / 255, rtol=0)
    torch.testing.assert_close(back.alpha, layers.alpha, atol=0.51 / 255, rtol=0)
    torch.testing.assert_close(back.disparity, layers.disparity, atol=1e-4, rtol=0)


def test_rays_that_look_away_from_the_layers_see_nothing() -> None:
    behind = camera_at([0.0, 0.0, 0.0], (0.0, 0.0, -3.0))
    shown = two_walls().render(behind)
    assert float(shown.rgb.abs().max()) == 0
    assert shown.depth is not None
    assert float(shown.depth.min()) > 1e6


def test_a_range_to_infinity_is_valid_json(tmp_path: Path) -> None:
    layers = two_walls()
    write_layers(tmp_path / "out", replace(layers, far=1 / math.inf))
    assert json.loads((tmp_path / "out" / "layers.json").read_text())["far"] == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_layers(tmp_path / "out", two_walls())
    with pytest.raises(OutputError):
        write_layers(tmp_path / "out", two_walls())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "layers.json").unlink(), "Cannot read this file"),
        (lambda folder: (folder / "layers.json").write_text("{}"), "format None"),
        (lambda folder: (folder / "shape.png").unlink(), "Cannot read a picture"),
        (lambda folder: (folder / "shape.png").write_bytes(b"PNG"), "Cannot read a picture"),
        (lambda folder: _change(folder, "layers", 3), "does not fit"),
        (lambda folder: _change(folder, "columns", 0), "a size is below 1"),
        (lambda folder: _change(folder, "near", -1.0), "near is -1.0"),
        (lambda folder: _change(folder, "far", 9.0), "far is 9.0"),
        (lambda folder: _change(folder, "focal", [30.0, 0.0]), "focal length is 0.0"),
        (lambda folder: _change(folder, "camera_to_world", [[1.0, 0.0, 0.0, 0.0]]), "three rows"),
        (lambda folder: _change(folder, "camera_to_world", [[1.0], [0.0, 1.0], [0.0]]), "three rows"),
        (lambda folder: _change(folder, "focal", "long"), "focal"),
        (lambda folder: _change(folder, "colour", "../../secret.png"), "Cannot read a picture"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage: object, message: str) -> None:
    write_layers(tmp_path / "out", two_walls())
    damage(tmp_path / "out")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        read_layers(tmp_path / "out")


def _change(folder: Path, key: str, value: object) -> None:
    values = json.loads((folder / "layers.json").read_text())
    (folder / "layers.json").write_text(json.dumps({**values, key: value}))
