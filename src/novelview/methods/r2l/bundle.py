"""Rays in bundles (MobileR2L): one ray per block of pixels, and a network that makes all pixels of the block."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.geometry.intervals import linear_depths
from novelview.geometry.rays import Rays
from novelview.methods.r2l.config import STAGES, BundleConfig, NetworkConfig, PointsConfig
from novelview.methods.r2l.plain import depth_range
from novelview.methods.r2l.student import Student
from novelview.nn.encodings import frequency_width, grouped_frequency_encoding
from novelview.types import Bounds

LAST_WIDTH = 16
# How many rays around a block's own have a part in its pixels: kernels reach one pixel beyond a block in each stage, and
# all stages together less than two rays.
REACH = 1


class BundleStudent(Student):
    """MobileR2L's student (Cao et al., Real-Time Neural Light Field on Mobile Devices, CVPR 2023).

    Each ray passes through the middle of a block of ``factor`` x ``factor`` pixels. Points on it go through R2L's body
    of residual blocks, and then transposed convolutions enlarge the picture of features. The paper's convolutions of one
    pixel are linear layers here, which is the same.

    It differs from the paper in two ways. There is no batch normalisation: in short trainings on the embedded demo scene
    the network learnt faster without it, at the paper's depth too, and so slices of a batch, by any number of processes,
    have together the gradient of the whole batch. And points lie in scene coordinates between the nearest and the
    farthest depth for forward-facing scenes too, as R2L's do, where the paper has NDC. Nothing is jittered.

    Beyond the border of a tile the network sees nothing, as beyond that of a picture.

    Attributes:
        tile: side in pixels of the tiles that ``forward`` takes.
    """

    def __init__(
        self, network: NetworkConfig, points: PointsConfig, bundle: BundleConfig, bounds: Bounds
    ) -> None:
        super().__init__()
        self.octaves, self.factor, self.tile = points.octaves, bundle.factor, bundle.tile
        near, far = depth_range(points, bounds)
        self.depths: Tensor
        depths = linear_depths(torch.tensor(near), torch.tensor(far), points.samples)
        self.register_buffer("depths", depths, persistent=False)
        inputs, width = frequency_width(3 * points.samples, points.octaves), network.width
        self.head = nn.Sequential(nn.Linear(inputs, width), nn.GELU())
        self.body = nn.Sequential(*(Block(width) for _ in range((network.depth - 2) // 2)))
        factors = STAGES[bundle.factor]
        widths = (width, *(math.ceil(width / 4) for _ in factors[1:]), LAST_WIDTH)
        stages = zip(pairwise(widths), factors, strict=True)
        self.stages = nn.ModuleList(Stage(*ends, factor) for ends, factor in stages)
        self.tail = nn.Linear(LAST_WIDTH, 3)

    def forward(self, rays: Rays, jitter: Float[Tensor, "r s"] | None = None) -> Float[Tensor, "r 3"]:
        """Colours in [0, 1] of rays that form whole tiles, as :class:`~novelview.data.tiles.TileSampler` gives them.

        Args:
            rays: through pixels, tile by tile and row by row.
            jitter: none.
        """
        return self._made(self.middles(rays)).reshape(-1, 3)

    def picture(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "a b 3"]:
        return self._made(Rays(origins[None], directions[None]))[0]

    def frame(self, camera: Cameras, at_once: int, device: torch.device) -> Float[Tensor, "h w c"]:
        """As of any student, in strips of whole blocks that overlap by the neighbours that have a part in them."""
        width, height = camera.common_size
        rays = camera.blocks(self.factor).rays()[0]
        rows, made = max(1, at_once // rays.origins.shape[1]), []
        for start in range(0, len(rays), rows):
            first = max(0, start - REACH)
            strip = rays[first : start + rows + REACH].to(device)
            above = (start - first) * self.factor
            made.append(self.picture(strip.origins, strip.directions)[above : above + rows * self.factor])
        return torch.cat(made)[:height, :width]

    def middles(self, rays: Rays) -> Rays:
        """Rays through the middles of the blocks of tiles, shapes (tiles, h, w, 3).

        The direction is the mean of the block's: exact for pinhole cameras, where directions are linear in the pixel.
        """
        blocks = self.tile // self.factor
        split = rays.reshape(-1, blocks, self.factor, blocks, self.factor)
        return Rays(split.origins[:, :, 0, :, 0], split.directions.mean(dim=(2, 4)))

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per pixel of a picture far from its border: two per weight and place it is used at."""
        places, weights = 1, _weights(self.head) + _weights(self.body)
        for stage in self.stages:
            assert isinstance(stage, Stage)
            weights += places * _weights(stage.grow)
            places *= stage.factor**2
            weights += places * _weights(stage.blocks)
        return 2 * (weights + places * _weights(self.tail)) // places

    def _made(self, rays: Rays) -> Float[Tensor, "n a b 3"]:
        """Pictures of the blocks of ``n`` pictures of rays."""
        points = rays.at(self.depths.expand(*rays.origins.shape[:-1], -1)).flatten(-2)
        features = self.head(grouped_frequency_encoding(points, self.octaves))
        features = features + self.body(features)
        for stage in self.stages:
            features = stage(features)
        return self.tail(features).float().sigmoid()


class Block(nn.Module):
    """What two linear layers add to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: Float[Tensor, "n h w c"]) -> Float[Tensor, "n h w c"]:
        return x + self.body(x)


class Stage(nn.Module):
    """A picture of features made larger, with two residual blocks at the new size.

    The kernel is two pixels wider than a block, so that neighbours see each other across blocks.
    """

    def __init__(self, before: int, after: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.grow = nn.ConvTranspose2d(before, after, factor + 2, stride=factor, padding=1)
        self.blocks = nn.Sequential(Block(after), Block(after))

    def forward(self, x: Float[Tensor, "n h w c"]) -> Float[Tensor, "n a b d"]:
        grown = self.grow(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.blocks(F.gelu(grown))


def _weights(module: nn.Module) -> int:
    """How many weights its layers have, biases not counted."""
    kinds = (nn.Linear, nn.ConvTranspose2d)
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, kinds))
