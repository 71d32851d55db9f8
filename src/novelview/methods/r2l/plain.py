"""The published light field: points on the ray, or its Plücker coordinates, encoded, and one deep network."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import ConfigError, MethodError
from novelview.geometry.intervals import linear_depths, stratified
from novelview.geometry.rays import Rays, plucker
from novelview.methods.r2l.config import NetworkConfig, PointsConfig
from novelview.methods.r2l.network import Network
from novelview.methods.r2l.student import Student
from novelview.nn.encodings import frequency_width, grouped_frequency_encoding
from novelview.types import Bounds


class PlainStudent(Student):
    """R2L's own student (section 3.2 of the paper)."""

    def __init__(self, network: NetworkConfig, points: PointsConfig, bounds: Bounds) -> None:
        super().__init__()
        self.octaves, self.plucker = points.octaves, points.plucker
        self.jitter_samples = 0 if points.plucker else points.samples
        if not points.plucker:
            near, far = depth_range(points, bounds)
            self.depths: Tensor
            depths = linear_depths(torch.tensor(near), torch.tensor(far), points.samples)
            self.register_buffer("depths", depths, persistent=False)
        self.network = Network(network, input_width(points))

    def forward(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 3"]:
        return self.network(self.encoded(self.coordinates(rays, jitter)))

    def coordinates(
        self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None
    ) -> Float[Tensor, "r scalars"]:
        """What tells one ray from another, before it is encoded."""
        if self.plucker:
            return plucker(rays)
        # Not the number of rays as a number: it is unknown where this is traced.
        depths = self.depths.expand(rays.origins.shape[0], -1)
        if jitter is not None:
            depths = stratified(depths, jitter)
        return rays.at(depths).flatten(-2)

    def encoded(self, coordinates: Float[Tensor, "r scalars"]) -> Float[Tensor, "r n"]:
        """What the network is given."""
        return grouped_frequency_encoding(coordinates, self.octaves)


def input_width(points: PointsConfig) -> int:
    """How many values the network of a plain student is given."""
    return frequency_width(6 if points.plucker else 3 * points.samples, points.octaves)


def depth_range(points: PointsConfig, bounds: Bounds) -> tuple[float, float]:
    """Depths along z between which a ray is looked at.

    Raises:
        MethodError: the scene ends nowhere, and the options do not say where to.
        ConfigError: the first depth is not before the last one.
    """
    near = bounds.near if points.near is None else points.near
    far = bounds.far if points.far is None else points.far
    if math.isinf(far):
        raise MethodError(
            "R2L cannot reach infinitely far", cure="set points.far, or open the scene with a finite depth"
        )
    if not near < far:
        raise ConfigError(f"Bad points.near {near} and points.far {far}", cure="give near less than far")
    return near, far
