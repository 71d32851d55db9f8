"""The visual hull of masks, against shapes whose hull is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.cameras import Cameras
from novelview.data.hull import hull_points
from novelview.data.open import open_scene
from novelview.data.visual_hull import GridField, hull_depth, visual_hull
from novelview.errors import DataError
from novelview.geometry.rays import Rays
from novelview.geometry.rigid import look_at
from novelview.rendering.surface import first_crossing
from novelview.types import Views

LOWER, UPPER = torch.full((3,), -0.5), torch.full((3,), 0.5)
RADIUS = 0.4


def around(count: int, size: int) -> Cameras:
    """Cameras spread evenly over a sphere of radius 2.5, looking at the origin."""
    share = (torch.arange(count) + 0.5) / count
    polar, turn = torch.acos(1 - 2 * share), math.pi * (1 + math.sqrt(5)) * count * share
    centres = 2.5 * torch.stack([turn.cos() * polar.sin(), turn.sin() * polar.sin(), polar.cos()], dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    poses = look_at(centres, torch.zeros(count, 3), up)
    return Cameras.pinhole(poses, torch.tensor([1.8 * size, 1.8 * size, size / 2, size / 2]), size, size)


def masked(cameras: Cameras, hit: Callable[[Rays], Tensor], supersample: int = 4) -> Views:
    """Views whose masks are the share of each pixel's rays that hit the object."""
    width, height = cameras.common_size
    fine = cameras.resized(width * supersample, height * supersample)
    masks = torch.stack([hit(fine[i].rays()[0]).float() for i in range(len(cameras))])
    return with_masks(cameras, F.avg_pool2d(masks[:, None], supersample)[:, 0])


def with_masks(cameras: Cameras, masks: Tensor) -> Views:
    """Views that are white where they are masked."""
    return Views.from_tensors(cameras, masks[..., None].expand(-1, -1, -1, 3), masks=masks)


def meets_ball(rays: Rays) -> Tensor:
    directions = F.normalize(rays.directions, dim=-1)
    nearest = rays.origins - (rays.origins * directions).sum(dim=-1, keepdim=True) * directions
    return nearest.norm(dim=-1) < RADIUS


def meets_box(rays: Rays, lower: Tensor, upper: Tensor) -> Tensor:
    a, b = (lower - rays.origins) / rays.directions, (upper - rays.origins) / rays.directions
    return torch.minimum(a, b).amax(dim=-1) < torch.maximum(a, b).amin(dim=-1)


def meets_cup(rays: Rays) -> Tensor:
    """A cube without lid and with thin walls: what is seen through its opening are its inner sides."""
    walls = [((-0.3, -0.3, -0.3), (0.3, 0.3, -0.25))]
    walls += [((-0.3, -0.3, -0.3), (-0.25, 0.3, 0.3)), ((0.25, -0.3, -0.3), (0.3, 0.3, 0.3))]
    walls += [((-0.3, -0.3, -0.3), (0.3, -0.25, 0.3)), ((-0.3, 0.25, -0.3), (0.3, 0.3, 0.3))]
    parts = [meets_box(rays, torch.tensor(lower), torch.tensor(upper)) for lower, upper in walls]
    return torch.stack(parts).any(dim=0)


@pytest.fixture(scope="module")
def ball() -> Views:
    return masked(around(48, 128), meets_ball)


def radii(field: GridField) -> Tensor:
    """Distance of the surface from the origin along directions to all sides."""
    directions = F.normalize(around(500, 8).centres, dim=-1)
    rays = Rays(0.86 * directions, -directions)
    crossing = first_crossing(field, rays, torch.zeros(500), torch.full((500,), 0.8), samples=200)
    assert bool(crossing.hit.all())
    return 0.86 - crossing.depth


def test_many_views_of_a_ball_leave_a_ball(ball: Views) -> None:
    found = radii(visual_hull(ball, LOWER, UPPER, 64, agreement=1.0))
    assert found.mean().item() == pytest.approx(RADIUS, abs=1e-3)
    assert found.std().item() < 1e-3
    assert found.min() > RADIUS - 2e-3
    # Where one view in ten may be overruled, the ball is a little larger.
    more = radii(visual_hull(ball, LOWER, UPPER, 64))
    assert RADIUS < more.mean() < 1.01 * RADIUS


def test_values_are_nearly_distances(ball: Views) -> None:
    field = visual_hull(ball, LOWER, UPPER, 64, agreement=1.0)
    points = F.normalize(around(100, 8).centres, dim=-1) * torch.linspace(0.32, 0.48, 100)[:, None]
    torch.testing.assert_close(field(points), RADIUS - points.norm(dim=-1), atol=0.015, rtol=0)


def test_hollows_that_no_outline_shows_are_filled() -> None:
    field = visual_hull(masked(around(60, 96), meets_cup), LOWER, UPPER, 48, agreement=1.0)
    assert field(torch.tensor([[0.0, 0.0, 0.0]])).item() > 0.15
    lid = torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.4]])
    assert (field(lid) > 0).tolist() == [True, False]
    walls = torch.tensor([[0.28, 0.1, 0.0], [0.36, 0.1, 0.0], [0.1, -0.28, 0.0], [0.1, -0.36, 0.0]])
    assert (field(walls) > 0).tolist() == [True, False, True, False]


