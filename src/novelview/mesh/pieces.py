"""Pieces of a mesh: faces that hang together."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from novelview.errors import import_extra
from novelview.mesh.mesh import Mesh


def pieces_of(mesh: Mesh) -> Int[Tensor, " f"]:
    """Which piece each face belongs to, counted from 0; faces that share a vertex hang together.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    sparse = import_extra("scipy.sparse", "mesh")
    faces, count = mesh.faces.cpu().numpy(), len(mesh.vertices)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    joined = sparse.coo_matrix((np.ones(len(ends), dtype=bool), ends.T), shape=(count, count))
    _, piece = import_extra("scipy.sparse.csgraph", "mesh").connected_components(joined, directed=False)
    return torch.from_numpy(piece).to(mesh.faces)[mesh.faces[:, 0]]


def without_crumbs(mesh: Mesh, share: float) -> Mesh:
    """The mesh without pieces that have less than this share of the largest one's surface.

    Args:
        mesh: without texture.
        share: in [0, 1].

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    piece = pieces_of(mesh)
    areas = torch.zeros(int(piece.max()) + 1, dtype=torch.float64)
    areas.index_add_(0, piece, mesh.face_areas.double())
    faces = mesh.faces[(areas >= share * areas.max())[piece]]
    used, renamed = faces.unique(return_inverse=True)
    colours = None if mesh.colours is None else mesh.colours[used]
    return Mesh(mesh.vertices[used], renamed, colours)
