"""Distillation: teacher, pictures, student, fine-tuning; in one go, interrupted, and with teachers of every kind."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from novelview.data.procedural import make_scene
from novelview.data.scene import Scene
from novelview.errors import ConfigError, OutputError
from novelview.geometry.rigid import Similarity
from novelview.methods.discovery import find
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method
from novelview.methods.r2l.config import LiftedConfig, NetworkConfig
from novelview.methods.recipe import Recipe
from novelview.training import Interrupted, Rhythm, distil, fit, load_method
from novelview.training.finetune import mean_psnr, validation_split
from novelview.training.journal import Stage, told
from novelview.types import Views

SPEC = find("r2l")
PRESET = SPEC.preset("grid")
SETTINGS = Distillation(
    teacher="grid:tiny",
    pseudo_views=24,
    finetune=Recipe(steps=40, batch=256, learning_rate=0.02),
    check_every=10,
    patience=2,
)
VOLUME = replace(PRESET.config.lifted.volume, resolution=16, colour_resolution=16, stages=2, samples=12)
CONFIG = replace(PRESET.config, lifted=LiftedConfig(VOLUME), network=NetworkConfig(width=16, depth=4))
RECIPE = Recipe(steps=40, batch=256, learning_rate=0.4)


class Stopped(Exception):
    """Stands for a crash."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("object", 10, views=12, size=16, supersample=1)


def learn(
    scene: Scene, settings: Distillation = SETTINGS, **options: Any
) -> tuple[Method, tuple[Stage, ...]]:
    chosen: dict[str, Any] = {"config": CONFIG, "recipe": RECIPE, "quiet": True, **options}
    return distil(SPEC, scene, settings, **chosen)


@pytest.fixture(scope="module")
def done(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Method, tuple[Stage, ...]]:
    folder = tmp_path_factory.mktemp("distil") / "run"
    return folder, *learn(scene, out=folder)


def test_every_stage_is_told(done: tuple[Path, Method, tuple[Stage, ...]], scene: Scene) -> None:
    folder, method, stages = done
    assert [stage.name for stage in stages] == ["teacher", "pictures", "student", "validation", "fine-tuning"]
    assert all(stage.seconds > 0 for stage in stages)
    assert [stage.psnr is None for stage in stages] == [False, True, False, True, False]
    student, _ = load_method(folder / "student")
    for one, stage in ((student, stages[2]), (method, stages[4])):
        assert mean_psnr(one, scene.test, scene.train, scene.bounds) == pytest.approx(stage.psnr)
    assert len(told(stages)) == 6
    kept = json.loads((folder / "distillation.json").read_text())
    assert [each["name"] for each in kept["stages"]] == [stage.name for stage in stages]


def test_the_run_is_the_student_after_all_stages(
    done: tuple[Path, Method, tuple[Stage, ...]], scene: Scene
) -> None:
    folder, method, _ = done
    loaded, info = load_method(folder)
    assert info.distillation == SETTINGS
    for name, value in method.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert (folder / "poses.png").is_file()
    # What only the work needed is gone.
    assert not (folder / "pictures").exists()


def test_it_is_the_same_in_memory(done: tuple[Path, Method, tuple[Stage, ...]], scene: Scene) -> None:
    method, stages = learn(scene)
    for name, value in done[1].state_dict().items():
        assert torch.equal(method.state_dict()[name], value), name
    assert [stage.psnr for stage in stages] == [stage.psnr for stage in done[2]]


@pytest.mark.parametrize("stage", ["teacher", "student", "validation", "finetune"])
def test_a_crash_in_any_stage_changes_nothing(
    stage: str, done: tuple[Path, Method, tuple[Stage, ...]], scene: Scene, tmp_path: Path
) -> None:
    def crash(method: Method, step: int) -> dict[str, float]:
        if (tmp_path / "run" / stage / "checkpoints").exists():
            raise Stopped
        return {}

    rhythm = Rhythm(save=10, evaluate=20, log=20)
    with pytest.raises(Stopped):
        learn(scene, out=tmp_path / "run", evaluate=crash, rhythm=rhythm)
    assert not (tmp_path / "run" / "latest.json").exists()
    method, stages = learn(scene, out=tmp_path / "run", resume=True, rhythm=rhythm)
    for name, value in done[1].state_dict().items():
        assert torch.equal(method.state_dict()[name], value), name
    assert [stage.name for stage in stages] == [stage.name for stage in done[2]]


