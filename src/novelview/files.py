"""Writing results so that a crash, a full disk or a kill leaves the old file or the new one, never half."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from novelview.errors import OutputError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space, or write to another disk"),
    errno.EACCES: ("permission denied", "choose a folder you may write to"),
    errno.EPERM: ("operation not permitted", "choose a folder you may write to"),
    errno.EROFS: ("the file system is read-only", "choose a folder you may write to"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another path"),
    errno.EEXIST: ("a file of that name is in the way", "choose another path, or remove it"),
    errno.ENOTEMPTY: ("the folder is not empty", "choose another folder, or empty this one"),
    errno.EISDIR: ("it is a folder", "name a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
}


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Replace the file ``path`` by ``data``, making parent folders; raises ``OutputError``."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Replace the file ``path`` by ``text`` in UTF-8."""
    atomic_write_bytes(path, text.encode())


def atomic_write_json(path: str | Path, values: Any) -> None:
    """Replace the file ``path`` by ``values`` as indented JSON; refuses NaN and infinity."""
    atomic_write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A temporary name, beside ``path`` and with its suffix, that becomes ``path`` when the block succeeds.

    Raises:
        OutputError: the file cannot be written; nothing is left behind and an older ``path`` is untouched.
    """
    path = Path(path)
    temporary = _temporary_name(path)
    with output_errors(path):
        if path.exists() and not path.is_file():
            raise OutputError("Cannot write", where=path, why="it is not a file", cure="choose another path")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def require_new(path: Path, *, overwrite: bool = False) -> None:
    """Raise ``OutputError`` where a folder cannot be made because something is there that may not be replaced."""
    if path.name in ("", ".."):
        raise OutputError(
            "Cannot write", where=path, why="it is this folder or one around it", cure="name a folder in it"
        )
    with output_errors(path):
        if path.exists() and not path.is_dir():
            raise OutputError(
                "Cannot write", where=path, why="it is not a folder", cure="choose another path"
            )
        if path.is_dir() and any(path.iterdir()) and not overwrite:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    Args:
        path: folder to make; may exist when it is empty.
        overwrite: replace a folder that has something in it.

    Raises:
        OutputError: the folder cannot be written, or is not empty; nothing is left behind.
    """
    path = Path(path)
    require_new(path, overwrite=overwrite)
    temporary = _temporary_name(path)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            yield temporary
            for inside in [*temporary.rglob("*"), temporary]:
                _sync(inside)
            # Somebody else may have filled it meanwhile.
            require_new(path, overwrite=overwrite)
            _swap_folder(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def output_errors(path: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into an :class:`OutputError` that names ``path``, reason and cure."""
    try:
        yield
    except OSError as error:
        fallback = (error.strerror or str(error), "check the path and the disk")
        why, cure = _REASONS.get(error.errno or 0, fallback)
        raise OutputError("Cannot write", where=path, why=why, cure=cure) from error


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")


def _sync(path: Path) -> None:
    """Force a file or a folder's list of names onto the disk, so that a rename never outruns the data."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap_folder(new: Path, path: Path) -> None:
    old = _temporary_name(path)
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        if old.exists():
            os.rename(old, path)
        raise
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
