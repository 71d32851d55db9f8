"""Run folders: complete, movable, and refused when they do not fit what is asked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import FAKE, RECIPE, FakeConfig, fake_scene

import novelview.training.folder as folder_module
from novelview.errors import CheckpointError, ConfigError, MethodError, OutputError
from novelview.geometry.rigid import Similarity
from novelview.methods.method import Method, MethodSpec
from novelview.training import Rhythm, fit, load_method, open_run

CONFIG = FakeConfig(grow_at=(5, 12))


@pytest.fixture(autouse=True)
def _fake_is_discovered(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> MethodSpec:
        if name != "fake":
            raise MethodError(f"There is no method called {name!r}")
        return FAKE

    monkeypatch.setattr(folder_module, "find", find)


def run_of(folder: Path, **options: object) -> Method:
    settings = {"config": CONFIG, "recipe": RECIPE, "quiet": True, **options}
    scene = settings.pop("scene", None) or fake_scene()
    return fit(FAKE, scene, out=folder, **settings)


def same(a: Method, b: Method) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_in_memory_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    method = fit(FAKE, fake_scene(), quiet=True)
    assert not method.training
    assert list(tmp_path.iterdir()) == []


def test_folder_holds_everything_to_render(tmp_path: Path) -> None:
    scene = replace(fake_scene(), to_input=Similarity(2.0, torch.eye(3), torch.tensor([1.0, 2.0, 3.0])))
    trained = run_of(tmp_path / "run", recipe=replace(RECIPE, ema=0.9), scene=scene)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    method, info = load_method(tmp_path / "moved")
    assert same(method, trained)
    assert not method.training
    assert (info.spec, info.config, info.recipe.ema, info.seed) == (FAKE, CONFIG, 0.9, 0)
    assert info.bounds == scene.bounds
    assert torch.equal(info.to_input.translation, scene.to_input.translation)
    assert info.split.train == scene.train.names
    assert info.split.test == scene.test.names
    text = "".join(path.read_text() for path in (tmp_path / "moved").rglob("*.json"))
    assert str(tmp_path) not in text


def test_moved_run_resumes(tmp_path: Path) -> None:
    run_of(tmp_path / "whole")
    run_of(tmp_path / "part", rhythm=Rhythm(save=11))
    rewind(tmp_path / "part", 22)
    shutil.move(tmp_path / "part", tmp_path / "moved")
    scene = fake_scene()
    elsewhere = replace(scene, origin={**scene.origin, "path": "/elsewhere"})
    run_of(tmp_path / "moved", resume=True, scene=elsewhere)
    assert same(load_method(tmp_path / "moved")[0], load_method(tmp_path / "whole")[0])


def rewind(folder: Path, step: int) -> None:
    """Make an older checkpoint the latest, as if the run had been killed before the next."""
    pointer = {"step": step, "folder": f"checkpoints/step-{step:07d}"}
    (folder / "latest.json").write_text(json.dumps(pointer))


def test_a_training_begins_with_other_weights_also_when_it_is_killed_before_its_first_checkpoint(
    tmp_path: Path,
) -> None:
    config, short = FakeConfig(), replace(RECIPE, steps=3, ema=0.9)
    run_of(tmp_path / "first", config=config, recipe=short)
    before, _ = load_method(tmp_path / "first")
    still = replace(short, learning_rate=1e-30)
    begun = run_of(tmp_path / "second", config=config, recipe=still, seed=5, start=tmp_path / "first")
    assert same_weights(begun, before)
    rewind(tmp_path / "second", 0)
    run_of(tmp_path / "second", config=config, recipe=still, seed=5, resume=True)
    again, info = load_method(tmp_path / "second")
    assert same_weights(again, before)
    assert info.start.startswith("3 steps, ")
    learnt = run_of(tmp_path / "third", config=config, recipe=short, start=tmp_path / "second")
    assert not same_weights(learnt, before)
    assert load_method(tmp_path / "third")[1].start.startswith(f"{info.start}, then 3 steps, ")


def same_weights(a: Method, b: Method) -> bool:
    """Whether all that learns is equal; the fake's counter of calls does not learn."""
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_first_weights_must_fit(tmp_path: Path) -> None:
    run_of(tmp_path / "first", config=FakeConfig())
    with pytest.raises(CheckpointError, match="shape"):
        run_of(tmp_path / "second", config=FakeConfig(width=4), start=tmp_path / "first")
    assert not (tmp_path / "second").exists()
    other = replace(FAKE, name="other", title="Other")
    with pytest.raises(CheckpointError, match="they are of Fake"):
        fit(other, fake_scene(), start=tmp_path / "first", quiet=True)


