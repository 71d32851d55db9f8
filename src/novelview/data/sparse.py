"""Depth out of sparse points: structure from motion tells which view sees which of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.types import Views


@dataclass(frozen=True)
class KeyPoints:
    """Sparse points, and the views that see them.

    Attributes:
        cameras: of the sizes that are delivered, in the frame of the points.
        points: world coordinates.
        seen: for each view the rows of ``points`` that it sees.
    """

    cameras: Cameras
    points: Float[Tensor, "p 3"]
    seen: tuple[Int64[Tensor, " _"], ...]

    def depth(self, view: int) -> Float[Tensor, "h w"]:
        """Depth along z of the points that a view sees, in units of the points; see :func:`splatted`."""
        return splatted(self.cameras[view], self.points[self.seen[view]])


def splatted(camera: Cameras, points: Float[Tensor, "p 3"]) -> Float[Tensor, "h w"]:
    """Depth along z of points at the pixels of one camera that they fall into; 0 elsewhere.

    Of several in a pixel the nearest counts. Points beside the image or behind the camera are left out. A point is up
    to half a pixel, along each axis, off the centre of its pixel, through which rays go.
    """
    width, height = camera.common_size
    (pixels,), (depth,) = camera.project(points)
    inside = ((pixels >= 0) & (pixels < camera.sizes[0])).all(dim=-1) & (depth > 0) & depth.isfinite()
    column, row = pixels[inside].long().unbind(-1)
    nearest = depth.new_full((height * width,), torch.inf)
    nearest.scatter_reduce_(0, row * width + column, depth[inside], "amin")
    return torch.where(nearest.isinf(), 0.0, nearest).reshape(height, width)


def with_sparse_depths(views: Views) -> Views:
    """The same views with the depths of sparse points as their depth maps; views must have such depths.

    A depth is that of a point up to half a pixel off the pixel's centre (:func:`splatted`).
    """
    return views.with_depths(views.sparse_depth)
