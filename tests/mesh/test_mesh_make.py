"""From a method's surface to a mesh."""

from __future__ import annotations

import sys

import pytest
import torch
from analytic import LOWER, UPPER, VOLUMES, rainbow, sphere, torus
from torch import Tensor

from novelview.errors import MissingDependencyError
from novelview.geometry.rigid import Similarity, so3_exp
from novelview.mesh.make import mesh_of
from novelview.rendering.surface import outward_normals
from novelview.surface import ImplicitSurface

pytest.importorskip("skimage", reason="the extra mesh is not installed")


def by_normal(points: Tensor, normals: Tensor) -> Tensor:
    """Colours that tell a place and a normal."""
    return 0.5 * rainbow(points) + 0.25 * (normals + 1)


def surface() -> ImplicitSurface:
    return ImplicitSurface(torus, by_normal, LOWER, UPPER)


def test_a_mesh_with_colours_at_its_vertices() -> None:
    mesh = mesh_of(surface(), resolution=48)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(VOLUMES[torus], rel=0.02)
    assert mesh.colours is not None
    expected = by_normal(mesh.vertices, outward_normals(torus, mesh.vertices))
    torch.testing.assert_close(mesh.colours, expected)
    assert float((by_normal(mesh.vertices, mesh.vertex_normals) - expected).abs().max()) < 0.05


def test_vertices_stay_on_the_lattice_where_nothing_is_refined() -> None:
    rough, exact = (mesh_of(surface(), resolution=32, refine=refine) for refine in (False, True))
    assert torch.equal(rough.faces, exact.faces)
    assert float(torus(exact.vertices).abs().max()) < 0.1 * float(torus(rough.vertices).abs().max())


def test_few_faces_with_a_texture(generator: torch.Generator) -> None:
    pytest.importorskip("xatlas", reason="the extra mesh is not installed")
    mesh = mesh_of(surface(), resolution=48, faces=2000, texture=256)
    assert len(mesh.faces) <= 2000
    assert mesh.colours is None
    assert mesh.texture is not None
    face = torch.randint(len(mesh.faces), (2000,), generator=generator)
    middle, third = mesh.corners[face].mean(dim=1), torch.full((len(face), 3), 1 / 3)
    error = (mesh.texture.sampled(face, third) - surface().colours(middle)).abs()
    assert float(error.mean()) < 0.01


def test_colours_are_clamped_and_asked_in_pieces() -> None:
    asked = []

    def bright(points: Tensor, normals: Tensor) -> Tensor:
        asked.append(len(points))
        return 3 * points

    found = ImplicitSurface(sphere, bright, LOWER, UPPER).colours(torch.rand(10, 3) - 0.5, 4)
    assert asked == [4, 4, 2]
    assert float(found.min()) == 0
    assert float(found.max()) == 1
    assert ImplicitSurface(sphere, bright, LOWER, UPPER).colours(torch.zeros(0, 3)).shape == (0, 3)


def test_a_moved_surface_has_the_moved_mesh_and_its_colours() -> None:
    turn = so3_exp(torch.tensor([0.4, -0.3, 0.8]))
    by = Similarity(2.5, turn, torch.tensor([3.0, -4.0, 5.0]))
    moved = surface().moved(by)
    mesh = mesh_of(moved, resolution=64)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(2.5**3 * VOLUMES[torus], rel=0.03)
    back = mesh.moved(by.inverse())
    assert float(torus(back.vertices).abs().max()) < 1e-4
    assert mesh.colours is not None
    expected = by_normal(back.vertices, outward_normals(torus, back.vertices))
    torch.testing.assert_close(mesh.colours, expected, atol=1e-4, rtol=0)


def test_a_moved_surface_is_cut_where_its_box_was() -> None:
    """A field that is inside everywhere beyond its box, where nobody ever asked it."""

    def field(points: Tensor) -> Tensor:
        return torch.where((points.abs() > 1).any(dim=-1), 1.0, sphere(points))

    whole = ImplicitSurface(field, by_normal, LOWER, UPPER)
    moved = whole.moved(Similarity(1.0, so3_exp(torch.tensor([0.0, 0.0, 0.8])), torch.zeros(3)))
    assert moved.upper[0] > 1.3
    assert mesh_of(moved, resolution=48).volume == pytest.approx(VOLUMES[sphere], rel=0.03)


@pytest.mark.gpu
def test_a_surface_on_a_graphics_card_makes_a_mesh_beside_it() -> None:
    centre = torch.tensor([0.1, 0.0, -0.1])

    def field(points: Tensor) -> Tensor:
        return 0.6 - (points - centre.to("cuda")).norm(dim=-1)

    mesh = mesh_of(ImplicitSurface(field, by_normal, LOWER, UPPER, device="cuda"), resolution=48)
    assert mesh.vertices.device == mesh.faces.device == torch.device("cpu")
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(VOLUMES[sphere], rel=0.02)
    normals = (mesh.vertices - centre) / 0.6
    torch.testing.assert_close(mesh.colours, by_normal(mesh.vertices, normals), atol=1e-3, rtol=0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(MissingDependencyError, match=r"novelview\[mesh\]"):
        mesh_of(surface(), resolution=16)
