"""Which captures are forward-facing, and how a stated box and masks agree on where an object is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from novelview.cameras import Cameras
from novelview.data.bounds import find_extent, looks_forward, scene_bounds
from novelview.data.open import open_scene
from novelview.data.visual_hull import visual_hull
from novelview.geometry.rigid import Similarity, look_at
from novelview.types import Bounds, Views


def row_of_cameras(turn: float, advance: float = 0.0) -> Cameras:
    """Five cameras side by side that turn by ``turn`` radians and walk ``advance`` from the first to the last."""
    share = torch.linspace(-0.5, 0.5, 5)
    centres = torch.stack([0.4 * share, torch.zeros(5), advance * share], dim=-1)
    angle = turn * share
    targets = centres + torch.stack([angle.sin(), torch.zeros(5), angle.cos()], dim=-1)
    poses = look_at(centres, targets, torch.tensor([0.0, -1.0, 0.0]).expand(5, 3))
    return Cameras.pinhole(poses, torch.tensor([80.0, 80.0, 50.0, 40.0]), 100, 80)


@pytest.mark.parametrize(
    ("turn", "advance", "forward"),
    [(0.0, 0.0, True), (0.1, 0.0, True), (1.0, 0.0, False), (0.0, 2.0, False), (6.0, 0.0, False)],
    ids=["shifted", "slightly turned", "panned", "walked", "turned around"],
)
def test_one_shared_view_must_hold_what_all_cameras_see(turn: float, advance: float, forward: bool) -> None:
    assert looks_forward(row_of_cameras(turn, advance), near=1.0) is forward


RADIUS, PLACE = 0.3, torch.tensor([0.5, 0.2, -0.1])


def ball_seen_from(turn: torch.Tensor, place: torch.Tensor, size: int) -> Views:
    """A ball, and its masks in images of cameras at these angles around the origin, which they look at."""
    centres = 3 * torch.stack([turn.cos(), turn.sin(), (3 * turn).sin()], dim=-1)
    count = len(turn)
    poses = look_at(centres, torch.zeros(count, 3), torch.tensor([0.0, 0.0, 1.0]).expand(count, 3))
    cameras = Cameras.pinhole(poses, torch.tensor([110.0, 110.0, size / 2, size / 2]), size, size)
    rays = cameras.rays()
    along = F.normalize(rays.directions, dim=-1)
    aside = (place - rays.origins) - ((place - rays.origins) * along).sum(dim=-1, keepdim=True) * along
    masks = (aside.norm(dim=-1) < RADIUS).float()
    return Views.from_tensors(cameras, torch.ones(count, size, size, 3), masks=masks)


@pytest.fixture(scope="module")
def ball() -> Views:
    """A ball beside the origin, seen from all around."""
    return ball_seen_from(torch.arange(24) * 2 * torch.pi / 24, PLACE, 96)


def bounds_of(views: Views, box: list[list[float]] | None, object: bool = True) -> Bounds:
    stated = None if box is None else torch.tensor(box)
    extent = find_extent(
        views, points=None, near_far=None if object else (1.0, 9.0), object=object, box=stated, measure=False
    )
    frame = Similarity(0.5, torch.eye(3), torch.zeros(3))
    white = (1.0, 1.0, 1.0) if object else None
    return scene_bounds(
        views.cameras.moved(frame), extent, frame, box=stated, background=white, object=object
    )


def corners(bounds: Bounds) -> torch.Tensor:
    """In the frame of the input."""
    return 2 * torch.tensor([bounds.box_min, bounds.box_max])


def test_a_loose_box_shrinks_to_what_masks_show(ball: Views) -> None:
    found = bounds_of(ball, [[-1.5] * 3, [1.5] * 3])
    truth = torch.stack([PLACE - RADIUS, PLACE + RADIUS])
    out = (corners(found) - truth) * torch.tensor([[-1.0], [1.0]])
    # A twentieth of the edge is left on each side, and the hull of coarse masks is a little larger than the ball.
    assert out.min() > 0.02
    assert out.max() < 0.1
    assert not found.unbounded
    assert found.background == (1.0, 1.0, 1.0)
    distance = (ball.cameras.centres - PLACE).norm(dim=-1)
    assert 2 * found.near == pytest.approx(0.95 * float(distance.min() - RADIUS), rel=0.05)
    assert 2 * found.far == pytest.approx(1.05 * float(distance.max() + RADIUS), rel=0.05)


def test_a_side_that_cuts_the_object_stays(ball: Views) -> None:
    found = corners(bounds_of(ball, [[-1.5, -1.5, -1.5], [0.5, 1.5, 1.5]]))
    # What is found in a stated box gets a twentieth of the half ball's longest edge, but never leaves the box.
    assert found[1, 0].item() == 0.5
    assert found[0, 0].item() == pytest.approx(0.2 - 0.05 * 2 * RADIUS, abs=0.03)


def test_a_stated_box_stays_where_masks_do_not_count_or_contradict(ball: Views) -> None:
    for box, object in (([[-1.5] * 3, [1.5] * 3], False), ([[-1.5] * 3, [-0.9] * 3], True)):
        torch.testing.assert_close(corners(bounds_of(ball, box, object)), torch.tensor(box))


def test_a_box_far_too_large_does_not_hide_the_object(ball: Views) -> None:
    torch.testing.assert_close(
        corners(bounds_of(ball, [[-900.0] * 3, [900.0] * 3])),
        corners(bounds_of(ball, None)),
        atol=0.02,
        rtol=0,
    )


def test_a_hull_without_a_back_ends_where_the_stated_box_does() -> None:
    """Cameras in front of a ball leave a wedge behind it, longer than what they are guessed to look at."""
    views = ball_seen_from(torch.linspace(-0.1, 0.1, 12), torch.zeros(3), 40)
    back = [corners(bounds_of(views, box))[0, 0].item() for box in ([[-1.2] * 3, [1.2] * 3], None)]
    assert back[0] < -1.15
    assert back[1] > -1.0


def test_a_real_hull_fills_a_good_part_of_its_cube(shared: Path) -> None:
    """IDR states the sphere around the object; the box around that sphere's turned box was 14 times the hull's volume."""
    scene = open_scene(shared / "data/dtu_scan24", format="idr", split="none", max_side=200)
    lower, upper = torch.tensor(scene.bounds.box_min), torch.tensor(scene.bounds.box_max)
    hull = visual_hull(scene.train, lower, upper, 48, side=128)
    volume = (hull.values > 0).float().mean() * (upper - lower).prod()
    assert volume / (upper - lower).max() ** 3 > 0.25
