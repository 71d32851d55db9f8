"""Lists of scenes in a training: counted and remembered, never opened before they are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from novelview.cli.runs import open_lists
from novelview.data.procedural import make_scene
from novelview.data.scene_list import SceneList
from novelview.errors import ConfigError, MethodError
from novelview.methods.discovery import find
from novelview.training.folder import ListRecord, check_same, create_run, describe, open_run
from novelview.training.run import check_scenes

ABSENT = SceneList(Path("list.txt"), (Path("absent"),) * 60_000, {"split": "none"})


def test_listed_scenes_are_counted_and_not_opened() -> None:
    scene = make_scene("forward", 0, views=3, size=8, supersample=1)
    check_scenes(find("quark"), [scene], [ABSENT])
    with pytest.raises(MethodError, match="one scene at a time") as error:
        check_scenes(find("grid"), [scene], [ABSENT])
    assert "60001 are named" in str(error.value)


def test_a_run_keeps_path_number_and_options(tmp_path: Path) -> None:
    spec, scene = find("quark"), make_scene("forward", 0, views=3, size=8, supersample=1)
    preset = spec.preset("tiny")
    info = describe(spec, preset.config, preset.recipe, scene, 0, lists=[ABSENT])
    create_run(tmp_path / "run", info)
    saved = open_run(tmp_path / "run")
    assert saved.lists == (ListRecord(str(ABSENT.path.resolve()), 60_000, {"split": "none"}),)
    check_same(tmp_path / "run", saved, info)
    fewer = describe(
        spec, preset.config, preset.recipe, scene, 0, lists=[replace(ABSENT, captures=ABSENT.captures[:7])]
    )
    with pytest.raises(ConfigError, match=r"lists\[0\]\.count is 60000 in the run, 7 now"):
        check_same(tmp_path / "run", saved, fewer)


def test_a_list_is_found_again_with_its_options(tmp_path: Path) -> None:
    spec, scene = find("quark"), make_scene("forward", 0, views=3, size=8, supersample=1)
    preset = spec.preset("tiny")
    (tmp_path / "list.txt").write_text(".")
    record = ListRecord(str(tmp_path / "list.txt"), 1, {"split": "none", "scale": 0.5})
    info = replace(describe(spec, preset.config, preset.recipe, scene, 0), lists=(record,))
    (listed,) = open_lists(tmp_path, info)
    assert listed.captures == (tmp_path,)
    assert (listed.options["split"], listed.options["scale"]) == ("none", 0.5)
    spoiled = replace(info, lists=(replace(record, options={"colour": 3}),))
    with pytest.raises(ConfigError, match="'colour'"):
        open_lists(tmp_path, spoiled)
