"""Samples for feed-forward methods: views to look at and a view to predict, out of a scene or an endless stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.selection import select_views
from novelview.data.samplers import Sampler, slice_rows
from novelview.random import generator_for
from novelview.types import Bounds, ImageSource, Sample, Views

# Sources are drawn from so many times as many of the most useful views (Quark, section 3.4).
SPARE = 2


Source = Callable[[int], Sample]


class SampleSampler(Sampler):
    """Samples of stateless streams, all of a step from one of them, which is drawn anew for every step.

    Args:
        sources: each gives sample number ``i`` of a stream.
        batch: samples per step.
        seed: of the draws.
        weights: how often each source's turn comes, in parts of the others'; None: equally often.
    """

    concurrent = True

    def __init__(
        self, sources: Sequence[Source], batch: int, seed: int = 0, weights: Sequence[float] | None = None
    ) -> None:
        self._sources, self._size, self._seed = sources, batch, seed
        self._weights = torch.tensor(weights or [1.0] * len(sources))

    def batch(self, step: int, index: int = 0, count: int = 1) -> tuple[Sample, ...]:
        generator = generator_for(self._seed, "source", step)
        source = self._sources[int(torch.multinomial(self._weights, 1, generator=generator))]
        return tuple(source(step * self._size + i) for i in slice_rows(self._size, index, count))


class HalvedImages(ImageSource):
    """Images of half the width and height; odd sides lose their last row or column first."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.has_masks, self.has_depths = source.has_masks, source.has_depths

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return _mean_of_four(self._source.image(index))

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return _mean_of_four(self._source.mask(index)[..., None])[..., 0]

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        # Depths of two things have no mean.
        depth = self._source.depth(index)
        return depth[: len(depth) // 2 * 2 : 2, : depth.shape[1] // 2 * 2 : 2]


def halved(sample: Sample) -> Sample:
    """The same sample with images of half the width and height."""
    return replace(sample, sources=_halved(sample.sources), targets=_halved(sample.targets))


def _halved(views: Views) -> Views:
    whole = views.cameras
    cameras = replace(whole, intrinsics=whole.intrinsics / 2, sizes=whole.sizes // 2)
    return Views(cameras, views.names, HalvedImages(views.source), views.indices)


class MiddleImages(ImageSource):
    """The middle of images, a share of their width and height."""

    def __init__(self, source: ImageSource, share: float) -> None:
        self._source, self._share = source, share
        self.has_masks, self.has_depths = source.has_masks, source.has_depths

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._middle(self._source.image(index))

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return self._middle(self._source.mask(index))

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        return self._middle(self._source.depth(index))

    def _middle(self, image: Tensor) -> Tensor:
        height, width = image.shape[:2]
        (top, rows), (left, columns) = (_window(side, self._share) for side in (height, width))
        return image[top : top + rows, left : left + columns]


def zoomed(sample: Sample, factor: float) -> Sample:
    """The same sample through lenses ``factor`` times as long, at least 1: the middle of every image."""
    return replace(sample, sources=_zoomed(sample.sources, factor), targets=_zoomed(sample.targets, factor))


def _zoomed(views: Views, factor: float) -> Views:
    whole = views.cameras
    windows = [[_window(side, 1 / factor) for side in sizes] for sizes in whole.sizes.tolist()]
    corners, sizes = torch.tensor(windows, device=whole.device).unbind(-1)
    shift = torch.cat([torch.zeros_like(corners), corners], dim=-1)
    cameras = replace(whole, intrinsics=whole.intrinsics - shift, sizes=sizes)
    return Views(cameras, views.names, MiddleImages(views.source, 1 / factor), views.indices)


def _window(side: int, share: float) -> tuple[int, int]:
    """Where the middle of an axis begins, and how many pixels it has."""
    length = max(1, round(side * share))
    return (side - length) // 2, length


def _mean_of_four(image: Float[Tensor, "h w c"]) -> Float[Tensor, "p q c"]:
    return F.avg_pool2d(image.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)


@dataclass(frozen=True)
class SceneSamples:
    """Endless samples out of one scene: a random view to predict, and some of those that show best what it sees.

    Attributes:
        views: at least two.
        bounds: of the scene.
        sources: number of views to look at; fewer where there are not so many.
        seed: of the draws.
        targets: number of views to predict; those after the first are drawn, as the sources are and never the same,
            from the views that show what it sees; fewer where the sources leave none.
    """

    views: Views
    bounds: Bounds
    sources: int = 8
    seed: int = 0
    targets: int = 1
    _found: dict[int, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def item(self, index: int) -> Sample:
        """Sample number ``index``; depends on it and the seed alone."""
        generator = generator_for(self.seed, "samples", index)
        target = int(torch.randint(len(self.views), (), generator=generator))
        best = self._neighbours(target)
        drawn = [best[i] for i in torch.randperm(len(best), generator=generator).tolist()]
        others = drawn[self.sources : self.sources + self.targets - 1]
        return Sample(self.views[drawn[: self.sources]], self.views[[target, *others]], self.bounds)

    def _neighbours(self, target: int) -> list[int]:
        """The views that show best what one of them sees, itself left out; found once."""
        if target not in self._found:
            others = [i for i in range(len(self.views)) if i != target]
            cameras, bounds = self.views.cameras.undistorted(), self.bounds
            drawn = self.sources + self.targets - 1
            best = select_views(cameras[target], cameras[others], bounds.near, bounds.far, SPARE * drawn)
            self._found[target] = [others[i] for i in best.indices]
        return self._found[target]
