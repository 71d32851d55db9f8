"""Pictures that are costly to make, kept in a few large files that take turns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from novelview.errors import ConfigError
from novelview.files import atomic_file, atomic_write_json, output_errors

# A shard of this size is written in a fraction of a second, and a few dozen of them are a gigabyte.
SHARD_BYTES = 32 << 20

_INDEX, _SHARD = "ring.json", re.compile(r"shard-(\d{6,})\.npy")
# What a crash while a shard or the index was being written leaves behind.
_TORN = re.compile(r"\.tmp-[0-9a-f]{8}-(ring\.json|shard-\d{6,}\.npy)")


@dataclass(frozen=True)
class _Shard:
    """Pictures of some views, in one file or in memory."""

    name: str
    views: tuple[int, ...]
    pictures: np.ndarray


class Ring:
    """Pictures of numbered views, at most so many shards of so many; the oldest shard makes room for a new one.

    The newest pictures gather in memory until they fill a shard, which is then written whole or not at all. Opening
    the folder again finds all whole shards; those that are torn, or of another key or size, are removed, and nothing
    else in the folder is touched. Threads may share a ring; processes must not share its folder.

    Args:
        folder: of its own, made when the first shard is written; None: pictures are kept in memory.
        size: width and height of every picture.
        key: names all that the pictures depend on.
        shards: most shards at any time.
        views: pictures per shard; None: as many as 32 MB hold.

    Raises:
        ConfigError: a size or number below 1.
        OutputError: the folder cannot be cleared of torn shards.
    """

    def __init__(
        self,
        folder: str | Path | None,
        size: tuple[int, int],
        key: str,
        *,
        shards: int = 16,
        views: int | None = None,
    ) -> None:
        views = max(1, SHARD_BYTES // max(1, 3 * size[0] * size[1])) if views is None else views
        if min(*size, shards, views) < 1:
            raise ConfigError(
                f"A ring of {shards} shards of {views} pictures of {size[0]}x{size[1]} is impossible",
                cure="give at least one of each",
            )
        self._folder, self.size, self.key = None if folder is None else Path(folder), size, key
        self._most, self._views = shards, views
        self._lock = Lock()
        self._buffer: np.ndarray | None = None
        self._gathered: dict[int, int] = {}
        self._unfinished: str | None = None
        self._shards: list[_Shard] = []
        self._places: dict[int, tuple[_Shard, int]] = {}
        self._next = 0
        if self._folder is not None and self._folder.is_dir():
            self._recover(self._folder)

    @property
    def capacity(self) -> int:
        """How many of the pictures put in last are there, unless a shard had to be flushed before it was full."""
        return self._most * self._views

    @property
    def disk_bytes(self) -> int:
        """Most bytes of pictures that ever lie in the folder."""
        return 0 if self._folder is None else self._most * self._shard_bytes

    @property
    def memory_bytes(self) -> int:
        """Most bytes of pictures that are ever kept in memory, but for what the system caches of the files."""
        return self._shard_bytes * (1 if self._folder is not None else self._most + 1)

    @property
    def _shard_bytes(self) -> int:
        return self._views * 3 * self.size[0] * self.size[1]

    def __len__(self) -> int:
        """How many pictures there are."""
        with self._lock:
            return len(self._places) + len(self._gathered)

    def get(self, view: int) -> UInt8[Tensor, "h w 3"] | None:
        """A copy of the picture of a view, if it is there."""
        with self._lock:
            if view in self._gathered:
                assert self._buffer is not None
                found = self._buffer[self._gathered[view]]
            elif view in self._places:
                shard, row = self._places[view]
                found = shard.pictures[row]
            else:
                return None
            return torch.from_numpy(np.array(found))

    def put(self, view: int, picture: UInt8[Tensor, "h w 3"]) -> None:
        """Keep the picture of a view; one that is there already stays as it is.

        Raises:
            ConfigError: the picture has another size.
            OutputError: a full shard cannot be written; its pictures are dropped.
        """
        width, height = self.size
        if tuple(picture.shape) != (height, width, 3):
            raise ConfigError(
                f"A picture of shape {tuple(picture.shape)} is not {width}x{height}",
                cure="make a ring for pictures of this size",
            )
        with self._lock:
            if view in self._places or view in self._gathered:
                return
            row = len(self._gathered)
            self._gathering()[row] = picture.cpu().numpy()
            self._gathered[view] = row
            if len(self._gathered) == self._views:
                self._turn()

    def flush(self) -> None:
        """Write what has been gathered too, so that a later opening finds it and goes on with the same shard.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock:
            if self._gathered and self._folder is not None:
                self._unfinished = self._write(self._folder, tuple(self._gathered), self._gathering())

    def _gathering(self) -> np.ndarray:
        if self._buffer is None:
            width, height = self.size
            self._buffer = np.empty((self._views, height, width, 3), dtype=np.uint8)
        return self._buffer

    def _turn(self) -> None:
        """Make a shard of what has been gathered, in place of the oldest one if there are enough."""
        views, pictures = tuple(self._gathered), self._gathering()
        self._gathered, self._buffer = {}, None
        name = ""
        if self._folder is None:
            self._make_room()
        else:
            name = self._write(self._folder, views, pictures)
            pictures = np.load(self._folder / name, mmap_mode="r", allow_pickle=False)
        self._keep(_Shard(name, views, pictures))

    def _write(self, folder: Path, views: tuple[int, ...], pictures: np.ndarray) -> str:
        """The name of a new shard file, in place of the unfinished one."""
        self._make_room()
        if self._unfinished is not None:
            _remove(folder / self._unfinished)
            self._unfinished = None
        name = f"shard-{self._next:06d}.npy"
        self._next += 1
        listed = [*((shard.name, shard.views) for shard in self._shards), (name, views)]
        shards = [{"file": file, "views": list(numbers)} for file, numbers in listed]
        # The index names the shard before it is there, so that a crash never leaves a whole one unnamed.
        atomic_write_json(folder / _INDEX, {"key": self.key, "size": list(self.size), "shards": shards})
        with atomic_file(folder / name) as temporary:
            np.save(temporary, pictures[: len(views)])
        return name

    def _make_room(self) -> None:
        while len(self._shards) >= self._most:
            oldest = self._shards.pop(0)
            for view in oldest.views:
                del self._places[view]
            if self._folder is not None:
                _remove(self._folder / oldest.name)

    def _keep(self, shard: _Shard) -> None:
        self._shards.append(shard)
        self._places.update({view: (shard, row) for row, view in enumerate(shard.views)})

    def _recover(self, folder: Path) -> None:
        """Take over whole shards of this key and size, and remove all others."""
        found = []
        for name, views in _listed(folder / _INDEX, self.key, self.size):
            pictures = _whole(folder / name, (len(views), self.size[1], self.size[0], 3))
            if pictures is not None and len(views) <= self._views:
                found.append(_Shard(name, views, pictures))
        found = found[-self._most :]
        kept = {shard.name for shard in found}
        self._next = 1 + max((int(name[6:-4]) for name in kept), default=-1)
        with output_errors(folder):
            for path in folder.iterdir():
                if path.name not in kept and (_SHARD.fullmatch(path.name) or _TORN.fullmatch(path.name)):
                    path.unlink(missing_ok=True)
        if found and len(found[-1].views) < self._views:
            last = found.pop()
            self._unfinished = last.name
            self._gathered = {view: row for row, view in enumerate(last.views)}
            self._gathering()[: len(last.views)] = last.pictures
        for shard in found:
            self._keep(shard)


def _remove(path: Path) -> None:
    with output_errors(path):
        path.unlink(missing_ok=True)


def _listed(index: Path, key: str, size: tuple[int, int]) -> list[tuple[str, tuple[int, ...]]]:
    """Names and views of the shards that the index lists, the oldest first; none if it is not of this key and size."""
    try:
        values: Any = json.loads(index.read_text())
        if values["key"] != key or values["size"] != list(size):
            return []
        entries = [(entry["file"], tuple(entry["views"])) for entry in values["shards"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # What cannot be read is made anew, as a missing picture is.
    listed: list[tuple[str, tuple[int, ...]]] = []
    seen: set[int] = set()
    for name, views in entries:
        numbers = {view for view in views if type(view) is int}
        if isinstance(name, str) and _SHARD.fullmatch(name) and len(numbers) == len(views) > 0:
            if seen.isdisjoint(numbers):
                listed.append((name, views))
            seen |= numbers
    return listed


def _whole(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The pictures of a shard, mapped; None where the file is torn or holds something else."""
    try:
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # NumPy raises whatever it likes at a broken header.
        return None
    fits = isinstance(pictures, np.memmap) and pictures.shape == shape and pictures.dtype == np.uint8
    return pictures if fits else None