def test_a_view_that_disagrees_is_overruled(ball: Views) -> None:
    masks = ball.masks().clone()
    masks[7] = 0
    spoiled = with_masks(ball.cameras, masks)
    found = radii(visual_hull(spoiled, LOWER, UPPER, 32))
    assert found.mean().item() == pytest.approx(RADIUS, rel=0.02)
    with pytest.raises(DataError, match="leave nothing of the object") as error:
        visual_hull(spoiled, LOWER, UPPER, 32, agreement=1.0)
    assert "100% of the 48 masks" in str(error.value)


def test_every_view_that_sees_a_point_counts(ball: Views) -> None:
    """Views of one half of the ball neither carve the other half nor vouch for it."""
    masks = ball.masks()
    cameras = Cameras.concatenate([ball.cameras.cropped(0, 0, 64, 128), ball.cameras.cropped(64, 0, 64, 128)])
    field = visual_hull(
        with_masks(cameras, torch.cat(masks.split(64, dim=2))), LOWER, UPPER, 32, agreement=1.0
    )
    assert radii(field).mean().item() == pytest.approx(RADIUS, abs=5e-3)


def test_cells_are_cubes_and_nothing_is_outside_the_box(ball: Views) -> None:
    upper = torch.tensor([0.5, 0.5, 0.1])
    field = visual_hull(ball, LOWER, upper, 20, agreement=1.0)
    assert field.values.shape == (21, 21, 13)
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.2], [9.0, 0.0, 0.0]])
    assert field(points).tolist() == pytest.approx([0.1, -0.1, -8.5])


def test_a_field_is_trilinear_between_its_nodes(generator: torch.Generator) -> None:
    values = torch.randn(3, 4, 5, generator=generator)
    field = GridField(values - 9, torch.zeros(3), torch.tensor([2.0, 3.0, 4.0]))
    nodes = torch.cartesian_prod(torch.arange(3.0), torch.arange(4.0), torch.arange(5.0))
    torch.testing.assert_close(field(nodes), (values - 9).flatten())
    middle = (values[1, 2, 3] + values[2, 2, 3]) / 2 - 9
    torch.testing.assert_close(field(torch.tensor([[1.5, 2.0, 3.0]])), middle[None])


def test_depth_of_the_hull_is_that_of_the_ball(ball: Views) -> None:
    field = visual_hull(ball, LOWER, UPPER, 64, agreement=1.0)
    camera = ball.cameras[3]
    depth = hull_depth(field, camera)
    assert depth.shape == (128, 128)
    assert depth[64, 64].item() == pytest.approx(2.5 - RADIUS, abs=2e-3)
    assert depth[0, 0] == 0
    torch.testing.assert_close((depth > 0).float().mean(), ball.mask(3).mean(), atol=5e-3, rtol=0)


def test_a_hull_that_the_box_cuts_off_is_met_at_its_face() -> None:
    full = GridField(torch.ones(2, 2, 2), torch.full((3,), -0.2), torch.full((3,), 0.2))
    pose = look_at(
        torch.tensor([[0.01, 0.02, -2.0]]),
        torch.tensor([[0.01, 0.02, 0.0]]),
        torch.tensor([[0.0, -1.0, 0.0]]),
    )
    camera = Cameras.pinhole(pose, torch.tensor([64.0, 64.0, 8.0, 8.0]), 16, 16)
    depth = hull_depth(full, camera)
    assert depth[8, 8].item() == pytest.approx(1.8, abs=1e-4)
    assert depth[0, 0].item() == 0


def test_without_masks_there_is_none(ball: Views) -> None:
    bare = Views.from_tensors(ball.cameras, ball.images())
    with pytest.raises(DataError, match="without masks"):
        visual_hull(bare, LOWER, UPPER)


def test_silhouettes_may_be_of_other_shapes(ball: Views) -> None:
    wide = ball.cameras.cropped(-10, 0, 148, 128)
    padded = visual_hull(with_masks(wide, F.pad(ball.masks(), (10, 10))), LOWER, UPPER, 16, agreement=1.0)
    torch.testing.assert_close(
        radii(padded), radii(visual_hull(ball, LOWER, UPPER, 16, agreement=1.0)), atol=2e-3, rtol=0
    )


def test_coarse_hull_points_are_in_the_ball(ball: Views) -> None:
    points = hull_points(ball, torch.zeros(3), 1.0)
    assert points.norm(dim=-1).max() < 1.1 * RADIUS
    assert points.amax(dim=0).min() > 0.9 * RADIUS


def test_real_hulls_fill_their_masks(shared: Path) -> None:
    scene = open_scene(shared / "data/templering", max_side=160, split="none")
    lower, upper = torch.tensor(scene.bounds.box_min), torch.tensor(scene.bounds.box_max)
    field = visual_hull(scene.train, lower, upper, 64)
    for i in range(0, len(scene.train), 15):
        seen, mask = hull_depth(field, scene.train.cameras[i]) > 0, scene.train.mask(i) > 0.5
        assert (seen & mask).sum() / (seen | mask).sum() > 0.85
