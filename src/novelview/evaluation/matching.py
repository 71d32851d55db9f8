"""The same places in two images, by looks alone: corners at several scales, patches of colour around them, and matches.

Small on purpose, for images of some 32 to 512 pixels of views whose up direction agrees, as that of views around a thing
does: descriptors stand upright. No camera takes part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from novelview.geometry.warp import sample_bilinear

# Smallest side of an image that corners are looked for in, and below which it is shown twice as large first.
_SMALLEST, _SMALL = 24, 256
# Levels of the pyramid per halving of the size.
_LEVELS = 2
# Weakest corner, in parts of its level's strongest, and as a change of colour per pixel.
_WEAKEST, _FAINTEST = 0.03, 1e-3
# Corners kept per level.
_MOST = 150
# Samples along a side of the patch that describes a corner, and pixels of its level between them.
_PATCH, _STEP = 8, 2.0
# Corners closer together than this part of the image are the same place to the ratio test.
_APART = 0.05


@dataclass(frozen=True)
class LocalFeatures:
    """Corners of an image.

    Attributes:
        pixels: where they are (x, y).
        descriptors: of unit length.
        apart: distance in pixels below which two corners are the same place.
    """

    pixels: Float[Tensor, "k 2"]
    descriptors: Float[Tensor, "k d"]
    apart: float

    def __len__(self) -> int:
        return len(self.pixels)


@torch.no_grad()
def local_features(image: Float[Tensor, "h w 3"]) -> LocalFeatures:
    """Corners of an image with colours in [0, 1], at all scales; none in an image without structure.

    A corner is where the smaller eigenvalue of the structure tensor of all channels is locally largest (Shi and Tomasi, Good
    Features to Track, 1994), refined to parts of a pixel. Its descriptor is the patch around it at its scale, without its
    mean colour and contrast.
    """
    height, width = image.shape[:2]
    scale = 2.0 if min(height, width) < _SMALL else 1.0
    pixels, descriptors = [image.new_zeros(0, 2)], [image.new_zeros(0, 3 * _PATCH**2)]
    while min(round(scale * height), round(scale * width)) >= _SMALLEST:
        level = _resized(image, round(scale * height), round(scale * width))
        places = _corners(level)
        size = level.new_tensor([level.shape[3] / width, level.shape[2] / height])
        pixels.append(places / size)
        descriptors.append(_patches(level, places))
        scale *= 2 ** (-1 / _LEVELS)
    return LocalFeatures(torch.cat(pixels), torch.cat(descriptors), _APART * max(height, width))


def match_features(first: LocalFeatures, second: LocalFeatures, ratio: float = 0.8) -> Int[Tensor, "m 2"]:
    """Pairs (index in first, index in second) of features that are most alike in both directions.

    Args:
        first: of one image.
        second: of another.
        ratio: a pair is kept only if it is so much more alike than each of the two is to any other place (Lowe 2004).
    """
    if not len(first) or not len(second):
        return torch.zeros(0, 2, dtype=torch.long)
    distance = torch.cdist(first.descriptors, second.descriptors)
    forth, back = distance.argmin(dim=1), distance.argmin(dim=0)
    here = torch.arange(len(first), device=forth.device)
    best = distance[here, forth]
    beside = _elsewhere(distance, second.pixels, forth, second.apart)
    behind = _elsewhere(distance.T, first.pixels, back, first.apart)[forth]
    kept = (back[forth] == here) & (best < ratio * beside) & (best < ratio * behind)
    return torch.stack([here[kept], forth[kept]], dim=1)


def _elsewhere(
    distance: Float[Tensor, "k l"], pixels: Float[Tensor, "l 2"], chosen: Int[Tensor, " k"], apart: float
) -> Float[Tensor, " k"]:
    """Distance to the most similar descriptor of any place but the chosen one; infinite where there is no other."""
    same = torch.cdist(pixels[chosen], pixels) < apart
    return distance.masked_fill(same, math.inf).amin(dim=1)


def _resized(image: Tensor, height: int, width: int) -> Float[Tensor, "1 3 h w"]:
    mode = "bicubic" if height > image.shape[0] else "bilinear"
    return F.interpolate(image.permute(2, 0, 1)[None], (height, width), mode=mode, antialias=True)


def _corners(level: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "k 2"]:
    """Pixels (x, y) of the level's corners."""
    strength = _cornerness(level)
    peak = F.max_pool2d(strength[None, None], 5, stride=1, padding=2)[0, 0]
    found = (strength == peak) & (strength > max(_WEAKEST * float(strength.max()), _FAINTEST))
    inside = torch.zeros_like(found)
    inside[4:-4, 4:-4] = True
    y, x = (found & inside).nonzero(as_tuple=True)
    strongest = strength[y, x].argsort(descending=True, stable=True)[:_MOST]
    y, x = y[strongest], x[strongest]
    middle = strength[y, x]

    def offset(before: Tensor, after: Tensor) -> Tensor:
        """Of the peak of the parabola through three neighbours."""
        bend = (2 * middle - before - after).clamp_min(1e-9)
        return ((after - before) / (2 * bend)).clamp(-0.5, 0.5)

    right = offset(strength[y, x - 1], strength[y, x + 1])
    down = offset(strength[y - 1, x], strength[y + 1, x])
    return torch.stack([x + right, y + down], dim=1) + 0.5


def _cornerness(level: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "h w"]:
    """Root of the smaller eigenvalue of the structure tensor, colour per pixel."""
    padded = F.pad(_blurred(level, 1.0), (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    products = torch.stack([across * across, across * down, down * down], dim=1).sum(dim=2)
    a, b, c = _blurred(products, 1.5)[0]
    return ((a + c) / 2 - (((a - c) / 2).square() + b * b).sqrt()).clamp_min(0).sqrt()


def _patches(level: Float[Tensor, "1 3 h w"], places: Float[Tensor, "k 2"]) -> Float[Tensor, "k d"]:
    line = (torch.arange(_PATCH, dtype=places.dtype, device=places.device) - (_PATCH - 1) / 2) * _STEP
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    smooth = _blurred(level, _STEP / 2)[0].permute(1, 2, 0)
    colours, _ = sample_bilinear(smooth, places[:, None, None] + grid)
    return F.normalize((colours - colours.mean(dim=(1, 2), keepdim=True)).flatten(1), dim=1)


def _blurred(values: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h w"]:
    """Gaussian blur; beyond its border an image goes on as it ends."""
    reach, channels = math.ceil(3 * sigma), values.shape[1]
    offsets = torch.arange(-reach, reach + 1, dtype=values.dtype, device=values.device)
    line = torch.exp(-offsets.square() / (2 * sigma**2))
    line = (line / line.sum()).expand(channels, 1, -1)
    values = F.pad(values, (reach, reach, reach, reach), mode="replicate")
    values = F.conv2d(values, line[..., None], groups=channels)
    return F.conv2d(values, line[:, :, None], groups=channels)
