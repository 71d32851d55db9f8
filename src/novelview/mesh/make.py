"""From an implicit surface to a finished mesh."""

from __future__ import annotations

from dataclasses import replace

from novelview.errors import ConfigError
from novelview.mesh.extract import Lattice, extract_mesh
from novelview.mesh.mesh import Mesh
from novelview.mesh.pieces import without_crumbs
from novelview.mesh.refine import refined
from novelview.mesh.simplify import simplified
from novelview.mesh.texture import textured
from novelview.surface import ImplicitSurface


def mesh_of(
    surface: ImplicitSurface,
    *,
    resolution: int = 256,
    refine: bool = True,
    crumbs: float = 0.0,
    faces: int | None = None,
    texture: int | None = None,
) -> Mesh:
    """A coloured mesh, in the frame of the surface.

    Args:
        resolution: cells along the longest side of the surface's box.
        refine: move vertices to where the field says that the surface is.
        crumbs: pieces go that have less than this share of the largest one's surface.
        faces: about how many are left; None: all.
        texture: texels along the sides of a picture with the colours; None: colours are at vertices.

    Raises:
        MethodError: there is no surface in the box.
        ConfigError: a number that makes no sense.
        MissingDependencyError: a package of the extra "mesh" is not installed.
    """
    if not 0 <= crumbs <= 1:
        raise ConfigError(f"Bad crumbs {crumbs}", cure="give a share from 0 to 1")
    lattice = Lattice.of_resolution(surface.lower, surface.upper, resolution)
    mesh = extract_mesh(surface.field, lattice, device=surface.device)
    if refine:
        mesh = refined(surface.field, mesh, lattice, device=surface.device)
    if crumbs:
        mesh = without_crumbs(mesh, crumbs)
    if faces is not None:
        mesh = simplified(mesh, faces)
    if texture is not None:
        return textured(mesh, surface.colours, texture)
    return replace(mesh, colours=surface.colours(mesh.vertices))
