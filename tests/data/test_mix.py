"""Samples out of many scenes: opened when drawn, kept for a while, and passed over where they are unusable."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.mix import KEPT_OPEN, SceneMix
from novelview.data.scene import Scene
from novelview.data.sequences import SequenceSamples
from novelview.errors import DataError
from novelview.types import Bounds, Sample, Views

BOUNDS = Bounds(0.5, 4.0, (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


def scene(number: int, frames: int = 30) -> Scene:
    cameras = Cameras.pinhole(torch.eye(4).repeat(frames, 1, 1), torch.tensor([4.0, 4.0, 2.0, 2.0]), 4, 4)
    names = [f"{number}/{i}" for i in range(frames)]
    views = Views.from_tensors(cameras, torch.zeros(frames, 4, 4, 3), names=names)
    return Scene(str(number), views, views[[]], BOUNDS)


def items(opened: Scene) -> SequenceSamples:
    return SequenceSamples(opened.train, opened.bounds)


def number(sample: Sample) -> int:
    return int(sample.sources.names[0].split("/")[0])


def test_scenes_are_drawn_evenly_and_again_the_same() -> None:
    mix = SceneMix(5, scene, lambda opened: items(opened).item, seed=2)
    drawn = [number(mix.item(i)) for i in range(200)]
    assert all(25 <= count <= 60 for count in Counter(drawn).values())
    again = SceneMix(5, scene, lambda opened: items(opened).item, seed=2)
    assert [number(again.item(i)) for i in reversed(range(200))] == drawn[::-1]
    assert mix.item(7, 0.5).targets.names == again.item(7, 0.5).targets.names


def test_scenes_are_opened_when_drawn_and_the_last_ones_stay_open() -> None:
    opened: list[int] = []

    def open(number: int) -> Scene:
        opened.append(number)
        return scene(number)

    mix = SceneMix(10_000, open, lambda opened: items(opened).item)
    assert not opened
    for i in range(KEPT_OPEN + 1):
        mix.item(i)
    assert len(opened) == KEPT_OPEN + 1
    mix.item(KEPT_OPEN)
    mix.item(1)
    assert len(opened) == KEPT_OPEN + 1
    mix.item(0)
    assert len(opened) == KEPT_OPEN + 2


def test_unusable_scenes_are_passed_over() -> None:
    def open(number: int) -> Scene:
        if number % 3 == 0:
            raise DataError("There is no such capture", where=str(number))
        return scene(number, frames=30 if number % 3 == 1 else 10)

    mix = SceneMix(30, open, lambda opened: items(opened).item)
    assert {number(mix.item(i)) % 3 for i in range(50)} == {1}


def test_where_no_scene_is_usable_the_last_reason_is_given() -> None:
    mix = SceneMix(3, lambda number: scene(number, frames=10), lambda opened: items(opened).item)
    with pytest.raises(DataError, match="None of 100 scenes") as error:
        mix.item(0)
    assert "This video is too short (it has 10 frames" in str(error.value)
    assert "shortest gap" in str(error.value.cure)


def test_mistakes_of_the_program_are_not_passed_over() -> None:
    def open(number: int) -> Scene:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        SceneMix(3, open, lambda opened: items(opened).item).item(0)
