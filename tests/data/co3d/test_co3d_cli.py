"""``novelview data prepare``, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from co3d_toy import Toy, turned, write_category

from novelview.cli.main import main
from novelview.data.open import open_scene


@pytest.fixture(scope="module")
def co3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("co3d")
    write_category(root / "apple", [Toy(name="110_1", turn=turned(7)), Toy(name="110_2")])
    write_category(root / "toybus", [Toy(name="110_3"), Toy(name="110_4")])
    (root / "toybus" / "110_4" / "pointcloud.ply").unlink()
    (root / "captions.json").write_text(json.dumps({"toybus": {"110_3": ["a yellow bus"]}}))
    return root


def test_from_a_data_set_to_scenes(co3d: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["data", "prepare", "--size", "32", "--sequences-per-category", "1", "--frames-per-sequence", "5"]
    words += ["--captions", str(co3d / "captions.json"), "--out", str(out), str(co3d)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "2 sequences, besides 0 that were there" in said
    assert f"--more {out / 'scenes.txt'}" in said
    assert (out / "scenes.txt").read_text() == "apple/110_1\ntoybus/110_3\n"
    scene = open_scene(out / "toybus" / "110_3", split="none", measure=False, normalise=False, masks="keep")
    assert scene.captions == ("a yellow bus",)
    assert scene.train.images().shape == (5, 32, 32, 3)
    assert max(scene.bounds.box_max) == pytest.approx(1.0, abs=1e-5)
    assert main([*words, "--sequences-per-category", "0"]) == 0
    said = capsys.readouterr().out
    assert "1 sequences, besides 2 that were there" in said
    assert "note: 1 sequences were skipped. It has no point cloud: toybus/110_4." in said


def test_checking_reports_what_is_damaged(
    co3d: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["data", "prepare", str(co3d / "apple"), "--out", out, "--size", "32", "--crop", "none"]) == 0
    assert main(["data", "prepare", "--check", "--out", out]) == 0
    assert "all is well" in capsys.readouterr().out
    (tmp_path / "out/apple/110_2/images/frame000004.jpg").unlink()
    assert main(["data", "prepare", "--check", "--out", out]) == 2
    said = capsys.readouterr().out
    assert "1 images are missing" in said
    assert "1 damaged sequences" in said


def test_the_subset_is_a_list_and_a_part(
    co3d: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = co3d / "apple" / "set_lists"
    lists.mkdir(exist_ok=True)
    entries = [["110_2", i, ""] for i in range(6)]
    (lists / "set_lists_fewview_dev.json").write_text(json.dumps({"train": entries}))
    words = ["data", "prepare", str(co3d), "--categories", "apple", "--size", "32", "--out"]
    assert main([*words, str(tmp_path / "out"), "--subset", "fewview_dev:train"]) == 0
    assert (tmp_path / "out" / "scenes.txt").read_text() == "apple/110_2\n"
    assert len(list((tmp_path / "out" / "apple" / "110_2" / "images").iterdir())) == 6
    assert main([*words, str(tmp_path / "other"), "--subset", "fewview_dev"]) == 2
    assert "Bad subset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "No data set is named"),
        (["{}/nowhere"], "There is no CO3D data set here"),
        (["{}", "--categories", "pear"], "choose among: apple, toybus"),
        (["{}", "--min-quality", "2"], "No sequence could be prepared"),
        (["{}", "--size", "0"], "Cannot prepare pictures of 0 pixels"),
        (["{}", "--captions", "{}/nowhere.json"], "Cannot read this file"),
        (["--check"], "There is no prepared sequence here"),
    ],
)
def test_mistakes_are_named(
    co3d: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    arguments = [word.format(co3d) for word in words]
    assert main(["data", "prepare", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err
