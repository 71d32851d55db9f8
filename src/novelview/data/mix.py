"""Samples out of very many scenes, of which a few are open at any time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch

from novelview.data.scene import Scene
from novelview.errors import DataError, NovelviewError
from novelview.random import generator_for
from novelview.types import Sample

KEPT_OPEN = 64
TRIES = 100

Items = Callable[..., Sample]
"""Gives sample number ``index`` of one scene, such as ``SceneSamples.item`` and ``SequenceSamples.item``."""


class SceneMix:
    """Endless samples, each out of a scene that is drawn for it; scenes are opened when they are drawn first.

    A scene that cannot be opened, or that gives no sample, is passed over: another one is drawn. The scenes used last
    stay open. May be called from several threads.

    Args:
        count: number of scenes, at least one.
        open: opens a scene by its number; raises a :class:`~novelview.errors.NovelviewError` where it is unusable.
        items: what a scene's samples are; raises likewise.
        seed: of the draws.
    """

    def __init__(
        self, count: int, open: Callable[[int], Scene], items: Callable[[Scene], Items], seed: int = 0
    ) -> None:
        self._count, self._open, self._items, self._seed = count, open, items, seed
        self._kept: OrderedDict[int, Items] = OrderedDict()
        self._lock = Lock()

    def item(self, index: int, *share: float) -> Sample:
        """Sample number ``index``; depends on it, the seed, the share and the scenes alone.

        Args:
            index: which.
            share: given to the scene's samples, where they take one.

        Raises:
            DataError: a hundred scenes were drawn, and none was usable.
        """
        for attempt in range(TRIES):
            generator = generator_for(self._seed, "scene", index, attempt)
            scene = int(torch.randint(self._count, (), generator=generator))
            try:
                return self._opened(scene)(index, *share)
            except NovelviewError as error:
                last = error
        raise DataError(
            f"None of {TRIES} scenes that were drawn can be learnt from",
            where=last.where,
            why=f"the last of them: {last.what}{f' ({last.why})' if last.why else ''}",
            cure=last.cure,
        ) from last

    def _opened(self, scene: int) -> Items:
        with self._lock:
            if scene in self._kept:
                self._kept.move_to_end(scene)
                return self._kept[scene]
        # Opened outside the lock: two threads may open the same scene, but none waits for another's disk.
        items = self._items(self._open(scene))
        with self._lock:
            self._kept[scene] = items
            if len(self._kept) > KEPT_OPEN:
                self._kept.popitem(last=False)
        return items
