"""Vertices of a mesh brought nearer to the surface that it is of."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.mesh.extract import Lattice
from novelview.mesh.mesh import Mesh
from novelview.rendering.surface import Field

# A vertex stays within this share of the shortest side of a cell from its place.
_REACH = 0.5
# Vertices as near to a side of the box, in cells, are of the faces that close the mesh there.
_CLOSING = 1e-3


def refined(
    field: Field,
    mesh: Mesh,
    lattice: Lattice,
    *,
    steps: int = 4,
    device: torch.device | str = "cpu",
    points_at_once: int = 1 << 17,
) -> Mesh:
    """Vertices moved along the field's gradient to where it is zero (Newton's method); faces stay, and none turns over.

    No vertex goes farther than half a cell or leaves the box, those in the box's sides stay, and so do those that would
    end where the field is farther from zero.

    Args:
        field: asked for at most ``points_at_once`` points at a time; differentiable in them.
        mesh: of that field, from that lattice.
        steps: of Newton's method.
        device: where the field is asked.
    """
    parts = [
        _newton(field, some.to(device), lattice, steps).cpu() for some in mesh.vertices.split(points_at_once)
    ]
    return replace(mesh, vertices=_without_turning(mesh, torch.cat(parts)))


def _newton(field: Field, start: Float[Tensor, "p 3"], lattice: Lattice, steps: int) -> Float[Tensor, "p 3"]:
    lower, upper = start.new_tensor(lattice.lower), start.new_tensor(lattice.upper)
    cell = lattice.step.to(start)
    reach = _REACH * float(cell.min())
    aside = torch.minimum(start - lower, upper - start)
    stays = (aside < _CLOSING * cell).any(dim=-1, keepdim=True)
    points, best = start, start
    least = torch.full_like(start[:, 0], torch.inf)
    for _ in range(steps + 1):
        value, gradient = _value_and_gradient(field, points)
        nearer = value.abs() < least
        best, least = torch.where(nearer[:, None], points, best), torch.where(nearer, value.abs(), least)
        tiny = torch.finfo(value.dtype).tiny
        step = -(value / gradient.square().sum(dim=-1).clamp(min=tiny))[:, None] * gradient
        moved = (points + step.nan_to_num(0.0, 0.0, 0.0) - start).renorm(2, 0, reach)
        points = torch.where(stays, start, (start + moved).clamp(lower, upper))
    return best


def _value_and_gradient(
    field: Field, points: Float[Tensor, "p 3"]
) -> tuple[Float[Tensor, " p"], Float[Tensor, "p 3"]]:
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        value = field(points)
        (gradient,) = torch.autograd.grad(value.sum(), points)
    return value.detach(), gradient


def _without_turning(mesh: Mesh, vertices: Float[Tensor, "v 3"]) -> Float[Tensor, "v 3"]:
    """The new places but for corners of faces that would turn over: these keep their old ones."""
    normals = mesh.face_normals
    turned = _turned(mesh, vertices, normals)
    # Each round takes back more vertices, so there is a last one.
    while bool(turned.any()):
        back = mesh.faces[turned].reshape(-1)
        vertices = vertices.index_copy(0, back, mesh.vertices[back])
        turned = _turned(mesh, vertices, normals)
    return vertices


def _turned(mesh: Mesh, vertices: Float[Tensor, "v 3"], normals: Float[Tensor, "f 3"]) -> Bool[Tensor, " f"]:
    """Which faces would look away from where they look now."""
    return (replace(mesh, vertices=vertices).face_normals * normals).sum(dim=-1) < 0
