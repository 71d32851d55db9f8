"""Where a masked object is: a coarse visual hull (Laurentini, "The visual hull concept", TPAMI 1994)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.fitting import resized
from novelview.geometry.images import resize_area
from novelview.types import Views

RESOLUTION = 48  # Cells along each side of the grid.
AGREEMENT = 0.9  # Share of the views that must cover a cell: hand-made masks cut off handles and lids.
SEEN = 0.5  # Share of the views that must see a cell. What few see may not be empty, but nobody will look at it either.
PASSES = 3  # Each looks again, inside the box that the last one found.


def hull_points(
    views: Views, centre: Float[Tensor, " 3"], half: float, *, at_most: int = 48, side: int = 128
) -> Float[Tensor, "p 3"]:
    """Centres of the cells covered by nearly all masks that could see them; none if the masks disagree.

    Args:
        views: with masks.
        centre: of the cube that is searched, world coordinates.
        half: half its side.
        at_most: how many views, spread evenly, are used.
        side: longest side of the reduced masks in pixels.
    """
    stride = max(1, -(-len(views) // at_most))
    masks = [reduced_mask(views, i, side) for i in range(0, len(views), stride)]
    lower, upper = centre - half, centre + half
    points = torch.zeros(0, 3)
    for _ in range(PASSES):
        step = (upper - lower) / RESOLUTION
        grid = _grid(lower, step)
        points = grid[_covered(grid, masks)]
        if not len(points):
            break
        lower, upper = points.amin(dim=0) - step, points.amax(dim=0) + step
    return points


def _grid(lower: Tensor, step: Tensor) -> Tensor:
    index = torch.arange(RESOLUTION) + 0.5
    return lower + torch.cartesian_prod(index, index, index) * step


def reduced_mask(views: Views, i: int, side: int) -> tuple[Cameras, Float[Tensor, "h w"]]:
    """The mask of view ``i`` and the camera that sees it, both with a longest side of at most ``side`` pixels."""
    width, height = views.cameras.sizes[i].tolist()
    factor = min(1.0, side / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return resized(views.cameras[i], [size]), resize_area(views.mask(i)[..., None], *size)[..., 0]


def looked_up(
    points: Float[Tensor, "p 3"], camera: Cameras, picture: Float[Tensor, "h w"]
) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"], Bool[Tensor, " p"]]:
    """What one camera's picture shows where points are, bilinear between pixels.

    Args:
        points: world coordinates.
        camera: one, of the picture's size.
        picture: mask, or anything else of one value per pixel.

    Returns:
        Values, depths along z, and whether points are in the image; where they are not, values mean nothing.
    """
    pixels, depth = camera.project(points)
    place = pixels[0] / camera.sizes[0] * 2 - 1
    visible = (place.abs() <= 1).all(dim=-1) & (depth[0] > 0)
    found = F.grid_sample(picture[None, None], place[None, None], padding_mode="border", align_corners=False)
    return found[0, 0, 0], depth[0], visible


def _covered(points: Tensor, masks: list[tuple[Cameras, Tensor]]) -> Tensor:
    seen, inside = torch.zeros(len(points)), torch.zeros(len(points))
    for camera, mask in masks:
        coverage, _, visible = looked_up(points, camera, mask)
        seen += visible
        inside += visible & (coverage > 0.25)
    return (seen >= SEEN * len(masks)) & (inside >= AGREEMENT * seen)
