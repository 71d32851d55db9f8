"""Described objects are what they are said to be, fit where cameras see them, and look the same drawn fast and exactly."""

from __future__ import annotations

import colorsys

import pytest
import torch
import torch.nn.functional as F

from novelview.data.procedural.described import COLOURS, SHAPES, describe, draw_description
from novelview.data.procedural.described_objects import REACH, described_object
from novelview.data.procedural.distances import Cone, Handle, Pyramid, Solid
from novelview.data.procedural.object_views import orbit_cameras, render_object
from novelview.data.procedural.objects import EDGE
from novelview.data.procedural.pictures import render_pictures
from novelview.geometry.rays import intersect_sphere

SOLIDS: dict[str, Solid] = {
    "cone": Cone(0.3, 0.4),
    "pyramid": Pyramid(0.3, 0.2),
    "handle": Handle(0.3, 0.1),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_distances_change_no_faster_than_places(name: str, generator: torch.Generator) -> None:
    a, b = torch.rand(2, 20_000, 3, generator=generator, dtype=torch.float64) * 1.6 - 0.8
    for other in (b, a + 1e-3 * (b - a)):
        change = (SOLIDS[name].distance(a) - SOLIDS[name].distance(other)).abs()
        assert bool((change <= (a - other).norm(dim=-1) * (1 + 1e-9)).all())


def test_insides_are_those_of_formulas(generator: torch.Generator) -> None:
    points = torch.rand(20_000, 3, generator=generator, dtype=torch.float64) * 1.2 - 0.6
    x, y, z = points.unbind(dim=-1)
    angle = torch.linspace(-torch.pi / 2, torch.pi / 2, 400, dtype=torch.float64)
    bow = 0.3 * torch.stack([angle.cos(), torch.zeros_like(angle), angle.sin()], dim=-1)
    inside = {
        "cone": (torch.hypot(x, y) < 0.3 * (0.4 - z) / 0.8) & (z > -0.4),
        "pyramid": (torch.maximum(x.abs(), y.abs()) < 0.3 * (0.2 - z) / 0.4) & (z > -0.2),
        "handle": torch.cdist(points, bow).amin(dim=1) < 0.1,
    }
    for name, expected in inside.items():
        assert float(((SOLIDS[name].distance(points) < 0) == expected).double().mean()) > 0.9995, name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_boxes_hold_objects_tightly(shape: str, seed: int, generator: torch.Generator) -> None:
    solid = described_object(describe(f"a red {shape}"), seed)
    lower, upper = torch.tensor(solid.box_min), torch.tensor(solid.box_max)
    points = torch.rand(200_000, 3, generator=generator) * 1.3 - 0.65
    inside = points[solid.field(points) > 0]
    assert bool(((inside >= lower) & (inside <= upper)).all())
    # Random points miss tips, which a cone and a pyramid have.
    assert float((inside.amin(dim=0) - lower).max()) < 0.05
    assert float((upper - inside.amax(dim=0)).max()) < (0.12 if shape in ("cone", "pyramid") else 0.05)


def test_objects_are_centred_and_as_large_as_fits(generator: torch.Generator) -> None:
    for seed in range(100):
        solid = described_object(draw_description(generator), seed)
        lower, upper = torch.tensor(solid.box_min), torch.tensor(solid.box_max)
        torch.testing.assert_close(lower, -upper)
        fills = max(float((upper - lower).max()) / EDGE, float(upper.norm()) / REACH)
        assert fills == pytest.approx(1.0, abs=1e-5)


def test_seeds_differ_and_repeat(generator: torch.Generator) -> None:
    points = torch.rand(2000, 3, generator=generator) - 0.5
    fields = [described_object(describe("a blue chair"), seed).field(points) for seed in (1, 1, 2)]
    assert torch.equal(fields[0], fields[1])
    assert not torch.equal(fields[0], fields[2])


def test_the_upper_thing_rests_on_the_lower() -> None:
    for seed in range(10):
        solid = described_object(describe("a red ball on a blue box"), seed)
        ball, box = solid.parts
        line = torch.linspace(-0.5, 0.5, 4001)
        column = torch.stack(
            [line * 0 + ball.centre[0].float(), line * 0 + ball.centre[1].float(), line], dim=-1
        )
        in_ball, in_box = (column[part.distance(column) < 0, 2] for part in (ball, box))
        assert float(in_ball.amin()) == pytest.approx(float(in_box.amax()), abs=1e-3)


def test_a_torus_lies_with_its_hole_upwards() -> None:
    for seed in range(4):
        solid = described_object(describe("a red torus"), seed)
        size = torch.tensor(solid.box_max) - torch.tensor(solid.box_min)
        assert float(size[2]) < 0.7 * float(size[:2].min())
        assert float(solid.field(torch.zeros(1, 3))) < 0


def test_things_beside_each_other_stand_on_one_ground_apart() -> None:
    lefts = set()
    for seed in range(10):
        solid = described_object(describe("a red ball and a blue box"), seed)
        points = torch.rand(100_000, 3, generator=torch.Generator().manual_seed(seed)) - 0.5
        ball, box = (points[part.distance(points) < 0] for part in solid.parts)
        assert abs(float(ball[:, 2].amin() - box[:, 2].amin())) < 0.02
        left, right = (ball, box) if float(ball[:, 0].mean()) < float(box[:, 0].mean()) else (box, ball)
        assert float(left[:, 0].amax()) < float(right[:, 0].amin())
        lefts.add(left is ball)
    assert lefts == {True, False}


def test_colours_are_what_they_are_called() -> None:
    """Hues of those that have one stay within a twelfth of a turn of their middle, and no two colours come near."""
    means = []
    for name in COLOURS:
        colours = torch.stack(
            [described_object(describe(f"a {name} ball"), s).paint.colours[0] for s in range(20)]
        )
        assert float((colours - colours.mean(dim=0)).norm(dim=-1).max()) < 0.25, name
        assert float(colours.amin(dim=-1).max()) < 0.7, name
        means.append(colours.mean(dim=0))
    apart = torch.cdist(torch.stack(means), torch.stack(means)) + 10 * torch.eye(len(COLOURS))
    assert float(apart.min()) > 0.2
    red, green, blue = (colorsys.rgb_to_hsv(*means[i].tolist())[0] for i in range(3))
    assert min(red, 1 - red) < 0.03
    assert green == pytest.approx(1 / 3, abs=0.05)
    assert blue == pytest.approx(2 / 3, abs=0.06)


@pytest.mark.parametrize("caption", ["a red chair", "a blue cup", "a pink cone on a green table"])
def test_fast_pictures_cover_what_exact_ones_do(caption: str) -> None:
    solid, cameras = described_object(describe(caption), 1), orbit_cameras(3, 48, 2)
    images, masks = render_pictures(solid, cameras)
    exact = render_object(solid, cameras, supersample=2).masks()
    assert float((masks - exact).abs().mean()) < 2e-3
    assert float(((masks - exact).abs() > 0.3).double().mean()) < 1e-3
    torch.testing.assert_close(images[masks == 0], torch.ones_like(images[masks == 0]))


def test_shading_of_a_ball_is_the_closed_form() -> None:
    """Brightest where it faces the lamp, 0.45 of that on the other side, and even in the cosine between."""
    solid, cameras = described_object(describe("a grey ball"), 0), orbit_cameras(4, 48, 0)
    images, masks = render_pictures(solid, cameras, supersample=1)
    rays, radius = cameras.rays(), solid.box_max[0]
    enter, _ = intersect_sphere(rays, torch.zeros(3), radius)
    hit = enter.isfinite() & (masks == 1)
    normals = rays.point(enter)[hit] / radius
    facing = normals @ F.normalize(torch.tensor([0.4, -0.5, 0.77]), dim=0)
    expected = solid.paint.colours[0] * (0.45 + 0.55 * (0.5 + 0.5 * facing))[:, None]
    assert float((images[hit] - expected).abs().max()) < 0.01
    assert float(facing.max() - facing.min()) > 1.5
