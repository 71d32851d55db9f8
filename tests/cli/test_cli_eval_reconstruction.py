"""``novelview eval --reconstruct``: what a generative method makes of a capture's photographs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from novelview.cli.main import main
from novelview.data.procedural import write_capture
from painter import painter_installed


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of a masked toy."""
    folder = tmp_path_factory.mktemp("captures") / "toy"
    write_capture(folder, "object", 3, views=8, size=32, test_every=8, supersample=1)
    (folder / "captions.json").write_text('["a ball", "a sphere"]')
    return folder


@pytest.fixture(autouse=True)
def installed(tmp_path: Path) -> Iterator[None]:
    with painter_installed(tmp_path / "painter"):
        yield


def test_a_capture_is_reconstructed(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--reconstruct", "2", "--views", "3", "--groups", "2", "--samples", "2", "--adjust", "size=24"]
    out = tmp_path / "report"
    assert main(["eval", "painter", "--data", str(toy), *words, "--out", str(out), "--device", "cpu"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["plan"] == {
        "given": 2,
        "made": 3,
        "groups": 2,
        "samples": 2,
        "prompt": "a ball",
        "seed": 0,
    }
    assert report["images"]["size"] == 24
    assert report["masked"]["mean"]["psnr"] > 0
    printed = capsys.readouterr().out
    assert f"{report['whole']['best']['psnr']:.2f}" in printed
    assert "white outside the masks" in printed
    assert (out / "views.png").exists()


def test_words_may_be_others(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    words = ["--reconstruct", "1", "--groups", "1", "--samples", "1", "--prompt", "", "--masks", "ignore"]
    assert main(["eval", "painter", "--data", str(toy), *words, "--out", str(out), "--device", "cpu"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["plan"]["prompt"] == ""
    assert report["masked"] is None


def test_what_is_held_out_is_used_where_a_split_is_named(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--reconstruct", "1", "--split", "every-8", "--out", str(tmp_path / "report")]
    assert main(["eval", "painter", "--data", str(toy), *words]) == 2
    assert "it has 1" in capsys.readouterr().err


def test_a_capture_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "painter", "--reconstruct", "1"]) == 2
    assert "add --data" in capsys.readouterr().err


def test_methods_that_generate_nothing_are_refused(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "quark", "--data", str(toy), "--reconstruct", "1"]) == 2
    assert "generates nothing" in capsys.readouterr().err


def test_help_needs_no_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--reconstruct", "--help"])
    assert "--samples" in capsys.readouterr().out
