"""What procedural objects can be said to be: one or two plain things in plain colours, and the English for it.

A caption is what a person might type ("a green ball on top of a yellow box"); :func:`describe` reads every caption that
:meth:`Description.caption_drawn` writes, so that a picture made of it can be judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from novelview.data.procedural.draw import Drawer
from novelview.errors import ConfigError

Relation = Literal["alone", "beside", "on"]

SHAPES = (
    "ball",
    "box",
    "cone",
    "cylinder",
    "torus",
    "cup",
    "vase",
    "chair",
    "pyramid",
    "capsule",
    "table",
)
"""Shapes of things, by the names that captions prefer."""
COLOURS = (
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "turquoise",
    "pink",
    "grey",
    "brown",
    "black",
)
"""Colours of things, by the names that captions prefer; none is near the white of the background."""
SUPPORTS = ("box", "cylinder", "table")
"""Shapes that others can stand on: flat above."""

HELD_OUT = (
    ("blue", "ball"),
    ("purple", "box"),
    ("orange", "cone"),
    ("pink", "cylinder"),
    ("green", "torus"),
    ("yellow", "cup"),
    ("turquoise", "vase"),
    ("red", "chair"),
    ("brown", "pyramid"),
    ("grey", "capsule"),
)
"""Colours with shapes that :func:`draw_description` never draws, alone or in company, though it draws either with others."""

# Other names of shapes and colours, and how often a caption has them where there are any.
_SYNONYMS = {
    "sphere": "ball",
    "ring": "torus",
    "donut": "torus",
    "mug": "cup",
    "violet": "purple",
    "cyan": "turquoise",
    "gray": "grey",
}
_SYNONYM_SHARE = 0.15
# Ways to say how two things stand; {a} is the first of them, {b} the second. The first way is the caption.
_RELATIONS: dict[Relation, tuple[str, ...]] = {
    "alone": ("{a}",),
    "beside": (
        "{a} and {b}",
        "{b} and {a}",
        "{a} next to {b}",
        "{b} next to {a}",
        "{a} beside {b}",
        "{b} beside {a}",
    ),
    "on": ("{a} on {b}", "{a} on top of {b}", "{b} under {a}", "{b} below {a}"),
}
_BEGINNINGS = ("", "", "", "a photo of ", "a picture of ")
_FILLERS = (
    "a",
    "an",
    "photo",
    "picture",
    "of",
    "that",
    "is",
    "and",
    "next",
    "to",
    "beside",
    "on",
    "top",
    "under",
    "below",
)

WORDS: tuple[str, ...] = (*SHAPES, *COLOURS, *_SYNONYMS, *_FILLERS)
"""All words of all captions, each once."""

LONGEST = 16
"""Most words of a caption."""


@dataclass(frozen=True)
class Thing:
    """One thing.

    Attributes:
        colour: one of :data:`COLOURS`.
        shape: one of :data:`SHAPES`.

    Raises:
        ConfigError: another colour or shape.
    """

    colour: str
    shape: str

    def __post_init__(self) -> None:
        for value, known in ((self.colour, COLOURS), (self.shape, SHAPES)):
            if value not in known:
                raise ConfigError(
                    f"There is no {value!r} among things", cure=f"choose from: {', '.join(known)}"
                )


@dataclass(frozen=True)
class Description:
    """What an object is.

    Attributes:
        things: one, or two; of two beside each other, the one whose shape and colour come first in the lists of them is
            first, in whatever order they are given; of two on each other, the upper one is first.
        relation: how they stand.

    Raises:
        ConfigError: the number of things does not fit, or the second is none that another can stand on.
    """

    things: tuple[Thing, ...]
    relation: Relation = "alone"

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation) or len(self.things) != 1 + (self.relation != "alone"):
            raise ConfigError(
                "This is no description of an object",
                why=f"{len(self.things)} things, {self.relation!r}",
                cure='describe one thing "alone", or two "beside" or "on" each other',
            )
        if self.relation == "on" and self.things[1].shape not in SUPPORTS:
            raise ConfigError(
                f"Nothing stands on a {self.things[1].shape}", cure=f"let it be one of: {', '.join(SUPPORTS)}"
            )
        if self.relation == "beside":
            object.__setattr__(self, "things", tuple(sorted(self.things, key=_rank)))

    @property
    def caption(self) -> str:
        """The plainest way to say it, for example "a red torus and a blue box"."""
        return _sentence(
            _RELATIONS[self.relation][0], [_with_article(f"{t.colour} {t.shape}") for t in self.things]
        )

    def caption_drawn(self, generator: torch.Generator) -> str:
        """Any way to say it: with other words, in another order, with and without articles."""
        draw = Drawer(generator)
        kinds = draw.uniform((0.0, 1.0), len(self.things)).tolist()
        bare = draw.number((0.0, 1.0)) < 0.25
        phrases = []
        for thing, kind in zip(self.things, kinds, strict=True):
            colour, shape = _synonym(thing.colour, draw), _synonym(thing.shape, draw)
            if bare:
                phrases.append(f"{colour} {shape}")
            elif kind < 0.15:
                phrases.append(_with_article(f"{shape} that is {colour}"))
            else:
                phrases.append(_with_article(f"{colour} {shape}"))
        ways = _RELATIONS[self.relation]
        way = ways[draw.integer((0, len(ways) - 1))]
        beginning = "" if bare else _BEGINNINGS[draw.integer((0, len(_BEGINNINGS) - 1))]
        return beginning + _sentence(way, phrases)


def describe(caption: str) -> Description:
    """What a caption says; articles, capitals and punctuation do not matter.

    Raises:
        ConfigError: it is no caption of this language.
    """
    words = [_SYNONYMS.get(word, word) for word in re.findall(r"[a-z]+", caption.lower())]
    text = " ".join(word for word in words if word not in ("a", "an", "the"))
    match = _CAPTION.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"This caption cannot be read: {caption!r}",
            why="it is not built as captions of procedural objects are",
            cure='say it as in "a red torus", "a green ball on a yellow box" or "a red torus and a blue box"; '
            f"shapes: {', '.join(SHAPES)}; colours: {', '.join(COLOURS)}",
        )
    found = match.groupdict()
    first = Thing(found["c1"] or found["d1"], found["s1"] or found["t1"])
    if found["relation"] is None:
        return Description((first,))
    second = Thing(found["c2"] or found["d2"], found["s2"] or found["t2"])
    if found["relation"] in ("under", "below"):
        return Description((second, first), "on")
    return Description((first, second), "on" if found["relation"].startswith("on") else "beside")


def draw_description(generator: torch.Generator) -> Description:
    """A description without any of :data:`HELD_OUT`: four in ten of one thing, else of two of other colours and shapes."""
    draw = Drawer(generator)
    relation: Relation = ("alone", "on", "beside")[
        int(draw.number((0.0, 1.0)) * 10 >= 4) * draw.integer((1, 2))
    ]
    first = _draw_thing(draw, [shape for shape in SHAPES if relation != "on" or shape != "chair"], COLOURS)
    if relation == "alone":
        return Description((first,))
    shapes = [shape for shape in (SUPPORTS if relation == "on" else SHAPES) if shape != first.shape]
    second = _draw_thing(draw, shapes, [colour for colour in COLOURS if colour != first.colour])
    return Description((first, second), relation)


def held_out_descriptions() -> tuple[Description, ...]:
    """What only tests see: each of :data:`HELD_OUT` alone, then each in company of something that is drawn for training."""
    things = [Thing(colour, shape) for colour, shape in HELD_OUT]
    alone = [Description((thing,)) for thing in things]
    box, torus = Thing("yellow", "box"), Thing("red", "torus")
    company = [
        Description((thing, torus), "beside")
        if thing.shape in ("box", "chair", "cup")
        else Description((thing, box), "on")
        for thing in things
    ]
    return (*alone, *company)


def _draw_thing(
    draw: Drawer, shapes: list[str] | tuple[str, ...], colours: list[str] | tuple[str, ...]
) -> Thing:
    """Shapes equally often, and of the colours that a shape may have, each."""
    shape = shapes[draw.integer((0, len(shapes) - 1))]
    allowed = [colour for colour in colours if (colour, shape) not in HELD_OUT]
    return Thing(allowed[draw.integer((0, len(allowed) - 1))], shape)


def _rank(thing: Thing) -> tuple[int, int]:
    return SHAPES.index(thing.shape), COLOURS.index(thing.colour)


def _synonym(word: str, draw: Drawer) -> str:
    others = [other for other, meant in _SYNONYMS.items() if meant == word]
    drawn = draw.number((0.0, 1.0)), draw.integer((0, max(len(others), 1) - 1))
    return others[drawn[1]] if others and drawn[0] < _SYNONYM_SHARE else word


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _sentence(way: str, phrases: list[str]) -> str:
    return way.format(**dict(zip("ab", phrases, strict=False)))


def _thing_pattern(number: int) -> str:
    colour, shape = "|".join(COLOURS), "|".join(SHAPES)
    return f"(?:(?P<c{number}>{colour}) (?P<s{number}>{shape})|(?P<t{number}>{shape}) that is (?P<d{number}>{colour}))"


_CAPTION = re.compile(
    rf"(?:(?:photo|picture) of )?{_thing_pattern(1)}"
    rf"(?: (?P<relation>and|next to|beside|on top of|on|under|below) {_thing_pattern(2)})?"
)
