"""Evaluation indices: their files, the captures they are about, and the views they choose."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.data.scene_list import SceneList
from novelview.errors import DataError
from novelview.evaluation.index import Entry, find_captures, read_index


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture") / "toy", "object", 3, views=6, size=12)


def written(path: Path, values: Any) -> Path:
    path.write_text(json.dumps(values))
    return path


def test_an_index_is_read(tmp_path: Path) -> None:
    values = {"a": {"context": [58, 133], "target": [112, 65, 58], "overlap": 0.6}, "b": None}
    entries = read_index(written(tmp_path / "index.json", values))
    assert entries == {"a": Entry((58, 133), (112, 65, 58)), "b": None}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no JSON object"),
        ({"a": [1, 2]}, "'a' is neither null nor an object"),
        ({"a": {"context": [0, 1]}}, "'target' of 'a' is no list"),
        ({"a": {"context": [], "target": [1]}}, "'context' of 'a' is no list"),
        ({"a": {"context": [0, -1], "target": [1]}}, "'context' of 'a' is no list"),
        ({"a": {"context": [0, True], "target": [1]}}, "'context' of 'a' is no list"),
        ({"a": {"context": [0, 1], "target": [2, 2]}}, "'target' of 'a' names a view twice"),
    ],
)
def test_what_is_no_index_is_refused(values: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_index(written(tmp_path / "index.json", values))


def test_an_index_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    for name in ("absent.json", "broken.json"):
        with pytest.raises(DataError, match=name):
            read_index(tmp_path / name)


def test_captures_are_found_in_a_folder_and_in_a_list(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    for name in ("a", "b.c"):
        shutil.copytree(capture, folder / name)
    shutil.copy(folder / "a" / "transforms.json", folder / "a" / "d.json")
    (folder / "list.txt").write_text(f"a/transforms.json\n\n{folder / 'b.c'}\na/d.json\n")
    assert find_captures(folder, {"a"}) == {"a": folder / "a", "b.c": folder / "b.c"}
    assert find_captures(folder / "list.txt", {"a", "d"}) == {
        "a": folder / "a" / "transforms.json",
        "b.c": folder / "b.c",
        "d": folder / "a" / "d.json",
    }
    (folder / "list.txt").write_text("a\na/transforms.json\n")
    with pytest.raises(DataError, match="Two captures are called 'a'"):
        find_captures(folder / "list.txt", {"a"})
    with pytest.raises(DataError, match="Cannot read this list of captures"):
        find_captures(tmp_path / "nowhere", set())


def test_listed_captures_that_are_gone_are_passed_over(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shape checks on what the reader of lists returns would open the capture that is gone.
    named = SceneList(tmp_path / "list.txt", (capture, tmp_path / "gone"))
    monkeypatch.setattr("novelview.evaluation.index.read_scene_list", lambda path: named)
    assert find_captures(named.path, {"gone"}) == {"toy": capture}


def test_the_views_of_an_entry_are_those_of_the_file_in_the_entrys_order(capture: Path) -> None:
    read = read_capture(capture)
    stated = replace(read, near_far=torch.tensor([[1.0 + i, 9.0 + i] for i in range(6)]))
    sample = Entry((4, 1), (2, 4, 0)).sample(stated)
    assert (sample.bounds.far / sample.bounds.near) == pytest.approx(13 / 1)
    assert sample.sources.names == tuple(read.names[i] for i in (4, 1))
    assert sample.targets.names == tuple(read.names[i] for i in (2, 4, 0))
    everything = open_scene(read, split="none").train
    for views in (sample.sources, sample.targets):
        for i, name in enumerate(views.names):
            assert torch.equal(views.image(i), everything.image(everything.names.index(name)))
    # One frame for both, in which views keep their distances, up to its scale.
    centres = torch.cat([sample.sources.cameras.centres, sample.targets.cameras.centres])
    ratio = torch.pdist(centres[[0, 1, 2, 4]]) / torch.pdist(read.cameras.centres[[4, 1, 2, 0]])
    torch.testing.assert_close(ratio, ratio[:1].expand(6))


def test_a_view_that_the_capture_has_not_is_refused(capture: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)names view 6: .*toy.*has 6 views"):
        Entry((0, 6), (3,)).sample(read_capture(capture))
