"""Where the surfaces of a scene are, roughly, from its photographs alone: a plane sweep on thumbnails.

Collins, "A space-sweep approach to true multi-image matching", CVPR 1996, scored by normalised correlation.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.fitting import resized
from novelview.geometry.images import resize_area
from novelview.types import Views

Thumbnail = tuple[Cameras, Float[Tensor, "h w 3"]]

WINDOW = 5  # Pixels across the patches that are compared.
PLANES = 64
RANKS = (
    0,
    1,
    3,
    6,
    10,
)  # Neighbours by nearness: a few small baselines against ambiguity, some wide for accuracy.
SCORE = 0.8  # Correlation above which a match is believed.
FAINTEST = 0.25  # Parallax in pixels below which depth cannot be told from infinity.
APART = 1.5  # Parallax in pixels between depths that are rivals rather than one broad peak.
LEAD = 0.1  # By how much it must beat every depth elsewhere along the ray.
TEXTURE = 0.02  # Standard deviation of grey below which a patch says nothing.


def sweep_points(views: Views, *, references: int = 8, side: int = 96) -> Float[Tensor, "p 3"]:
    """Points on surfaces, in world coordinates; none where the photographs do not match.

    Args:
        views: photographs with known cameras.
        references: how many views, spread evenly, are given depths.
        side: longest side in pixels of the thumbnails; larger when there are fewer references.
    """
    count = len(views)
    chosen = sorted({round(i * (count - 1) / max(1, references - 1)) for i in range(min(references, count))})
    side = round(side * math.sqrt(references / len(chosen)))
    thumbnails: dict[int, Thumbnail] = {}
    points = [torch.zeros(0, 3)]
    for i in chosen:
        around = _neighbours(views.cameras, i)
        for j in [i, *around]:
            if j not in thumbnails:
                thumbnails[j] = thumbnail(views, j, side)
        if around:
            points.append(_match(thumbnails[i], [thumbnails[j] for j in around]))
    return torch.cat(points)


def thumbnail(views: Views, i: int, side: int) -> Thumbnail:
    """View ``i`` with its longest side reduced to ``side`` pixels, and its camera."""
    width, height = views.cameras.sizes[i].tolist()
    factor = min(1.0, side / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return resized(views.cameras[i], [size]), resize_area(views.image(i), *size)


def _neighbours(cameras: Cameras, i: int) -> list[int]:
    """Views that look the same way from elsewhere, at growing distances."""
    distance = (cameras.centres - cameras.centres[i]).norm(dim=-1)
    alike = (cameras.forward @ cameras.forward[i] > 0.8) & (distance > 1e-3 * distance.max())
    order = [int(j) for j in distance.argsort() if alike[j]]
    return [order[rank] for rank in RANKS if rank < len(order)]


def _match(reference: Thumbnail, others: list[Thumbnail]) -> Tensor:
    """Points of the pixels of ``reference`` whose match in ``others`` is good and unique."""
    camera, image = reference
    height, width = image.shape[:2]
    baselines = torch.stack([(other.centres[0] - camera.centres[0]).norm() for other, _ in others])
    parallax = _planes(float(baselines.min() / baselines.max()), max(width, height))
    depths = float(camera.intrinsics[0, 0] * baselines.max()) / parallax
    rays = camera.rays().reshape(-1)
    points = rays.at(depths.expand(len(rays), -1)).transpose(0, 1)  # planes, pixels, 3
    grey = image.mean(dim=-1)
    scores = torch.stack([_scores(grey, points, *other) for other in others])  # others, planes, h, w
    # The better half: the other half may not see this surface.
    score = scores.topk((len(others) + 1) // 2, dim=0).values.mean(dim=0)
    best, index = score.max(dim=0)
    elsewhere = (torch.arange(PLANES)[:, None, None] - index).abs() > 3
    elsewhere &= (parallax[:, None, None] - parallax[index]).abs() > APART
    rival = torch.where(elsewhere, score, -1.0).amax(dim=0)
    good = (best > SCORE) & (best - rival > LEAD) & (_deviation(grey) > TEXTURE)
    good &= (index > 0) & (index < PLANES - 1)
    rows, columns = torch.nonzero(good, as_tuple=True)
    return points.reshape(PLANES, height, width, 3)[index[good], rows, columns]


def _planes(ratio: float, side: int) -> Float[Tensor, " d"]:
    """Parallax in pixels to the farthest neighbour, evenly spaced in its logarithm, decreasing.

    From half an image to the nearest neighbour, whose baseline is ``ratio`` of the farthest, to what is only
    just measurable.
    """
    widest = 0.5 * side / ratio
    return widest * torch.logspace(0, 1, PLANES, base=FAINTEST / widest)


def _scores(grey: Tensor, points: Tensor, camera: Cameras, image: Tensor) -> Tensor:
    """Correlation of the patches of ``grey`` with those of another view, per plane; -1 outside of it."""
    planes, (height, width) = points.shape[0], grey.shape
    pixels, depth = camera.project(points.reshape(-1, 3))
    grid = pixels[0] / camera.sizes[0] * 2 - 1
    inside = (grid.abs() <= 1).all(dim=-1) & (depth[0] > 0)
    other = F.grid_sample(
        image.mean(dim=-1)[None, None], grid.reshape(1, -1, 1, 2), align_corners=False, padding_mode="border"
    ).reshape(planes, height, width)
    mean_a, mean_b = _blur(grey[None]), _blur(other)
    covariance = _blur(grey[None] * other) - mean_a * mean_b
    spread = (_blur(grey[None] ** 2) - mean_a**2).clamp(min=1e-5) * (_blur(other**2) - mean_b**2).clamp(
        min=1e-5
    )
    return torch.where(inside.reshape(planes, height, width), covariance / spread.sqrt(), -1.0)


def _deviation(grey: Tensor) -> Tensor:
    return (_blur(grey[None] ** 2) - _blur(grey[None]) ** 2)[0].clamp(min=0).sqrt()


def _blur(images: Tensor) -> Tensor:
    return F.avg_pool2d(images[:, None], WINDOW, 1, WINDOW // 2, count_include_pad=False)[:, 0]
