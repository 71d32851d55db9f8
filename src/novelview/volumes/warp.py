"""From scene coordinates to the unit cube that the grids fill: by a box, by a contraction, or by one shared view."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.types import Bounds, FrontView
from novelview.volumes.lookup import Coordinates

FARTHEST = 20.0  # What lies farther than so many times Bounds.far looks the same as if it lay there.


class Warp(ABC):
    """A map of space into the unit cube, in two parts: an affine one for whole rays, then one for points."""

    shape: tuple[float, float, float]
    """Extent of the cube's axes relative to each other, for cells that are cubes in the scene."""
    logarithmic: bool
    """Whether samples are spread evenly in the logarithm of depth, as suits open space."""

    @abstractmethod
    def rays(self, rays: Rays) -> Rays:
        """Rays in the warp's own affine frame; ray parameters are unchanged."""

    @abstractmethod
    def points(self, rays: Rays, depth: Float[Tensor, "r s"]) -> tuple[Coordinates, Float[Tensor, "r s"]]:
        """Unit-cube coordinates of points on rays in that frame, and how fast they change per unit of depth."""

    @abstractmethod
    def span(self, rays: Rays) -> tuple[Float[Tensor, "r 1"], Float[Tensor, "r 1"]]:
        """First and last depth along rays, in that frame, at which there can be anything."""


class BoxWarp(Warp):
    """A box; outside of it there is nothing."""

    logarithmic = False

    def __init__(self, bounds: Bounds) -> None:
        lower, upper = torch.tensor(bounds.box_min), torch.tensor(bounds.box_max)
        self._lower, self._size, self._near = lower, upper - lower, bounds.near
        self.shape = _shape(self._size)

    def rays(self, rays: Rays) -> Rays:
        lower, size = self._lower.to(rays.origins), self._size.to(rays.origins)
        return Rays((rays.origins - lower) / size, rays.directions / size)

    def points(self, rays: Rays, depth: Float[Tensor, "r s"]) -> tuple[Coordinates, Float[Tensor, "r s"]]:
        x, y, z = _along(rays, depth)
        return (x, y, z), _speed(rays, self.shape).expand_as(depth)

    def span(self, rays: Rays) -> tuple[Float[Tensor, "r 1"], Float[Tensor, "r 1"]]:
        safe = torch.where(rays.directions.abs() < 1e-9, 1e-9, rays.directions)
        first, last = -rays.origins / safe, (1 - rays.origins) / safe
        near = torch.minimum(first, last).amax(dim=-1, keepdim=True).clamp(min=1e-3 * self._near)
        far = torch.maximum(first, last).amin(dim=-1, keepdim=True)
        return near, torch.maximum(far, near)


class ContractedWarp(Warp):
    """A box with all the rest of space around it.

    The contraction of mip-NeRF 360 (equation 10) in the largest coordinate instead of the Euclidean norm, so that
    the contracted space is a cube (as DirectVoxGO's authors do for unbounded scenes).

    Args:
        bounds: of the scene.
        margin: half width that the rest of space gets, where the box has 1.
    """

    logarithmic = True

    def __init__(self, bounds: Bounds, margin: float) -> None:
        lower, upper = torch.tensor(bounds.box_min), torch.tensor(bounds.box_max)
        self._centre, self._half, self._margin = (lower + upper) / 2, (upper - lower) / 2, margin
        self._near, self._far = bounds.near, min(FARTHEST * bounds.far, 1e4 * bounds.near)
        self.shape = _shape(self._half)

    def rays(self, rays: Rays) -> Rays:
        centre, half = self._centre.to(rays.origins), self._half.to(rays.origins)
        return Rays((rays.origins - centre) / half, rays.directions / half)

    def points(self, rays: Rays, depth: Float[Tensor, "r s"]) -> tuple[Coordinates, Float[Tensor, "r s"]]:
        axes = _along(rays, depth)
        largest = torch.maximum(torch.maximum(axes[0].abs(), axes[1].abs()), axes[2].abs()).clamp_(min=1)
        inverse = 1 / largest
        whole = 1 + self._margin
        shrink = (whole - self._margin * inverse).mul_(inverse).mul_(0.5 / whole)
        x, y, z = (axis.mul_(shrink).add_(0.5) for axis in axes)
        return (x, y, z), _speed(rays, self.shape) * shrink

    def span(self, rays: Rays) -> tuple[Float[Tensor, "r 1"], Float[Tensor, "r 1"]]:
        ones = torch.ones_like(rays.origins[:, :1])
        return 0.5 * self._near * ones, self._far * ones


class FrontWarp(Warp):
    """What the shared view of a forward-facing scene sees: image coordinates and inverse depth (NDC of NeRF)."""

    logarithmic = True

    def __init__(self, bounds: Bounds) -> None:
        assert bounds.front is not None
        self._pose = torch.tensor(bounds.front.pose)
        self._half = FrontView.REACH * torch.tensor(bounds.front.half_size)
        self._near, self._far = bounds.near, min(FARTHEST * bounds.far, 1e4 * bounds.near)
        self.shape = _shape(torch.cat([self._half, self._half.mean()[None]]))

    def rays(self, rays: Rays) -> Rays:
        pose = self._pose.to(rays.origins)
        size = torch.cat([self._half, torch.ones(1)]).to(rays.origins)
        origins = (rays.origins - pose[:, 3]) @ pose[:, :3] / size
        return Rays(origins, rays.directions @ pose[:, :3] / size)

    def points(self, rays: Rays, depth: Float[Tensor, "r s"]) -> tuple[Coordinates, Float[Tensor, "r s"]]:
        x, y, z = _along(rays, depth)
        inverse = 1 / z.clamp_(min=0.1 * self._near)
        # Inverse depth from 1.5 / near, where no camera has anything yet, to 0.
        disparity = inverse * (self._near / 1.5)
        speed = 0.5 * inverse * rays.directions.norm(dim=-1, keepdim=True)
        x, y = (axis.mul_(inverse).mul_(0.5).add_(0.5) for axis in (x, y))
        return (x, y, 1 - disparity), speed

    def span(self, rays: Rays) -> tuple[Float[Tensor, "r 1"], Float[Tensor, "r 1"]]:
        ones = torch.ones_like(rays.origins[:, :1])
        return 0.7 * self._near * ones, self._far * ones


def make_warp(bounds: Bounds, margin: float) -> Warp:
    """The warp that suits a scene."""
    if not bounds.unbounded:
        return BoxWarp(bounds)
    if bounds.forward_facing and bounds.front is not None:
        return FrontWarp(bounds)
    return ContractedWarp(bounds, margin)


def _along(rays: Rays, depth: Tensor) -> list[Tensor]:
    """x, y and z apart: operations on contiguous vectors are several times faster than on triples."""
    return [torch.addcmul(rays.origins[:, i : i + 1], depth, rays.directions[:, i : i + 1]) for i in range(3)]


def _shape(size: Tensor) -> tuple[float, float, float]:
    x, y, z = (size / size.prod() ** (1 / 3)).clamp(0.5, 2).tolist()
    return x, y, z


def _speed(rays: Rays, shape: tuple[float, float, float]) -> Tensor:
    """Length of the directions in units of cube-shaped cells' count per axis."""
    return (rays.directions * rays.directions.new_tensor(shape)).norm(dim=-1, keepdim=True)
