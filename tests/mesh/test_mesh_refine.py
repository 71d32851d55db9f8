"""Vertices that are moved onto the surface."""

from __future__ import annotations

import pytest
import torch
from analytic import VOLUMES, boxes, meshed, sphere, torus
from torch import Tensor

from novelview.mesh.extract import Lattice, extract_mesh
from novelview.mesh.refine import refined

pytest.importorskip("skimage", reason="the extra mesh is not installed")


def steep(points: Tensor) -> Tensor:
    """The torus as a logit that is far from linear."""
    return 30 * torch.tanh(8 * torus(points)) * (1.2 + points[:, 0].sin())


@pytest.mark.parametrize(("field", "distance"), [(sphere, sphere), (torus, torus), (steep, torus)])
@pytest.mark.parametrize("resolution", [16, 48])
def test_vertices_come_nearer_by_an_order_of_magnitude(
    field: object, distance: object, resolution: int
) -> None:
    mesh, lattice = meshed(field, resolution)
    better = refined(field, mesh, lattice)
    before, after = (distance(each.vertices).abs() for each in (mesh, better))
    assert float(after.max()) < 0.1 * float(before.max())
    assert float(after.mean()) < 0.1 * float(before.mean())
    assert better.is_watertight


@pytest.mark.parametrize("shape", VOLUMES)
def test_no_face_turns_and_no_vertex_goes_far(shape: object) -> None:
    mesh, lattice = meshed(shape, 40)
    better = refined(shape, mesh, lattice)
    assert float((better.face_normals * mesh.face_normals).sum(dim=-1).min()) >= 0
    moved = (better.vertices - mesh.vertices).norm(dim=-1)
    assert float(moved.max()) <= 0.5 * float(lattice.step.min()) + 1e-6
    # Edges of boxes are cut off by about a cell.
    assert better.volume == pytest.approx(VOLUMES[shape], rel=0.05)


def test_a_face_that_would_turn_keeps_its_corners() -> None:
    """A field whose gradient leads astray: it has no zero where its slope says that there is one."""

    def waves(points: Tensor) -> Tensor:
        return sphere(points) + 0.02 * torch.sin(200 * points).sum(dim=-1)

    mesh, lattice = meshed(waves, 24)
    better = refined(waves, mesh, lattice)
    assert float((better.face_normals * mesh.face_normals).sum(dim=-1).min()) >= 0
    assert bool((waves(better.vertices).abs() <= waves(mesh.vertices).abs()).all())


def test_faces_in_the_sides_of_the_box_stay() -> None:
    lattice = Lattice.of_resolution((-1.0, -1.0, 0.0), (1.0, 1.0, 0.5), 48)
    mesh = extract_mesh(sphere, lattice)
    better = refined(sphere, mesh, lattice)
    closing = (mesh.vertices[:, 2] < 1e-5) | (mesh.vertices[:, 2] > 0.5 - 1e-5)
    assert bool(closing.any())
    assert torch.equal(better.vertices[closing], mesh.vertices[closing])
    assert float(sphere(better.vertices[~closing]).abs().max()) < 1e-5


def test_nothing_of_the_field_gets_a_gradient() -> None:
    radius = torch.tensor(0.6, requires_grad=True)
    mesh, lattice = meshed(sphere, 16)

    def field(points: Tensor) -> Tensor:
        return radius - points.norm(dim=-1)

    refined(field, mesh, lattice)
    assert radius.grad is None


def test_edges_of_boxes_stay_sharp_enough() -> None:
    mesh, lattice = meshed(boxes, 48)
    better = refined(boxes, mesh, lattice)
    assert float(boxes(better.vertices).abs().max()) < 1e-5