def test_a_signal_names_the_run_to_go_on_with(scene: Scene, tmp_path: Path) -> None:
    def signalled(method: Method, step: int) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(Interrupted, match=f"--resume {tmp_path / 'run'}$"):
        learn(scene, out=tmp_path / "run", evaluate=signalled, rhythm=Rhythm(save=20, evaluate=20, log=20))


def test_a_run_that_is_there_is_not_begun_again(
    done: tuple[Path, Method, tuple[Stage, ...]], scene: Scene
) -> None:
    with pytest.raises(OutputError, match="There is a run already"):
        learn(scene, out=done[0])
    with pytest.raises(ConfigError, match="other settings"):
        learn(scene, replace(SETTINGS, pseudo_views=25), out=done[0], resume=True)


def test_a_teacher_may_live_in_another_frame(scene: Scene, tmp_path: Path) -> None:
    moved = Similarity(2.5, torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), torch.ones(3))
    here = _moved(scene, moved)
    fit("grid", here, preset="tiny", out=tmp_path / "teacher", quiet=True)
    _, stages = learn(scene, replace(SETTINGS, teacher=str(tmp_path / "teacher")))
    _, same = learn(here, replace(SETTINGS, teacher=str(tmp_path / "teacher")))
    assert stages[0].psnr == pytest.approx(same[0].psnr, abs=1e-3)
    assert stages[2].psnr is not None
    assert same[0].psnr is not None
    assert stages[2].psnr > same[0].psnr - 6


def test_a_teacher_must_be_of_the_same_views(scene: Scene, tmp_path: Path) -> None:
    names = tuple(f"other {i}" for i in range(len(scene.train)))
    other = replace(scene, train=replace(scene.train, names=names))
    fit("grid", other, preset="tiny", out=tmp_path / "other", quiet=True)
    with pytest.raises(ConfigError, match="another capture"):
        learn(scene, replace(SETTINGS, teacher=str(tmp_path / "other")))
    names = (scene.test.names[0], *scene.train.names[1:])
    fit(
        "grid",
        replace(scene, train=replace(scene.train, names=names)),
        preset="tiny",
        out=tmp_path / "test",
        quiet=True,
    )
    with pytest.raises(ConfigError, match="held out here"):
        learn(scene, replace(SETTINGS, teacher=str(tmp_path / "test")))


@pytest.mark.parametrize(
    ("family", "unbounded", "form"),
    [("forward", True, "box"), ("room", False, "shell"), ("table", True, "hull")],
)
def test_scenes_of_every_kind_are_distilled(family: str, unbounded: bool, form: str) -> None:
    kind = make_scene(family, 3, views=12, size=16, supersample=1)
    kind = replace(kind, bounds=replace(kind.bounds, unbounded=unbounded))
    _, stages = learn(kind)
    assert f"drawn from a {form}" in stages[1].note
    assert stages[0].psnr is not None
    assert stages[2].psnr is not None
    assert stages[2].psnr > stages[0].psnr - 3


def test_a_feed_forward_method_teaches(scene: Scene) -> None:
    settings = replace(SETTINGS, teacher="quark", pseudo_views=3)
    recipe = replace(RECIPE, steps=5)
    _, stages = learn(scene, replace(settings, finetune=recipe), recipe=recipe)
    assert stages[0].note == "Quark of quark"
    assert stages[2].psnr is not None


def test_validation_views_are_training_views_that_are_not_learnt_from(scene: Scene) -> None:
    rest, kept = validation_split(scene, 4)
    assert set(rest.train.names) | set(kept.names) == set(scene.train.names)
    assert not set(rest.train.names) & set(kept.names)
    assert not set(kept.names) & set(scene.test.names)
    few = replace(scene, train=scene.train[:4])
    assert len(validation_split(few, 4)[1]) == 0


def _moved(scene: Scene, by: Similarity) -> Scene:
    """The same scene in another frame."""

    def views(part: Views) -> Views:
        return part.with_cameras(part.cameras.moved(by))

    bounds = scene.bounds
    corners = by.points(torch.cartesian_prod(*torch.tensor([bounds.box_min, bounds.box_max]).T.contiguous()))
    lower, upper = corners.amin(dim=0).tolist(), corners.amax(dim=0).tolist()
    return replace(
        scene,
        train=views(scene.train),
        test=views(scene.test),
        to_input=by.inverse().then(scene.to_input),
        bounds=replace(
            bounds,
            near=bounds.near * by.scale,
            far=bounds.far * by.scale,
            box_min=(lower[0], lower[1], lower[2]),
            box_max=(upper[0], upper[1], upper[2]),
        ),
    )
