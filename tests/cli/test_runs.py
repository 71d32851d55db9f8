"""Scenes of runs are those that the runs were made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from novelview.cli.runs import open_run_scene
from novelview.data.procedural import described_scene, make_scene, object_scene
from novelview.data.scene import Scene
from novelview.methods.discovery import discover
from novelview.training.folder import create_run, describe, open_run

SCENES = {
    "family": lambda: make_scene("object", 3, views=4, size=16, test_every=2),
    "object": lambda: object_scene("cup", 3, views=4, size=16, test_every=2),
    "description": lambda: described_scene("a red torus", 3, views=4, size=16, test_every=2),
}


@pytest.mark.parametrize("kind", list(SCENES))
def test_a_made_scene_is_made_again(tmp_path: Path, kind: str) -> None:
    scene: Scene = SCENES[kind]()
    spec = discover()["grid"]
    preset = spec.presets["tiny"]
    create_run(tmp_path / "run", describe(spec, preset.config, preset.recipe, scene, seed=0))
    again = open_run_scene(tmp_path / "run", open_run(tmp_path / "run"))
    assert again.captions == scene.captions
    assert again.bounds == scene.bounds
    for one, other in ((again.train, scene.train), (again.test, scene.test)):
        torch.testing.assert_close(one.images(), other.images(), rtol=0, atol=0)
