"""The beginning in which every place along a ray may be the surface."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from balls import GREEN, SEARCH, Ball, chances, only, seen, towards
from torch import Tensor

from novelview.errors import ConfigError
from novelview.methods.dvr.candidates import learn_candidates
from novelview.methods.dvr.config import LossConfig, StartConfig
from novelview.methods.dvr.learning import Seen

START = StartConfig(until=0.5, samples=400, opacity=0.0)
# Where the ray through the middle of a ball of radius 0.3 meets it, seen from z = -1.
FRONT = 0.7


def learnt(
    shape: Ball,
    pixels: Seen,
    weights: LossConfig,
    start: StartConfig = START,
    sharpness: float = 2000.0,
) -> dict[str, Tensor]:
    return learn_candidates(shape, pixels, chances(len(pixels)), SEARCH, weights, start, sharpness=sharpness)


def test_a_sharp_surface_costs_what_its_colour_is_off() -> None:
    ball = Ball()
    found = learnt(ball, seen(towards([(0.0, 0.0)]), [1.0]), only(colour=2.0))
    place = torch.tensor([0.0, 0.0, -0.3])
    expected = (ball.colour(place, place) - torch.tensor(GREEN)).abs().sum().detach()
    assert float(found["colour"].detach()) == pytest.approx(2 * float(expected), abs=0.01)


def test_errors_are_summed_by_likelihood_and_not_blended() -> None:
    """Against the expectation over a blurred surface, integrated finely with numbers of its own."""
    ball, sharpness = Ball(), 20.0
    found = learnt(ball, seen(towards([(0.0, 0.0)]), [1.0]), only(colour=1.0), sharpness=sharpness)
    expected, light = 0.0, 1.0
    # The cube that is searched reaches from z = -0.55 to the ball's middle, behind which light no longer grows less.
    edges = torch.linspace(-0.55, 0.0, 4001, dtype=torch.float64).tolist()
    for before, after in pairwise(edges):
        outside = [1 / (1 + math.exp(sharpness * (0.3 - abs(z)))) for z in (before, after)]
        stops = light * (1 - outside[1] / outside[0])
        place = torch.tensor([0.0, 0.0, (before + after) / 2])
        expected += stops * float((ball.colour(place, place) - torch.tensor(GREEN)).abs().sum().detach())
        light -= stops
    # Unlikely candidates are left out.
    assert float(found["colour"].detach()) == pytest.approx(expected, rel=0.03)


def test_surfaces_move_to_where_the_colour_fits() -> None:
    """Colours grow along z: a pixel as bright as places deep in the ball makes it shrink, another makes it grow."""
    signs = []
    for depth in (-0.2, -0.4):
        ball = Ball()
        wanted = ball.colour(torch.tensor([[0.0, 0.0, depth]]), torch.zeros(1, 3)).detach()
        pixels = Seen(towards([(0.0, 0.0)]), wanted, torch.ones(1))
        learnt(ball, pixels, only(colour=1.0), sharpness=30.0)["colour"].backward()
        assert ball.radius.grad is not None
        signs.append(float(ball.radius.grad) > 0)
    assert signs == [True, False]


def test_background_pixels_do_not_colour() -> None:
    ball = Ball()
    found = learnt(ball, seen(towards([(0.0, 0.0), (0.1, 0.0)]), [0.0, 0.0]), only(colour=1.0))
    assert float(found["colour"].detach()) == 0


def test_opacity_agrees_with_masks() -> None:
    start = replace(START, opacity=0.5)
    rays = towards([(0.0, 0.0), (0.5, 0.0)])
    right = learnt(Ball(), seen(rays, [1.0, 0.0]), only(), start)["opacity"]
    wrong = learnt(Ball(), seen(rays, [0.0, 1.0]), only(), start)["opacity"]
    # Light that stops is kept this far from all and nothing.
    assert float(right.detach()) == pytest.approx(-0.5 * 2 * math.log(1 - 1e-4), rel=1e-2)
    assert float(wrong.detach()) == pytest.approx(-0.5 * 2 * math.log(1e-4), rel=1e-2)


def test_steep_fields_cost() -> None:
    pixels = seen(towards([(0.0, 0.0), (0.1, 0.0)]), [1.0, 1.0])
    flat, steep = (
        learnt(Ball(steep=s), pixels, only(distance=0.1, normal_step=1e-3))["distance"] for s in (1, 3)
    )
    assert float(flat.detach()) == pytest.approx(0, abs=1e-4)
    assert float(steep.detach()) == pytest.approx(0.1 * 2 * (3 - 1) ** 2, rel=1e-2)


@pytest.mark.parametrize(("name", "unit"), [("depth", 0.5), ("place", 1.0)])
def test_known_depths_pull(name: str, unit: float) -> None:
    """Rays of speed 2: a depth 0.05 too large is a place 0.1 too far."""
    pixels = seen(towards([(0.0, 0.0), (0.1, 0.0)], speed=2.0), [1.0, 1.0], [FRONT / 2 + 0.05, 0.0])
    found = learnt(Ball(), pixels, only(**{name: 3.0}))
    assert float(found["depth"].detach()) == pytest.approx(3 * 0.1 * unit, abs=0.01)


def test_a_wrong_depth_is_no_reason_to_let_light_through() -> None:
    """However much of a ray's light stops, it is told only where."""
    pixels = seen(towards([(0.0, 0.0)]), [1.0], [FRONT + 0.3])
    whole, thin = (learnt(Ball(steep=s), pixels, only(depth=1.0), sharpness=1.0)["depth"] for s in (2e3, 1.0))
    assert float(thin.detach()) > 0.25
    assert float(whole.detach()) == pytest.approx(0.3, abs=0.01)


def test_background_pixels_have_no_depth() -> None:
    found = learnt(Ball(), seen(towards([(0.0, 0.0)]), [0.0], [FRONT + 0.3]), only(depth=1.0))
    assert float(found["depth"].detach()) == 0


def test_rays_beside_the_cube_are_nothing() -> None:
    found = learnt(Ball(), seen(towards([(0.9, 0.0)]), [0.0]), only(colour=1.0), replace(START, opacity=1.0))
    assert float(torch.stack(list(found.values())).sum().detach()) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"until": 1.5}, {"samples": 0}, {"sharpness": (0.0, 1.0)}, {"opacity": -1.0}],
)
def test_bad_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"start.{next(iter(wrong))}"):
        StartConfig(**wrong)  # type: ignore[arg-type]
