"""Meshes as files that other programs read: PLY, OBJ and GLB. See docs/mesh.md."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from novelview.errors import OutputError
from novelview.export.frames import to_bytes
from novelview.files import atomic_write_bytes
from novelview.mesh.mesh import Mesh, Texture

# glTF's numbers for types of numbers and of buffers.
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _CLAMP = 9729, 33071
# z up becomes glTF's y up by a quarter turn around x; x, y, z, w.
_UPRIGHT = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]


def write_mesh(path: str | Path, mesh: Mesh) -> None:
    """Write a mesh in the format that the suffix names, whole or not at all.

    * ``.ply``: binary; float32 places, uint8 colours at vertices. No textures.
    * ``.obj``: text, with colours behind places; or with a texture, and then ``.mtl`` and ``_texture.png`` beside it.
    * ``.glb``: glTF 2.0, all in one file. Places are as they are in the mesh; a node turns z up to glTF's y up. Blender,
      which turns back, has the mesh's own coordinates. Colours are shown without lights, which they hold already.

    Args:
        path: file to write or replace.
        mesh: in the user's coordinates.

    Raises:
        OutputError: another suffix, a texture in a PLY file, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise OutputError(
            "Cannot write a mesh",
            where=path,
            why=f"its suffix {suffix!r} names no format",
            cure=f"name a file that ends with one of: {', '.join(_FORMATS)}",
        )
    for name, data in _FORMATS[suffix](mesh, path).items():
        atomic_write_bytes(path.with_name(name), data)


def _ply(mesh: Mesh, path: Path) -> dict[str, bytes]:
    if mesh.texture is not None:
        raise OutputError(
            "A PLY file has no textures", where=path, cure="write .glb or .obj, or keep colours at vertices"
        )
    names, kinds = ["x", "y", "z"], ["<f4"] * 3
    if mesh.colours is not None:
        names, kinds = [*names, "red", "green", "blue"], kinds + ["u1"] * 3
    vertices = np.empty(len(mesh.vertices), dtype=list(zip(names, kinds, strict=True)))
    for name, column in zip(names, _numpy(mesh.vertices).T, strict=False):
        vertices[name] = column
    if mesh.colours is not None:
        for name, column in zip(names[3:], _bytes(mesh.colours).T, strict=True):
            vertices[name] = column
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, _numpy(mesh.faces)
    words = {"<f4": "float", "u1": "uchar"}
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *(f"property {words[kind]} {name}" for name, kind in zip(names, kinds, strict=True)),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    return {path.name: "\n".join(lines).encode() + vertices.tobytes() + faces.tobytes()}


def _obj(mesh: Mesh, path: Path) -> dict[str, bytes]:
    """The files in the order in which they are to be written: what is named by another comes first."""
    text = io.StringIO()
    columns = _numpy(mesh.vertices)
    if mesh.colours is not None:
        columns = np.concatenate([columns, _numpy(mesh.colours)], axis=1)
    material, picture = path.with_suffix(".mtl").name, f"{path.stem}_texture.png"
    corners = _numpy(mesh.faces) + 1
    if mesh.texture is not None:
        text.write(f"mtllib {material}\n")
    np.savetxt(text, columns, fmt="v" + " %.9g" * columns.shape[1])
    if mesh.texture is None:
        np.savetxt(text, corners, fmt="f %d %d %d")
        return {path.name: text.getvalue().encode()}
    uv, index = np.unique(_numpy(mesh.texture.uv).reshape(-1, 2), axis=0, return_inverse=True)
    np.savetxt(text, uv * [1, -1] + [0, 1], fmt="vt %.9g %.9g")
    text.write("usemtl textured\n")
    both = np.stack([corners, index.reshape(corners.shape) + 1], axis=-1)
    np.savetxt(text, both.reshape(-1, 6), fmt="f %d/%d %d/%d %d/%d")
    description = f"newmtl textured\nKd 1 1 1\nKs 0 0 0\nmap_Kd {picture}\n"
    return {
        picture: _png(mesh.texture),
        material: description.encode(),
        path.name: text.getvalue().encode(),
    }


