"""The commands, as a user types them: the main job end to end on a tiny scene, and errors people can act on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

import novelview as nv
from novelview.cli.main import VERBS, main
from novelview.cli.options import SceneOptions, parse
from novelview.cli.train import _find_method, _names_run
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.export.layers import read_layers
from novelview.training import Interrupted


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture") / "toy", "object", 10, views=10, size=24)


@pytest.fixture(scope="module")
def trained(capture: Path) -> Path:
    out = capture.parent / "run"
    # Options before the method, after it and between: their order must not matter.
    words = ["--out", str(out), "grid", "--data", str(capture), "--preset", "tiny", "--recipe.steps", "30"]
    assert main(["train", *words]) == 0
    return out


def test_training_leaves_a_run_that_python_can_load(trained: Path, capture: Path) -> None:
    method = nv.load(trained)
    scene = open_scene(capture)
    frames = method.render(method.condition(scene.train, scene.bounds), scene.test.cameras)
    assert frames.rgb.shape == (len(scene.test), 24, 24, 3)
    record = json.loads((trained / "run.json").read_text())
    assert (record["method"], record["recipe"]["steps"]) == ("grid", 30)


@pytest.mark.parametrize("end", [None, signal.SIGTERM])
def test_the_end_of_a_training_leaves_the_group_of_processes(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int | None
) -> None:
    def fit(*_: Any, out: Path, **__: Any) -> None:
        if end is not None:
            raise Interrupted(end, 1, 2, out)

    monkeypatch.setattr("novelview.cli.train.fit", fit)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    words = ["--data", str(capture), "--out", str(tmp_path)]
    assert main(["train", "nerf", *words]) == (0 if end is None else 128 + end)
    assert not torch.distributed.is_initialized()


def test_a_finished_run_can_be_resumed_by_its_name_alone(trained: Path) -> None:
    assert main(["train", "--resume", str(trained)]) == 0


def test_a_run_renders_to_video_picture_and_frames(trained: Path, tmp_path: Path) -> None:
    assert (
        main(["render", str(trained), "--frames", "3", "--out", str(tmp_path / "v.mp4"), "--show", "both"])
        == 0
    )
    with av.open(str(tmp_path / "v.mp4")) as video:
        assert len(list(video.decode(video=0))) == 3
    words = ["--path", "test", "--size", "48", "--out", str(tmp_path / "frames"), str(trained)]
    assert main(["render", *words]) == 0
    with Image.open(tmp_path / "frames" / "00000.png") as first:
        assert first.size == (48, 48)


def test_all_depth_frames_share_one_scale(trained: Path, capture: Path, tmp_path: Path) -> None:
    """Over all frames together, what is nearer is nowhere darker."""
    words = ["--path", "train", "--show", "depth", "--out", str(tmp_path / "depth")]
    assert main(["render", str(trained), *words]) == 0
    scene, method = open_scene(capture), nv.load(trained)
    with torch.no_grad():
        depth = method.render(method.condition(scene.train, scene.bounds), scene.train.cameras).depth
    assert depth is not None
    pictures = [Image.open(file) for file in sorted((tmp_path / "depth").iterdir())]
    green = torch.from_numpy(np.stack([np.asarray(picture)[..., 1] for picture in pictures])).int()
    known = depth > 0
    in_order = green[known][depth[known].argsort()]
    # Rounding to 8 bits aside, the green of the colour map falls with depth.
    assert int((in_order.cummin(dim=0).values - in_order).min()) >= -1
    assert len(in_order.unique()) > 20


def test_one_pose_from_a_file_renders_that_view(trained: Path, capture: Path, tmp_path: Path) -> None:
    document = json.loads((capture / "transforms.json").read_text())
    frame = next(f for f in document["frames"] if f["file_path"] in document["test_filenames"])
    pose = {key: document[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")}
    (tmp_path / "pose.json").write_text(
        json.dumps({**pose, "frames": [{"transform_matrix": frame["transform_matrix"]}]})
    )
    out = tmp_path / "one.png"
    assert main(["render", str(trained), "--cameras", str(tmp_path / "pose.json"), "--out", str(out)]) == 0
    scene, method = open_scene(capture), nv.load(trained)
    i = [name.rsplit("/", 1)[-1] for name in scene.test.names].index(frame["file_path"].rsplit("/", 1)[-1])
    with torch.no_grad():
        expected = method.render(method.condition(scene.train, scene.bounds), scene.test.cameras[i]).rgb[0]
    with Image.open(out) as picture:
        shown = np.asarray(picture, dtype=np.float32) / 255
    error = np.abs(shown - expected.numpy())
    # Where a ray meets an edge of coarse cells, the last bits of its pose decide where its samples lie.
    assert error.mean() < 0.002
    assert error.max() < 0.1


def test_a_run_is_scored_on_held_out_views_only(
    trained: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(trained)]) == 0
    report = json.loads((trained / "report" / "report.json").read_text())
    held_out = json.loads((capture / "transforms.json").read_text())["test_filenames"]
    assert (trained / "report" / "report.html").stat().st_size > 1000
    assert "held-out" in capsys.readouterr().out
    assert report["on"] == "test"
    assert report["test_views"] == len(held_out)


def test_a_terminal_shows_one_bar_at_a_time(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # Makes a terminal of any stream.
    words = ["--preset", "tiny", "--recipe.steps", "2", "--out", str(tmp_path / "run")]
    assert main(["train", "grid", "--data", str(capture), *words]) == 0
    shown = capsys.readouterr().err
    assert "training" in shown
    assert "held-out psnr" in shown
    assert "scoring" not in shown
    assert main(["eval", str(tmp_path / "run"), "--no-baselines"]) == 0
    assert "scoring" in capsys.readouterr().err


def test_data_info_prints_and_draws(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "info", str(capture), "--rig", str(tmp_path / "rig.png")]) == 0
    assert "24x24" in capsys.readouterr().out
    with Image.open(tmp_path / "rig.png") as picture:
        assert picture.size[0] > 500


def test_data_procedural_writes_a_capture(tmp_path: Path) -> None:
    words = [str(tmp_path / "made"), "--family", "room", "--views", "3", "--size", "12", "--supersample", "1"]
    assert main(["data", "procedural", *words]) == 0
    assert len(open_scene(tmp_path / "made").train) >= 1


def test_the_demo_leaves_video_still_and_report(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    words = ["--preset", "tiny", "--size", "16", "--frames", "2", "--out", str(out)]
    assert main(["demo", *words]) == 0
    for name in ("video.mp4", "still.png", "preview.png", "report/report.html", "run/run.json"):
        assert (out / name).stat().st_size > 0
    assert main(["demo", *words]) == 2


@pytest.fixture(scope="module")
def other_capture(capture: Path) -> Path:
    return write_capture(capture.parent / "other", "forward", 4, views=9, size=20)


@pytest.fixture(scope="module")
def feed_forward(capture: Path, other_capture: Path) -> Path:
    out = capture.parent / "feed-forward"
    words = ["--preset", "tiny", "--recipe.steps", "2", "--config.procedural", "0.3", "--out", str(out)]
    assert main(["train", "quark", "--data", str(capture), "--more", str(other_capture), *words]) == 0
    return out


def test_a_run_on_several_captures_is_resumed_with_all_of_them(feed_forward: Path) -> None:
    record = json.loads((feed_forward / "run.json").read_text())
    assert [each["name"] for each in record["more"]] == ["other"]
    assert main(["train", "--resume", str(feed_forward)]) == 0


def test_a_per_scene_method_learns_one_capture(
    capture: Path, other_capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(capture), "--more", str(other_capture), "--out", str(tmp_path / "run")]
    assert main(["train", "grid", "--preset", "tiny", *words]) == 2
    assert "one scene at a time" in capsys.readouterr().err


def test_a_capture_it_was_not_trained_on_is_rendered_explained_and_scored(
    feed_forward: Path, other_capture: Path, tmp_path: Path
) -> None:
    words = [str(feed_forward), "--data", str(other_capture), "--adjust", "views=2", "fade=0"]
    out = tmp_path / "video.mp4"
    assert main(["render", *words, "--frames", "2", "--explain", "--out", str(out)]) == 0
    explained = json.loads(out.with_suffix(".json").read_text())
    assert [frame["frame"] for frame in explained] == [0, 1]
    names = open_scene(other_capture).train.names
    for frame in explained:
        assert len(frame["views"]) == 2
        assert all(each["view"] in names and each["weight"] == 1 for each in frame["views"])
    assert main(["eval", *words, "--out", str(tmp_path / "report")]) == 0
    assert json.loads((tmp_path / "report" / "report.json").read_text())["scene"] == "other"


def test_a_feed_forward_run_is_scored_by_an_index(
    feed_forward: Path, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "few.json"
    index.write_text(json.dumps({"toy": {"context": [0, 4], "target": [2, 3]}, "other": None}))
    words = ["eval", str(feed_forward), "--index", str(index), "--data", str(capture.parent)]
    assert main([*words, "--size", "16", "--out", str(tmp_path / "report")]) == 0
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (values["index"], values["count"]["scored"]) == ("few.json", 1)
    assert [view["size"] for view in values["scenes"][0]["views"]] == [[16, 16]] * 2
    assert (tmp_path / "report" / "report.csv").is_file()
    out = capsys.readouterr().out
    assert "mean over 1 scenes" in out
    assert "SSIM valid" in out


@pytest.mark.parametrize("path", ["straight", "interpolate"])
def test_a_path_through_the_views_may_be_closed_and_reordered(
    trained: Path, tmp_path: Path, path: str
) -> None:
    words = ["--path", path, "--frames", "9", "--size", "8", "--loop", "--by-nearness"]
    assert main(["render", str(trained), *words, "--out", str(tmp_path / path)]) == 0
    assert len(list((tmp_path / path).iterdir())) == 9


def test_layers_are_exported_in_the_captures_coordinates(
    feed_forward: Path, other_capture: Path, tmp_path: Path
) -> None:
    scene = open_scene(other_capture)
    words = [str(feed_forward), "--data", str(other_capture), "--view", scene.test.names[0], "--lossless"]
    assert main(["export", *words, "--out", str(tmp_path / "layers")]) == 0
    layers = read_layers(tmp_path / "layers").moved(scene.to_input.inverse())
    method = nv.load(feed_forward)
    state = method.condition(scene.train, scene.bounds)
    expected = method.render(state, scene.test.cameras[:1])
    shown = layers.render(scene.test.cameras[:1])
    assert float((shown.rgb - expected.rgb).abs().max()) < 4 / 255
    assert shown.depth is not None
    assert expected.depth is not None
    torch.testing.assert_close(shown.depth, expected.depth, rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["render", "RUN", "--adjust", "views"], "NAME=VALUE"),
        (["render", "RUN", "--adjust", "layers=3"], "cannot change layers"),
        (["render", "RUN", "--adjust", "views=many"], "views"),
        (["export", "RUN", "--view", "nobody"], "no view called 'nobody'"),
        (["export", "GRID"], "makes no layers"),
        (["render", "GRID", "--explain", "--frames", "1"], "leave out --explain"),
        (["render", "nerf"], "comes without weights"),
        (["render", "GRID", "--loop"], "no order of views"),
        (["render", "GRID", "--path", "orbit", "--by-nearness"], "no order of views"),
        (["eval", "GRID", "--size", "64"], "Only an index has a --size"),
        (["eval", "RUN", "--index", "x.json"], "--data"),
        (["eval", "RUN", "--index", "x.json", "--data", "x", "--scale", "0.5"], "--near and --far only"),
        (["eval", "RUN", "--index", "x.json", "--data", "x", "--on", "train"], "leave out --on"),
        (["eval", "RUN", "--index", "x.json", "--data", "x"], "Cannot read an evaluation index"),
        (["eval", "GRID", "--index", "x.json", "--data", "x"], "leave out the index"),
    ],
)
def test_what_a_run_cannot_do_is_said(
    feed_forward: Path,
    trained: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"RUN": str(feed_forward), "GRID": str(trained)}
    out = ["--out", str(tmp_path / ("out.png" if words[0] == "render" else "out"))]
    assert main([*(places.get(word, word) for word in words), *out]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) if verb not in ("data",) else pytest.MonkeyPatch.context() as stop:
        assert main([verb, "--help"]) == 0
    if verb != "data":
        assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_help_of_a_method_shows_its_options_with_the_presets_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "grid", "--preset", "tiny", "--help"])
    text = capsys.readouterr().out
    assert "--config.resolution" in text
    assert "(default: 32)" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rendr"], "did you mean 'render'"),
        (["train", "gird", "--data", "x"], "did you mean 'grid'"),
        (["train", "--data", "x"], "No method is named"),
        (["train", "grid", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
        (["train", "grid", "--data", "x", "--preset", "huge"], "choose one of"),
        (["render", "/nowhere/run"], "/nowhere/run"),
        (["eval", "/nowhere/run"], "/nowhere/run"),
        (["data", "inf"], "choose one of"),
    ],
)
def test_what_goes_wrong_is_said_with_a_cure(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_no_frames_and_unknown_kinds_of_files_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(trained), "--frames", "0"]) == 2
    assert main(["render", str(trained), "--out", str(tmp_path / "x.gif")]) == 2
    assert ".mp4" in capsys.readouterr().err


def test_the_method_is_found_wherever_it_stands() -> None:
    assert _find_method(["--data", "grid", "--seed", "1", "nerf"]).name == "nerf"
    assert _names_run(["--resume", "runs/a"])
    assert not _names_run(["grid", "--resume", "--out", "x"])
    assert not _names_run(["--resume", "grid", "--data", "x"])


def test_the_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in VERBS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == nv.__version__


def test_a_scene_may_keep_the_coordinates_of_its_capture(capture: Path) -> None:
    words = ["--data", str(capture)]
    moved, kept = (parse(SceneOptions, [*words, *flag], "x").open() for flag in ([], ["--no-normalise"]))
    assert kept.to_input.scale == 1
    assert moved.to_input.scale != 1
    torch.testing.assert_close(
        moved.to_input.points(moved.train.cameras.centres), kept.train.cameras.centres, atol=1e-4, rtol=1e-4
    )
