"""Pieces of a mesh, and its crumbs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from novelview.errors import ConfigError
from novelview.mesh.extract import Lattice, extract_mesh
from novelview.mesh.make import mesh_of
from novelview.mesh.mesh import Mesh
from novelview.mesh.pieces import pieces_of, without_crumbs
from novelview.surface import ImplicitSurface

CENTRES, RADII = torch.tensor([[-0.4, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 0.6, 0.0]]), (0.4, 0.2, 0.05)
LOWER, UPPER = (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)


def balls(points: Tensor) -> Tensor:
    """Three that do not touch."""
    inside = [r - (points - c).norm(dim=-1) for c, r in zip(CENTRES, RADII, strict=True)]
    return torch.stack(inside).amax(dim=0)


def grey(points: Tensor) -> Tensor:
    return torch.full_like(points, 0.5)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return extract_mesh(balls, Lattice.of_resolution(LOWER, UPPER, 64))


def test_each_ball_is_a_piece(mesh: Mesh) -> None:
    piece = pieces_of(mesh)
    nearest = torch.cdist(mesh.corners.mean(dim=1), CENTRES).argmin(dim=-1)
    assert len(piece.unique()) == 3
    for ball in range(3):
        assert len(piece[nearest == ball].unique()) == 1


@pytest.mark.parametrize(("share", "left"), [(0.0, 3), (0.1, 2), (0.5, 1), (1.0, 1)])
def test_what_is_too_small_goes(mesh: Mesh, share: float, left: int) -> None:
    """Surfaces of the balls are as 64 to 16 to 1."""
    kept = without_crumbs(mesh, share)
    assert len(pieces_of(kept).unique()) == left
    assert kept.is_watertight
    assert len(kept.faces.unique()) == len(kept.vertices)
    expected = sum(4 / 3 * torch.pi * r**3 for r in RADII[:left])
    assert kept.volume == pytest.approx(expected, rel=0.03)


def test_colours_stay_with_their_vertices(mesh: Mesh) -> None:
    coloured = Mesh(mesh.vertices, mesh.faces, (mesh.vertices + 1) / 2)
    kept = without_crumbs(coloured, 0.5)
    assert kept.colours is not None
    torch.testing.assert_close(kept.colours, (kept.vertices + 1) / 2)


def test_meshes_are_made_without_crumbs_if_asked() -> None:
    surface = ImplicitSurface(balls, lambda points, normals: grey(points), LOWER, UPPER)
    counts = [
        len(pieces_of(mesh_of(surface, resolution=48, refine=False, crumbs=crumbs)).unique())
        for crumbs in (0.0, 0.1)
    ]
    assert counts == [3, 2]
    with pytest.raises(ConfigError, match="crumbs"):
        mesh_of(surface, resolution=48, crumbs=2.0)