def _glb(mesh: Mesh, path: Path) -> dict[str, bytes]:
    buffer = _Buffer()
    mesh, uv = _split(mesh)
    attributes = {"POSITION": buffer.add(_numpy(mesh.vertices), _FLOAT, "VEC3", _VERTICES, limits=True)}
    material: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    if mesh.colours is not None:
        linear = (_linear(mesh.colours) * 65535).round()
        # Rows must begin at multiples of four bytes, so there is an opacity too.
        rgba = np.concatenate([_numpy(linear), np.full((len(linear), 1), 65535)], axis=1)
        attributes["COLOR_0"] = buffer.add(rgba, _UINT16, "VEC4", _VERTICES, normalized=True)
    if uv is not None:
        attributes["TEXCOORD_0"] = buffer.add(uv, _FLOAT, "VEC2", _VERTICES)
        material["baseColorTexture"] = {"index": 0}
    triangles = buffer.add(_numpy(mesh.faces).reshape(-1), _UINT32, "SCALAR", _INDICES)
    document = {
        "asset": {"version": "2.0", "generator": "novelview"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": path.stem, "mesh": 0, "rotation": _UPRIGHT}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": triangles, "material": 0}]}],
        "materials": [
            {"pbrMetallicRoughness": material, "doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}
        ],
    }
    if mesh.texture is not None:
        document["images"] = [{"bufferView": buffer.add_raw(_png(mesh.texture)), "mimeType": "image/png"}]
        document["samplers"] = [
            {"magFilter": _LINEAR, "minFilter": _LINEAR, "wrapS": _CLAMP, "wrapT": _CLAMP}
        ]
        document["textures"] = [{"source": 0, "sampler": 0}]
    document |= {"accessors": buffer.accessors, "bufferViews": buffer.views}
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(buffer.data), b"BIN\0") + bytes(buffer.data)
    return {path.name: struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks}


class _Buffer:
    """The binary part of a GLB file, and what is where in it. Final."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_raw(self, data: bytes, **facts: Any) -> int:
        """Append bytes; the index of their view."""
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **facts})
        self.data += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def add(
        self, values: np.ndarray, kind: int, shape: str, target: int, *, limits: bool = False, **facts: Any
    ) -> int:
        """Append numbers, one row or number for each element; the index of their accessor."""
        stored = values.astype({_FLOAT: "<f4", _UINT16: "<u2", _UINT32: "<u4"}[kind])
        view = self.add_raw(stored.tobytes(), target=target)
        if limits:
            facts |= {"min": stored.min(axis=0).tolist(), "max": stored.max(axis=0).tolist()}
        self.accessors.append(
            {"bufferView": view, "componentType": kind, "count": len(stored), "type": shape, **facts}
        )
        return len(self.accessors) - 1


def _split(mesh: Mesh) -> tuple[Mesh, np.ndarray | None]:
    """With a texture: vertices repeated where a seam passes, as glTF wants it, and each one's place in the texture."""
    if mesh.texture is None:
        return mesh, None
    corner = mesh.faces.reshape(-1)
    keys = torch.cat([corner[:, None].double(), mesh.texture.uv.reshape(-1, 2).double()], dim=-1)
    unique, faces = keys.unique(dim=0, return_inverse=True)
    split = Mesh(mesh.vertices[unique[:, 0].long()], faces.reshape(-1, 3), None, mesh.texture)
    return split, _numpy(unique[:, 1:])


def _linear(colours: Float[Tensor, "v 3"]) -> Float[Tensor, "v 3"]:
    """Colours at vertices are linear in glTF, where those of pictures are sRGB."""
    return torch.where(
        colours <= 0.04045, colours / 12.92, ((colours.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    )


def _png(texture: Texture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(to_bytes(texture.image)).save(stream, format="PNG")
    return stream.getvalue()


def _bytes(colours: Float[Tensor, "v 3"]) -> UInt8[np.ndarray, "v 3"]:
    return to_bytes(colours[None])[0]


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


_FORMATS = {".ply": _ply, ".obj": _obj, ".glb": _glb}
