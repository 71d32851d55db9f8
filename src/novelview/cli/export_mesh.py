"""``novelview export --to glb``, ``--to ply`` and ``--to obj``: a surface as a triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.export.frames import write_frame
from novelview.export.mesh import write_mesh
from novelview.mesh.make import mesh_of
from novelview.mesh.mesh import Mesh
from novelview.mesh.turntable import turntable
from novelview.methods.method import Method

# Of the check picture: sides, all around.
_VIEWS = 8


@dataclass(frozen=True)
class MeshOptions:
    """How fine a mesh is, and where its colours are."""

    resolution: int = 256
    """glb, ply and obj: cells along the cube that is searched, a tenth larger than the object's box. Time and size grow with
    its square."""
    faces: int | None = None
    """glb, ply and obj: simplify to about so many triangles. Default: all."""
    texture: int | None = None
    """glb and obj: colours in a picture of about so many texels along each side. Default: colours at
    vertices. Best with --faces: 20,000 are unwrapped in seconds, 100,000 in a minute."""
    refine: bool = True
    """glb, ply and obj: move vertices to where exactly the surface is."""
    crumbs: float = 0.01
    """glb, ply and obj: leave out loose pieces with less than this share of the largest one's surface. 0: keep all."""
    check: bool = False
    """glb, ply and obj: write a picture of the mesh from all sides beside it, colours above normals."""


def make_mesh(method: Method, state: Any, scene: Scene, out: Path, options: MeshOptions) -> str:
    """Write or replace a mesh; its suffix says in which format."""
    check_texture(out, options)
    mesh = mesh_of(
        method.surface(state),
        resolution=options.resolution,
        refine=options.refine,
        crumbs=options.crumbs,
        faces=options.faces,
        texture=options.texture,
    )
    moved = mesh.moved(scene.to_input)
    write_mesh(out, moved)
    said = _said(moved)
    if options.check:
        picture = out.with_name(f"{out.stem}_check.png")
        # The scene has z up, which the user's own frame need not have.
        write_frame(picture, _check_picture(mesh))
        said += f"\nsee it from all sides: {picture}"
    return said


def check_texture(out: Path, options: MeshOptions) -> None:
    """Raise ``ConfigError`` where a texture is asked for in a format that has none."""
    if out.suffix.lower() == ".ply" and options.texture is not None:
        raise ConfigError(
            "A PLY file has no textures", cure="leave out --texture, or add --to glb or --to obj"
        )


def _check_picture(mesh: Mesh) -> torch.Tensor:
    """Colours above normals, (h, w, 3)."""
    rows = [turntable(mesh, views=_VIEWS, shading=shading) for shading in ("colours", "normals")]
    return torch.cat([torch.cat(list(row), dim=1) for row in rows])


def _said(mesh: Mesh) -> str:
    closed = "watertight" if mesh.is_watertight else "not watertight"
    size = " x ".join(f"{side:.4g}" for side in mesh.size)
    return f" ({len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces, {closed}, {size} units)"
