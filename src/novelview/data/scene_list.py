"""Captures listed in a text file, each opened when it is asked for: as many as there are, without reading them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

from novelview.data.formats import READERS
from novelview.data.images import system_memory
from novelview.data.mix import KEPT_OPEN, Items, SceneMix
from novelview.data.open import CACHE_SHARE, open_scene
from novelview.data.samples import SampleSampler, Source
from novelview.data.scene import Scene
from novelview.errors import DataError


@dataclass(frozen=True)
class SceneList:
    """The scenes of a list, of which none is open.

    Depth ranges are guessed from the cameras where nothing states them, because finding them in the photographs takes
    seconds; and each scene keeps only as many decoded images as leaves room for the others that are open.

    Attributes:
        path: the list.
        captures: what it names.
        options: how each is read, see :func:`~novelview.data.open.open_scene`.
    """

    path: Path
    captures: tuple[Path, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.captures)

    def open(self, index: int) -> Scene:
        """Scene number ``index``, opened anew; raises ``DataError`` where it cannot be read."""
        memory = system_memory() // CACHE_SHARE // KEPT_OPEN
        return open_scene(self.captures[index], measure=False, memory=memory, **self.options)


def read_scene_list(path: str | Path, **options: Any) -> SceneList:
    """The captures that a text file lists: one path per line, relative to the file or absolute.

    Blank lines and lines that begin with ``#`` are left out.

    Args:
        path: the list.
        options: how each capture is read, see :func:`~novelview.data.open.open_scene`.

    Raises:
        DataError: the file cannot be read, lists nothing, or its first capture is not there.
    """
    path = Path(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "Cannot read this list of captures", where=path, why=str(error), cure="name a text file"
        ) from error
    captures = tuple(path.parent / line for line in lines if line and not line.startswith("#"))
    if not captures:
        raise DataError("This list names no capture", where=path, cure="write one path per line")
    if not captures[0].exists():
        raise DataError(
            "The first capture of a list is not there",
            where=path,
            why=f"there is no {captures[0]}",
            cure="write one path per line, absolute or relative to the list",
        )
    return SceneList(path, captures, options)


def is_scene_list(path: Path) -> bool:
    """Whether ``path`` is a text file, and no capture of a format that consists of text files."""
    text = path.suffix.lower() in (".txt", ".lst") and path.is_file()
    return text and not any(reader.detect(path) for reader in READERS)


class ManyScenes(Sequence[Scene]):
    """Scenes that are open, followed by those of lists, which are opened anew each time they are asked for.

    Args:
        opened: come first, at least one.
        lists: come after them, in order.
        check: called with every scene out of a list when it has been opened; raises where that is unusable.
    """

    def __init__(
        self, opened: Sequence[Scene], lists: Sequence[SceneList], check: Callable[[Scene], None]
    ) -> None:
        self.opened, self._lists, self._check = tuple(opened), tuple(lists), check
        self._ends = list(accumulate([len(self.opened), *map(len, lists)]))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Scene: ...

    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...

    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = range(len(self))[index]
        part = bisect_right(self._ends, place)
        if part == 0:
            return self.opened[place]
        scene = self._lists[part - 1].open(place - self._ends[part - 1])
        self._check(scene)
        return scene


def mixed_samples(
    made: Source,
    scenes: Sequence[Scene],
    items: Callable[[Scene], Items],
    share: float,
    batch: int,
    seed: int,
) -> SampleSampler:
    """Samples that are made, and samples of captures.

    Captures that are open take turns; those of lists are one source together, whose turn comes as often as there are
    scenes in it. Procedural scenes are no captures.

    Args:
        made: endless samples without a capture.
        scenes: perhaps :class:`ManyScenes`.
        items: what a scene's samples are.
        share: of the steps that see what is made; all, where there is no capture.
        batch: samples per step.
        seed: of the draws.
    """
    opened = scenes.opened if isinstance(scenes, ManyScenes) else scenes
    sources: list[Source] = [items(scene) for scene in opened if not scene.procedural]
    turns = [1.0] * len(sources)
    listed = range(len(opened), len(scenes))
    if listed:
        sources.append(SceneMix(len(listed), lambda i: scenes[listed[i]], items, seed).item)
        turns.append(float(len(listed)))
    kept = share if sources else 1.0
    weights = [kept, *[(1 - kept) / sum(turns) * turn for turn in turns]]
    return SampleSampler([made, *sources], batch, seed, weights)
