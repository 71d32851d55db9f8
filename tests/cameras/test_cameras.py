"""The camera object: rays and projection, resizing and cropping with the image, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.cameras.cameras import Cameras
from novelview.errors import CameraError
from novelview.geometry.images import resize_area
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import random_rotations, so3_exp

FOX = (0.057842, -0.08051, -0.00098, 0.000156, 0.0, 0.0, 0.0, 0.0)
FISHEYE = (-0.0125, 0.0062, -0.0091, 0.0023, 0.0, 0.0, 0.0, 0.0)


def make_cameras(seed: int = 0, width: int = 54, height: int = 96) -> Cameras:
    """Three cameras somewhere, one of each lens."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.cat([random_rotations(3, generator), torch.randn(3, 3, 1, generator=generator)], dim=-1)
    cameras = Cameras.pinhole(poses, torch.tensor([68.8, 68.7, 27.7, 48.3]), width, height)
    return replace(
        cameras,
        lens=torch.tensor([int(Lens.PINHOLE), int(Lens.OPENCV), int(Lens.FISHEYE)]),
        distortion=torch.tensor([(0.0,) * 8, FOX, FISHEYE]),
    )


def plane_image(cameras: Cameras) -> torch.Tensor:
    """What cameras at the origin see of the plane z = 3, whose colour is linear in x and y."""
    rays = cameras.rays()
    points = rays.origins + 3 * rays.directions
    x, y = points[0, ..., 0], points[0, ..., 1]
    return torch.stack([0.5 + 0.1 * x, 0.5 + 0.1 * y, 0.4 + 0.05 * (x - y)], dim=-1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 50))
def test_rays_and_projection_undo_each_other_with_every_lens(seed: int, depth: float) -> None:
    cameras = make_cameras(seed)
    rays = cameras.rays()
    assert rays.origins.shape == (3, 96, 54, 3)
    for i in range(3):
        points = (rays.origins[i] + depth * rays.directions[i]).reshape(-1, 3)
        pixels, found = cameras[i].project(points)
        torch.testing.assert_close(pixels[0].reshape(96, 54, 2), cameras.pixel_grid(), rtol=0, atol=2e-2)
        torch.testing.assert_close(found, torch.full_like(found, depth), rtol=1e-3, atol=1e-3)


def test_first_pixel_and_axes() -> None:
    camera = Cameras.pinhole(torch.eye(4)[None], torch.tensor([10.0, 20.0, 4.0, 3.0]), 8, 6)
    rays = camera.rays()
    torch.testing.assert_close(rays.directions[0, 0, 0], torch.tensor([-0.35, -0.125, 1.0]))
    assert float(rays.directions[0, -1, -1].min()) > 0  # right and down are positive
    pixels, depth = camera.project(torch.tensor([[1.0, 1.0, 2.0], [0.0, 0.0, -1.0]]))
    assert pixels[0, 0].tolist() == [9.0, 13.0]
    assert depth[0].tolist() == [2.0, -1.0]


def test_points_outside_the_lens_do_not_return_into_the_image() -> None:
    """k1 = -0.3 folds back at a slope of 1.05; a point at slope 1.7 would land near the middle."""
    camera = make_cameras()[1]
    camera = replace(
        camera,
        camera_to_world=torch.eye(3, 4)[None],
        distortion=torch.tensor([[-0.3] + [0.0] * 7]),
    )
    pixels, _ = camera.project(torch.tensor([[1.7, 0.0, 1.0], [0.2, 0.0, 1.0]]))
    assert pixels[0, 0].isnan().all()
    assert pixels[0, 1].isfinite().all()


