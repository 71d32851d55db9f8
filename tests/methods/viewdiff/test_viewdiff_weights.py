"""The weights that come along."""

from __future__ import annotations

import json

import pytest
import torch

from novelview.errors import ConfigError
from novelview.generation import Request
from novelview.methods.method import Method
from novelview.methods.viewdiff import METHOD
from novelview.subjects import Trajectory
from novelview.training.run import load_method

LARGEST = 12_000_000


@pytest.fixture(scope="module")
def method() -> Method:
    made, _ = load_method("viewdiff", "cpu")
    return made


def test_they_are_small_and_say_what_they_are() -> None:
    assert METHOD.weights is not None
    size = sum(file.stat().st_size for file in METHOD.weights.parent.rglob("*") if file.is_file())
    assert size <= LARGEST
    card = json.loads((METHOD.weights.parent / "card.json").read_text())
    assert {"data", "steps", "seconds", "held out", "scores", "licence"} <= card.keys()


@pytest.mark.parametrize(("words", "channel"), [("a red box", 0), ("a green box", 1), ("a blue box", 2)])
def test_words_give_a_thing_of_their_colour_before_white(method: Method, words: str, channel: int) -> None:
    cameras = Trajectory(views=4).cameras(method.studio())
    images = method.generate(Request(words, cameras)).rgb
    corners = images[:, (0, 0, -1, -1), (0, -1, 0, -1)]
    assert float(corners.min()) > 0.9
    dark = images.amin(dim=-1) < 0.6
    assert 0.03 < float(dark.float().mean()) < 0.7
    mean = images[dark].mean(dim=0)
    others = torch.tensor([i for i in range(3) if i != channel])
    assert float(mean[channel]) > float(mean[others].max()) + 0.1


def test_words_that_it_does_not_know_are_named(method: Method) -> None:
    cameras = Trajectory(views=2).cameras(method.studio())
    with pytest.raises(ConfigError, match="does not know the word 'dragon'"):
        method.generate(Request("a red dragon", cameras))
