"""Meshes drawn without a graphics card."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from analytic import meshed, rainbow, sphere

from novelview.mesh import rasterise
from novelview.mesh.rasterise import rasterised
from novelview.mesh.turntable import turntable


def test_the_nearest_triangle_is_seen() -> None:
    corners = torch.tensor([[[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]], [[8.0, 8.0], [0.0, 8.0], [8.0, 0.0]]])
    both = torch.cat([corners, corners[:1] / 2])
    depth = torch.tensor([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]])
    found = rasterised(both, depth, 8, 8)
    assert bool(found.covered.all())
    assert found.face[0, 0] == 2
    assert found.face[1, 4] == 0
    assert found.face[7, 7] == 1
    torch.testing.assert_close(found.barycentric.sum(dim=-1), torch.ones(8, 8))
    inside = (found.barycentric[..., None] * both[found.face]).sum(dim=2)
    y, x = torch.meshgrid(torch.arange(8) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    torch.testing.assert_close(inside, torch.stack([x, y], dim=-1))


def test_what_is_out_of_the_picture_and_what_has_no_area_covers_nothing() -> None:
    aside = torch.tensor([[[9.0, 9.0], [12.0, 9.0], [9.0, 12.0]], [[-5.0, 1.0], [-2.0, 1.0], [-5.0, 3.0]]])
    line = torch.tensor([[[0.5, 0.5], [3.5, 3.5], [2.5, 2.5]]])
    found = rasterised(torch.cat([aside, line]), torch.ones(3, 3), 8, 8)
    assert not bool(found.covered.any())
    assert not bool(rasterised(aside[:0], torch.ones(0, 3), 4, 4).covered.any())


def test_the_number_of_triangles_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    corners = 40 * torch.rand(60, 3, 2, generator=generator) - 4
    depth = 1 + torch.rand(60, 3, generator=generator)
    whole = rasterised(corners, depth, 32, 32)
    monkeypatch.setattr(rasterise, "_PIXELS_AT_ONCE", 100)
    parts = rasterised(corners, depth, 32, 32)
    assert torch.equal(whole.face, parts.face)
    assert torch.equal(whole.barycentric, parts.barycentric)


def test_a_ball_is_round_and_shaded_from_all_sides() -> None:
    pytest.importorskip("skimage", reason="the extra mesh is not installed")
    mesh, _ = meshed(sphere, 32)
    pictures = turntable(replace(mesh, colours=rainbow(mesh.vertices)), views=4, size=64)
    assert pictures.shape == (4, 64, 64, 3)
    assert float(pictures.min()) >= 0
    assert float(pictures.max()) <= 1
    share = (pictures < 0.999).any(dim=-1).float().mean(dim=(1, 2))
    torch.testing.assert_close(share, torch.full((4,), math.pi / 4 * 0.96**2), atol=0.03, rtol=0)
    normals = turntable(mesh, views=4, size=64, shading="normals", elevation=0.0)
    torch.testing.assert_close(normals[:, 6, 32, 2], torch.ones(4), atol=0.1, rtol=0)
    torch.testing.assert_close(normals[:, -6, 32, 2], torch.zeros(4), atol=0.1, rtol=0)
    # No picture is a mirror image: right, up and towards the viewer are right-handed.
    right, up, back = (2 * normals[:, y, x] - 1 for y, x in ((32, 60), (3, 32), (32, 32)))
    assert float((torch.linalg.cross(right, up) * back).sum(dim=-1).min()) > 0.6
    # Opposite sides show opposite normals.
    middle = normals[:, 32, 32]
    torch.testing.assert_close(middle[0] + middle[2], torch.ones(3), atol=0.1, rtol=0)
