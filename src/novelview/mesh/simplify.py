"""Meshes of fewer faces (Garland and Heckbert, Surface Simplification Using Quadric Error Metrics, SIGGRAPH 1997)."""

from __future__ import annotations

import numpy as np
import torch

from novelview.errors import ConfigError, import_extra
from novelview.mesh.mesh import Mesh

# Of a tetrahedron: no closed mesh has fewer.
_FEWEST = 4


def simplified(mesh: Mesh, faces: int, *, aggressiveness: float = 5.0) -> Mesh:
    """A mesh of about that many faces, by collapsing the edges that matter least; without colours and texture.

    A mesh that has no more faces already is returned as it is.

    Args:
        faces: how many shall be left.
        aggressiveness: how fast the error that is allowed grows; the published one is 5.

    Raises:
        ConfigError: fewer faces than a closed mesh has.
        MissingDependencyError: fast-simplification is not installed.
    """
    if faces < _FEWEST:
        raise ConfigError(f"A mesh cannot have {faces} faces", cure=f"ask for at least {_FEWEST}")
    if len(mesh.faces) <= faces:
        return mesh
    fast_simplification = import_extra("fast_simplification", "mesh")
    vertices, left = fast_simplification.simplify(
        np.ascontiguousarray(mesh.vertices.cpu().numpy()),
        np.ascontiguousarray(mesh.faces.cpu().numpy()),
        target_count=faces,
        agg=aggressiveness,
    )
    return Mesh(
        torch.from_numpy(np.asarray(vertices)).to(mesh.vertices),
        torch.from_numpy(np.asarray(left)).to(mesh.faces),
    )
