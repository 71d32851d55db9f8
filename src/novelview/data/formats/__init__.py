"""Readers of capture formats, one file each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from novelview.data.capture import Capture
from novelview.data.formats.blender import BlenderReader
from novelview.data.formats.colmap import ColmapReader
from novelview.data.formats.dvr import DvrReader
from novelview.data.formats.idr import IdrReader
from novelview.data.formats.llff import LlffReader, llff_normalise, most_central_view
from novelview.data.formats.lvsm_json import LvsmReader
from novelview.data.formats.paths import listed, photographs
from novelview.data.formats.re10k import Re10kReader
from novelview.data.formats.reader import Reader
from novelview.data.formats.transforms import TransformsReader
from novelview.errors import ConfigError, DataError

__all__ = ["READERS", "llff_normalise", "most_central_view", "read_capture"]

# Where several match, the first is taken: Blender's files carry their own split, transforms.json can carry masks
# and depth, as cameras.npz can, COLMAP's model has the lens that LLFF leaves out. Any JSON file may be a
# transforms.json of another name, so LVSM's come before it.
READERS: tuple[Reader, ...] = (
    BlenderReader(),
    LvsmReader(),
    TransformsReader(),
    IdrReader(),
    DvrReader(),
    ColmapReader(),
    LlffReader(),
    Re10kReader(),
)


def read_capture(path: Path | str, format: str | None = None) -> Capture:
    """Read a posed capture.

    Args:
        path: a folder, or the file that defines the capture, such as ``transforms.json``.
        format: name of a reader, to override detection.

    Raises:
        DataError: there is no capture, or it is malformed.
        ConfigError: ``format`` is unknown.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise DataError("There is no such capture", where=path, cure="check the path")
        reader, notes = _choose(path, format)
        # Numbers out of files may overflow on their way; the checks on cameras catch what comes of them.
        with np.errstate(all="ignore"):
            return _with_notes(reader.read(path), notes)
    except OSError as error:
        raise DataError(
            "Cannot read the capture",
            where=error.filename or path,
            why=error.strerror or str(error),
            cure="check that the files exist and that you may read them",
        ) from error


def _choose(path: Path, format: str | None) -> tuple[Reader, tuple[str, ...]]:
    """The reader for ``path``, and a note when there was a choice."""
    if format is not None:
        return _named(path, format), ()
    matching = [reader for reader in READERS if reader.detect(path)]
    if not matching:
        raise _unknown(path)
    first, *others = matching
    if not others or path.is_file():
        return first, ()
    names = " and ".join(reader.name for reader in others)
    note = f"Read as {first.name}; the folder could also be read as {names}: ask with the format option."
    return first, (note,)


def _named(path: Path, format: str) -> Reader:
    reader = next((reader for reader in READERS if reader.name == format), None)
    if reader is None:
        raise ConfigError(
            f"Unknown capture format {format!r}", cure=f"choose one of {', '.join(r.name for r in READERS)}"
        )
    if not reader.detect(path):
        raise DataError(
            f"This is not a capture of the format {format!r} ({reader.title})",
            where=path,
            why=f"looked for {reader.looks_for}; {_found(path)}",
            cure="check the path, or leave the format out to have it detected",
        )
    return reader


def _unknown(path: Path) -> DataError:
    images = _photographs_without_poses(path)
    if images:
        return DataError(
            f"The camera poses of {len(images)} photographs are missing",
            where=path,
            why="a scene needs to know where each photograph was taken, and no file here says so",
            cure="find the poses with COLMAP (colmap automatic_reconstructor --workspace_path … --image_path …), "
            "then open the folder that holds 'images' and 'sparse'",
        )
    looked = "; ".join(f"{reader.looks_for} ({reader.title})" for reader in READERS)
    return DataError(
        "No known capture format was found",
        where=path,
        why=f"looked for {looked}; {_found(path)}",
        cure="name the folder that holds one of these files",
    )


def _photographs_without_poses(path: Path) -> list[Path]:
    if path.is_file():
        return []
    return photographs(path) or photographs(path / "images")


def _found(path: Path) -> str:
    if path.is_file():
        return "this is a single file"
    entries = sorted(entry.name for entry in path.iterdir())
    return f"found {listed(entries)}" if entries else "the folder is empty"


def _with_notes(capture: Capture, notes: tuple[str, ...]) -> Capture:
    return replace(capture, notes=(*notes, *capture.notes))
