"""The published light field: points on the ray, or its Plücker coordinates, encoded, and one deep network."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import ConfigError, MethodError
from novelview.geometry.intervals import linear_depths, stratified
from novelview.geometry.rays import Rays, plucker
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.network import Network
from novelview.methods.r2l.student import Student
from novelview.nn.encodings import frequency_width, grouped_frequency_encoding
from novelview.types import Bounds


class PlainStudent(Student):
    """R2L's own student (section 3.2 of the paper)."""

    def __init__(self, config: R2LConfig, bounds: Bounds) -> None:
        super().__init__()
        self.octaves, self.plucker = config.octaves, config.plucker
        self.jitter_samples = 0 if config.plucker else config.samples
        if not config.plucker:
            near, far = depth_range(config, bounds)
            self.depths: Tensor
            depths = linear_depths(torch.tensor(near), torch.tensor(far), config.samples)
            self.register_buffer("depths", depths, persistent=False)
        self.network = Network(config, input_width(config))

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


def input_width(config: R2LConfig) -> int:
    """How many values the network of a plain student is given."""
    return frequency_width(6 if config.plucker else 3 * config.samples, config.octaves)


def depth_range(config: R2LConfig, bounds: Bounds) -> tuple[float, float]:
    """Depths along z between which a ray is looked at.

    Raises:
        MethodError: the scene ends nowhere, and the configuration does not say where to.
        ConfigError: the first depth is not before the last one.
    """
    near = bounds.near if config.near is None else config.near
    far = bounds.far if config.far is None else config.far
    if math.isinf(far):
        raise MethodError(
            "R2L cannot reach infinitely far", cure="set far, or open the scene with a finite depth"
        )
    if not near < far:
        raise ConfigError(f"Bad near {near} and far {far}", cure="give near less than far")
    return near, far
