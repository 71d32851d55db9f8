"""What belongs to the subject in a picture of it before a background of one colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.errors import DataError
from novelview.geometry.regions import connected_regions
from novelview.types import Views

# Differences of colours are CIELAB's over 100, with half of a and b: compression blurs these.
_CHROMA = 0.5
# Of the pixels along the picture's edges, this share must be this much alike; the others may be the subject's.
_SHARE, _ALIKE = 0.6, 0.08
# The subject differs by the first somewhere, and by the second all over; by so many times the noise of the background; and
# by the last share of its largest difference, of which compression leaves echoes beside it.
_SURE, _LEAST, _SURE_NOISE, _LEAST_NOISE, _ECHO = 0.04, 0.02, 4.0, 2.0, 0.04
# Regions smaller than this share of the largest are crumbs, and holes smaller than this share of the subject are none.
_CRUMB, _HOLE = 0.02, 0.005
_SPECK = 2  # Pixels that are always too few.
# Side of the square in pixels in which the subject's colour beside its outline is looked for.
_AROUND = 7

_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def foreground(image: Float[Tensor, "h w 3"], *, name: str | None = None) -> Float[Tensor, "h w"]:
    """Coverage in [0, 1] of each pixel by the subject of one picture.

    The background is what most pixels along the edges show. What differs from it clearly, and what differs a little and
    hangs together with that, is the subject; holes count where they show the background. Along its outline the coverage is
    that share of the subject's own colour nearby which mixes best with the background.

    Args:
        image: colours in [0, 1].
        name: how errors call the picture.

    Raises:
        DataError: the background is not of one colour, or there is nothing before it.
    """
    seen = _perceived(image)
    background = _background(seen, name)
    difference = seen - seen[background].mean(dim=0)
    smooth = _blurred(difference).norm(dim=-1)
    noise, echo = float(smooth[background].median()), _ECHO * float(smooth.max())
    sure, least = max(_SURE, _SURE_NOISE * noise, echo), max(_LEAST, _LEAST_NOISE * noise, echo)
    solid = _without_crumbs(_connected_to(smooth > sure, smooth > least))
    if not bool(solid.any()):
        raise DataError(
            "There is nothing to be seen before the background of a picture",
            where=name,
            why=f"no part of it differs from its edges by more than {sure:.0%}",
            cure="give masks: an alpha channel, or files that are white where the subject is",
        )
    solid = _without_holes(solid, difference, least)
    return _softened(image - image[background].mean(dim=0), solid)


def with_foregrounds(views: Views) -> Views:
    """The views in memory with the masks that they show; raises ``DataError`` that names a view as :func:`foreground`."""
    images = views.images()
    masks = torch.stack(
        [foreground(image, name=name) for image, name in zip(images, views.names, strict=True)]
    )
    return Views.from_tensors(views.cameras, images, masks, names=views.names)


def _perceived(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """CIELAB over 100 under D65, a and b reduced."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    matrix = image.new_tensor(_XYZ)
    light = linear @ (matrix / matrix.sum(dim=1, keepdim=True)).T
    x, y, z = torch.where(
        light > 216 / 24389, light.clamp(min=1e-6) ** (1 / 3), light * 7.787 + 16 / 116
    ).unbind(-1)
    return torch.stack([1.16 * y - 0.16, _CHROMA * 5 * (x - y), _CHROMA * 2 * (y - z)], dim=-1)


def _rim(picture: Float[Tensor, "h w c"]) -> Bool[Tensor, "h w"]:
    """The pixels along the edges."""
    height, width = picture.shape[:2]
    thick = max(1, min(height, width) // 32)
    rim = torch.ones(height, width, dtype=torch.bool, device=picture.device)
    rim[thick:-thick, thick:-thick] = False
    return rim


def _background(seen: Float[Tensor, "h w 3"], name: str | None) -> Bool[Tensor, "h w"]:
    """The pixels along the edges that show the background."""
    rim = _rim(seen)
    alike = rim & ((seen - seen[rim].median(dim=0).values).norm(dim=-1) < _ALIKE)
    share = int(alike.sum()) / int(rim.sum())
    if share < _SHARE:
        raise DataError(
            "The background of a picture is not of one colour",
            where=name,
            why=f"{share:.0%} of the pixels along its edges are alike, {_SHARE:.0%} would do",
            cure="give masks: an alpha channel, or files that are white where the subject is",
        )
    return alike


def _blurred(values: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    row = values.new_tensor([0.25, 0.5, 0.25])
    channels = values.shape[-1]
    padded = F.pad(values.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")
    kernel = (row[:, None] * row).expand(channels, 1, 3, 3)
    return F.conv2d(padded, kernel, groups=channels)[0].permute(1, 2, 0)


def _connected_to(seeds: Bool[Tensor, "h w"], candidates: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Those candidates that hang together with a seed (hysteresis)."""
    region = connected_regions(candidates, corners=True)
    return candidates & torch.isin(region, region[seeds & candidates])


def _without_crumbs(solid: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    region = connected_regions(solid, corners=True)
    sizes = region[solid].bincount()
    if not len(sizes):
        return solid
    large = torch.nonzero(sizes > max(_SPECK, _CRUMB * int(sizes.max())))[:, 0]
    return solid & torch.isin(region, large)


def _without_holes(
    solid: Bool[Tensor, "h w"], difference: Float[Tensor, "h w 3"], least: float
) -> Bool[Tensor, "h w"]:
    """The subject with those holes filled that are tiny, or show something else than the background."""
    region = connected_regions(~solid)
    edges = torch.cat([region[0], region[-1], region[:, 0], region[:, -1]]).unique()
    holes = ~solid & ~torch.isin(region, edges)
    smallest = max(_SPECK, _HOLE * int(solid.sum()))
    for hole in region[holes].unique().tolist():
        here = region == hole
        if int(here.sum()) <= smallest or float(difference[here].median(dim=0).values.norm()) > least / 2:
            solid = solid | here
    return solid


def _softened(own: Float[Tensor, "h w 3"], solid: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Coverage along the outline, from what colours differ by from the background on both sides of it."""
    wider, core = _dilated(solid, 1), ~_dilated(~solid, 2)
    summed = _summed(torch.cat([own * core[..., None], core[..., None].to(own)], dim=-1))
    # Parts too thin for a core have the colour that differs most.
    _, where = F.max_pool2d((own.norm(dim=-1) * solid)[None, None], 5, 1, 2, return_indices=True)
    strongest = own.reshape(-1, 3)[where[0, 0]]
    inner = torch.where(summed[..., 3:] > 0.5, summed[..., :3] / summed[..., 3:].clamp(min=0.5), strongest)
    share = (own * inner).sum(dim=-1) / inner.square().sum(dim=-1).clamp(min=1e-6)
    return torch.where(wider & ~core, share.clamp(0, 1), core.to(share))


def _summed(values: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    """Sums over the square around each pixel."""
    pooled = F.avg_pool2d(values.permute(2, 0, 1)[None], _AROUND, 1, _AROUND // 2, divisor_override=1)
    return pooled[0].permute(1, 2, 0)


def _dilated(mask: Bool[Tensor, "h w"], by: int) -> Bool[Tensor, "h w"]:
    return F.max_pool2d(mask.float()[None, None], 2 * by + 1, 1, by)[0, 0] > 0
