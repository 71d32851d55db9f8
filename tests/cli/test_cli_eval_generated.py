"""``novelview eval --generated``: folders of generated views, by themselves and against real images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from novelview.cli import eval_generated
from novelview.cli.main import main
from novelview.data.procedural import write_capture
from novelview.evaluation.fitted import FIT
from novelview.evaluation.inception import Inception


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two captures of masked toys."""
    folder = tmp_path_factory.mktemp("captures")
    for seed in (3, 4):
        write_capture(folder / f"toy{seed}", "object", seed, views=8, size=32, test_every=8, supersample=1)
    return folder


def run(*words: str | Path) -> dict[str, Any]:
    out = Path(words[0]).parent / "report.json"
    arguments = ["eval", "--generated", *map(str, words), "--out", str(out), "--device", "cpu"]
    assert main(arguments) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_folders_are_scored(captures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(captures / "toy3", captures / "toy4", "--no-fit")
    first, second = report["generated"]
    assert first["folder"].endswith("toy3")
    assert (first["views"], first["size"], first["masks"], first["fitted"]) == (8, [32, 32], True, None)
    assert second["reprojection"]["pairs"] >= 8
    assert (report["distribution"], report["real"]) == (None, [])
    assert "exchanged cameras" in capsys.readouterr().out


def test_the_same_comes_out_again(captures: Path) -> None:
    assert run(captures / "toy3", "--no-fit") == run(captures / "toy3", "--no-fit")


def test_a_grid_is_fitted(
    captures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_generated, "FIT", replace(FIT, recipe=replace(FIT.recipe, steps=40)))
    (found,) = run(captures / "toy3")["generated"]
    assert (found["fitted"]["fitted_views"], found["fitted"]["other_views"]) == (4, 4)
    assert found["fitted"]["others"]["psnr"] > 10
    assert f"{found['fitted']['others']['psnr']:.2f}" in capsys.readouterr().out


def test_a_real_capture_is_compared_and_scored_too(captures: Path) -> None:
    report = run(captures / "toy3", "--no-fit", "--against", captures / "toy4")
    assert [each["folder"].endswith("toy4 (real)") for each in report["real"]] == [True]
    scores = report["distribution"]
    assert scores["network"] == "random-conv (relative only)"
    assert (scores["generated"], scores["reference"]) == (8, 8)
    assert scores["masks"] == "generated: white outside the masks; real: white outside the masks"
    assert scores["fid"] > 0
    assert "8 images in 80 dimensions" in scores["notes"][0]


def test_the_same_images_are_at_no_distance(captures: Path) -> None:
    report = run(captures / "toy3", "--no-fit", "--against", captures / "toy3")
    assert report["distribution"]["fid"] == pytest.approx(0, abs=1e-6)


def test_ignored_masks_are_told(captures: Path) -> None:
    report = run(captures / "toy3", "--no-fit", "--masks", "ignore", "--against", captures / "toy4")
    assert report["distribution"]["masks"] == "generated: no masks; real: no masks"


def test_a_folder_of_images_is_enough_for_a_distribution(captures: Path) -> None:
    images = captures / "toy4" / "images"
    report = run(captures / "toy3", "--no-fit", "--against", images)
    assert report["real"] == []
    assert report["distribution"]["reference"] == 8
    assert "real: files as they are" in report["distribution"]["masks"]


def test_a_damaged_capture_is_no_folder_of_images(
    captures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(captures / "toy4" / "images", damaged)
    (damaged / "transforms.json").write_text('{"frames": [')
    words = ["eval", "--generated", str(captures / "toy3"), "--against", str(damaged)]
    assert main(words) != 0
    assert "transforms.json" in capsys.readouterr().err


def test_inception_is_used_where_its_weights_are_given(
    captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The smallest image that the network can see takes a tenth of the time.
    monkeypatch.setattr(Inception, "side", 75)
    torch.manual_seed(0)
    weights = tmp_path / "inception.pth"
    torch.save(Inception().state_dict(), weights)
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((captures / "toy4" / "images").iterdir())[:2]:
        shutil.copy(path, few)
    report = run(captures / "toy3", "--no-fit", "--against", few, "--features", weights)
    assert report["distribution"]["dimension"] == 2048
    assert report["distribution"]["network"].startswith("Inception-v3")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--features", "inception.pth"], "add --against"),
        (["--against", "nowhere"], "no such capture"),
        (["--against", "{toy}", "--features", "nowhere.pth"], "pt_inception-2015-12-05-6726825d.pth"),
    ],
)
def test_what_makes_no_sense_is_refused(
    captures: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    toy = str(captures / "toy3")
    assert main(["eval", "--generated", toy, *(word.format(toy=toy) for word in words)]) != 0
    assert says in capsys.readouterr().err


def test_report_is_beside_the_folder_by_default(captures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "made"
    shutil.copytree(captures / "toy3", copy)
    assert main(["eval", "--generated", str(copy), "--no-fit"]) == 0
    assert (tmp_path / "made.evaluation.json").is_file()


def test_help_needs_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["eval", "--generated", "--help"])
    assert exit.value.code == 0
    assert "--against" in capsys.readouterr().out
