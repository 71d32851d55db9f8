"""A mesh seen from all sides, to check it by eye: no graphics card and no OpenGL is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.mesh.mesh import Mesh
from novelview.mesh.rasterise import Coverage, rasterised

Shading = Literal["colours", "normals"]

# Each pixel is the mean of so many by so many.
_FINER = 2
_AMBIENT = 0.4
_GREY = 0.7
# The ball around the mesh takes this share of the picture.
_SHARE = 0.96


@torch.no_grad()
def turntable(
    mesh: Mesh,
    *,
    views: int = 8,
    size: int = 256,
    shading: Shading = "colours",
    up: Sequence[float] = (0.0, 0.0, 1.0),
    elevation: float = 20.0,
) -> Float[Tensor, "n h w 3"]:
    """Pictures in [0, 1] of a mesh on white, from sides around the axis ``up``, without perspective.

    Args:
        views: how many, evenly spread.
        size: of the pictures' sides in pixels.
        shading: colours in a light from where one stands, grey where there are none; or outward normals, with their
            components from -1 to 1 as red, green and blue from 0 to 1.
        up: what is up in the pictures, of any length but 0.
        elevation: degrees above the horizon from which one looks.
    """
    axis = F.normalize(torch.tensor(up, dtype=torch.float32), dim=0)
    normals = mesh.vertex_normals.float()
    middle = (mesh.vertices.amax(dim=0) + mesh.vertices.amin(dim=0)) / 2
    vertices = (mesh.vertices - middle).float()
    vertices = vertices / vertices.norm(dim=-1).max()
    pictures = []
    for view in range(views):
        axes = _axes(axis, 2 * math.pi * view / views, math.radians(elevation))
        fine = size * _FINER
        seen = (vertices @ torch.stack(axes).T)[mesh.faces]
        coverage = rasterised((seen[..., :2] * _SHARE + 1) * fine / 2, seen[..., 2] + 2, fine, fine)
        pictures.append(_shaded(mesh, normals, coverage, axes[2], shading))
    fine_pictures = torch.stack(pictures).permute(0, 3, 1, 2)
    return F.avg_pool2d(fine_pictures, _FINER).permute(0, 2, 3, 1)


def _axes(
    up: Float[Tensor, " 3"], azimuth: float, elevation: float
) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Right, down and forward of one who looks at the origin from an azimuth and an elevation."""
    aside = F.one_hot(up.abs().argmin(), 3).to(up)
    east = F.normalize(torch.linalg.cross(aside, up), dim=0)
    north = torch.linalg.cross(up, east)
    outward = math.cos(azimuth) * east + math.sin(azimuth) * north
    forward = -(math.cos(elevation) * outward + math.sin(elevation) * up)
    right = torch.linalg.cross(up, outward)
    return right, torch.linalg.cross(forward, right), forward


def _shaded(
    mesh: Mesh,
    normals: Float[Tensor, "v 3"],
    coverage: Coverage,
    forward: Float[Tensor, " 3"],
    shading: Shading,
) -> Float[Tensor, "h w 3"]:
    covered = coverage.covered
    face, share = coverage.face[covered], coverage.barycentric[covered]
    normal = F.normalize((normals[mesh.faces[face]] * share[..., None]).sum(dim=1), dim=-1)
    if shading == "normals":
        shade = (normal + 1) / 2
    else:
        # The back of a face is as bright as its front, so that holes and wrong windings show their colour.
        light = _AMBIENT + (1 - _AMBIENT) * (normal @ forward).abs()
        shade = _albedo(mesh, face, share) * light[:, None]
    picture = torch.ones(*covered.shape, 3)
    picture[covered] = shade
    return picture


def _albedo(mesh: Mesh, face: Tensor, share: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
    if mesh.texture is not None:
        return mesh.texture.sampled(face, share)
    if mesh.colours is not None:
        return (mesh.colours[mesh.faces[face]] * share[..., None]).sum(dim=1).float()
    return torch.full_like(share, _GREY)
