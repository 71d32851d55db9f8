"""The visual hull as an implicit surface: the largest shape that fits all masks (Laurentini, TPAMI 1994).

A point's value is how far its pixel is inside a silhouette, in world units at its depth, in the view where that is least. It
is close to the distance from the hull's surface, and so it is nearly linear between the nodes of a grid. Coverage of masks
is not: it is 0 or 1 but for one pixel at the outline, which a grid of cells larger than pixels meets by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.hull import AGREEMENT, SEEN, looked_up, reduced_mask
from novelview.errors import DataError
from novelview.geometry.rays import intersect_box
from novelview.geometry.silhouettes import silhouette_distance
from novelview.rendering.surface import first_crossing
from novelview.types import Views

_POINTS_AT_ONCE = 1 << 17


@final
@dataclass(frozen=True)
class GridField:
    """An implicit surface whose values between the nodes of a grid are trilinear; nothing is outside its box.

    Attributes:
        values: at the nodes, of which the outermost are on the box's faces; positive inside, world units.
        lower, upper: corners of the box, world coordinates.
    """

    values: Float[Tensor, "x y z"]
    lower: Float[Tensor, " 3"]
    upper: Float[Tensor, " 3"]

    def __call__(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        """Values at world points."""
        place = (points - self.lower) / (self.upper - self.lower) * 2 - 1
        # grid_sample names coordinates from the last axis to the first.
        found = F.grid_sample(
            self.values[None, None],
            place.flip(-1)[None, None, None],
            padding_mode="border",
            align_corners=True,
        )[0, 0, 0, 0]
        inside_box = torch.minimum(points - self.lower, self.upper - points).amin(dim=-1)
        return torch.minimum(found, inside_box)

    def to(self, device: torch.device | str) -> GridField:
        return GridField(self.values.to(device), self.lower.to(device), self.upper.to(device))


@torch.no_grad()
def visual_hull(
    views: Views,
    lower: Float[Tensor, " 3"],
    upper: Float[Tensor, " 3"],
    resolution: int = 128,
    *,
    agreement: float = AGREEMENT,
    side: int = 256,
) -> GridField:
    """The visual hull inside a box.

    Every view counts that sees a point; one that few see is outside.

    Args:
        views: with masks; any sizes and lenses.
        lower, upper: corners of the box, world coordinates.
        resolution: cells along the box's longest side; they are cubes, up to rounding.
        agreement: share of the views that must have a point within their silhouettes. The others are overruled, which
            saves handles that some masks cut off, and makes the hull a little larger than exact masks would: for these, 1.
        side: longest side in pixels of the silhouettes; larger masks are reduced, which keeps parts of pixels.

    Raises:
        DataError: the views have no masks, or no point is inside enough of them.
    """
    if not views.has_masks:
        raise DataError(
            "There is no visual hull without masks", cure="give masks, or open the scene with masks=object"
        )
    silhouettes = []
    for i in range(len(views)):
        camera, mask = reduced_mask(views, i, side)
        silhouettes.append((camera, silhouette_distance(mask)))
    sides = upper - lower
    cells = (sides / sides.max() * resolution).round().clamp(min=1).long().tolist()
    axes = [torch.linspace(float(a), float(b), n + 1) for a, b, n in zip(lower, upper, cells, strict=True)]
    nodes = torch.cartesian_prod(*axes)
    step = float(sides.max()) / resolution
    values = torch.cat([_values(part, silhouettes, agreement, step) for part in nodes.split(_POINTS_AT_ONCE)])
    if not bool((values > 0).any()):
        raise DataError(
            "The masks leave nothing of the object",
            why=f"no point of the box is inside {agreement:.0%} of the {len(views)} masks",
            cure="check that masks are white where the object is, that the poses fit them, and that the box holds it",
        )
    return GridField(values.reshape([len(axis) for axis in axes]), lower, upper)


@torch.no_grad()
def hull_depth(field: GridField, camera: Cameras) -> Float[Tensor, "h w"]:
    """Depth along z at which the rays of one camera meet a field's surface, world units; 0 where they do not.

    Rays that begin inside have depth 0 too. Only what is within the field's box is met.
    """
    width, height = camera.common_size
    rays = camera.rays().reshape(-1)
    enter, leave = intersect_box(rays, field.lower, field.upper)
    some = torch.nonzero(leave > 0)[:, 0]
    samples = 2 * max(field.values.shape)
    # A sample before the box, so that a hull that its face cuts off is met there instead of begun in.
    near = (enter - (leave - enter) / samples)[some].clamp(min=0)
    crossing = first_crossing(field, rays[some], near, leave[some], samples=samples)
    depth = enter.new_zeros(height * width)
    depth[some] = torch.where(crossing.hit, crossing.depth, 0.0)
    return depth.reshape(height, width)


def _values(
    points: Float[Tensor, "p 3"], silhouettes: list[tuple[Cameras, Tensor]], agreement: float, step: float
) -> Float[Tensor, " p"]:
    """How far points are inside the silhouettes, but for the share that may disagree; ``-step`` where few views see."""
    # The least values of each point so far; views that do not see it leave infinity.
    dissenters = int((1 - agreement) * len(silhouettes) + 1e-6)
    least = points.new_full((dissenters + 1, len(points)), torch.inf)
    seen = torch.zeros(len(points))
    for camera, distance in silhouettes:
        found, depth, visible = looked_up(points, camera, distance)
        world = found * depth / camera.intrinsics[0, :2].mean()
        value = torch.where(visible, world, torch.inf)
        least = torch.cat([least, value[None]]).sort(dim=0).values[:-1]
        seen += visible
    overruled = ((1 - agreement) * seen + 1e-6).long()
    value = least.gather(0, overruled[None])[0]
    return torch.where(seen >= SEEN * len(silhouettes), value, -step)
