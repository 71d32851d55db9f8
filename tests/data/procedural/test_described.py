"""Descriptions say what they mean, in words that are known, and what is held out is never drawn."""

from __future__ import annotations

import pytest
import torch

from novelview.data.procedural.described import (
    COLOURS,
    HELD_OUT,
    LONGEST,
    SHAPES,
    WORDS,
    Description,
    Thing,
    describe,
    draw_description,
    held_out_descriptions,
)
from novelview.errors import ConfigError

RED_TORUS, BLUE_BOX = Thing("red", "torus"), Thing("blue", "box")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red torus", Description((RED_TORUS,))),
        ("An ORANGE ball.", Description((Thing("orange", "ball"),))),
        ("red donut", Description((RED_TORUS,))),
        ("a picture of a torus that is red", Description((RED_TORUS,))),
        ("a red torus and a blue box", Description((RED_TORUS, BLUE_BOX), "beside")),
        ("a blue box next to a red torus", Description((RED_TORUS, BLUE_BOX), "beside")),
        ("a red torus on a blue box", Description((RED_TORUS, BLUE_BOX), "on")),
        ("a blue box under a red torus", Description((RED_TORUS, BLUE_BOX), "on")),
    ],
)
def test_captions_are_read(caption: str, expected: Description) -> None:
    assert describe(caption) == expected


@pytest.mark.parametrize(
    ("description", "caption"),
    [
        (Description((Thing("orange", "cup"),)), "an orange cup"),
        (Description((RED_TORUS, BLUE_BOX), "beside"), "a blue box and a red torus"),
        (Description((RED_TORUS, BLUE_BOX), "on"), "a red torus on a blue box"),
    ],
)
def test_captions_are_plain(description: Description, caption: str) -> None:
    assert description.caption == caption


def test_every_way_to_say_it_is_read_back_in_known_words(generator: torch.Generator) -> None:
    said = set()
    for _ in range(1000):
        description = draw_description(generator)
        caption = description.caption_drawn(generator)
        assert describe(caption) == description == describe(description.caption)
        assert len(caption.split()) <= LONGEST
        said.update(caption.split())
    assert said == set(WORDS)
    assert len(WORDS) == len(said)


def test_the_order_of_things_beside_each_other_says_nothing() -> None:
    assert Description((RED_TORUS, BLUE_BOX), "beside") == Description((BLUE_BOX, RED_TORUS), "beside")


def test_drawn_descriptions_cover_all_but_what_is_held_out(generator: torch.Generator) -> None:
    drawn = [draw_description(generator) for _ in range(4000)]
    pairs = {(thing.colour, thing.shape) for description in drawn for thing in description.things}
    assert pairs == {(colour, shape) for colour in COLOURS for shape in SHAPES} - set(HELD_OUT)
    for relation, share in (("alone", 0.4), ("on", 0.3), ("beside", 0.3)):
        assert sum(each.relation == relation for each in drawn) / 4000 == pytest.approx(share, abs=0.03)


def test_things_of_a_drawn_description_differ_in_colour_and_shape(generator: torch.Generator) -> None:
    for _ in range(300):
        things = draw_description(generator).things
        assert (
            len({thing.colour for thing in things}) == len({thing.shape for thing in things}) == len(things)
        )


def test_each_held_out_description_has_exactly_one_held_out_thing() -> None:
    descriptions = held_out_descriptions()
    assert len(set(descriptions)) == 2 * len(HELD_OUT)
    for description in descriptions:
        assert sum((thing.colour, thing.shape) in HELD_OUT for thing in description.things) == 1


@pytest.mark.parametrize(
    "caption", ["", "a torus", "a red elephant", "a red torus a blue box", "a blue box on a red torus"]
)
def test_what_is_no_caption_is_an_error(caption: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read|Nothing stands on a torus"):
        describe(caption)


def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no 'mauve'"):
        Thing("mauve", "ball")
    with pytest.raises(ConfigError, match="no description"):
        Description((RED_TORUS, BLUE_BOX))
