"""``novelview data``: look at a capture, write a procedural one, or unpack a data set into captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from novelview.cli.options import Positional, SceneOptions, Unprefixed, parse
from novelview.data.chunks import unpack_chunks
from novelview.data.info import describe
from novelview.data.procedural import write_capture
from novelview.data.rig import write_rig
from novelview.errors import ConfigError

_USAGE = """usage: novelview data WHAT [options in any order]

  info        Print cameras, extent, depth range, overlap and problems of a capture, and draw its cameras.
  procedural  Write a procedural scene as a capture: images, masks, depth, transforms.json.
  unpack      Write the scenes of RealEstate10K's .torch files (pixelSplat's format) as captures, and a list of them.

novelview data WHAT --help shows the options."""


@dataclass(frozen=True)
class Info:
    """Print cameras, extent, depth range, overlap and problems of a capture, and draw its cameras."""

    scene: Unprefixed[SceneOptions]
    rig: Path = Path("rig.png")
    """Where to draw the cameras."""


@dataclass(frozen=True)
class Procedural:
    """Write a procedural scene as a capture: images, masks where rays can miss, depth, transforms.json."""

    out: Positional[Path]
    """Folder to write; must be empty or absent."""
    family: Literal["object", "table", "room", "forward"] = "object"
    """object: a thing from all around; table: things on a table; room: from inside; forward: layers from the front."""
    seed: int = 0
    """Which scene."""
    views: int = 60
    """Number of views."""
    size: int = 128
    """Image width and height in pixels."""
    test_every: int = 8
    """Every so many views one is marked as held out."""
    supersample: int = 2
    """Rays per pixel and axis; more is smoother and slower."""
    overwrite: bool = False
    """Replace a folder that has something in it."""


@dataclass(frozen=True)
class Unpack:
    """Write the scenes of RealEstate10K's .torch files (pixelSplat's format) as captures, and a list of them."""

    chunks: Positional[tuple[Path, ...]]
    """The .torch files. Nothing in them is executed."""
    out: Path
    """Folder to write: one folder per scene, and scenes.txt. Scenes that are there already are left alone."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if words else 2
    if words[0] == "info":
        return _info(words[1:])
    if words[0] == "procedural":
        return _procedural(words[1:])
    if words[0] == "unpack":
        return _unpack(words[1:])
    raise ConfigError(
        f"There is no 'novelview data {words[0]}'", cure="choose one of: info, procedural, unpack"
    )


def _info(words: list[str]) -> int:
    # `data info PATH` is what fingers type; --data PATH is what every other verb takes.
    if words and not words[0].startswith("-"):
        words = ["--data", *words]
    options = parse(Info, words, "data info")
    scene = options.scene.open()
    console = Console(highlight=False, soft_wrap=True)
    console.print(describe(scene))
    write_rig(options.rig, scene)
    console.print(f"cameras drawn: {options.rig}", markup=False)
    return 0


def _procedural(words: list[str]) -> int:
    options = parse(Procedural, words, "data procedural")
    folder = write_capture(
        options.out,
        options.family,
        options.seed,
        views=options.views,
        size=options.size,
        test_every=options.test_every,
        supersample=options.supersample,
        overwrite=options.overwrite,
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"wrote {folder}: {options.views} views of {options.size}x{options.size}")
    console.print(f"  learn it: novelview train grid --data {folder}", markup=False)
    return 0


def _unpack(words: list[str]) -> int:
    options = parse(Unpack, words, "data unpack")
    if not options.chunks:
        raise ConfigError("No chunk is named", cure="novelview data unpack FILE.torch … --out DIR")
    done = unpack_chunks(options.chunks, options.out)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"wrote {options.out}: {done.written} scenes, besides {done.present} that were there", markup=False
    )
    console.print(f"  learn from them: novelview train METHOD --more {done.list}", markup=False)
    return 0
