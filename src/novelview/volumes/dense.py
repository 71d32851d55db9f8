"""What :meth:`Volume.look` sees, for all rays and all samples alike, so that it can be traced to other runtimes.

No shape here depends on what is seen, and nothing is used that ONNX lacks. The difference: what lies behind the last
of the light, and samples too faint for the eye, are counted in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.rendering.volume import composite, opacity, weights_from_density
from novelview.volumes.lookup import Coordinates
from novelview.volumes.sampling import edges_between, even_pdf
from novelview.volumes.volume import Volume


def look(volume: Volume, rays: Rays) -> tuple[Float[Tensor, "r c"], Float[Tensor, " r"]]:
    """Values composited along rays, given in scene coordinates, and their opacities."""
    config, warp, field = volume.config, volume.warp, volume.field
    rays = warp.rays(rays)
    near, far = warp.span(rays)
    even = torch.linspace(0, 1, config.coarse_samples + 1, device=near.device)[None] + 0 * near
    position, length, _ = volume.between(rays, edges_between(near, far, even, warp.logarithmic))
    weights = weights_from_density(_nearest(field.coarse, position), length)
    shares = _shares(weights, config.even_share, config.samples + 1)
    position, length, _ = volume.between(rays, edges_between(near, far, shares, warp.logarithmic))
    density = F.softplus(_trilinear(field.density[..., None], position)[..., 0] + field.shift)
    weights = weights_from_density(density, length)
    return composite(weights, _trilinear(field.colour, position)), opacity(weights)


def _shares(weights: Float[Tensor, "r s"], floor: float, count: int) -> Float[Tensor, "r count"]:
    """:func:`~novelview.volumes.sampling.importance_shares` in the middle of the strata, by counting."""
    bins = weights.shape[-1]
    pdf = even_pdf(weights, floor)
    cdf = torch.cumsum(pdf, dim=-1)
    u = (torch.arange(count, device=weights.device) + 0.5) / count
    passed = (cdf[:, None, :] <= u[:, None]).sum(dim=-1).clamp(max=bins - 1)
    upper, width = cdf.gather(-1, passed), pdf.gather(-1, passed)
    inside = 1 - (upper - u) / width.clamp(min=1e-9)
    return (passed + inside.clamp(0, 1)) / bins


def _nearest(table: Float[Tensor, "x y z"], position: Coordinates) -> Float[Tensor, "r s"]:
    row = torch.zeros_like(position[0], dtype=torch.int64)
    for axis, count in zip(position, table.shape, strict=True):
        row = row * count + (axis * count).to(torch.int64).clamp(0, count - 1)
    return table.reshape(-1)[row]


def _trilinear(table: Float[Tensor, "x y z c"], position: Coordinates) -> Float[Tensor, "r s c"]:
    """Whole rows of the table at the eight nodes around each place: a few long reads instead of many short ones."""
    rows = table.reshape(-1, table.shape[-1])
    lower, inside = [], []
    for axis, count in zip(position, table.shape[:3], strict=True):
        scaled = axis.clamp(0, 1) * (count - 1)
        cell = scaled.floor().clamp(max=count - 2)
        lower.append(cell.to(torch.int64))
        inside.append((scaled - cell)[..., None])
    (i, j, k), (u, v, w) = lower, inside
    _, height, depth = table.shape[:3]
    corner = (i * height + j) * depth + k

    def row(step: int) -> Tensor:
        return rows[corner + step]

    def along(step: int) -> Tensor:
        return torch.lerp(row(step), row(step + 1), w)

    def plane(step: int) -> Tensor:
        return torch.lerp(along(step), along(step + depth), v)

    return torch.lerp(plane(0), plane(height * depth), u)
