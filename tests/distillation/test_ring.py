"""Pictures in a few large files that take turns."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from novelview.distillation import ring as module
from novelview.distillation.ring import Ring
from novelview.errors import ConfigError, OutputError

SIZE = (5, 4)


def picture(view: int) -> Tensor:
    return torch.randint(256, (4, 5, 3), generator=torch.Generator().manual_seed(view), dtype=torch.uint8)


def make(folder: Path | None, *, key: str = "a", shards: int = 3, views: int = 4) -> Ring:
    return Ring(folder, SIZE, key, shards=shards, views=views)


def filled(folder: Path | None, views: range) -> Ring:
    ring = make(folder)
    for view in views:
        ring.put(view, picture(view))
    return ring


def present(ring: Ring, among: range) -> list[int]:
    found = {view: ring.get(view) for view in among}
    for view, stored in found.items():
        assert stored is None or torch.equal(stored, picture(view))
    return [view for view, stored in found.items() if stored is not None]


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "ring.json")


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_oldest_shard_makes_room(tmp_path: Path, on_disk: bool) -> None:
    ring = filled(tmp_path if on_disk else None, range(14))
    assert present(ring, range(14)) == list(range(14))
    ring.put(14, picture(14))
    ring.put(15, picture(15))
    assert present(ring, range(16)) == list(range(4, 16))
    assert len(ring) == ring.capacity == 12
    # What was dropped may come again.
    ring.put(0, picture(0))
    assert present(ring, range(16)) == [0, *range(4, 16)]


@given(st.lists(st.integers(0, 30), max_size=80), st.integers(1, 4), st.integers(1, 5))
def test_the_last_pictures_are_always_there(order: list[int], most: int, views: int) -> None:
    ring = make(None, shards=most, views=views)
    fresh = []
    for view in order:
        if ring.get(view) is None:
            ring.put(view, picture(view))
            fresh.append(view)
        assert ring.get(view) is not None
    assert set(fresh[-ring.capacity :]) <= set(present(ring, range(31)))
    assert len(ring) <= ring.capacity + views - 1
    assert len(ring) == len(present(ring, range(31)))


def test_bytes_stay_within_what_is_said(tmp_path: Path) -> None:
    ring, largest = make(tmp_path), 0
    header = 128
    for view in range(50):
        ring.put(view, picture(view))
        if view % 7 == 0:
            ring.flush()
        files = [path.stat().st_size for path in tmp_path.glob("*.npy")]
        largest = max(largest, sum(files) - header * len(files))
        assert len(files) <= 3
    assert largest == ring.disk_bytes == 3 * 4 * 60
    assert ring.memory_bytes == 4 * 60
    assert make(None).disk_bytes == 0
    assert make(None).memory_bytes == (3 + 1) * 4 * 60


def test_a_picture_that_is_there_stays(tmp_path: Path) -> None:
    ring = filled(tmp_path, range(6))
    for view in range(6):
        ring.put(view, picture(99))
    assert present(ring, range(6)) == list(range(6))
    stored = ring.get(0)
    assert stored is not None
    stored.zero_()
    assert present(ring, range(1)) == [0]


def test_whole_shards_are_found_again(tmp_path: Path) -> None:
    filled(tmp_path, range(10))
    again = make(tmp_path)
    # The pictures that were still being gathered are lost.
    assert present(again, range(10)) == list(range(8))
    for view in range(8, 16):
        again.put(view, picture(view))
    assert present(make(tmp_path), range(16)) == list(range(4, 16))


def test_flushed_pictures_are_found_and_their_shard_goes_on(tmp_path: Path) -> None:
    ring = filled(tmp_path, range(10))
    ring.flush()
    ring.flush()
    ring.put(10, picture(10))
    again = make(tmp_path)
    assert present(again, range(12)) == list(range(10))
    for view in (10, 11):
        again.put(view, picture(view))
    # Nothing was dropped for it: three shards of four.
    assert present(make(tmp_path), range(12)) == list(range(12))
    assert len(shards(tmp_path)) == 3
    assert present(ring, range(11)) == list(range(11))
    make(None).flush()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"what is this"),
        lambda path: path.unlink(),
        lambda path: np.save(path, np.zeros((4, 4, 5, 3), dtype=np.float32)),
        lambda path: np.save(path, np.zeros((4, 5, 4, 3), dtype=np.uint8)),
        lambda path: np.save(path, np.array([{}]), allow_pickle=True),
    ],
)
def test_torn_shards_are_removed_and_the_others_used(tmp_path: Path, damage: object) -> None:
    filled(tmp_path, range(12))
    damage(tmp_path / "shard-000001.npy")  # type: ignore[operator]
    again = make(tmp_path)
    assert present(again, range(12)) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert shards(tmp_path) == ["shard-000000.npy", "shard-000002.npy"]


@pytest.mark.parametrize(
    "index",
    [
        "",
        "[1, 2",
        "[" * 100_000,
        "null",
        "{}",
        '{"key": "a", "size": [5, 4], "shards": 3}',
        '{"key": "a", "size": [5, 4], "shards": [{"file": 3, "views": [0, 1, 2, 3]}]}',
        '{"key": "a", "size": [5, 4], "shards": [{"file": "../x.npy", "views": [0, 1, 2, 3]}]}',
        '{"key": "a", "size": [5, 4], "shards": [{"file": "shard-000000.npy", "views": [0, 1, 1, 2]}]}',
        '{"key": "a", "size": [5, 4], "shards": [{"file": "shard-000000.npy", "views": "0123"}]}',
        '{"key": "a", "size": [5, 4], "shards": [{"file": "shard-000000.npy", "views": []}]}',
        '{"key": "b", "size": [5, 4], "shards": [{"file": "shard-000000.npy", "views": [0, 1, 2, 3]}]}',
        '{"key": "a", "size": [4, 5], "shards": [{"file": "shard-000000.npy", "views": [0, 1, 2, 3]}]}',
    ],
)
def test_an_index_that_does_not_fit_starts_afresh(tmp_path: Path, index: str) -> None:
    filled(tmp_path, range(12))
    (tmp_path / "ring.json").write_text(index)
    again = make(tmp_path)
    assert present(again, range(12)) == []
    assert shards(tmp_path) == []
    for view in range(5):
        again.put(view, picture(view))
    assert present(make(tmp_path), range(12)) == [0, 1, 2, 3]


def test_pictures_of_another_key_are_removed_and_other_files_kept(tmp_path: Path) -> None:
    filled(tmp_path, range(8))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "shard-1.npy").write_text("mine")
    (tmp_path / ".tmp-0123abcd-shard-000002.npy").write_text("torn")
    other = make(tmp_path, key="b")
    assert present(other, range(8)) == []
    assert shards(tmp_path) == ["notes.txt", "shard-1.npy"]


def test_a_smaller_ring_keeps_the_newest_shards(tmp_path: Path) -> None:
    filled(tmp_path, range(12))
    assert present(make(tmp_path, shards=2), range(12)) == list(range(4, 12))
    assert len(shards(tmp_path)) == 2
    assert present(make(tmp_path, views=3), range(12)) == []


def test_a_crash_at_any_moment_leaves_whole_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file operation of writing the fourth shard is made to fail once, in turn."""
    calls = 0

    def failing(at: int, real: object) -> object:
        def replacement(*args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(28, "No space left on device")
            return real(*args, **options)  # type: ignore[operator]

        return replacement

    for at in range(1, 9):
        folder = tmp_path / str(at)
        ring = filled(folder, range(15))
        with monkeypatch.context() as patch:
            calls = 0
            patch.setattr(os, "replace", failing(at, os.replace))
            patch.setattr(os, "fsync", failing(at, os.fsync))
            patch.setattr(module.np, "save", failing(at, np.save))
            with suppress(OutputError):
                ring.put(15, picture(15))
        found = present(make(folder), range(16))
        assert set(range(4, 12)) <= set(found)
        assert len(found) in (8, 12)
        assert not list(folder.glob(".tmp*"))
        # The ring that failed goes on too.
        ring.put(16, picture(16))
        assert 16 in present(ring, range(17))
    assert calls >= 7


def test_threads_share_a_ring(tmp_path: Path) -> None:
    ring = make(tmp_path, shards=30)

    def use(number: int) -> None:
        view = number % 100
        if ring.get(view) is None:
            ring.put(view, picture(view))
        stored = ring.get(view)
        assert stored is not None
        assert torch.equal(stored, picture(view))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(400)))
    assert present(ring, range(100)) == list(range(100))
    listed = json.loads((tmp_path / "ring.json").read_text())["shards"]
    assert sorted(view for shard in listed for view in shard["views"]) == list(range(100))


def test_shards_are_a_few_large_files() -> None:
    ring = Ring(None, (400, 400), "a")
    assert 16 << 20 <= ring.memory_bytes // 17 <= 64 << 20
    assert Ring(None, (10_000, 10_000), "a").capacity == 16


def test_impossible_rings_and_pictures_are_refused(tmp_path: Path) -> None:
    for size, count, views in (((0, 4), 3, 4), ((5, 4), 0, 4), ((5, 4), 3, 0)):
        with pytest.raises(ConfigError, match="at least one"):
            Ring(None, size, "a", shards=count, views=views)
    with pytest.raises(ConfigError, match="is not 5x4"):
        make(None).put(0, torch.zeros(5, 4, 3, dtype=torch.uint8))
    (tmp_path / "file").write_text("")
    blocked = make(tmp_path / "file" / "ring", views=1)
    with pytest.raises(OutputError, match="ring"):
        blocked.put(0, picture(0))
