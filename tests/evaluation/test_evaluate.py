"""Evaluation with methods whose scores are known beforehand, and what is written of it."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError, MethodError
from novelview.evaluation.baselines import BASELINES
from novelview.evaluation.evaluate import evaluate
from novelview.evaluation.report import Report
from novelview.methods.method import Loss, Method
from novelview.nn.lpips import LPIPS
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, Views

WIDTH, HEIGHT = 20, 16
BOUNDS = Bounds(near=2.0, far=8.0, box_min=(-2.0, -2.0, 2.0), box_max=(2.0, 2.0, 8.0))
HOSTILE = '<script>alert("x")</script>.png'


class Known(Method):
    """Renders whatever a function of the camera says; knows how it was called."""

    def __init__(self, answer: Callable[[Cameras], Frames]) -> None:
        super().__init__()
        self.answer = answer
        self.dropout = nn.Dropout(0.5)
        self.conditioned: list[Views] = []
        self.calls: list[tuple[int, bool, bool]] = []

    def condition(self, views: Views, bounds: Bounds) -> Any:
        self.conditioned.append(views)
        return "state"

    def render(self, state: Any, cameras: Cameras) -> Frames:
        assert state == "state"
        self.calls.append((len(cameras), self.training, torch.is_grad_enabled()))
        return self.answer(cameras)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError


def colour_of(camera: Cameras) -> Tensor:
    """The smooth picture that a camera takes; every camera sees another one."""
    grid = camera.pixel_grid() / WIDTH
    phase = camera.centres[0, 0]
    waves = [
        torch.sin(6 * grid[..., 0] + phase),
        torch.cos(5 * grid[..., 1]),
        torch.sin(4 * grid.sum(-1) - phase),
    ]
    return 0.5 + 0.3 * torch.stack(waves, dim=-1)


def views_at(shifts: list[float], names: list[str], **extra: Tensor) -> Views:
    poses = torch.eye(3, 4).repeat(len(shifts), 1, 1)
    poses[:, 0, 3] = torch.tensor(shifts)
    cameras = Cameras.pinhole(poses, torch.tensor([20.0, 20.0, 10.0, 8.0]), WIDTH, HEIGHT)
    images = torch.stack([colour_of(cameras[i]) for i in range(len(shifts))])
    return Views.from_tensors(cameras, images, names=names, **extra)


def scene(**extra: Tensor) -> Scene:
    return Scene(
        name="shelf & <b>chair</b>",
        train=views_at([-0.5, 0.0, 0.5, 1.0], ["a", "b", "c", "d"]),
        test=views_at([-0.2, 0.3, 0.7], ["x/1.png", HOSTILE, "z"], **extra),
        bounds=BOUNDS,
        origin={
            "path": "/data/shelf",
            "format": "nerfstudio",
            "split": {"name": "every-8"},
            "masks": "object",
        },
        notes=("two photographs were blurred",),
    )


def off_by(error: float) -> Known:
    return Known(lambda camera: Frames((colour_of(camera) + error)[None]))


def test_scores_are_the_known_ones() -> None:
    method = off_by(0.1)
    report = evaluate(method, scene(), baselines=False)
    assert [row.view for row in report.contenders[0].rows] == ["x/1.png", HOSTILE, "z"]
    assert all(row.scores.psnr == pytest.approx(20, abs=1e-3) for row in report.contenders[0].rows)
    assert report.mean.psnr == pytest.approx(20, abs=1e-3)
    assert 0.5 < report.mean.ssim_gaussian11 < 1
    assert report.mean.lpips is None
    assert (report.method, report.on, report.train_views, report.test_views) == ("Known", "test", 4, 3)


def test_the_method_sees_training_views_only_and_one_camera_at_a_time() -> None:
    method = off_by(0.0).train()
    evaluate(method, scene(), baselines=False)
    assert [views.names for views in method.conditioned] == [("a", "b", "c", "d")]
    assert method.calls == [(1, False, False)] * 3
    assert method.training


def test_a_terminal_is_shown_progress_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(off_by(0.1), scene())
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # Makes a terminal of any stream.
    evaluate(off_by(0.1), scene())
    out, shown = capsys.readouterr()
    assert out == ""
    assert "scoring" in shown
    assert f"{3 * (1 + len(BASELINES))}/{3 * (1 + len(BASELINES))}" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    evaluate(off_by(0.1), scene(), quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_state_that_is_given_is_used() -> None:
    method = off_by(0.0)
    report = evaluate(method, scene(), "state", baselines=False, views=["z"], name="memory")
    assert not method.conditioned
    assert [row.view for row in report.contenders[0].rows] == ["z"]
    assert report.mean.psnr == math.inf
    assert report.method == "memory"


def test_baselines_are_scored_on_the_same_views() -> None:
    report = evaluate(off_by(0.1), scene())
    assert [c.name for c in report.contenders] == ["Known", *BASELINES]
    assert [c.kind for c in report.contenders] == ["method", *["baseline"] * len(BASELINES)]
    assert all([row.view for row in c.rows] == ["x/1.png", HOSTILE, "z"] for c in report.contenders)
    assert [c.name for c in evaluate(off_by(0.1), scene(), baselines=["nearest-view"]).contenders] == [
        "Known",
        "nearest-view",
    ]


def test_nothing_held_out_is_refused_unless_training_views_are_asked_for() -> None:
    full = scene()
    full = replace(full, test=full.test[[]])
    with pytest.raises(ConfigError, match="no held-out view"):
        evaluate(off_by(0.1), full)
    report = evaluate(off_by(0.0), full, on="train")
    assert [row.view for row in report.contenders[0].rows] == ["a", "b", "c", "d"]
    assert "These numbers are on TRAINING views" in report.to_html()
    assert report.to_json()["on"] == "train"
    # The nearest view of a training view is itself, which would be a perfect score for nothing.
    assert all(row.scores.psnr < 60 for row in report.contenders[1].rows)
    assert "TRAINING" not in evaluate(off_by(0.0), scene(), baselines=False).to_html()


def test_a_view_that_is_held_out_and_trained_on_is_refused() -> None:
    leaking = replace(scene(), train=views_at([0.0, 0.1], ["a", "z"]))
    with pytest.raises(ConfigError, match="also a training view"):
        evaluate(off_by(0.0), leaking)


def test_a_mask_limits_the_score() -> None:
    masks = torch.zeros(3, HEIGHT, WIDTH)
    masks[:, 3:12, 4:15] = 1

    def wrong_outside(camera: Cameras) -> Frames:
        rgb = colour_of(camera)
        return Frames(torch.where(masks[0, ..., None] > 0, rgb + 0.1, 0.0)[None])

    masked = evaluate(Known(wrong_outside), scene(masks=masks), baselines=False, region="mask")
    assert masked.mean.psnr == pytest.approx(20, abs=1e-3)
    assert masked.settings.region == "mask"
    assert evaluate(Known(wrong_outside), scene(masks=masks), baselines=False).mean.psnr < 15
    with pytest.raises(ConfigError, match="no masks"):
        evaluate(off_by(0.0), scene(), region="mask")
    with pytest.raises(DataError, match=r"mask of a view is empty: x/1\.png"):
        evaluate(off_by(0.0), scene(masks=0 * masks), region="mask", baselines=False)


def test_depth_is_scored_where_both_know_it() -> None:
    depths = torch.full((3, HEIGHT, WIDTH), 4.0)
    deep = Known(lambda camera: Frames(colour_of(camera)[None], torch.full((1, HEIGHT, WIDTH), 5.0)))
    report = evaluate(deep, scene(depths=depths), baselines=["nearest-view"])
    assert report.mean.depth_abs_rel == pytest.approx(0.25)
    assert report.mean.depth_rmse == pytest.approx(1.0)
    assert report.contenders[1].mean.depth_rmse is None
    assert evaluate(off_by(0.0), scene(depths=depths), baselines=False).mean.depth_rmse is None


def test_lpips_is_measured_where_a_network_is_given() -> None:
    network = LPIPS("alex")
    large = Scene(
        name="large",
        train=_enlarged(scene().train),
        test=_enlarged(scene().test),
        bounds=BOUNDS,
    )
    report = evaluate(off_by(0.1), large, baselines=False, lpips=network)
    assert report.mean.lpips == 0  # the linear layers of a fresh network are zero
    assert "alex trunk" in report.settings.lpips
    assert "not measured" in evaluate(off_by(0.1), large, baselines=False).settings.lpips


def _enlarged(views: Views) -> Views:
    cameras = views.cameras.resized(48, 40)
    return Views.from_tensors(
        cameras, torch.stack([colour_of(cameras[i]) for i in range(len(cameras))]), names=views.names
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda camera: Frames(torch.zeros(1, HEIGHT, WIDTH + 1, 3)), "shape"),
        (lambda camera: Frames(torch.full((1, HEIGHT, WIDTH, 3), float("nan"))), "not finite"),
    ],
)
def test_what_is_no_picture_is_refused(answer: Callable[[Cameras], Frames], why: str) -> None:
    with pytest.raises(MethodError, match=why):
        evaluate(Known(answer), scene(), baselines=False)


def test_options_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="no view 'nowhere'"):
        evaluate(off_by(0.0), scene(), views=["nowhere"])
    with pytest.raises(ConfigError, match="No view is named"):
        evaluate(off_by(0.0), scene(), views=[])
    with pytest.raises(MethodError, match="Unknown baseline 'best'"):
        evaluate(off_by(0.0), scene(), baselines=["best"])
    with pytest.raises(ConfigError, match="called 'nearest-view' too"):
        evaluate(off_by(0.0), scene(), name="nearest-view")


class Outline(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("report")
    report = evaluate(off_by(0.1), scene(), folder=folder, name="me & you")
    report.write(folder)
    return report, folder


def test_pictures_are_kept(written: tuple[Report, Path]) -> None:
    report, folder = written
    assert len(report.truth) == 3
    for i, file in enumerate(report.truth):
        with Image.open(folder / file) as image:
            found = np.asarray(image) / 255
        np.testing.assert_allclose(found, scene().test.image(i), atol=0.5 / 255 + 1e-6)
    for contender in report.contenders:
        assert all(row.picture and (folder / row.picture).is_file() for row in contender.rows)
    assert len(list(folder.rglob("*.png"))) == 3 * 5


def test_json_holds_every_number(written: tuple[Report, Path]) -> None:
    report, folder = written
    values = json.loads((folder / "report.json").read_text())
    assert values == report.to_json()
    assert values["settings"]["data_range"] == 1.0
    assert values["origin"]["split"]["name"] == "every-8"
    assert [c["name"] for c in values["contenders"]] == ["me & you", *BASELINES]
    assert values["contenders"][0]["views"][1]["view"] == HOSTILE
    assert values["contenders"][0]["mean"]["psnr"] == pytest.approx(20, abs=1e-3)
    assert (folder / values["photographs"][0]).is_file()


def test_infinity_survives_json(tmp_path: Path) -> None:
    evaluate(off_by(0.0), scene(), baselines=False).write(tmp_path)
    text = (tmp_path / "report.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert json.loads(text)["contenders"][0]["mean"]["psnr"] == "inf"


def test_csv_has_one_line_per_image(written: tuple[Report, Path]) -> None:
    report, folder = written
    with (folder / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4
    assert rows[1]["view"] == HOSTILE
    assert float(rows[1]["psnr"]) == report.contenders[0].rows[1].scores.psnr
    assert rows[0]["lpips"] == ""


def test_the_page_stands_alone_and_escapes_names(written: tuple[Report, Path]) -> None:
    _, folder = written
    page = (folder / "report.html").read_text()
    outline = Outline()
    outline.feed(page)
    assert "script" not in outline.tags
    assert HOSTILE in outline.text
    assert "shelf & <b>chair</b>" in outline.text
    assert outline.tags.count("img") == 3 * (1 + 2 * 4)
    sources = [value for key, value in outline.attributes if key in ("src", "href")]
    assert all(value is not None and value.startswith("data:image/jpeg;base64,") for value in sources)
    assert not re.search(r"https?://|url\(", page)
    for text in ("two photographs were blurred", "every-8", "20.00", "11x11 Gaussian window", "sweep-argmin"):
        assert text in outline.text
    assert "/data/shelf" not in page


def test_the_page_without_pictures_has_the_tables(tmp_path: Path) -> None:
    report = evaluate(off_by(0.1), scene(), baselines=False)
    report.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "20.00" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "report.html", "report.json"]


def test_the_best_value_of_a_column_is_marked() -> None:
    page = evaluate(off_by(0.0), scene()).to_html()
    summary = page[: page.index("Every view")]
    assert '<td class="best">inf</td><td class="best">1.0000</td>' in summary
    assert summary.count('class="best"') == 4
