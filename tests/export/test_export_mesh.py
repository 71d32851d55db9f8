"""Meshes as files, read again by another program's reader."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.errors import OutputError
from novelview.export.mesh import write_mesh
from novelview.mesh.mesh import Mesh, Texture

trimesh = pytest.importorskip("trimesh", reason="the extra mesh is not installed")

# glTF's y up from the mesh's z up.
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def tetrahedron() -> Mesh:
    """Far from the origin, with corners in red, green, blue and grey."""
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    colours = torch.cat([torch.eye(3), torch.full((1, 3), 0.5)])
    return Mesh(vertices / 3 + torch.tensor([10.0, -20.0, 30.0]), faces, colours)


def textured() -> Mesh:
    """Each face has a quarter of the picture, of one colour."""
    palette = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    image = palette.view(2, 2, 3).repeat_interleave(8, dim=0).repeat_interleave(8, dim=1)
    first = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    triangle = torch.tensor([[0.1, 0.1], [0.4, 0.1], [0.1, 0.4]])
    return replace(tetrahedron(), colours=None, texture=Texture(image, first[:, None] + triangle))


def read(path: Path) -> object:
    """The mesh of a file, with nothing merged or reordered."""
    return trimesh.load_mesh(path, process=False, maintain_order=True)


def test_ply_keeps_places_faces_and_colours(tmp_path: Path) -> None:
    mesh = tetrahedron()
    write_mesh(tmp_path / "mesh.ply", mesh)
    found = read(tmp_path / "mesh.ply")
    np.testing.assert_array_equal(found.vertices.astype(np.float32), mesh.vertices.numpy())
    np.testing.assert_array_equal(found.faces, mesh.faces.numpy())
    expected = (mesh.colours * 255).round().numpy()
    np.testing.assert_array_equal(found.visual.vertex_colors[:, :3], expected)
    assert found.is_watertight
    assert found.volume > 0


def test_obj_keeps_places_faces_and_colours(tmp_path: Path) -> None:
    mesh = tetrahedron()
    write_mesh(tmp_path / "mesh.obj", mesh)
    found = read(tmp_path / "mesh.obj")
    np.testing.assert_array_equal(found.vertices.astype(np.float32), mesh.vertices.numpy())
    np.testing.assert_array_equal(found.faces, mesh.faces.numpy())
    assert np.abs(found.visual.vertex_colors[:, :3] - (mesh.colours * 255).numpy()).max() <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["mesh.obj"]


def test_glb_keeps_places_and_turns_them_upright(tmp_path: Path) -> None:
    mesh = tetrahedron()
    write_mesh(tmp_path / "mesh.glb", mesh)
    scene = trimesh.load_scene(tmp_path / "mesh.glb", process=False)
    (inner,) = scene.geometry.values()
    np.testing.assert_array_equal(inner.vertices.astype(np.float32), mesh.vertices.numpy())
    np.testing.assert_array_equal(inner.faces, mesh.faces.numpy())
    np.testing.assert_allclose(
        scene.to_mesh().vertices, mesh.vertices.double().numpy() @ UPRIGHT.T, atol=1e-5
    )
    # In glTF colours at vertices are linear: half as stored is about a fifth of the light.
    linear = np.asarray(inner.visual.vertex_attributes["color"])[3, :3] / 65535
    np.testing.assert_allclose(linear, 0.2140, atol=0.005)


def test_glb_says_what_it_is(tmp_path: Path) -> None:
    write_mesh(tmp_path / "mesh.glb", tetrahedron())
    data = (tmp_path / "mesh.glb").read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + size])
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]
    box = document["accessors"][0]
    np.testing.assert_allclose(box["min"], tetrahedron().vertices.amin(dim=0).numpy(), rtol=1e-6)
    np.testing.assert_allclose(box["max"], tetrahedron().vertices.amax(dim=0).numpy(), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".obj", ".glb"])
def test_textures_show_the_same_colours(suffix: str, tmp_path: Path) -> None:
    mesh = textured()
    path = tmp_path / f"mesh{suffix}"
    write_mesh(path, mesh)
    # Told to keep the order, trimesh would not split vertices at seams.
    found = trimesh.load_mesh(path, process=False)
    picture = _picture(found)
    height, width, _ = picture.shape
    for corners, triangle, uv in zip(
        found.triangles, mesh.corners.double().numpy(), found.visual.uv[found.faces], strict=True
    ):
        expected = triangle @ UPRIGHT.T if suffix == ".glb" else triangle
        np.testing.assert_allclose(corners, expected, atol=1e-5)
        # trimesh counts v from the bottom.
        u, v = uv.mean(axis=0)
        seen = picture[int((1 - v) * height), int(u * width), :3]
        face = int(np.argmin(np.abs(mesh.corners.double().numpy() - triangle).sum(axis=(1, 2))))
        middle = mesh.texture.sampled(torch.tensor([face]), torch.full((1, 3), 1 / 3))[0]
        np.testing.assert_allclose(seen / 255, middle.numpy(), atol=0.01)


def _picture(found: object) -> np.ndarray:
    material = found.visual.material
    image = getattr(material, "baseColorTexture", None) or material.image
    return np.asarray(image.convert("RGB"))


def test_obj_with_a_texture_keeps_the_mesh_whole(tmp_path: Path) -> None:
    """Places stay shared by faces between which a seam passes."""
    write_mesh(tmp_path / "mesh.obj", textured())
    lines = (tmp_path / "mesh.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == 4
    assert sum(line.startswith("f ") for line in lines) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mesh.mtl", "mesh.obj", "mesh_texture.png"]


def test_a_mesh_without_colours(tmp_path: Path) -> None:
    for suffix in ("ply", "obj", "glb"):
        path = tmp_path / f"plain.{suffix}"
        write_mesh(path, replace(tetrahedron(), colours=None))
        assert len(read(path).faces) == 4


def test_what_cannot_be_written_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="names no format"):
        write_mesh(tmp_path / "mesh.stl", tetrahedron())
    (tmp_path / "mesh.ply").write_text("old")
    with pytest.raises(OutputError, match="no textures"):
        write_mesh(tmp_path / "mesh.ply", textured())
    assert (tmp_path / "mesh.ply").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
