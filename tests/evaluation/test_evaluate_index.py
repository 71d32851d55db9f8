"""Evaluation by an index, with a method whose pictures are known beforehand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from novelview.cameras.cameras import Cameras
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.data.squares import squares
from novelview.errors import ConfigError, DataError, MethodError
from novelview.evaluation.evaluate_index import evaluate_index
from novelview.evaluation.metrics import psnr, ssim
from novelview.methods.discovery import find
from novelview.methods.method import Loss, Method, Traits
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, Views

SPEC = replace(find("quark"), name="mean", title="Mean", traits=Traits("feed-forward", size_multiple=16))


class Mean(Method):
    """Shows the mean of its input views, whichever way it is asked to look."""

    def __init__(self, missing: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.missing, self.sources = missing, []
        self.rendered: list[int] = []

    def condition(self, views: Views, bounds: Bounds) -> Any:
        self.sources.append(views.names)
        return views.images().mean(dim=0)

    def render(self, state: Any, cameras: Cameras) -> Frames:
        assert not self.training
        self.rendered.append(len(cameras))
        return Frames(state.expand(len(cameras) - self.missing, *state.shape))

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    for seed, name in enumerate(("one", "two", "spare")):
        write_capture(folder / name, "object", seed, views=6, size=24)
    values = {
        "two": {"context": [5, 0], "target": [3, 5]},
        "one": {"context": [0, 2], "target": [1]},
        "gone": {"context": [0, 2], "target": [1]},
        "left out": None,
    }
    (folder.parent / "index.json").write_text(json.dumps(values))
    return folder


def scores_by_hand(capture: Path, context: list[int], target: list[int]) -> list[tuple[float, float]]:
    views = squares(open_scene(capture, split="none").train, 16)
    shown = views[context].images().mean(dim=0)
    truths = [views.image(i) for i in target]
    return [(psnr(shown, truth), ssim(shown, truth, "gaussian11_valid")) for truth in truths]


def test_scores_are_means_over_targets_then_over_scenes(captures: Path, tmp_path: Path) -> None:
    method = Mean().train()
    report = evaluate_index(method, SPEC, captures.parent / "index.json", captures, size=16)
    assert method.training
    assert method.rendered == [2, 1]  # All targets of a scene at once.
    names = open_scene(captures / "two", split="none").train.names
    assert method.sources == [(names[5], names[0]), (names[0], names[2])]
    two = scores_by_hand(captures / "two", [5, 0], [3, 5])
    one = scores_by_hand(captures / "one", [0, 2], [1])
    rows = [(row.scores.psnr, row.scores.ssim_gaussian11_valid) for row in report.scenes[0].contender.rows]
    assert rows == [pytest.approx(each) for each in two]
    assert report.mean.psnr == pytest.approx((sum(each[0] for each in two) / 2 + one[0][0]) / 2)
    assert report.mean.ssim_gaussian11_valid == pytest.approx(
        (sum(each[1] for each in two) / 2 + one[0][1]) / 2
    )

    report.write(tmp_path)
    values = json.loads((tmp_path / "report.json").read_text())
    assert values == report.to_json()
    assert values["count"] == {"scored": 2, "without_entry": 2, "missing": 1}
    assert (values["without_entry"], values["missing"]) == (["left out", "spare"], ["gone"])
    assert (values["method"], values["index"], values["images"]["size"]) == ("mean", "index.json", 16)
    assert [each["scene"] for each in values["scenes"]] == ["two", "one"]
    assert values["scenes"][0]["context"] == list(method.sources[0])
    assert "then over the scenes" in values["settings"]["mean"]
    with (tmp_path / "report.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["scene"], line["on"], line["width"]) for line in lines] == [
        ("two", "index", "16"),
        ("two", "index", "16"),
        ("one", "index", "16"),
    ]
    assert float(lines[2]["psnr"]) == pytest.approx(one[0][0])


def test_captures_may_be_listed_and_a_terminal_is_shown_progress(
    captures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (captures.parent / "list.txt").write_text(f"{captures.name}/one\n")
    monkeypatch.setenv("FORCE_COLOR", "1")  # Makes a terminal of any stream.
    report = evaluate_index(
        Mean(), SPEC, captures.parent / "index.json", captures.parent / "list.txt", size=16
    )
    assert [each.scene for each in report.scenes] == ["one"]
    assert report.missing == ("gone", "two")
    assert "scoring scenes" in capsys.readouterr().err


def test_what_cannot_be_scored_is_refused(captures: Path, tmp_path: Path) -> None:
    index = captures.parent / "index.json"
    with pytest.raises(MethodError, match=r"regime is per-scene"):
        evaluate_index(Mean(), replace(SPEC, traits=Traits("per-scene")), index, captures)
    with pytest.raises(MethodError, match=r"(?s)at least 3 context views: two.*gives 2"):
        evaluate_index(Mean(), replace(SPEC, traits=Traits("feed-forward", 3)), index, captures)
    with pytest.raises(ConfigError, match="multiple of 16"):
        evaluate_index(Mean(), SPEC, index, captures, size=24)
    with pytest.raises(MethodError, match=r"mean, on two, did not render"):
        evaluate_index(Mean(missing=1), SPEC, index, captures, size=16)
    with pytest.raises(
        DataError, match=r"(?s)No scene of the index is there.*entries of 3 scenes: gone, one, two"
    ):
        evaluate_index(Mean(), SPEC, index, tmp_path)
    (tmp_path / "empty.json").write_text('{"one": null}')
    with pytest.raises(DataError, match="entries of 0 scenes"):
        evaluate_index(Mean(), SPEC, tmp_path / "empty.json", captures)
