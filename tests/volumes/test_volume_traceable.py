"""The traceable look along rays: the same as the one that skips what cannot be seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from novelview.geometry.rays import Rays
from novelview.types import Bounds, FrontView
from novelview.volumes import traceable
from novelview.volumes.config import VolumeConfig
from novelview.volumes.reference import LEAST_LIGHT, LEAST_WEIGHT
from novelview.volumes.volume import Volume

OBJECT = Bounds(near=1.0, far=4.0, box_min=(-1.0, -1.0, -0.8), box_max=(1.0, 1.0, 0.8), unbounded=False)
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
    found, values, opacity = traceable.look(volume, rays)
    # The first ray is looked along in any case.
    known = found[1:] if len(found) > len(seen.rays) else found
    assert torch.equal(known, seen.rays)
    values, opacity = values[-len(known) :], opacity[-len(known) :]
    assert len(found) > 30
    assert float(opacity.max()) > 0.9
    # The other one ends rays of which hardly any light is left.
    torch.testing.assert_close(opacity, seen.opacity, atol=2 * LEAST_LIGHT, rtol=0)
    faint = float(volume.field.colour.abs().max()) * CONFIG.samples * LEAST_WEIGHT
    assert float((values - seen.values).abs().max()) < faint
    assert float((values - seen.values).abs().mean()) < 1e-4


def test_it_can_be_traced_for_any_number_of_rays() -> None:
    # In a process of its own: checks of shapes on every call would ask for sizes that are unknown while tracing.
    script = Path(__file__).parent / "traced.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in done.stdout.splitlines():
        assert float(line.split()[-1]) < 1e-5, done.stdout
    assert len(done.stdout.splitlines()) == 4
