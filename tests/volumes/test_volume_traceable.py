"""The traceable look along rays: the same as the one that skips what cannot be seen."""

from __future__ import annotations

import pytest
import torch

from novelview.geometry.rays import Rays
from novelview.types import Bounds, FrontView
from novelview.volumes import dense
from novelview.volumes.config import VolumeConfig
from novelview.volumes.reference import LEAST_WEIGHT
from novelview.volumes.volume import LEAST_OPACITY, Volume

OBJECT = Bounds(
    near=1.0, far=4.0, box_min=(-1.0, -1.0, -0.8), box_max=(1.0, 1.0, 0.8), unbounded=False
)
OPEN = Bounds(near=0.5, far=6.0, box_min=(-1.0, -1.0, -1.0), box_max=(1.0, 1.0, 1.0))
FRONT = Bounds(
    near=1.0,
    far=6.0,
    box_min=(-1.0, -1.0, 1.0),
    box_max=(1.0, 1.0, 6.0),
    forward_facing=True,
    front=FrontView(((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)), (0.6, 0.6)),
)
CONFIG = VolumeConfig(resolution=12, colour_resolution=10, stages=1, coarse_samples=16, samples=10)


def rays_for(bounds: Bounds, generator: torch.Generator) -> Rays:
    count = 300
    if bounds.forward_facing:
        origins = 0.05 * torch.randn(count, 3, generator=generator)
        aside = 0.5 * (2 * torch.rand(count, 2, generator=generator) - 1)
        return Rays(origins, torch.cat([aside, torch.ones(count, 1)], dim=-1))
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1) * 2.5
    return Rays(origins, -origins + 0.6 * torch.randn(count, 3, generator=generator))


def some_volume(bounds: Bounds, generator: torch.Generator) -> Volume:
    volume = Volume(CONFIG, bounds, 5).eval()
    with torch.no_grad():
        volume.field.density.normal_(std=3.0, generator=generator)
        volume.field.colour.normal_(generator=generator)
    volume.field.refresh()
    return volume


@pytest.mark.parametrize("bounds", [OBJECT, OPEN, FRONT], ids=["object", "open", "front"])
@torch.no_grad()
def test_it_sees_the_same(bounds: Bounds, generator: torch.Generator) -> None:
    volume, rays = some_volume(bounds, generator), rays_for(bounds, generator)
    seen = volume.look(rays, volume.field.coarse, torch.full((len(rays), 1), 0.5))
    values, opacity = dense.look(volume, rays)
    expected = torch.zeros_like(values).index_copy(0, seen.rays, seen.values)
    covered = torch.zeros_like(opacity).index_copy(0, seen.rays, seen.opacity)
    assert float(covered.max()) > 0.9
    # What the other leaves out: rays that meet hardly anything, and samples that are hardly seen.
    faint = LEAST_OPACITY * 20
    assert float((opacity - covered).abs().max()) < faint
    most = float(volume.field.colour.abs().max()) * (CONFIG.samples * LEAST_WEIGHT + faint)
    assert float((values - expected).abs().max()) < most
    assert float((values - expected).abs().mean()) < 0.1 * most


@torch.no_grad()
def test_it_can_be_traced_for_any_number_of_rays(generator: torch.Generator) -> None:
    volume = some_volume(OPEN, generator)

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.volume = volume

        def forward(self, origins: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return dense.look(self.volume, Rays(origins, directions))

    rays, count = rays_for(OPEN, generator), torch.export.Dim("count", min=2)
    shapes = {"origins": {0: count}, "directions": {0: count}}
    program = torch.export.export(Traced(), (rays.origins[:7], rays.directions[:7]), dynamic_shapes=shapes)
    found = program.module()(rays.origins, rays.directions)
    for one, other in zip(found, dense.look(volume, rays), strict=True):
        torch.testing.assert_close(one, other)
