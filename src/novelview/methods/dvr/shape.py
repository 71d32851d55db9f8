"""What a ray may hit: a field that is positive inside, with a colour at every point."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.dvr.decoder import Decoder

# Colour, in all channels, of shapes that have none.
GREY = 0.7


class Shape(nn.Module, ABC):
    """One shape in the unit cube around the origin. Abstract; every subclass is final."""

    @abstractmethod
    def field(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """Positive inside; differentiable in the points and in whatever makes the shape."""

    @abstractmethod
    def colour(self, points: Float[Tensor, "p 3"], directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Colours in [0, 1] of points on the surface, seen along directions of any length."""


class Decoded(Shape):
    """The published form: a decoder, with the code of one shape where it knows many."""

    def __init__(self, decoder: Decoder, code: Float[Tensor, " c"] | None = None) -> None:
        super().__init__()
        self.decoder, self.code = decoder, code

    def field(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        # As precise as the points, also where layers are told to be less.
        return self.decoder(points, self.code)[:, 0].to(points)

    def colour(self, points: Float[Tensor, "p 3"], directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """The same from all sides, as published; grey, and no gradient, where the decoder knows the shape alone."""
        if self.decoder.fc_out.out_features == 1:
            return torch.full_like(points, GREY)
        return torch.sigmoid(self.decoder(points, self.code)[:, 1:].to(points))
