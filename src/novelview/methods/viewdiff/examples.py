"""Training samples: several views of one subject, and what they show in words (ViewDiff, section 4)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from novelview.data.co3d.crop import random_squares
from novelview.data.scene import Scene
from novelview.errors import DataError
from novelview.geometry.lenses import Lens
from novelview.random import generator_for
from novelview.types import Sample

# Strides between the views of a sample that follow one another; the authors' code has 0 too, the same view again.
_STRIDES = (1, 2, 3, 4)


def scene_samples(scene: Scene, frames: int, size: int, seed: int) -> Callable[[int], Sample]:
    """Endless samples of a capture's training views: half of them any views, half in the order of the capture.

    Views are squares at random places of photographs without distortion; of others their middle is taken later.

    Args:
        scene: the capture.
        frames: views of a sample.
        size: side of the squares, pixels.
        seed: of the draws.

    Raises:
        DataError: there are fewer views than a sample has.
    """
    views, captions = scene.train, scene.captions or ("",)
    straight = bool((views.cameras.lens == Lens.PINHOLE).all())
    if len(views) < frames:
        raise DataError(
            "This capture is too small to learn from",
            where=scene.name,
            why=f"{frames} views are denoised together, it has {len(views)} for training",
            cure="lower --config.learn.frames, or hold out fewer views with --split",
        )

    def item(index: int) -> Sample:
        generator = generator_for(seed, "frames", index)

        def drawn(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        strides = [stride for stride in _STRIDES if stride * (frames - 1) < len(views)]
        if drawn(2):
            chosen = torch.randperm(len(views), generator=generator)[:frames].tolist()
        else:
            stride, first = strides[drawn(len(strides))], drawn(len(views))
            chosen = [(first + stride * i) % len(views) for i in range(frames)]
        caption = captions[drawn(len(captions))]
        seen = random_squares(views[chosen], size, seed, index) if straight else views[chosen]
        return Sample(seen[:-1], seen[-1:], scene.bounds, caption)

    return item
