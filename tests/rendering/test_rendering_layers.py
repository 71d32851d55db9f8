"""Layers of depth: where other cameras see them, and how they are put together, against loops and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.geometry.rigid import look_at
from novelview.random import generator_for
from novelview.rendering.layers import (
    Projections,
    disparities,
    gather,
    over_layers,
    pixel_centres,
    splat,
)

B, M, L, C, H, W = 2, 3, 2, 4, 5, 6
SIZE = (10, 11)


def random(*shape: int, key: str = "", dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=generator_for(0, key, *shape), dtype=dtype)


def places(margin: float, dtype: torch.dtype = torch.float64) -> Tensor:
    drawn = torch.rand(B, M, L, H, W, 2, generator=generator_for(0, "places"), dtype=dtype)
    return margin + (1 - 2 * margin) * drawn


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_splat_and_gather_are_adjoint(dtype: torch.dtype, bound: float) -> None:
    values, images = random(B, L, C, H, W, dtype=dtype), random(B, M, C, *SIZE, dtype=dtype)
    # Away from borders, beyond which gathering repeats what is there and splatting loses it.
    where = places(0.1, dtype)
    one = (splat(values, where, SIZE).sum(dim=2) * images).sum()
    other = (values[:, None] * gather(images, where)).sum()
    # The rounding of a sum of signed products is that of the sum of their sizes.
    scale = (values.abs()[:, None] * gather(images, where).abs()).sum()
    assert abs(float(one - other)) <= bound * float(scale)


def test_points_are_seen_where_they_are_also_in_a_bfloat16_network() -> None:
    camera, pose = torch.tensor([[[0.9, 0.0, 0.5], [0.0, 1.2, 0.5], [0.0, 0.0, 1.0]]]), torch.eye(4)[None, :3]
    cameras, poses = camera[:, None].expand(1, 3, 3, 3), pose[:, None].repeat(1, 3, 1, 1)
    poses[0, :, 0, 3] = torch.tensor([0.013, -0.21, 0.37])
    xy, disparity = (
        pixel_centres(8, 8, pose)[None],
        torch.rand(1, 2, 8, 8, generator=generator_for(0, "bf16")),
    )

    def seen() -> tuple[Tensor, Tensor]:
        return Projections.between(camera, pose, cameras, poses).points(xy, disparity)

    expected = seen()
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, seen(), expected))


def test_splat_equals_a_loop() -> None:
    values, where = random(1, 1, 1, 2, 3), places(-0.1)[:1, :1, :1, :2, :3]
    expected = torch.zeros(4, 5, dtype=torch.float64)
    for y in range(2):
        for x in range(3):
            u, v = float(where[0, 0, 0, y, x, 0]) * 5 - 0.5, float(where[0, 0, 0, y, x, 1]) * 4 - 0.5
            for row in range(4):
                for column in range(5):
                    share = max(0.0, 1 - abs(u - column)) * max(0.0, 1 - abs(v - row))
                    expected[row, column] += share * float(values[0, 0, 0, y, x])
    torch.testing.assert_close(splat(values, where, (4, 5))[0, 0, 0, 0], expected)


def test_gradients_of_splat() -> None:
    values, where = (
        random(1, 2, 2, 2, 3).requires_grad_(),
        places(0.1)[:1, :2, :, :2, :3].clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(lambda v, p: splat(v, p, (4, 5)), (values, where))


def test_gradients_of_gather() -> None:
    images, where = (
        random(1, 2, 2, 4, 5).requires_grad_(),
        places(0.1)[:1, :2, :, :2, :3].clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(gather, (images, where))


def test_layers_over_each_other_equal_a_loop() -> None:
    alpha, colours = random(L + 2, 1, H, W).sigmoid(), random(L + 2, 3, H, W)
    expected = torch.zeros(3, H, W, dtype=torch.float64)
    for colour, opacity in zip(colours, alpha, strict=True):
        expected = expected * (1 - opacity) + colour * opacity
    torch.testing.assert_close(over_layers(colours * alpha, alpha), expected)


def test_bands_are_disjoint_and_fill_the_range() -> None:
    near, far = torch.tensor([2.0, 1.0]), torch.tensor([0.5, 0.0])
    ends = [disparities(torch.full((2, 4, 1, 1), side), near, far)[..., 0, 0] for side in (-1.0, 1.0)]
    torch.testing.assert_close(ends[0][:, 1:], ends[1][:, :-1])
    torch.testing.assert_close(ends[0][:, 0], far)
    torch.testing.assert_close(ends[1][:, -1], near)


def test_pairs_of_anchors_meet_in_the_middle_of_the_merged_band() -> None:
    near, far = torch.tensor([2.0]), torch.tensor([0.5])
    fine, coarse = (disparities(torch.zeros(1, n, 1, 1), near, far)[0, :, 0, 0] for n in (8, 4))
    torch.testing.assert_close(fine.view(4, 2).mean(dim=1), coarse)


def test_points_are_seen_where_cameras_project_them() -> None:
    intrinsics = torch.tensor([[0.9, 0.0, 0.5], [0.0, 1.2, 0.45], [0.0, 0.0, 1.0]], dtype=torch.float64)
    centres = random(M + 1, 3) * 0.3
    poses = look_at(
        centres,
        torch.tensor([[0.0, 0.0, 4.0]]).double().expand(M + 1, 3),
        torch.tensor([[0.0, -1.0, 0.0]]).double().expand(M + 1, 3),
    )
    projections = Projections.between(
        intrinsics[None], poses[:1], intrinsics.expand(1, M, 3, 3), poses[None, 1:]
    )
    disparity = random(1, L, H, W).sigmoid() * 0.5
    disparity[0, 0, 0, 0] = 0  # a point at infinity
    xy = pixel_centres(H, W, disparity)
    found, seen = projections.points(xy[None], disparity)
    for layer in range(L):
        direction = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1) @ torch.linalg.inv(intrinsics).T
        far = direction @ poses[0, :, :3].T
        # Homogeneous coordinates, so that infinity is a point like any other.
        towards = far + disparity[0, layer, ..., None] * (poses[0, :, 3] - poses[1:, None, None, :, 3])
        local = torch.einsum("mji,mhwj->mhwi", poses[1:, :, :3], towards)
        image = local @ intrinsics.T
        torch.testing.assert_close(found[0, :, layer], image[..., :2] / image[..., 2:])
    assert torch.equal(seen, ((found > 0) & (found < 1)).all(dim=-1))


def test_points_behind_a_camera_are_not_seen() -> None:
    intrinsics = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    pose = torch.eye(4)[None, :3]
    ahead = pose.clone()
    ahead[0, 2, 3] = 5.0
    projections = Projections.between(intrinsics[None], pose, intrinsics[None, None], ahead[None])
    xy = pixel_centres(2, 2, pose)[None]
    where, seen = projections.points(xy, torch.full((1, 1, 2, 2), 0.5))
    assert not bool(seen.any())
    assert bool((splat(torch.ones(1, 1, 1, 2, 2), where, (4, 4)) == 0).all())