@pytest.mark.parametrize(
    ("width", "height", "tolerance"),
    [(24, 20, 1e-6), (16, 10, 1e-6), (48, 40, 0.0), (7, 9, 1e-3), (31, 33, 1e-3)],
)
def test_resized_camera_sees_the_resized_image(width: int, height: int, tolerance: float) -> None:
    """The mean of a linear function over a pixel is its value at the pixel's centre.

    Ratios that cut pixels apart see a staircase instead of the function: less than an eighth of a step off.
    """
    camera = Cameras.pinhole(torch.eye(4)[None], torch.tensor([50.0, 45.0, 25.0, 19.0]), 48, 40)
    found = resize_area(plane_image(camera), width, height)
    torch.testing.assert_close(found, plane_image(camera.resized(width, height)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", [1, 2])
def test_resized_camera_with_a_lens_sees_the_resized_image(kind: int) -> None:
    camera = replace(make_cameras(width=540, height=960)[kind], camera_to_world=torch.eye(3, 4)[None])
    camera = replace(camera, intrinsics=10 * camera.intrinsics)
    expected = plane_image(camera.resized(54, 96))
    torch.testing.assert_close(resize_area(plane_image(camera), 54, 96), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_cropped_camera_sees_the_cropped_image(kind: int) -> None:
    camera = replace(make_cameras()[kind], camera_to_world=torch.eye(3, 4)[None])
    left, top, width, height = 13, 40, 21, 34
    cropped = plane_image(camera.cropped(left, top, width, height))
    torch.testing.assert_close(cropped, plane_image(camera)[top : top + height, left : left + width])


def test_resizing_changes_no_ray() -> None:
    cameras = make_cameras()
    corners = torch.tensor([[0.0, 0.0], [54.0, 96.0], [27.0, 10.0]]).expand(3, 3, 2)
    before = cameras.rays_through(corners)
    after = cameras.resized(27, 32).rays_through(corners * torch.tensor([27 / 54, 32 / 96]))
    torch.testing.assert_close(before.directions, after.directions)


def test_undistorted() -> None:
    cameras = make_cameras().undistorted()
    assert cameras.lens.tolist() == [0, 0, 0]
    assert not cameras.distortion.any()
    torch.testing.assert_close(cameras.intrinsics, make_cameras().intrinsics)


def test_indexing_and_concatenation() -> None:
    cameras = make_cameras()
    assert len(cameras[1]) == 1
    assert cameras[1].lens.tolist() == [1]
    assert cameras[[2, 0]].lens.tolist() == cameras[(2, 0)].lens.tolist() == [2, 0]
    assert cameras[1:].lens.tolist() == cameras[torch.tensor([1, 2])].lens.tolist() == [1, 2]
    assert cameras[-1].lens.tolist() == [2]
    assert Cameras.concatenate([cameras[2], cameras]).lens.tolist() == [2, 0, 1, 2]
    assert cameras.common_size == (54, 96)
    with pytest.raises(CameraError, match="differ in image size"):
        _ = Cameras.concatenate([cameras, cameras.resized(9, 9)]).common_size
    with pytest.raises(CameraError, match="no camera"):
        _ = cameras[:0].common_size


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_impossible_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(CameraError, match="impossible"):
        make_cameras().resized(*size)
    with pytest.raises(CameraError, match="impossible"):
        make_cameras().cropped(0, 0, *size)


def test_validated_keeps_good_cameras() -> None:
    cameras = make_cameras()
    same = cameras.validated()
    torch.testing.assert_close(same.camera_to_world, cameras.camera_to_world, rtol=0, atol=1e-6)
    assert len(cameras[:0].validated()) == 0


def test_validated_puts_rounding_right() -> None:
    cameras = make_cameras()
    rounded = replace(cameras, camera_to_world=cameras.camera_to_world.round(decimals=3))
    found = rounded.validated().rotations
    torch.testing.assert_close(found.mT @ found, torch.eye(3).expand(3, 3, 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(found, cameras.rotations, rtol=0, atol=5e-4)


def spoiled(field: str, place: tuple[int, ...], value: float) -> Cameras:
    cameras = make_cameras()
    tensor = getattr(cameras, field).clone()
    tensor[place] = value
    return replace(cameras, **{field: tensor})


FAULTS = [
    ("camera_to_world", (1, 0, 0), float("nan"), "finite"),
    ("camera_to_world", (1, 2, 3), float("inf"), "finite"),
    ("camera_to_world", (1, 0, 1), 3.0, "rigid|mirror"),
    ("intrinsics", (1, 0), 0.0, "focal"),
    ("intrinsics", (1, 1), -500.0, "focal"),
    ("intrinsics", (1, 1), float("nan"), "focal"),
    ("intrinsics", (1, 0), float("inf"), "focal"),
    ("intrinsics", (1, 2), 1e7, "principal point"),
    ("intrinsics", (1, 3), float("nan"), "principal point"),
    ("sizes", (1, 0), 0, "size"),
    ("sizes", (1, 1), -4, "size"),
    ("sizes", (1, 1), 2_000_000, "size"),
    ("distortion", (1, 3), float("nan"), "coefficients"),
    ("lens", (1,), 7, "lens"),
    ("lens", (1,), -1, "lens"),
]


@pytest.mark.parametrize(("field", "place", "value", "reason"), FAULTS)
def test_validated_names_the_view_and_the_reason(
    field: str, place: tuple[int, ...], value: float, reason: str
) -> None:
    with pytest.raises(CameraError, match=reason) as caught:
        spoiled(field, place, value).validated(["left.jpg", "middle.jpg", "right.jpg"])
    assert "middle.jpg" in str(caught.value)
    assert caught.value.cure
    with pytest.raises(CameraError, match="view 1"):
        spoiled(field, place, value).validated()


def test_validated_refuses_mirrors_scales_and_shears() -> None:
    cameras = make_cameras()
    for change, reason in (
        (torch.diag(torch.tensor([1.0, -1.0, 1.0])), "mirrors"),
        (1.01 * torch.eye(3), "rigid"),
        (torch.eye(3) + 0.02 * torch.eye(3).roll(1, 0), "rigid"),
    ):
        rotation = cameras.rotations @ change
        bad = replace(cameras, camera_to_world=torch.cat([rotation, cameras.centres[..., None]], dim=-1))
        with pytest.raises(CameraError, match=reason):
            bad.validated()
    turned = cameras.rotations @ so3_exp(torch.tensor([0.3, 2.0, -1.0]))
    replace(cameras, camera_to_world=torch.cat([turned, cameras.centres[..., None]], dim=-1)).validated()
