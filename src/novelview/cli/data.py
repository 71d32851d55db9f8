"""``novelview data``: look at a capture, write a procedural one, or unpack or prepare a data set as captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from novelview.cli.data_prior import run_prior
from novelview.cli.options import Positional, SceneOptions, Unprefixed, parse
from novelview.data.captions import read_captions
from novelview.data.chunks import unpack_chunks
from novelview.data.co3d.crop import Crop
from novelview.data.co3d.options import Choice, Manner
from novelview.data.co3d.prepare import check_prepared, prepare_co3d
from novelview.data.co3d.write import Pictures
from novelview.data.info import describe
from novelview.data.procedural import write_capture
from novelview.data.rig import write_rig
from novelview.errors import ConfigError

_USAGE = """usage: novelview data WHAT [options in any order]

  info        Print cameras, extent, depth range, overlap and problems of a capture, and draw its cameras.
  procedural  Write a procedural scene as a capture: images, masks, depth, transforms.json.
  unpack      Write the scenes of RealEstate10K's .torch files (pixelSplat's format) as captures, and a list of them.
  prepare     Write the sequences of a CO3Dv2 data set as captures of one frame and size, and a list.
  prior       Paint captions with a text-to-image model, for a multi-view model to remember while it learns.

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


@dataclass(frozen=True)
class Prepare:
    """Write the sequences of a CO3Dv2 data set as captures, upright and with the object in the cube from -1 to 1."""

    out: Path
    """Folder to write: CATEGORY/SEQUENCE for each, and scenes.txt. Sequences that are there already are left alone."""
    co3d: Positional[Path | None] = None
    """Folder with one folder per category, or one of these."""
    categories: tuple[str, ...] | None = None
    """Which categories; all when absent."""
    sequences_per_category: int = 500
    """Most sequences of each category; 0: all."""
    frames_per_sequence: int | None = None
    """Most frames of each sequence, evenly spaced; all when absent."""
    size: int = 256
    """Shorter side of the pictures in pixels."""
    crop: Crop = "foreground"
    """foreground: a square around the middle of the mask; centre: one in the middle; none: whole pictures."""
    antialias: bool = True
    """Resize with a filter as wide as the pixels become; no: as ViewDiff's authors did."""
    captions: Path | None = None
    """JSON file: category -> sequence -> list of captions. Sequences without any get "a CATEGORY", or "an"."""
    min_quality: float | None = None
    """Least score of a sequence's cameras (viewpoint_quality_score)."""
    min_cloud_quality: float | None = None
    """Least score of its point cloud (point_cloud.quality_score)."""
    outliers: float = 0.0
    """Share of the point cloud that may lie outside the object's box, on each of its six sides."""
    subset: str | None = None
    """Use only the frames of a part of one of CO3D's lists, for example fewview_dev:train."""
    check: bool = False
    """Prepare nothing: read everything that is in the folder already, and report what is damaged."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if words else 2
    kinds = {
        "info": _info,
        "procedural": _procedural,
        "unpack": _unpack,
        "prepare": _prepare,
        "prior": run_prior,
    }
    if words[0] not in kinds:
        raise ConfigError(
            f"There is no 'novelview data {words[0]}'", cure=f"choose one of: {', '.join(kinds)}"
        )
    return kinds[words[0]](words[1:])


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


def _prepare(words: list[str]) -> int:
    options = parse(Prepare, words, "data prepare")
    console = Console(highlight=False, soft_wrap=True)
    if options.check:
        return _check(options.out, console)
    if options.co3d is None:
        raise ConfigError("No data set is named", cure="novelview data prepare CO3D_FOLDER --out DIR")
    choice = Choice(
        categories=options.categories,
        sequences=options.sequences_per_category or None,
        quality=options.min_quality,
        cloud_quality=options.min_cloud_quality,
        subset=None if options.subset is None else _subset(options.subset),
    )
    pictures = Pictures(options.size, options.crop, options.antialias)
    manner = Manner(pictures, options.frames_per_sequence, options.outliers)
    captions = None if options.captions is None else read_captions(options.captions)
    done = prepare_co3d(options.co3d, options.out, choice, manner, captions)
    console.print(
        f"wrote {options.out}: {done.written} sequences, besides {done.present} that were there", markup=False
    )
    for note in done.notes():
        console.print(f"note: {note}", markup=False)
    console.print(
        f"  learn from them: novelview train METHOD --more {done.scenes} --masks keep --no-normalise",
        markup=False,
    )
    return 0


def _check(out: Path, console: Console) -> int:
    faults = check_prepared(out)
    for fault in faults.values():
        console.print(str(fault), markup=False)
    console.print(
        f"{out}: {len(faults)} damaged sequences" if faults else f"{out}: all is well", markup=False
    )
    return 2 if faults else 0


def _subset(text: str) -> tuple[str, str]:
    name, colon, part = text.partition(":")
    if not (name and colon and part):
        raise ConfigError(f"Bad subset {text!r}", cure="give LIST:PART, for example fewview_dev:train")
    return name, part
