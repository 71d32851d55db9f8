"""What :meth:`Volume.look` sees, in operations that ONNX has, for export to other runtimes.

Slower than the compiled loops, but it skips as they do: rays that meet nothing, and samples too faint for the eye.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.rendering.volume import opacity, weights_from_density
from novelview.volumes.lookup import Coordinates, flat
from novelview.volumes.reference import LEAST_WEIGHT
from novelview.volumes.sampling import edges_between, even_pdf
from novelview.volumes.volume import LEAST_OPACITY, Volume


def look(
    volume: Volume, rays: Rays
) -> tuple[Int[Tensor, " seen"], Float[Tensor, "seen c"], Float[Tensor, " seen"]]:
    """Which rays, given in scene coordinates, meet anything; what is composited along these, and their opacities.

    The first ray is always among them.
    """
    config, warp, field = volume.config, volume.warp, volume.field
    rays = warp.rays(rays)
    near, far = warp.span(rays)
    even = torch.linspace(0, 1, config.coarse_samples + 1, device=near.device) + torch.zeros_like(near)
    position, length, _ = volume.between(rays, edges_between(near, far, even, warp.logarithmic))
    weights = weights_from_density(_nearest(field.coarse, position), length)
    seen = _where(opacity(weights) > LEAST_OPACITY)
    shares = _shares(weights[seen], config.even_share, config.samples + 1)
    edges = edges_between(near[seen], far[seen], shares, warp.logarithmic)
    position, length, _ = volume.between(rays[seen], edges)
    density = F.softplus(_trilinear(field.density[..., None], flat(position))[:, 0] + field.shift)
    weights = weights_from_density(density.reshape(length.shape), length)
    along = weights.reshape(-1)
    kept = _where(along > LEAST_WEIGHT)
    x, y, z = (axis[kept] for axis in flat(position))
    found = _trilinear(field.colour, (x, y, z)) * along[kept, None]
    nothing = found.new_zeros(seen.shape[0], found.shape[1])
    return seen, nothing.index_add(0, kept // config.samples, found), opacity(weights)


def _where(mask: Bool[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Where it is true, and the first place in any case: runtimes stumble over tables without rows."""
    return torch.nonzero(torch.cat([torch.ones_like(mask[:1]), mask[1:]])).reshape(-1)


def _shares(weights: Float[Tensor, "r s"], floor: float, count: int) -> Float[Tensor, "r count"]:
    """:func:`~novelview.volumes.sampling.importance_shares` in the middle of the strata, without a search."""
    bins = weights.shape[-1]
    pdf = even_pdf(weights, floor)
    cdf = torch.cumsum(pdf, dim=-1)
    # Which of the evenly spread shares is the first that each bin's end does not exceed; how many ends come before one.
    first = (cdf * count - 0.5).ceil().clamp(0, count).to(torch.int64)
    ends = cdf.new_zeros(cdf.shape[0], count + 1).scatter_add(1, first, torch.ones_like(cdf))
    passed = ends.cumsum(dim=-1)[:, :count].clamp(max=bins - 1).to(torch.int64)
    upper, width = cdf.gather(-1, passed), pdf.gather(-1, passed)
    u = (torch.arange(count, device=weights.device) + 0.5) / count
    inside = 1 - (upper - u) / width.clamp(min=1e-9)
    return (passed + inside.clamp(0, 1)) / bins


def _nearest(table: Float[Tensor, "x y z"], position: Coordinates) -> Float[Tensor, "r s"]:
    row = torch.zeros_like(position[0], dtype=torch.int32)
    for axis, count in zip(position, table.shape, strict=True):
        row = row * count + (axis * count).to(torch.int32).clamp(0, count - 1)
    return table.reshape(-1).index_select(0, row.reshape(-1)).reshape(row.shape)


def _trilinear(table: Float[Tensor, "x y z c"], position: Coordinates) -> Float[Tensor, "n c"]:
    """Whole rows of the table at the eight nodes around each place: a few long reads instead of many short ones."""
    rows = table.reshape(-1, table.shape[-1])
    lower, inside = [], []
    for axis, count in zip(position, table.shape[:3], strict=True):
        scaled = (axis * (count - 1)).clamp(0, count - 1)
        cell = scaled.floor().clamp(max=count - 2)
        lower.append(cell.to(torch.int32))
        inside.append((scaled - cell)[:, None])
    (i, j, k), (u, v, w) = lower, inside
    _, height, depth = table.shape[:3]
    corner = (i * height + j) * depth + k

    def along(step: int) -> Tensor:
        start, end = rows.index_select(0, corner + step), rows.index_select(0, corner + (step + 1))
        return start + w * (end - start)

    def plane(step: int) -> Tensor:
        start, end = along(step), along(step + depth)
        return start + v * (end - start)

    front, back = plane(0), plane(height * depth)
    return front + u * (back - front)
