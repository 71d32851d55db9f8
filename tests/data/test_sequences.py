"""Samples out of a video: the frames that take part, and that nothing but seed, index and share decides on them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.sequences import SequenceSamples
from novelview.errors import ConfigError, DataError
from novelview.types import Bounds, Sample, Views

BOUNDS = Bounds(0.5, 4.0, (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


def video(frames: int) -> Views:
    poses = torch.eye(4).repeat(frames, 1, 1)
    cameras = Cameras.pinhole(poses, torch.tensor([4.0, 4.0, 2.0, 2.0]), 4, 4)
    return Views.from_tensors(cameras, torch.zeros(frames, 4, 4, 3), names=[str(i) for i in range(frames)])


def frames(views: Views) -> list[int]:
    return [int(name) for name in views.names]


def gap(sample: Sample) -> int:
    first, last = frames(sample.sources)[:2]
    return last - first


def test_sources_are_the_ends_and_targets_lie_between() -> None:
    samples = SequenceSamples(video(60), BOUNDS, seed=3)
    gaps, shown = set(), 0
    for i in range(300):
        sample = samples.item(i)
        sources, targets = frames(sample.sources), frames(sample.targets)
        assert (len(sources), len(targets), len(set(targets))) == (2, 6, 6)
        assert all(sources[0] <= target <= sources[1] for target in targets)
        gaps.add(gap(sample))
        shown += len({*sources} & {*targets})
    assert min(gaps) == 25
    assert max(gaps) == 59
    # Six positions out of eight: a source is a target three times out of four.
    assert shown == pytest.approx(300 * 2 * 0.75, rel=0.05)


def test_targets_that_are_never_sources() -> None:
    samples = SequenceSamples(video(40), BOUNDS, sources=4, targets=3, shortest=2, targets_among_all=False)
    for i in range(50):
        sample = samples.item(i)
        sources, targets = frames(sample.sources), frames(sample.targets)
        first, last, *more = sources
        assert len({*sources, *targets}) == 7
        assert last - first >= 6  # Seven frames do not fit into fewer.
        assert all(first < frame < last for frame in (*more, *targets))


def test_no_gap_is_longer_than_the_longest() -> None:
    samples = SequenceSamples(video(60), BOUNDS, longest=30)
    assert {gap(samples.item(i)) for i in range(80)} == set(range(25, 31))


def test_the_longest_gap_grows_with_the_share() -> None:
    samples = SequenceSamples(video(100), BOUNDS, shortest=20)
    longest = [max(gap(samples.item(i, share)) for i in range(400)) for share in (0.0, 0.25, 0.5, 1.0)]
    assert longest == [20, 40, 60, 99]
    assert frames(samples.item(3, 1.0).targets) == frames(samples.item(3).targets)


def test_samples_depend_on_seed_and_index_alone() -> None:
    samples = SequenceSamples(video(60), BOUNDS)
    first, again = samples.item(5), SequenceSamples(video(60), BOUNDS).item(5)
    assert first.sources.names == again.sources.names
    assert first.targets.names == again.targets.names
    assert first.targets.names != samples.item(6).targets.names
    assert first.targets.names != replace(samples, seed=1).item(5).targets.names


@pytest.mark.parametrize(
    ("count", "settings", "fits"),
    [
        (27, {}, True),
        (26, {}, False),  # A gap of 25 is not yet longer than the shortest.
        (8, {"shortest": 1}, True),
        (7, {"shortest": 1}, False),
        (11, {"shortest": 9, "longest": 9}, True),
        (0, {"shortest": 1}, False),
    ],
)
def test_videos_that_are_too_short_are_refused(count: int, settings: dict[str, int], fits: bool) -> None:
    if fits:
        sample = SequenceSamples(video(count), BOUNDS, **settings).item(0)
        assert len(sample.targets) == 6
        return
    with pytest.raises(DataError, match="too short") as error:
        SequenceSamples(video(count), BOUNDS, **settings)
    assert f"{count} frames" in str(error.value)


@pytest.mark.parametrize("settings", [{"longest": 6}, {"sources": 0}, {"targets": 0}, {"shortest": 200}])
def test_numbers_that_contradict_each_other(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Cannot draw"):
        SequenceSamples(video(300), BOUNDS, **settings)
