"""Colours of a surface in a picture that is wrapped around its mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.errors import ConfigError, import_extra
from novelview.mesh.mesh import Mesh, Texture
from novelview.mesh.rasterise import Coverage, rasterised

# Texels between charts, before the picture is scaled by a third at most: two or more are left.
_PADDING = 4
_SMALLEST = 16


def textured(
    mesh: Mesh, colours: Callable[[Float[Tensor, "p 3"]], Float[Tensor, "p 3"]], resolution: int = 2048
) -> Mesh:
    """The mesh with a texture instead of colours at vertices.

    A texel has the colour of the surface at its centre; around charts it has that of a corner or of a texel nearby. So
    what is seen differs from the colours by what these change within about one texel, at seams as elsewhere.

    Args:
        mesh: best of few faces: to unwrap 20,000 takes seconds, 100,000 a minute.
        colours: of places on the mesh, in [0, 1].
        resolution: texels along the longer side of the picture, which is about square.

    Raises:
        ConfigError: too small a picture.
        MissingDependencyError: xatlas or scipy is not installed.
    """
    if resolution < _SMALLEST:
        raise ConfigError(f"A texture of {resolution} texels is too small", cure=f"use {_SMALLEST} or more")
    uv, height, width = _unwrapped(mesh, resolution)
    flat = uv * uv.new_tensor([width, height])
    coverage = _with_corners(rasterised(flat, torch.ones(len(uv), 3), height, width), flat)
    covered = coverage.covered
    face, share = coverage.face[covered], coverage.barycentric[covered]
    image = torch.zeros(height, width, 3)
    image[covered] = colours((mesh.corners[face] * share[..., None]).sum(dim=1)).float()
    return replace(mesh, colours=None, texture=Texture(_spread(image, covered), uv))


def _unwrapped(mesh: Mesh, resolution: int) -> tuple[Float[Tensor, "f 3 2"], int, int]:
    """Where corners of faces are in the picture, and its height and width in texels."""
    xatlas = import_extra("xatlas", "mesh")
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices.float().numpy(), mesh.faces.numpy().astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.create_image = resolution, _PADDING, False
    atlas.generate(pack_options=packing)
    _, corners, uv = atlas[0]
    scale = resolution / max(atlas.height, atlas.width)
    height, width = (max(1, round(side * scale)) for side in (atlas.height, atlas.width))
    return torch.from_numpy(uv)[torch.from_numpy(corners.astype(np.int64))], height, width


def _with_corners(coverage: Coverage, corners: Float[Tensor, "f 3 2"]) -> Coverage:
    """Texels of which no face covers the centre, but which are looked up at a corner, get what is at that corner.

    So there is a colour for faces that are smaller than a texel.
    """
    height, width = coverage.face.shape
    face, barycentric = coverage.face.clone(), coverage.barycentric.clone()
    # The atlas has no place for faces without an area.
    number = torch.nonzero((corners != corners[:, :1]).any(dim=2).any(dim=1))[:, 0]
    for corner, share in enumerate(torch.eye(3)):
        first = (corners[number, corner] - 0.5).floor().long()
        for right in (0, 1):
            for down in (0, 1):
                x, y = (first[:, 0] + right).clamp(0, width - 1), (first[:, 1] + down).clamp(0, height - 1)
                bare = face[y, x] < 0
                face[y[bare], x[bare]] = number[bare]
                barycentric[y[bare], x[bare]] = share
    return Coverage(face, barycentric)


def _spread(image: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    """The picture with unknown texels filled from the nearest known one."""
    y, x = import_extra("scipy.ndimage", "mesh").distance_transform_edt(
        ~known.numpy(), return_distances=False, return_indices=True
    )
    return image[torch.from_numpy(y).long(), torch.from_numpy(x).long()]
