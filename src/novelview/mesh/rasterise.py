"""Which triangle covers a pixel: a z-buffer in plain tensor operations, for small pictures and for textures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Bounds the memory: pixels in the boxes around the triangles that are looked at together.
_PIXELS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Coverage:
    """What covers the pixels of a picture.

    Attributes:
        face: index of the nearest triangle, -1 where there is none.
        barycentric: shares of its corners at the pixel's centre; 0 where there is none.
    """

    face: Int[Tensor, "h w"]
    barycentric: Float[Tensor, "h w 3"]

    @property
    def covered(self) -> Bool[Tensor, "h w"]:
        return self.face >= 0


def rasterised(
    corners: Float[Tensor, "f 3 2"], depth: Float[Tensor, "f 3"], height: int, width: int
) -> Coverage:
    """The nearest triangle at the centre of every pixel; of several equally near, the first.

    Args:
        corners: x to the right and y down in pixels; the centre of the first pixel is at (0.5, 0.5).
        depth: of corners, linear between them, positive and finite. Nearer is smaller.
        height, width: of the picture.
    """
    # Positive floats are ordered as their bits are, so depth and index make one number of which the least is kept.
    nothing = torch.iinfo(torch.int64).max
    nearest = torch.full((height * width,), nothing, device=corners.device)
    low = (corners.amin(dim=1) - 0.5).ceil().clamp(min=0).long()
    high = (corners.amax(dim=1) - 0.5).floor().long()
    high = torch.minimum(high, torch.tensor([width - 1, height - 1], device=corners.device))
    spans = (high - low + 1).clamp(min=0)
    pixels = spans.prod(dim=-1)
    seen = torch.nonzero(pixels)[:, 0]
    groups = (pixels[seen].cumsum(dim=0) - 1) // _PIXELS_AT_ONCE
    for some in seen.split(torch.unique_consecutive(groups, return_counts=True)[1].tolist()):
        face = some.repeat_interleave(pixels[some])
        first = pixels[some].cumsum(dim=0) - pixels[some]
        number = torch.arange(len(face), device=face.device) - first.repeat_interleave(pixels[some])
        x, y = low[face, 0] + number % spans[face, 0], low[face, 1] + number // spans[face, 0]
        shares = _barycentric(corners[face], x, y)
        inside = (shares >= 0).all(dim=-1)
        face, x, y, shares = face[inside], x[inside], y[inside], shares[inside]
        bits = (shares * depth[face]).sum(dim=-1).float().view(torch.int32).long()
        nearest.scatter_reduce_(0, y * width + x, bits << 32 | face, "amin")
    hit = nearest != nothing
    face = torch.where(hit, nearest & 0xFFFFFFFF, -1)
    place = torch.nonzero(hit)[:, 0]
    barycentric = corners.new_zeros(height * width, 3)
    barycentric[place] = _barycentric(corners[face[place]], place % width, place // width)
    return Coverage(face.view(height, width), barycentric.view(height, width, 3))


def _barycentric(
    corners: Float[Tensor, "p 3 2"], x: Int[Tensor, " p"], y: Int[Tensor, " p"]
) -> Float[Tensor, "p 3"]:
    """Shares of corners at centres of pixels; no number for triangles without an area."""
    centre = torch.stack([x, y], dim=-1) + 0.5
    edges = corners.roll(-1, dims=1) - corners
    away = centre[:, None] - corners
    # Twice the area that each edge spans with the centre belongs to the corner opposite of it.
    doubled = edges[..., 0] * away[..., 1] - edges[..., 1] * away[..., 0]
    return doubled.roll(-1, dims=1) / doubled.sum(dim=-1, keepdim=True)
