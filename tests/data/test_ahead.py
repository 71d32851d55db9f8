"""Batches made ahead: the same ones, read before they are asked for, by another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from novelview.data.ahead import Ahead
from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.samplers import RaySampler, Sampler
from novelview.data.samples import SampleSampler
from novelview.errors import DataError
from novelview.types import Batch, ImageSource, RayBatch, Sample, Views


class Watched(Sampler):
    """A sampler that tells which steps it was asked for, where, and waits for none."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.asked: list[tuple[int, int, int]] = []
        self.threads: set[str] = set()

    def batch(self, step: int, index: int = 0, count: int = 1) -> Batch:
        self.asked.append((step, index, count))
        self.threads.add(threading.current_thread().name)
        if step == 13:
            raise DataError("a photograph is gone")
        return self._sampler.batch(step, index, count)


@pytest.fixture
def watched() -> Watched:
    stream = ProceduralStream(("forward",), size=8, sources=2)
    return Watched(SampleSampler([stream.item], 4))


@pytest.fixture
def ahead(watched: Watched) -> Iterator[Ahead]:
    made = Ahead(watched, ((0, 2), (1, 2)))
    yield made
    made.close()


def samples(batch: Batch) -> tuple[Sample, ...]:
    assert isinstance(batch, tuple)
    return batch


def test_batches_are_those_of_the_sampler(watched: Watched, ahead: Ahead) -> None:
    for step in (4, 5, 2):
        for index, batch in enumerate(ahead.batches(step)):
            expected = samples(watched.batch(step, index, 2))
            for sample, other in zip(samples(batch), expected, strict=True):
                for views, wanted in ((sample.sources, other.sources), (sample.targets, other.targets)):
                    assert views.names == wanted.names
                    assert torch.equal(views.images(), wanted.images())
                    assert torch.equal(views[[0]].image(0), wanted.image(0))
                    assert torch.equal(views.depth(0), wanted.depth(0))


def test_the_next_step_is_made_once_and_elsewhere(watched: Watched, ahead: Ahead) -> None:
    for step in range(3):
        ahead.batches(step)
    ahead.close()
    assert watched.asked[:6] == [(step, index, 2) for step in range(3) for index in range(2)]
    assert set(watched.asked[6:]) <= {(3, 0, 2), (3, 1, 2)}
    assert threading.current_thread().name not in watched.threads
    assert len(watched.threads) == 1


def test_an_error_comes_with_the_step_it_belongs_to(ahead: Ahead) -> None:
    ahead.batches(12)
    with pytest.raises(DataError, match="a photograph is gone"):
        ahead.batches(13)


class Unread(ImageSource):
    """Counts how often pixels are read."""

    def __init__(self) -> None:
        self.read = 0

    def image(self, index: int) -> torch.Tensor:
        self.read += 1
        return torch.zeros(8, 8, 3)


def test_pixels_are_read_once(ahead: Ahead) -> None:
    scene = make_scene("forward", 0, views=3, size=8, supersample=1)
    source = Unread()
    views = Views(scene.train.cameras[:2], ("a", "b"), source, (0, 1))
    made = Ahead(SampleSampler([lambda i: Sample(views, views[[1]], scene.bounds)], 1), ((0, 1),))
    (batch,) = made.batches(0)
    made.close()
    before = source.read
    samples(batch)[0].sources.images()
    samples(batch)[0].targets.images()
    assert source.read == before in (3, 6)


def test_rays_pass_as_they_are() -> None:
    views = make_scene("forward", 0, views=3, size=8, supersample=1).train
    made = Ahead(RaySampler(views, 6, 0), ((0, 1),))
    (batch,) = made.batches(0)
    made.close()
    assert isinstance(batch, RayBatch)
    assert torch.equal(batch.rgb, RaySampler(views, 6, 0).batch(0).rgb)
