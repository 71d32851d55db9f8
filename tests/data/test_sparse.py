"""Depth maps of sparse points: against a loop, through everything that opening a capture does, and on real photographs."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.formats import read_capture
from novelview.data.info import describe
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.sparse import KeyPoints, splatted, with_sparse_depths
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import random_rotations
from novelview.types import Bounds, ImageSource, Views


def looped(camera: Cameras, points: Tensor) -> Tensor:
    """What one point after the other leaves."""
    width, height = camera.common_size
    depth = torch.zeros(height, width)
    for point in points:
        (((x, y),),), ((z,),) = (each.tolist() for each in camera.project(point[None]))
        # A lens may have no place for a point.
        if z > 0 and 0 <= x < width and 0 <= y < height:
            column, row = math.floor(x), math.floor(y)
            depth[row, column] = min(z, float(depth[row, column]) or math.inf)
    return depth


def camera(generator: torch.Generator, lens: Lens = Lens.PINHOLE) -> Cameras:
    pose = torch.cat([random_rotations(1, generator), torch.randn(1, 3, 1, generator=generator) / 4], dim=-1)
    pinhole = Cameras.pinhole(pose, torch.tensor([9.0, 10.0, 8.5, 5.0]), 16, 11)
    distortion = torch.tensor([[0.05, -0.01, *[0.0] * 6]])
    return replace(pinhole, lens=torch.tensor([int(lens)]), distortion=distortion)


@pytest.mark.parametrize("lens", [Lens.PINHOLE, Lens.OPENCV])
def test_the_nearest_point_of_each_pixel_counts(generator: torch.Generator, lens: Lens) -> None:
    """Among points on all sides of the camera, of which many share a pixel."""
    for _ in range(3):
        view, points = camera(generator, lens), torch.randn(400, 3, generator=generator)
        found = splatted(view, points)
        assert torch.equal(found, looped(view, points))
        assert 10 < int((found > 0).sum()) < 176


def test_what_is_no_point_of_the_image_leaves_nothing() -> None:
    front = Cameras.pinhole(torch.eye(4)[None, :3], torch.tensor([1.0, 1.0, 2.0, 2.0]), 4, 4)
    beside = torch.tensor([[2.0, 0.0, 1.0], [-2.001, 0.0, 1.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    assert not bool(splatted(front, beside).any())
    assert not bool(splatted(front, beside[:0]).any())
    # The left border belongs to the image, the right one does not.
    edge = splatted(front, torch.tensor([[-2.0, -2.0, 1.0], [1.999, 1.999, 1.0]]))
    assert torch.nonzero(edge).tolist() == [[0, 0], [3, 3]]


def test_each_view_has_the_points_that_it_sees(generator: torch.Generator) -> None:
    cameras = Cameras.concatenate([camera(generator), camera(generator)])
    points = torch.randn(300, 3, generator=generator)
    seen = (torch.arange(0, 300, 2), torch.arange(0))
    key_points = KeyPoints(cameras, points, seen)
    assert torch.equal(key_points.depth(0), looped(cameras[0], points[::2]))
    assert not bool(key_points.depth(1).any())


class Known(ImageSource):
    """Views with depth maps and sparse depths."""

    has_masks = has_depths = has_sparse_depths = True

    def image(self, index: int) -> Tensor:
        return torch.full((2, 3, 3), index / 10)

    def mask(self, index: int) -> Tensor:
        return torch.full((2, 3), index / 10)

    def depth(self, index: int) -> Tensor:
        return torch.ones(2, 3)

    def sparse_depth(self, index: int) -> Tensor:
        return torch.full((2, 3), 2.0 + index)


def test_sparse_depths_take_the_place_of_depth_maps() -> None:
    cameras = Cameras.pinhole(torch.eye(4)[None, :3].repeat(2, 1, 1), torch.ones(4), 3, 2)
    views = Views(cameras, ("a", "b"), Known(), (5, 3))
    sparse = with_sparse_depths(views)
    assert sparse.has_depths
    assert [float(sparse.depth(i)[0, 0]) for i in (0, 1)] == [7.0, 5.0]
    assert [float(sparse[[1, 0]].depth(i)[0, 0]) for i in (0, 1)] == [5.0, 7.0]
    assert torch.equal(sparse.image(1), views.image(1))
    assert torch.equal(sparse.mask(1), views.mask(1))
    assert sparse.names == views.names


def real(shared: Path) -> Path:
    folder = shared / "data/snowmiku"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: real photographs are not part of a clone")
    return folder


@pytest.mark.parametrize("options", [{}, {"max_side": 200}, {"scale": 0.3, "normalise": False}])
def test_depths_are_in_units_and_pixels_of_the_scene(
    shared: Path, options: dict[str, float | int | bool]
) -> None:
    """COLMAP's points, moved to the scene's frame and seen by its cameras, whatever its scale and size of images."""
    capture = read_capture(real(shared), format="colmap")
    assert capture.points is not None
    assert capture.seen is not None
    scene = open_scene(capture, split="every-8", **options)
    points = scene.to_input.inverse().points(capture.points)
    for views in (scene.train, scene.test):
        for i in (0, len(views) - 1):
            found = views.sparse_depth(i)
            width, height = views.cameras.sizes[i].tolist()
            assert found.shape == (height, width)
            rows = capture.seen[capture.names.index(views.names[i])]
            expected = looped(views.cameras[i], points[rows])
            # Rounding may carry a point that is seen between two pixels to the other one.
            same = torch.isclose(found, expected, rtol=1e-4)
            assert float((~same).sum()) < 0.01 * len(rows)
            assert int((found > 0).sum()) > 0.3 * len(rows)


def test_sparse_depths_are_no_depth_maps(shared: Path) -> None:
    """What others see of a capture does not change."""
    scene = open_scene(real(shared), format="colmap", max_side=100)
    assert scene.train.has_sparse_depths
    assert not scene.train.has_depths
    assert not scene.train[[0]].has_depths
    assert re.search("^depth maps +no$", describe(scene), re.MULTILINE)


def test_information_tells_of_sparse_depths(generator: torch.Generator) -> None:
    cameras = Cameras.concatenate([camera(generator)] * 2)
    views = Views(cameras, ("a", "b"), Known(), (0, 1))
    scene = Scene("x", views, views[:0], Bounds(1.0, 2.0, (0.0,) * 3, (1.0,) * 3))
    bare = Views.from_tensors(cameras, torch.zeros(2, 11, 16, 3))
    without = replace(scene, train=bare, test=bare[:0])
    for it, says in ((scene, "yes"), (without, "no")):
        (line,) = (line for line in describe(it).splitlines() if line.startswith("sparse depths"))
        assert line.split()[2].startswith(says)
