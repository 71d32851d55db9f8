"""Traces the look along rays once and asks it for other numbers of rays: prints the number and the largest difference."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from novelview.geometry.rays import Rays
from novelview.types import Bounds
from novelview.volumes import traceable
from novelview.volumes.config import VolumeConfig
from novelview.volumes.volume import Volume

BOUNDS = Bounds(near=0.5, far=6.0, box_min=(-1.0, -1.0, -1.0), box_max=(1.0, 1.0, 1.0), unbounded=False)


class Traced(nn.Module):
    """The sums along rays, spread out over all of them."""

    def __init__(self, volume: Volume) -> None:
        super().__init__()
        self.volume = volume

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        seen, values, _ = traceable.look(self.volume, Rays(origins, directions))
        return origins.new_zeros(origins.shape[0], values.shape[1]).index_copy(0, seen, values)


@torch.no_grad()
def main() -> None:
    generator = torch.Generator().manual_seed(0)
    config = VolumeConfig(resolution=12, colour_resolution=10, stages=1, coarse_samples=16, samples=10)
    volume = Volume(config, BOUNDS, 5).eval()
    volume.field.density.normal_(std=3.0, generator=generator)
    volume.field.colour.normal_(generator=generator)
    volume.field.refresh()
    module, count = Traced(volume), torch.export.Dim("count", min=3, max=1 << 20)
    origins = 2.5 * torch.nn.functional.normalize(torch.randn(300, 3, generator=generator), dim=-1)
    directions = -origins + 0.6 * torch.randn(300, 3, generator=generator)
    program = torch.export.export(
        module, (origins[:7], directions[:7]), dynamic_shapes=({0: count}, {0: count})
    ).module()
    # The last rays look away from everything.
    for rays in ((origins, directions), (origins[:3], directions[:3]), (origins[:9], directions[:9])):
        print(len(rays[0]), float((program(*rays) - module(*rays)).abs().max()))
    away = program(origins[:5], -directions[:5])
    print(len(away), float(away.abs().max()))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
