"""Shapes with known distances, volumes and colours."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from novelview.mesh.extract import Lattice, extract_mesh
from novelview.mesh.mesh import Mesh

LOWER, UPPER = (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)


def sphere(points: Tensor, radius: float = 0.6) -> Tensor:
    return radius - points.norm(dim=-1)


def torus(points: Tensor, major: float = 0.6, minor: float = 0.25) -> Tensor:
    ring = points[:, :2].norm(dim=-1) - major
    return minor - torch.stack([ring, points[:, 2]], dim=-1).norm(dim=-1)


def boxes(points: Tensor) -> Tensor:
    """A union of two boxes."""
    return torch.maximum(_box(points, (0.7, 0.3, 0.2)), _box(points, (0.2, 0.25, 0.8)))


def _box(points: Tensor, half: tuple[float, float, float]) -> Tensor:
    aside = points.abs() - torch.tensor(half)
    return -(aside.clamp(min=0).norm(dim=-1) + aside.amax(dim=-1).clamp(max=0))


VOLUMES = {
    sphere: 4 / 3 * math.pi * 0.6**3,
    torus: 2 * math.pi**2 * 0.6 * 0.25**2,
    boxes: 8 * (0.7 * 0.3 * 0.2 + 0.2 * 0.25 * 0.8 - 0.2 * 0.25 * 0.2),
}


def rainbow(points: Tensor) -> Tensor:
    """A smooth colour of places, of which no component changes by more than 1.5 per unit."""
    return 0.5 + 0.5 * (3 * points).sin()


def meshed(field: object, resolution: int = 48) -> tuple[Mesh, Lattice]:
    lattice = Lattice.of_resolution(LOWER, UPPER, resolution)
    return extract_mesh(field, lattice), lattice
