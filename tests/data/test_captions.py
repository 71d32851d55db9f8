"""Captions: in a file beside the capture, for a whole data set, and made up where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novelview.data.captions import captions_beside, plain_caption, read_captions
from novelview.data.open import open_scene, reopen_scene
from novelview.data.procedural import write_capture
from novelview.errors import DataError


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(
        tmp_path_factory.mktemp("capture") / "toy", "object", 1, views=4, size=16, supersample=1
    )


@pytest.mark.parametrize("form", [["a ball ", " a red ball"], {"captions": ["a ball", "a red ball"]}])
def test_a_scene_has_the_captions_beside_it(capture: Path, form: Any) -> None:
    (capture / "captions.json").write_text(json.dumps(form))
    by_folder = open_scene(capture, measure=False)
    assert by_folder.captions == ("a ball", "a red ball")
    assert open_scene(capture / "transforms.json", measure=False).captions == by_folder.captions
    again = reopen_scene(by_folder.origin, by_folder.bounds, by_folder.to_input)
    assert again.captions == by_folder.captions
    assert not any("captions" in note for note in by_folder.notes)


def test_a_scene_without_captions_has_none(capture: Path) -> None:
    (capture / "captions.json").unlink(missing_ok=True)
    assert open_scene(capture, measure=False).captions == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not valid JSON"),
        ("3", "must be a list"),
        ('{"texts": []}', "must be a list"),
        ('{"captions": "a ball"}', "type str"),
        ('["a ball", 3]', "Caption 1 is no sentence"),
        ('["a ball", "  "]', "it is blank"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
    ],
)
def test_damaged_captions_name_file_and_cure(capture: Path, text: str, says: str) -> None:
    file = capture / "captions.json"
    file.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        captions_beside(capture)
    assert caught.value.where == file
    assert "list of sentences" in (caught.value.cure or "")


def test_captions_of_a_data_set(tmp_path: Path) -> None:
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({"apple": {"110_1": [" a red apple"], "110_2": []}, "pear": {}}))
    assert read_captions(file) == {"apple": {"110_1": ("a red apple",), "110_2": ()}, "pear": {}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "the file holds a value of type list"),
        ({"apple": ["a red apple"]}, "apple holds a value of type list"),
        ({"apple": {"110_1": "a red apple"}}, "captions of 110_1 must be a list"),
        ({"apple": {"110_1": [None]}}, "Caption 0 of 110_1"),
    ],
)
def test_damaged_captions_of_a_data_set(tmp_path: Path, values: Any, says: str) -> None:
    file = tmp_path / "captions.json"
    file.write_text(json.dumps(values))
    with pytest.raises(DataError, match=says):
        read_captions(file)


@pytest.mark.parametrize(
    ("category", "caption"), [("apple", "an apple"), ("toy_bus", "a toy bus"), ("Umbrella", "an Umbrella")]
)
def test_plain_captions(category: str, caption: str) -> None:
    assert plain_caption(category) == caption
