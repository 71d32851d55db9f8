"""Contraction, interpolation and convolutions of the projection layer, each on its own."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from projection_scenes import ring

from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.contraction import contract, expand, in_corner
from novelview.methods.viewdiff.projection.interpolation import Interpolation, multilinear
from novelview.methods.viewdiff.projection.lattice import sample_depths, voxel_places
from novelview.methods.viewdiff.projection.networks import Conv3d, ResidualBlocks

SHARES = [0.5, 0.3, 0.8]
# All signs, all orders of size, and all ties.
TIES = torch.tensor(list(itertools.product([-3.0, -1.5, -1.0, -0.4, 0.0, 0.4, 1.0, 1.5, 3.0], repeat=3)))


@pytest.mark.parametrize("share", SHARES)
def test_expansion_undoes_contraction(generator: torch.Generator, share: float) -> None:
    points = torch.cat([5 * torch.randn(500, 3, generator=generator), TIES]).double()
    contracted = contract(points, share)
    assert contracted.abs().max() < 1
    torch.testing.assert_close(expand(contracted, share), points, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", SHARES)
def test_contraction_undoes_expansion_but_in_corners(share: float) -> None:
    # No cell lies just on a face of the box, where two coordinates of what is contracted there would tie.
    axis = (torch.arange(12, dtype=torch.float64) + 0.5) / 6 - 1
    cells = torch.cartesian_prod(axis, axis, axis)
    reached = cells[~in_corner(cells, share)]
    torch.testing.assert_close(contract(expand(reached, share), share), reached, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", SHARES)
def test_nothing_is_contracted_into_a_corner(generator: torch.Generator, share: float) -> None:
    points = 5 * torch.randn(2000, 3, generator=generator)
    assert not in_corner(contract(points, share), share).any()


def test_all_eight_corners_are_corners() -> None:
    corners = torch.tensor(list(itertools.product([-0.9, 0.9], repeat=3)))
    assert in_corner(corners, 0.5).all()
    assert in_corner(corners, 0.5, official=True).sum() == 4


def test_the_box_keeps_its_shape() -> None:
    points = torch.tensor([[0.2, -1.0, 0.7], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(contract(points, 0.4), 0.4 * points)


def test_the_published_expansion_is_wrong_where_the_largest_coordinate_is_negative() -> None:
    positive = torch.tensor([[0.75, 0.2, -0.3]])
    torch.testing.assert_close(expand(positive, 0.5, official=True), expand(positive, 0.5))
    # Distance 2 to the face at -1.5, once as it should be and once as a factor of -1.5.
    torch.testing.assert_close(expand(-positive, 0.5), torch.tensor([[-2.0, -0.8, 1.2]]))
    torch.testing.assert_close(expand(-positive, 0.5, official=True), torch.tensor([[-3.0, -0.8, 1.2]]))


def test_the_published_expansion_makes_all_of_several_largest_coordinates_positive() -> None:
    tie = torch.tensor([[0.75, -0.75, 0.1]])
    torch.testing.assert_close(expand(tie, 0.5, official=True), torch.tensor([[2.0, 2.0, 0.4]]))


def _lookup(generator: torch.Generator) -> tuple[Interpolation, torch.Tensor]:
    """A trilinear look-up in 4 x 5 x 6 nodes, some of it beyond them, and its positions for ``grid_sample``."""
    positions = torch.rand(40, 3, generator=generator) * 2.6 - 1.3
    nodes = (positions + 1) / 2 * torch.tensor([6, 5, 4]) - 0.5
    inside = torch.ones(40, dtype=torch.bool)
    rows, shares = multilinear(nodes, (6, 5, 4), inside, torch.zeros(40, dtype=torch.long))
    return Interpolation(rows, shares, 120), positions


def test_interpolation_is_that_of_grid_sample(generator: torch.Generator) -> None:
    lookup, positions = _lookup(generator)
    table = torch.randn(120, 3, generator=generator)
    volume = table.T.reshape(1, 3, 4, 5, 6)
    expected = F.grid_sample(volume, positions[None, None, None], align_corners=False)[0, :, 0, 0].T
    torch.testing.assert_close(lookup(table), expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_interpolation_is_right(generator: torch.Generator) -> None:
    lookup, _ = _lookup(generator)
    table = torch.randn(120, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lookup, table)


def test_an_interpolation_that_asks_for_nothing_has_no_gradient() -> None:
    lookup = Interpolation(torch.zeros(3, 2, dtype=torch.int32), torch.zeros(3, 2), 4)
    table = torch.ones(4, 2, requires_grad=True)
    lookup(table).sum().backward()
    assert torch.equal(table.grad, torch.zeros(4, 2))


def test_steps_end_at_their_samples() -> None:
    config = ProjectionConfig(samples=4, disparity_at_infinity=0.5)
    depths, steps = sample_depths(torch.tensor([1.0]), torch.tensor([4.0]), config)
    expected = torch.tensor([[1.0, 2.0, 3.0, 4.0, 4 / 0.875, 4 / 0.75, 4 / 0.625, 8.0]])
    torch.testing.assert_close(depths, expected)
    torch.testing.assert_close(steps, expected.diff(dim=-1, prepend=torch.tensor([[0.0]])))


def test_voxels_follow_each_other_along_x_then_y_then_z() -> None:
    config = ProjectionConfig(background=False)
    places = voxel_places(4, config)[0]
    torch.testing.assert_close(places[1] - places[0], torch.tensor([0.5, 0.0, 0.0]))
    torch.testing.assert_close(places[4] - places[0], torch.tensor([0.0, 0.5, 0.0]))
    official = voxel_places(4, ProjectionConfig(background=False, official_axes=True))[0]
    torch.testing.assert_close(official[1] - official[0], torch.tensor([0.0, 0.0, 0.5]))
    torch.testing.assert_close(official[4] - official[0], torch.tensor([0.5, 0.0, 0.0]))


@pytest.mark.parametrize("size", [(1, 6), (1, 5), (2, 6), (1, 40)])
def test_a_volume_convolved_in_halves_is_that_convolved_whole(
    generator: torch.Generator, size: tuple[int, int]
) -> None:
    batch, side = size
    conv = Conv3d(2, 3)
    x = torch.randn(batch, 2, side, side, side, generator=generator, requires_grad=True)
    whole = F.conv3d(x, conv.weight, conv.bias, padding=1)
    found = conv(x)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)
    towards = torch.randn(whole.shape, generator=generator)
    gradient, expected = (torch.autograd.grad((value * towards).sum(), x)[0] for value in (found, whole))
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


def test_two_residual_blocks_are_one_under_two_names() -> None:
    blocks = ResidualBlocks(4, 8, 2)
    assert blocks[0] is blocks[1]
    assert {key.split(".")[0] for key in blocks.state_dict()} == {"0", "1"}


def test_cameras_on_their_device_stay_what_they_are() -> None:
    cameras = ring(2)
    assert cameras.to("cpu") is cameras


def test_cameras_are_those_of_the_project_half_a_pixel_further() -> None:
    cameras = ring(2)
    own = cameras.group(0)
    point = torch.tensor([0.3, -0.2, 0.1])
    local = cameras.poses[0, 1] @ torch.cat([point, torch.ones(1)])
    pixel = (cameras.intrinsics[0, 1] @ local[:3] / local[2])[:2]
    torch.testing.assert_close(own.project(point[None])[0][1, 0], pixel + 0.5, rtol=1e-5, atol=1e-3)
