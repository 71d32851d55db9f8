"""Each loss against values that are worked out by hand, or number by number."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from novelview.methods.dvr import losses


def test_colours() -> None:
    found = torch.tensor([[0.5, 0.5, 0.5], [1.0, 0.0, 0.25]])
    seen = torch.tensor([[0.25, 0.5, 1.0], [1.0, 0.5, 0.0]])
    assert float(losses.colour_loss(found, seen)) == pytest.approx(0.25 + 0.5 + 0.5 + 0.25)


def test_changes_of_colour(generator: torch.Generator) -> None:
    found, seen = torch.rand(2, 5, 2, 2, 3, generator=generator).double()
    total = 0.0
    for patch in range(5):
        for channel in range(3):
            a, b = found[patch, ..., channel], seen[patch, ..., channel]
            right = float((a[0, 1] - a[0, 0]) - (b[0, 1] - b[0, 0]))
            down = float((a[1, 0] - a[0, 0]) - (b[1, 0] - b[0, 0]))
            total += math.hypot(right, down)
    assert float(losses.colour_change_loss(found, seen)) == pytest.approx(total)


def test_changes_of_colour_do_not_see_the_colour_itself() -> None:
    seen = torch.rand(3, 2, 2, 3)
    assert float(losses.colour_change_loss(seen + 0.5, seen)) == pytest.approx(0, abs=1e-5)


def test_depths() -> None:
    found, known = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.5, 2.0, 2.0])
    assert float(losses.depth_loss(found, known)) == pytest.approx(1.5)


def test_places() -> None:
    found = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    known = torch.tensor([[3.0, 4.0, 0.0], [1.0, 1.0, 3.0]])
    assert float(losses.place_loss(found, known)) == pytest.approx(5 + 2)


def test_points_outside_and_inside() -> None:
    """The cross entropies of what a sigmoid makes of logits."""
    logits = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    inside = [1 / (1 + math.exp(-value)) for value in logits.tolist()]
    empty = -sum(math.log(1 - value) for value in inside)
    filled = -sum(math.log(value) for value in inside)
    assert float(losses.empty_loss(logits)) == pytest.approx(empty)
    assert float(losses.filled_loss(logits)) == pytest.approx(filled)


@pytest.mark.parametrize("loss", [losses.empty_loss, losses.filled_loss])
def test_no_points_cost_nothing(loss: object) -> None:
    assert callable(loss)
    assert float(loss(torch.zeros(0))) == 0


def bowl(points: Tensor, bend: Tensor) -> Tensor:
    return bend - points[:, 2] - bend * points[:, 0].square() - points[:, 1].pow(3)


def test_normals(generator: torch.Generator) -> None:
    """Differences of normals, one axis and one point at a time."""
    points, aside = torch.rand(2, 4, 3, generator=generator).double()
    bend, step, total = torch.tensor(0.7, dtype=torch.float64), 1e-3, 0.0
    for point, other in zip(points, points + 0.1 * aside, strict=True):
        normals = []
        for place in (point, other):
            gradient = []
            for axis in range(3):
                move = torch.zeros(3, dtype=torch.float64)
                move[axis] = step / 2
                ahead, behind = bowl((place + move)[None], bend), bowl((place - move)[None], bend)
                gradient.append(float(ahead - behind) / step)
            length = math.hypot(*gradient)
            normals.append([-value / length for value in gradient])
        total += math.dist(*normals)
    found = losses.normal_loss(lambda p: bowl(p, bend), points, 0.1 * aside, step)
    assert float(found) == pytest.approx(total, rel=1e-9)


def test_normals_teach_the_field_and_do_not_move_the_points() -> None:
    points = torch.rand(4, 3).requires_grad_()
    bend = torch.tensor(0.7, requires_grad=True)
    losses.normal_loss(lambda p: bowl(p, bend), points, torch.full((4, 3), 0.1), 1e-2).backward()
    assert points.grad is None
    assert bend.grad is not None
    assert float(bend.grad.abs()) > 1e-3


def test_a_plane_has_one_normal() -> None:
    found = losses.normal_loss(lambda p: -p[:, 1], torch.rand(4, 3), torch.full((4, 3), 0.1), 1e-2)
    assert float(found) == pytest.approx(0, abs=1e-5)


def test_whole_patches() -> None:
    kept = torch.tensor([1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]).bool()
    assert losses.patches_within(kept).tolist() == [True, False, False, True]
