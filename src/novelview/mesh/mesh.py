"""A triangle mesh, with colours at its vertices or in a texture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from novelview.errors import import_extra
from novelview.geometry.rigid import Similarity
from novelview.geometry.triangles import face_areas, face_crosses


@dataclass(frozen=True)
class Texture:
    """A picture, and where in it the corners of faces are.

    Attributes:
        image: colours in [0, 1], sRGB.
        uv: for the three corners of each face, the share of the picture's width from the left and of its height from
            the top, in [0, 1].
    """

    image: Float[Tensor, "h w 3"]
    uv: Float[Tensor, "f 3 2"]

    def sampled(self, faces: Int[Tensor, " p"], barycentric: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Colours at points of faces, bilinear between texels."""
        uv = (self.uv[faces] * barycentric[..., None]).sum(dim=-2)
        grid = (2 * uv - 1).to(self.image)[None, None]
        picture = self.image.permute(2, 0, 1)[None]
        found = F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return found[0, :, 0].T


@dataclass(frozen=True)
class Mesh:
    """Triangles that share vertices. Corners go round counterclockwise for who looks from outside.

    Attributes:
        vertices: places.
        faces: indices of each face's three vertices.
        colours: of vertices, in [0, 1], sRGB; None: there are none.
        texture: colours of all points; None: there is none.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    colours: Float[Tensor, "v 3"] | None = None
    texture: Texture | None = None

    def moved(self, by: Similarity) -> Mesh:
        """The same mesh in another world frame."""
        return replace(self, vertices=by.points(self.vertices))

    @property
    def corners(self) -> Float[Tensor, "f 3 3"]:
        """Places of each face's corners."""
        return self.vertices[self.faces]

    @property
    def face_areas(self) -> Float[Tensor, " f"]:
        """In square units."""
        return face_areas(self.vertices, self.faces)

    @property
    def face_normals(self) -> Float[Tensor, "f 3"]:
        """Unit vectors outwards; 0 for faces without an area."""
        return F.normalize(
            face_crosses(self.vertices, self.faces), dim=-1, eps=torch.finfo(self.vertices.dtype).tiny
        )

    @property
    def vertex_normals(self) -> Float[Tensor, "v 3"]:
        """Unit vectors outwards: means over the faces around a vertex, by area; 0 for vertices without a face."""
        crosses = face_crosses(self.vertices, self.faces)[:, None].expand(-1, 3, -1).reshape(-1, 3)
        sums = torch.zeros_like(self.vertices).index_add_(0, self.faces.reshape(-1), crosses)
        return F.normalize(sums, dim=-1, eps=torch.finfo(self.vertices.dtype).tiny)

    @property
    def volume(self) -> float:
        """What a closed mesh holds, in cubic units; negative where faces are wound inwards."""
        corners = (self.corners - self.vertices.mean(dim=0)).double()
        return float((corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum()) / 6

    @property
    def size(self) -> tuple[float, float, float]:
        """Sides of the box along the axes that just holds the mesh."""
        x, y, z = (self.vertices.amax(dim=0) - self.vertices.amin(dim=0)).tolist()
        return x, y, z

    @property
    def is_watertight(self) -> bool:
        """Whether every edge is shared by exactly two faces, which pass it in opposite directions."""
        ends = torch.stack([self.faces, self.faces.roll(-1, dims=1)], dim=-1).reshape(-1, 2).long()
        there, back = (ends[:, i] * len(self.vertices) + ends[:, 1 - i] for i in (0, 1))
        once = len(there.unique()) == len(there)
        proper = bool((ends[:, 0] != ends[:, 1]).all())
        return len(there) > 0 and once and proper and torch.equal(there.sort()[0], back.sort()[0])

    def to_trimesh(self) -> Any:
        """The same as ``trimesh.Trimesh``, with colours at vertices; of a texture nothing is kept.

        Raises:
            MissingDependencyError: trimesh is not installed.
        """
        trimesh = import_extra("trimesh", "mesh")
        colours = None if self.colours is None else (self.colours * 255).round().byte().cpu().numpy()
        return trimesh.Trimesh(
            self.vertices.cpu().numpy(), self.faces.cpu().numpy(), vertex_colors=colours, process=False
        )

    @staticmethod
    def from_trimesh(other: Any) -> Mesh:
        """Places, faces and vertex colours, where there are any, of a ``trimesh.Trimesh``."""
        coloured = other.visual.kind == "vertex"
        rgba = np.asarray(other.visual.vertex_colors)[:, :3] if coloured else None
        return Mesh(
            vertices=torch.tensor(np.asarray(other.vertices), dtype=torch.float32),
            faces=torch.tensor(np.asarray(other.faces), dtype=torch.int64),
            colours=None if rgba is None else torch.tensor(rgba, dtype=torch.float32) / 255,
        )
