"""What a training begins with: the visual hull, every place along a ray; and waves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from novelview.data.procedural import object_scene
from novelview.data.scene import Scene
from novelview.data.visual_hull import visual_hull
from novelview.errors import ConfigError
from novelview.mesh.make import mesh_of
from novelview.methods.discovery import find
from novelview.methods.dvr.config import DecoderConfig, GridsConfig, StartConfig
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.grids import Grids
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.presets import PRESETS, SINGLE_PRESETS
from novelview.methods.dvr.single import SingleView
from novelview.random import Draws, generator_for
from novelview.training import fit, load_method
from novelview.types import Sample

TINY = PRESETS["tiny"]
HULL = replace(TINY.config, grids=replace(TINY.config.grids, hull_cells=20))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return object_scene("torus", views=6, size=32, test_every=0, supersample=1)


def test_the_first_shape_is_the_visual_hull(scene: Scene) -> None:
    method = DVR(HULL, scene.bounds)
    method.begin(scene.train)
    surface = method.surface(None)
    lower, upper = torch.tensor(surface.lower), torch.tensor(surface.upper)
    hull = visual_hull(scene.train, lower, upper, 20)
    points = lower + (upper - lower) * torch.rand(500, 3, generator=generator_for(0))
    deep = hull(points).abs() > 0.05
    assert bool((hull(points)[deep] > 0).any())
    assert bool((hull(points)[deep] < 0).any())
    found = surface.field(points).detach()
    # The hull's own field ends at its box.
    inner = ((points - lower > 0.1) & (upper - points > 0.1)).all(dim=-1)
    torch.testing.assert_close(found[inner], hull(points)[inner], atol=1e-5, rtol=0)
    # A hole goes through it, which a sphere does not have.
    assert mesh_of(surface, resolution=32).vertices.isfinite().all()
    assert float(surface.field(torch.zeros(1, 3)).detach()) < 0


def test_without_masks_it_is_a_sphere_until_they_are_known(scene: Scene) -> None:
    method = DVR(HULL, scene.bounds)
    centre = torch.tensor([method.cube.centre])
    there = float(method.surface(None).field(centre).detach()) * method.cube.scale
    assert there == pytest.approx(HULL.grids.radius, abs=2e-3)


def test_a_run_keeps_its_hull(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few that not all grids are open at the end.
    recipe = replace(TINY.recipe, steps=3)
    method = fit("dvr", scene, config=HULL, recipe=recipe, out=tmp_path / "run", quiet=True)

    def refuse(*_: object) -> None:
        raise AssertionError("masks are looked at again")

    monkeypatch.setattr(DVR, "begin", refuse)
    loaded, _ = load_method(tmp_path / "run")
    points = torch.rand(100, 3, generator=generator_for(0)) - 0.5
    assert isinstance(method, DVR)
    assert isinstance(loaded, DVR)
    assert isinstance(loaded.shape, Grids)
    assert loaded.shape.geometry.open < len(HULL.grids.resolutions)
    torch.testing.assert_close(loaded.shape.field(points), method.shape.field(points))
    again = fit("dvr", scene, config=HULL, recipe=recipe, out=tmp_path / "run", resume=True, quiet=True)
    assert isinstance(again, DVR)
    torch.testing.assert_close(again.shape.field(points), method.shape.field(points))
    fit("dvr", scene, config=HULL, recipe=recipe, start=tmp_path / "run", quiet=True)
    with pytest.raises(AssertionError, match="looked at again"):
        fit("dvr", scene, config=HULL, recipe=recipe, quiet=True)


def test_a_family_may_begin_with_every_place_along_a_ray(scene: Scene) -> None:
    config = replace(
        SINGLE_PRESETS["tiny"].config,
        start=StartConfig(until=0.5, samples=8, sharpness=(1.0, 1.0)),
    )
    method, sample = SingleView(config), Sample(scene.train[:1], scene.train[1:2], scene.bounds)
    names = []
    for step in (0, 4, 5):
        method.advance(step, 10)
        loss = method.loss((sample,), step, Draws(generator_for(0)))
        loss.total.backward()
        names.append("opacity" in loss.parts)
    assert names == [True, True, False]
    assert method.encoder.fc.weight.grad is not None
    assert float(method.encoder.fc.weight.grad.abs().sum()) > 0


def test_bfloat16_keeps_places_precise(scene: Scene) -> None:
    """In both stages; layers compute in less, depths do not."""
    config = replace(SINGLE_PRESETS["tiny"].config, start=StartConfig(until=0.5, samples=8))
    method, sample = SingleView(config), Sample(scene.train[:1], scene.train[1:2], scene.bounds)
    for step in (0, 9):
        method.advance(step, 10)
        losses = []
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                loss = method.loss((sample,), step, Draws(generator_for(0)))
            loss.total.backward()
            assert loss.total.dtype == torch.float32
            losses.append(float(loss.total.detach()))
        assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_decoder_told_of_waves_sees_finer_detail() -> None:
    """With random weights, it differs more between places that are near each other."""
    points = torch.rand(200, 3, generator=generator_for(0)) - 0.5
    aside = points + 0.03
    changes = []
    for octaves in (0, 4):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = Decoder(64, 2, octaves=octaves)
        here = decoder(points)[:, 0].detach()
        changes.append(float((decoder(aside)[:, 0].detach() - here).abs().mean() / here.std()))
    assert changes[1] > 3 * changes[0]


def test_waves_repeat_with_the_cube() -> None:
    decoder = Decoder(16, 1, octaves=2)
    assert decoder.fc_p.in_features == 15
    with torch.no_grad():
        decoder.fc_p.weight[:, :3] = 0.0
    points = torch.rand(20, 3, generator=generator_for(0)) - 0.5
    torch.testing.assert_close(
        decoder(points + torch.tensor([1.0, 0.0, -1.0])), decoder(points), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: GridsConfig(hull_cells=-1),
        lambda: DecoderConfig(octaves=-1),
    ],
)
def test_bad_beginnings_are_refused(make: object) -> None:
    with pytest.raises(ConfigError, match=r"grids.hull_cells|decoder.octaves"):
        make()  # type: ignore[operator]


def test_methods_with_a_hull_can_be_found() -> None:
    assert find("dvr").preset().config.grids.hull_cells > 0
