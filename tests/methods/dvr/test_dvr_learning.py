"""Where rays are searched, where points of the losses lie, what each loss costs, and what it teaches."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from balls import GREEN, NAMES, SEARCH, Ball, chances, only, seen, towards
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.methods.dvr.config import LossConfig, SearchConfig
from novelview.methods.dvr.learning import Chance, Seen, cube_span, learn, search

BEYOND = SearchConfig(samples=(64,), sample_steps=(), beyond=(0.0, 2.4))


def learnt(
    shape: Ball,
    pixels: Seen,
    weights: LossConfig,
    *,
    chance: Chance | None = None,
    config: SearchConfig = SEARCH,
    sharpness: float = 10.0,
) -> dict[str, Tensor]:
    chance = chance or chances(len(pixels))
    return learn(shape, pixels, chance, config, weights, samples=64, sharpness=sharpness)


# Outside and towards the cube, twice as fast; inside; past it; away from it.
SPAN_RAYS = Rays(
    torch.tensor([[0.0, 0.0, -2.0], [0.0, 0.0, -2.0], [0.1, 0.0, 0.2], [0.0, 2.0, -2.0], [0.0, 0.0, 2.0]]),
    torch.tensor([[0.0, 0, 1], [0, 0, 2], [0, 0, 1], [0, 0, 1], [0, 0, 1]]),
)


def test_the_part_of_a_ray_in_the_cube() -> None:
    near, far, some = cube_span(SPAN_RAYS, 0.5, None)
    assert some.tolist() == [True, True, True, False, False]
    torch.testing.assert_close(near[:3], torch.tensor([1.5, 0.75, 0.0]))
    torch.testing.assert_close(far[:3], torch.tensor([2.5, 1.25, 0.3]))


def test_rays_that_miss_the_cube_may_be_searched_in_a_range() -> None:
    near, far, some = cube_span(SPAN_RAYS, 0.5, (0.25, 2.4))
    assert bool(some.all())
    torch.testing.assert_close(near[3:], torch.tensor([0.25, 0.25]))
    torch.testing.assert_close(far[3:], torch.tensor([2.4, 2.4]))
    torch.testing.assert_close(near[:3], cube_span(SPAN_RAYS, 0.5, None)[0][:3])


def test_rays_that_miss_the_cube_meet_nothing_unless_searched_beyond_it() -> None:
    """A ball so large that it leaves the cube."""
    rays, ball = towards([(0.0, 0.0), (0.7, 0.0)]), Ball(0.8)
    within, beyond = search(ball, rays, SEARCH, 64), search(ball, rays, BEYOND, 64)
    # The first one enters the cube inside the ball already.
    assert within.hit.tolist() == [False, False]
    assert within.inside.tolist() == [True, False]
    assert math.isinf(float(within.depth[1]))
    assert beyond.hit.tolist() == [False, True]
    assert float(beyond.depth[1]) == pytest.approx(1 - math.sqrt(0.8**2 - 0.7**2), abs=1e-5)


def test_a_camera_in_the_cube_sees_what_is_before_it() -> None:
    rays = Rays(torch.tensor([[0.0, 0.0, -0.45], [0.0, 0.0, 0.45]]), torch.tensor([[0.0, 0, 1], [0, 0, 1]]))
    found = search(Ball(0.3), rays, SEARCH, 64)
    assert found.hit.tolist() == [True, False]
    assert float(found.depth[0]) == pytest.approx(0.15, abs=1e-5)


def test_rays_in_the_shape_begin_inside() -> None:
    rays = Rays(torch.zeros(1, 3), torch.tensor([[0.0, 0, 1]]))
    found = search(Ball(0.3), rays, SEARCH, 64)
    assert found.inside.tolist() == [True]
    assert float(found.depth) == 0


def test_no_rays_are_fine() -> None:
    assert len(search(Ball(), towards([(2.0, 2.0)])[:0], SEARCH, 16).depth) == 0


# Rays onto the ball, past it through the cube, and past the cube; each on and beside the mask.
PLACES = [(0.0, 0.0), (0.1, 0.0), (0.4, 0.4), (0.4, -0.4), (0.8, 0.0), (0.0, 0.8)]
MASK = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def test_empty_points_are_where_the_shape_is_wrongly_met_or_anywhere_in_the_cube() -> None:
    ball, chance = Ball(), chances(6)
    parts = learnt(ball, seen(towards(PLACES), MASK), only(empty=2.0), chance=chance)
    points = ball.asked[-1]
    expected = torch.tensor(
        [[0.1, 0.0, -math.sqrt(0.3**2 - 0.1**2)], [0.4, -0.4, -0.55 + 1.1 * float(chance.empty[3])]]
    )
    torch.testing.assert_close(points, expected, atol=1e-5, rtol=0)
    cost = 2 * F.softplus(ball.field(expected)).sum()
    torch.testing.assert_close(parts["empty"], cost)


def test_filled_points_are_anywhere_in_the_cube_where_the_shape_is_wrongly_missed() -> None:
    ball, chance = Ball(), chances(6)
    parts = learnt(ball, seen(towards(PLACES), MASK), only(filled=2.0), chance=chance)
    expected = torch.tensor([[0.4, 0.4, -0.5 + float(chance.filled[2])]])
    torch.testing.assert_close(ball.asked[-1], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts["filled"], 2 * F.softplus(-ball.field(expected)).sum())


def test_beyond_the_cube_there_are_points_too_where_it_is_searched() -> None:
    """Their depths are uniform from the camera to the end of the range."""
    ball, chance = Ball(), chances(6)
    learnt(ball, seen(towards(PLACES), MASK), only(empty=1.0), chance=chance, config=BEYOND)
    assert len(ball.asked[-1]) == 3
    assert float(ball.asked[-1][-1, 2]) == pytest.approx(-1 + 2.4 * float(chance.empty[5]), abs=1e-5)
    learnt(ball, seen(towards(PLACES), MASK), only(filled=1.0), chance=chance, config=BEYOND)
    assert len(ball.asked[-1]) == 2
    assert float(ball.asked[-1][-1, 2]) == pytest.approx(-1 + 2.4 * float(chance.filled[4]), abs=1e-5)


@pytest.mark.parametrize("supervised", [True, False])
def test_filled_points_lie_on_known_depths_where_these_are_learnt_from(supervised: bool) -> None:
    ball, chance = Ball(), chances(6)
    pixels = seen(towards(PLACES), MASK, depth=[0.7, 0.0, 0.9, 0.0, 0.6, 0.0])
    learnt(ball, pixels, only(filled=1.0, depth=float(supervised)), chance=chance)
    found = ball.asked[-1]
    if supervised:
        torch.testing.assert_close(found, torch.tensor([[0.4, 0.4, -0.1], [0.8, 0.0, -0.4]]))
    else:
        assert len(found) == 1


def test_the_mask_loss_acts_where_ray_and_mask_disagree_or_nothing_is_met() -> None:
    """At the surface where it is met, else at the deepest place; a ray on which all is well costs nothing."""
    ball, sharpness = Ball(), 10.0
    parts = learnt(ball, seen(towards(PLACES[:4]), MASK[:4]), only(mask=3.0), sharpness=sharpness)
    deepest = 0.3 - math.hypot(0.4, 0.4)
    logits = torch.tensor([0.0, deepest, deepest]) * sharpness
    wanted = torch.tensor([0.0, 1.0, 0.0])
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    # The deepest place is a sample, and so within half a gap of the middle.
    assert float(parts["mask"].detach()) == pytest.approx(3 * float(entropy) / sharpness, rel=1e-3)


def test_soft_masks_are_soft_aims() -> None:
    ball = Ball()
    half = learnt(ball, seen(towards([(0.31, 0.0)]), [0.4]), only(mask=1.0))["mask"]
    none = learnt(ball, seen(towards([(0.31, 0.0)]), [0.0]), only(mask=1.0))["mask"]
    # Cross entropy falls by the logit for each part of the aim, here over the sharpness again.
    assert float((none - half).detach()) == pytest.approx(0.4 * (0.3 - 0.31), rel=2e-2)


def test_colours_and_depths_where_the_shape_is_seen_and_met() -> None:
    ball = Ball()
    pixels = seen(towards(PLACES[:2], speed=2.0), [1.0, 1.0], depth=[0.4, 0.0])
    parts = learnt(ball, pixels, only(colour=1.0, depth=10.0, place=1.0))
    points = torch.tensor([[0.0, 0.0, -0.3], [0.1, 0.0, -math.sqrt(0.08)]])
    colour = (0.5 * (0.5 + points) - torch.tensor(GREEN)).abs().sum()
    assert float(parts["colour"].detach()) == pytest.approx(float(colour), rel=1e-4)
    # The ray parameter is 0.35 there, and a second one is not known.
    assert float(parts["depth"].detach()) == pytest.approx(10 * 0.05, rel=1e-4)
    assert float(parts["place"].detach()) == pytest.approx(0.1, rel=1e-4)


def test_depth_teaches_the_shape() -> None:
    """By d = (1 - radius) / speed: a surface that is too near shrinks."""
    ball = Ball()
    pixels = seen(towards([(0.0, 0.0)], speed=2.0), [1.0], depth=[0.5])
    learnt(ball, pixels, only(depth=1.0))["depth"].backward()
    assert ball.radius.grad is not None
    assert float(ball.radius.grad) == pytest.approx(0.5, rel=1e-4)


def test_the_distance_loss_wants_slopes_of_one() -> None:
    pixels, steep = seen(towards(PLACES), MASK), Ball(steep=1.5)
    found = learnt(steep, pixels, only(distance=1.0, normal_step=1e-2))["distance"]
    # At a random point for each ray, and at both places where the ball is met.
    assert float(found.detach()) == pytest.approx(8 * 0.25, rel=2e-2)


def test_whole_patches_alone_have_changes_of_colour() -> None:
    quad = [(0.0, 0.0), (0.05, 0.0), (0.0, 0.05), (0.05, 0.05)]
    rays, ball = towards(quad + quad), Ball()
    whole = learnt(ball, seen(rays, [1.0] * 8), only(change=1.0))["change"]
    half = learnt(ball, seen(rays, [1.0] * 7 + [0.0]), only(change=1.0))["change"]
    assert float(half.detach()) == pytest.approx(float(whole.detach()) / 2)
    assert float(half.detach()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_flows_where_a_weight_is_0(name: str) -> None:
    """One loss alone gives the gradient that it has among all of them; the others have none."""
    rays = towards([(0.09 * x, 0.02 * y) for x in (1, 2, 3, 4) for y in (0, 1, 2, 3)])
    pixels = seen(rays, [1.0] * 8 + [0.0] * 2 + [1.0] * 6, depth=[0.75] * 12 + [0.0] * 4)
    gradients = []
    for weights in (only(**{name: 2.0}), only(**dict.fromkeys(NAMES, 2.0))):
        ball = Ball()
        parts = learnt(ball, pixels, weights)
        assert all(getattr(weights, other) or not value.detach() for other, value in parts.items())
        gradients.append(torch.autograd.grad(parts[name], [ball.radius, ball.paint], materialize_grads=True))
    for alone, among_all in zip(*gradients, strict=True):
        torch.testing.assert_close(alone, among_all)
    assert bool(gradients[0][1]) == (name in ("colour", "change"))


def test_no_weights_no_losses() -> None:
    assert learnt(Ball(), seen(towards(PLACES), MASK), only()) == {}


def test_rays_that_meet_and_show_nothing_cost_nothing() -> None:
    weights = only(**dict.fromkeys(set(NAMES) - {"change", "distance"}, 1.0))
    parts = learnt(Ball(), seen(towards([(0.8, 0.0)] * 4), [0.0] * 4, depth=[0.0] * 4), weights)
    cost = {name: float(value.detach()) for name, value in parts.items() if name != "mask"}
    assert set(cost.values()) == {0.0}


def test_rays_past_the_cube_say_nothing_of_it() -> None:
    """Whatever their masks: nothing that is searched could make these true."""
    for mask in (0.0, 1.0):
        parts = learnt(Ball(), seen(towards([(0.8, 0.0)] * 4), [mask] * 4), only(mask=1.0))
        assert float(parts["mask"].detach()) == 0.0


def test_random_numbers_are_all_that_is_random() -> None:
    pixels, weights = seen(towards(PLACES), MASK), only(empty=1.0, filled=1.0, normal=1.0, distance=1.0)
    torch.manual_seed(1)
    first = learnt(Ball(steep=2.0), pixels, weights, chance=chances(6, 0))
    torch.manual_seed(2)
    again = learnt(Ball(steep=2.0), pixels, weights, chance=chances(6, 0))
    other = learnt(Ball(steep=2.0), pixels, weights, chance=chances(6, 1))
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
        assert not torch.equal(value, other[name]), name


def test_random_numbers_are_dealt_out() -> None:
    numbers = torch.rand(3, Chance.NUMBERS)
    chance = Chance.drawn(numbers)
    parts = [chance.empty[:, None], chance.filled[:, None], chance.aside, chance.anywhere]
    assert torch.equal(torch.cat(parts, dim=1), numbers)
