"""Triangle meshes as two arrays: vertices, and three of their numbers per face."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def face_crosses(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "f 3"]:
    """Normals of the faces, twice as long as their areas."""
    a, b, c = vertices[faces].unbind(dim=1)
    return torch.linalg.cross(b - a, c - a)


def face_areas(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, " f"]:
    """Area of every triangle, in squared units of the vertices."""
    return face_crosses(vertices, faces).norm(dim=-1) / 2


def sample_surface(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "p 3"], Float[Tensor, "p 3"]]:
    """Points spread over a mesh at random, equally likely everywhere on its area, and the normals of their faces.

    Args:
        vertices: any unit.
        faces: corners counter-clockwise as seen from outside, so that normals point outwards.
        count: number of points; a mesh without area has none.
        generator: on the device of the mesh.

    Returns:
        Points and unit normals, in float64.
    """
    vertices = vertices.double()
    normals = face_crosses(vertices, faces)
    # A search in the running sum, because torch.multinomial stops at 2^24 faces.
    ends = normals.norm(dim=-1).cumsum(dim=0)
    if not len(faces) or not float(ends[-1]) > 0:
        return vertices.new_zeros(0, 3), vertices.new_zeros(0, 3)
    draws = torch.rand(3, count, dtype=torch.float64, generator=generator, device=vertices.device)
    chosen = torch.searchsorted(ends, draws[0] * ends[-1], right=True).clamp_max(len(faces) - 1)
    a, b, c = vertices[faces[chosen]].unbind(dim=1)
    # The square root makes corner a no likelier than b and c (Osada et al., Shape Distributions, 2002, section 4.2).
    root, share = draws[1].sqrt()[:, None], draws[2][:, None]
    points = (1 - root) * a + root * (1 - share) * b + root * share * c
    return points, F.normalize(normals[chosen], dim=-1, eps=1e-300)
