"""The practical light field: what it renders, how it learns, and that its exported picture is what it renders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from novelview.data.procedural import make_scene
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.geometry.rays import Rays
from novelview.methods.r2l import METHOD
from novelview.methods.r2l.config import HardConfig, LiftedConfig, NetworkConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.students import make_student
from novelview.methods.recipe import Recipe
from novelview.training import Rhythm, fit, load_method
from novelview.volumes.reference import LEAST_WEIGHT

PRESET = METHOD.preset("grid")
VOLUME = replace(PRESET.config.lifted.volume, resolution=16, colour_resolution=12, stages=2, samples=12)
CONFIG = replace(PRESET.config, lifted=LiftedConfig(VOLUME), network=NetworkConfig(width=16, depth=4))
RECIPE = Recipe(steps=60, batch=256, learning_rate=0.4)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("object", 10, views=12, size=16, supersample=1)


@pytest.fixture(scope="module")
def trained(scene: Scene) -> R2L:
    method = fit(METHOD, scene, config=CONFIG, recipe=RECIPE, quiet=True)
    assert isinstance(method, R2L)
    return method.eval()


def test_it_learns_the_scene(trained: R2L, scene: Scene) -> None:
    frames = trained.render(None, scene.train.cameras)
    error = float((frames.rgb - scene.train.images()).square().mean())
    plain = float((torch.tensor(scene.bounds.background) - scene.train.images()).square().mean())
    assert error < 0.1 * plain
    assert frames.opacity is not None
    assert frames.depth is not None
    # The object's masks were never shown: what it covers follows from the colours.
    assert float((frames.opacity - scene.train.masks()).abs().mean()) < 0.15


def test_its_picture_is_what_it_renders(trained: R2L, scene: Scene) -> None:
    light_field = trained.light_field(None)
    rendered, asked = trained.render(None, scene.test.cameras), light_field.render(scene.test.cameras)
    assert light_field.factor == 1
    # Compiled loops end a ray where hardly any of its light is left.
    assert float((rendered.rgb - asked.rgb).abs().max()) < 5 * LEAST_WEIGHT


def test_rays_that_miss_see_the_background(trained: R2L, scene: Scene) -> None:
    origins = torch.tensor([[0.0, 0.0, 50.0], [50.0, 0.0, 0.0]])
    pixels = trained.student.pixels(Rays(origins, origins / 50))
    expected = torch.tensor([*(scene.bounds.background or ()), 0.0, 0.0]).expand(2, 5)
    torch.testing.assert_close(pixels, expected)


def test_it_grows_and_goes_on_exactly(scene: Scene, trained: R2L, tmp_path: Path) -> None:
    rhythm = Rhythm(save=15, evaluate=45, log=60)

    def crash(method: object, step: int) -> dict[str, float]:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(
            METHOD,
            scene,
            config=CONFIG,
            recipe=RECIPE,
            out=tmp_path / "run",
            rhythm=rhythm,
            evaluate=crash,
            quiet=True,
        )
    fit(METHOD, scene, config=CONFIG, recipe=RECIPE, out=tmp_path / "run", resume=True, quiet=True)
    resumed, _ = load_method(tmp_path / "run")
    for name, value in trained.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert trained.structure() == {"hard_rays": 0, "stage": 1}


def test_new_training_keeps_what_was_grown(scene: Scene, trained: R2L) -> None:
    again = fit(METHOD, scene, config=CONFIG, recipe=replace(RECIPE, steps=1), start=trained, quiet=True)
    assert again.structure() == trained.structure()
    before, after = (m.eval().render(None, scene.test.cameras).rgb for m in (trained, again))
    assert float((before - after).abs().mean()) < 0.05


def test_hard_rays_join_in(scene: Scene) -> None:
    config = replace(CONFIG, hard=HardConfig(share=0.25, capacity=1.0))
    method = fit(METHOD, scene, config=config, recipe=replace(RECIPE, steps=8), quiet=True)
    assert method.structure()["hard_rays"] == RECIPE.batch


def test_operations_are_counted(scene: Scene) -> None:
    student = make_student(CONFIG, scene.bounds)
    inputs = CONFIG.lifted.features + 1 + 3 * (1 + 2 * CONFIG.lifted.direction_octaves)
    layers = inputs * 16 + 2 * 16 * 16 + 16 * 3
    assert student.flops_per_ray == 2 * layers + 16 * 13 * 12
    default = make_student(PRESET.config, scene.bounds)
    assert default.flops_per_ray < 303.82e6 / 5000


@pytest.mark.parametrize(
    ("name", "value"), [("features", 2), ("network_rate", 0.0), ("direction_octaves", -1)]
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(CONFIG.lifted, **{name: value})