def test_same_seed_same_first_weights_and_no_trace_in_the_global_generator() -> None:
    scene, before = fake_scene(), torch.get_rng_state()
    first = fit(FAKE, scene, seed=1, quiet=True)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert same(first, fit(FAKE, fake_scene(), seed=1, quiet=True))
    assert not same(first, fit(FAKE, fake_scene(), seed=2, quiet=True))


def test_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    with pytest.raises(OutputError, match="There is a run already"):
        run_of(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("")
    with pytest.raises(OutputError, match="not empty"):
        run_of(tmp_path / "other")


def test_resume_begins_where_nothing_is(tmp_path: Path) -> None:
    assert same(run_of(tmp_path / "a", resume=True), run_of(tmp_path / "b"))
    with pytest.raises(ConfigError, match="nothing to resume"):
        fit(FAKE, fake_scene(), resume=True)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"config": replace(CONFIG, width=16)}, "config.width is 8 in the run, 16 now"),
        ({"recipe": replace(RECIPE, steps=99)}, "recipe.steps is 30 in the run, 99 now"),
        ({"seed": 5}, "seed is 0 in the run, 5 now"),
        ({"scene": fake_scene(train=4)}, "scene.train is"),
        (
            {"scene": replace(fake_scene(), origin={"split": "half"})},
            "scene.origin.split is all in the run, half now",
        ),
        (
            {"scene": replace(fake_scene(), bounds=replace(fake_scene().bounds, near=0.2))},
            "scene.bounds.near is 0.1 in the run, 0.2 now",
        ),
    ],
)
def test_resume_names_what_differs(tmp_path: Path, changed: dict, named: str) -> None:
    run_of(tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        run_of(tmp_path / "run", resume=True, **changed)
    assert named in str(caught.value)


def test_rounding_of_the_scene_is_no_difference(tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    scene = fake_scene()
    nudged = replace(scene, bounds=replace(scene.bounds, near=scene.bounds.near + 1e-8))
    run_of(tmp_path / "run", resume=True, scene=nudged)


def test_scene_must_have_what_the_method_needs() -> None:
    with pytest.raises(MethodError, match="at least 2 training views"):
        fit(FAKE, fake_scene(train=1))
    needy = replace(FAKE, traits=replace(FAKE.traits, needs=frozenset({"masks", "depth"})))
    with pytest.raises(MethodError, match="needs masks and depth maps") as error:
        fit(needy, fake_scene())
    assert error.value.why == "the capture has none"
    assert all(
        place in str(error.value.cure) for place in ("alpha", "'masks'", "mask_path", "depth_file_path")
    )
    with pytest.raises(MethodError, match="opened with masks=ignore"):
        fit(needy, replace(fake_scene(), origin={"masks": "ignore"}))
    with pytest.raises(ConfigError, match="no preset 'huge'"):
        fit(FAKE, fake_scene(), preset="huge")


def test_bad_recipe_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch"):
        run_of(tmp_path / "run", recipe=replace(RECIPE, batch=63, accumulate=2))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda values: values.update(extra=1), "extra"),
        (lambda values: values.pop("recipe"), "recipe"),
        (lambda values: values["config"].update(widht=3), "widht"),
        (lambda values: values["scene"]["bounds"].pop("near"), "bounds"),
        (lambda values: values.update(format=99), "format 99"),
    ],
)
def test_damaged_run_file(tmp_path: Path, edit: object, named: str) -> None:
    run_of(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    values = json.loads(path.read_text())
    edit(values)  # type: ignore[operator]
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=named):
        open_run(tmp_path / "run")


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Not a run folder"):
        load_method(tmp_path)


def test_method_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(MethodError, match="fake"):
        open_run(tmp_path / "run")


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    (tmp_path / "run" / "latest.json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_method(tmp_path / "run")


def test_tensorboard_and_metrics_lie_in_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run_of(tmp_path / "run", tensorboard=True, rhythm=Rhythm(log=10))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"run.json", "split.json", "latest.json", "checkpoints", "metrics.jsonl", "tensorboard"}
