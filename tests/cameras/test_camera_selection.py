"""Which photographs are chosen for a new view, where the nearest ones are the wrong ones."""

from __future__ import annotations

import torch

from novelview.cameras import Cameras
from novelview.cameras.selection import select_views, view_worth
from novelview.geometry.rigid import look_at


def looking(centres: list[list[float]], targets: list[list[float]]) -> Cameras:
    up = torch.tensor([0.0, -1.0, 0.0]).expand(len(centres), 3)
    poses = look_at(torch.tensor(centres), torch.tensor(targets), up)
    return Cameras.pinhole(poses, torch.tensor([50.0, 50.0, 32.0, 32.0]), 64, 64)


def row(xs: list[float]) -> Cameras:
    """Cameras side by side that look straight ahead."""
    return looking([[x, 0.0, 0.0] for x in xs], [[x, 0.0, 1.0] for x in xs])


FORWARD = row([0.0])


def test_a_camera_at_the_targets_place_is_worth_one_where_it_sees() -> None:
    sight = view_worth(FORWARD, FORWARD, 1.0, 10.0)
    worth, angle = sight.worth, sight.angle
    torch.testing.assert_close(worth, torch.ones_like(worth), atol=1e-4, rtol=0)
    torch.testing.assert_close(angle, torch.zeros_like(angle), atol=1e-3, rtol=0)


def test_a_near_camera_that_looks_away_is_not_chosen() -> None:
    # The two nearest centres look backwards and sideways; the third, farther one, sees what the target sees.
    cameras = looking(
        [[0.01, 0.0, 0.0], [-0.01, 0.0, 0.0], [0.5, 0.0, 0.0]],
        [[0.01, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.5, 0.0, 1.0]],
    )
    chosen = select_views(FORWARD, cameras, 1.0, 10.0, 1)
    assert chosen.indices == (2,)
    assert chosen.scores[0] > 0.1


def test_views_on_both_sides_are_preferred_to_a_cluster_on_one() -> None:
    # Three views together on the right see the same; the left one, a little farther away, sees behind edges. The
    # nearest depths are near enough for the images to overlap only in part.
    chosen = select_views(FORWARD, row([0.30, 0.31, 0.32, -0.33]), 0.5, 10.0, 2)
    assert set(chosen.indices) == {0, 3}


def test_a_view_of_what_no_other_sees_is_chosen_before_better_ones_of_the_rest() -> None:
    # Four views beside the target look at its left half; one far away looks at the right half.
    centres = [[0.02 * i, 0.0, 0.0] for i in range(4)] + [[1.5, 0.0, 0.0]]
    targets = [[-0.8, 0.0, 1.0]] * 4 + [[1.2, 0.0, 3.0]]
    chosen = select_views(FORWARD, looking(centres, targets), 2.0, 6.0, 2)
    assert 4 in chosen.indices


def test_it_is_reproducible_and_asks_for_no_more_than_there_is() -> None:
    cameras = row([0.1 * i for i in range(5)])
    one, other = (select_views(FORWARD, cameras, 1.0, 10.0, 9, fade=0.3) for _ in range(2))
    assert one == other
    assert sorted(one.indices) == list(range(5))
    assert list(one.scores) == sorted(one.scores, reverse=True)
    assert one.weights == (1.0,) * 5
    assert one.coverage == 1.0


def test_views_that_see_nothing_cover_nothing() -> None:
    backwards = looking([[0.0, 0.0, 0.0]], [[0.0, 0.0, -1.0]])
    chosen = select_views(FORWARD, backwards, 1.0, 10.0, 1)
    assert chosen.coverage == 0.0
    assert chosen.seen == (0.0,)


def test_what_is_said_of_a_view_is_what_it_sees() -> None:
    # From 0.2 m beside, a point 2 m ahead is seen at 5.7 degrees to the target's ray, one aside at a little less.
    chosen = select_views(FORWARD, row([0.2]), 2.0, 2.001, 1)
    assert 4.5 < chosen.angles[0] < 5.72
    assert 0.8 < chosen.seen[0] <= 1.0


def test_a_view_fades_before_another_takes_its_place() -> None:
    cameras = row([0.1 * i for i in range(12)])
    say = torch.zeros(400, len(cameras))
    for step, x in enumerate(torch.linspace(0.35, 0.55, len(say)).tolist()):
        chosen = select_views(row([x]), cameras, 1.0, 10.0, 4, fade=0.6)
        say[step, list(chosen.indices)] = torch.tensor(chosen.weights)
    # Views come and go within two of their distances, none of them in one of 400 steps.
    assert (say > 0).any(dim=0).sum() >= 6
    assert float(say.diff(dim=0).abs().max()) < 0.05
    assert float(say.max(dim=1).values.min()) == 1.0


def test_a_view_that_leaves_has_no_weight_left() -> None:
    cameras = row([0.1 * i for i in range(12)])
    smallest = min(
        min(select_views(row([x]), cameras, 1.0, 10.0, 4, fade=0.6).weights)
        for x in torch.linspace(0.35, 0.55, 400).tolist()
    )
    assert smallest < 0.01


def test_views_alike_in_all_share_the_say() -> None:
    chosen = select_views(FORWARD, row([0.0] * 6), 1.0, 10.0, 3, fade=0.6)
    assert chosen.weights == (1.0,) * 3


def test_without_fading_all_chosen_views_have_the_same_say() -> None:
    chosen = select_views(row([0.33]), row([0.1 * i for i in range(12)]), 1.0, 10.0, 4)
    assert chosen.weights == (1.0,) * 4
