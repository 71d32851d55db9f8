"""An implicit surface with colours: what a method offers for a mesh."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.rigid import Similarity
from novelview.rendering.surface import Field, outward_normals


@dataclass(frozen=True)
class ImplicitSurface:
    """A surface in a box, and its colours.

    Attributes:
        field: positive inside; differentiable in its points.
        colour: from points near the surface and unit outward normals there, colours in about [0, 1].
        lower, upper: corners of the box; what lies outside of it is no part of the surface.
        device: where field and colour are asked.
    """

    field: Field
    colour: Callable[[Float[Tensor, "p 3"], Float[Tensor, "p 3"]], Float[Tensor, "p 3"]]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    device: torch.device | str = "cpu"

    def colours(self, points: Float[Tensor, "p 3"], points_at_once: int = 1 << 17) -> Float[Tensor, "p 3"]:
        """Colours in [0, 1] of points near the surface, where the points are, without gradient."""
        parts = [points[:0]]
        for some in points.to(self.device).split(points_at_once):
            normals = outward_normals(self.field, some)
            with torch.no_grad():
                parts.append(self.colour(some, normals).clamp(0, 1).to(points))
        return torch.cat(parts)

    def moved(self, by: Similarity) -> ImplicitSurface:
        """The same surface in another world frame, in the box along that frame's axes that just holds the old one."""
        back, lower, upper = by.inverse(), torch.tensor(self.lower), torch.tensor(self.upper)

        def field(points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
            here = back.points(points)
            # A turned box leaves room in the new one, where the old one's field was never asked.
            within = torch.minimum(here - lower.to(here), upper.to(here) - here).amin(dim=-1)
            return torch.minimum(self.field(here), within)

        def colour(points: Float[Tensor, "p 3"], normals: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
            return self.colour(back.points(points), normals @ by.rotation.to(normals))

        corners = by.points(torch.tensor(list(itertools.product(*zip(self.lower, self.upper, strict=True)))))
        low, high = (tuple(corner.tolist()) for corner in (corners.amin(dim=0), corners.amax(dim=0)))
        return ImplicitSurface(field, colour, low, high, self.device)
