"""What a model of many shapes learns from: a photograph to look at, and another one of the same object to explain."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch

from novelview.data.procedural import object_scene
from novelview.data.scene import Scene
from novelview.random import generator_for
from novelview.types import Sample

# Pictures of a procedural shape.
VIEWS = 8


def pairs_of(scene: Scene, seed: int) -> Callable[[int], Sample]:
    """Sample number i of a scene: two of its training views, drawn independently (spec 9)."""

    def pair(index: int) -> Sample:
        generator = generator_for(seed, "pairs", index)
        source, target = torch.randint(len(scene.train), (2,), generator=generator).tolist()
        return Sample(scene.train[[source]], scene.train[[target]], scene.bounds)

    return pair


class ShapePairs:
    """Samples of procedural shapes, drawn when one is first asked for and kept.

    Args:
        shapes: how many there are.
        size: width and height of their pictures.
        seed: of the draws.
    """

    def __init__(self, shapes: int, size: int, seed: int) -> None:
        self._shapes, self._seed = shapes, seed
        self._scene = lru_cache(shapes)(
            lambda shape: object_scene("shape", shape, views=VIEWS, size=size, test_every=0, supersample=1)
        )

    def item(self, index: int) -> Sample:
        """Sample number ``index``; depends on it and the seed alone."""
        generator = generator_for(self._seed, "shapes", index)
        shape = int(torch.randint(self._shapes, (), generator=generator))
        return pairs_of(self._scene(shape), self._seed)(index)
