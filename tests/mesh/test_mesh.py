"""Triangle meshes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from novelview.geometry.rigid import Similarity, so3_exp
from novelview.mesh.mesh import Mesh, Texture


def tetrahedron() -> Mesh:
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return Mesh(vertices, faces, colours=torch.eye(4)[:, :3])


def test_a_tetrahedron() -> None:
    mesh = tetrahedron()
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(1 / 6)
    assert mesh.size == (1.0, 1.0, 1.0)
    torch.testing.assert_close(mesh.face_areas, torch.tensor([0.5, 0.5, 0.5, 0.75**0.5]))
    outwards = torch.tensor([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    torch.testing.assert_close(mesh.face_normals, torch.cat([outwards, torch.full((1, 3), 3**-0.5)]))
    torch.testing.assert_close(mesh.vertex_normals[0], torch.full((3,), -(3**-0.5)))


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 2, 1], [0, 1, 3], [0, 3, 2]],
        [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 3, 2]],
        [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3], [1, 2, 3]],
        [[0, 1, 1], [1, 0, 1]],
        [],
    ],
    ids=["open", "one face turned", "one face twice", "without area", "empty"],
)
def test_what_is_not_watertight(faces: list[list[int]]) -> None:
    mesh = replace(tetrahedron(), faces=torch.tensor(faces, dtype=torch.int64).reshape(-1, 3))
    assert not mesh.is_watertight


def test_a_moved_mesh_keeps_its_shape_and_its_winding() -> None:
    mesh = tetrahedron()
    by = Similarity(2.0, so3_exp(torch.tensor([0.3, -1.0, 2.0])), torch.tensor([5.0, 6.0, 7.0]))
    moved = mesh.moved(by)
    assert moved.volume == pytest.approx(8 * mesh.volume, rel=1e-5)
    torch.testing.assert_close(moved.vertices[0], by.translation)
    torch.testing.assert_close(moved.face_normals, mesh.face_normals @ by.rotation.T)
    torch.testing.assert_close(moved.colours, mesh.colours)


def test_there_and_back_through_trimesh() -> None:
    pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    mesh = tetrahedron()
    other = mesh.to_trimesh()
    assert other.is_watertight
    assert other.volume == pytest.approx(1 / 6)
    back = Mesh.from_trimesh(other)
    torch.testing.assert_close(back.vertices, mesh.vertices)
    assert torch.equal(back.faces, mesh.faces)
    torch.testing.assert_close(back.colours, mesh.colours)
    assert Mesh.from_trimesh(replace(mesh, colours=None).to_trimesh()).colours is None


def test_a_texture_is_looked_up_between_the_centres_of_its_texels() -> None:
    image = torch.tensor([[0.0, 1.0], [0.0, 1.0]])[..., None].expand(2, 2, 3)
    uv = torch.tensor([[[0.25, 0.5], [0.75, 0.5], [0.5, 1.0]]])
    found = Texture(image, uv).sampled(torch.zeros(3, dtype=torch.int64), torch.eye(3))
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 1.0, 0.5]))
