"""What the grid's training adds to the colour error."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from novelview.data.procedural import make_scene
from novelview.methods.grid import METHOD
from novelview.random import Draws, generator_for


def test_few_views_are_smoothed_more() -> None:
    scene = make_scene("object", 10, views=6, size=16, supersample=1)
    preset = METHOD.presets["tiny"]
    method = METHOD.build(preset.config, scene.bounds)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.normal_(generator=generator_for(0, "table"))
    batch = METHOD.sampler([scene], preset.config, preset.recipe, 0).batch(0)
    assert batch.views == len(scene.train)

    def total(views: int, step: int) -> float:
        draws = Draws(generator_for(0, "draws"), 0, 1)
        return float(method.loss(replace(batch, views=views), step, draws).total.detach())

    many, some, few = (total(views, step=0) for views in (10**9, 20, 10))
    assert few - many == pytest.approx(2 * (some - many), rel=1e-4)
    assert some > many + 0.1
    # Steps in between do without.
    assert total(10, step=1) == total(20, step=1)
