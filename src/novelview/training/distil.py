"""One call from a capture to a student: teacher, pseudo views, student, fine-tuning (R2L, ECCV 2022, section 3).

Every stage is a run of its own below the student's folder, so that each goes on where it was interrupted::

    run.json, checkpoints/…   the student, after the fine-tuning
    distillation.json         seconds and held-out PSNR of every stage
    teacher/                  the teacher, where it is trained here
    pictures/                 what it shows the student; removed when all is done
    student/                  the student after the pictures
    validation/               its training on most of the photographs, to see how long it gets better
    finetune/                 as long a training on all of them
    poses.png                 the cameras of the capture, and those of the pictures
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from novelview.data.rig import write_rig
from novelview.data.scene import Scene
from novelview.distillation.pseudo import envelope_of, picture_key, picture_ring, pseudo_views
from novelview.errors import ConfigError
from novelview.geometry.rigid import Similarity
from novelview.methods.discovery import discover
from novelview.methods.distillation import Distillation
from novelview.methods.method import Method, MethodSpec
from novelview.methods.recipe import Recipe
from novelview.progress import track
from novelview.random import generator_for
from novelview.training.checkpoint import Checkpoint, Progress, latest_step, save_checkpoint
from novelview.training.engine import DEFAULT_RHYTHM, Evaluate, Rhythm, make_accelerator
from novelview.training.finetune import Enough, Judge, mean_psnr, validation_split
from novelview.training.folder import RunInfo, describe
from novelview.training.interrupts import Interrupted
from novelview.training.journal import Journal, Stage
from novelview.training.run import check_scenes, fit, load_method, prepare_folder
from novelview.types import Views


@dataclass(frozen=True)
class _Work:
    """What all stages share; ``out`` is None also for processes that must not write."""

    info: RunInfo
    settings: Distillation
    scene: Scene
    out: Path | None
    journal: Journal
    accelerator: Accelerator
    fit: Callable[..., Method]

    def folder(self, name: str) -> Path | None:
        return None if self.out is None else self.out / name


@dataclass(frozen=True)
class _Teacher:
    """Who is asked, and in which frame: ``frame`` carries the student's scene coordinates to the teacher's."""

    method: Method
    title: str
    frame: Similarity


def distil(
    spec: MethodSpec,
    scene: Scene,
    settings: Distillation,
    *,
    config: Any,
    recipe: Recipe,
    out: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
    rhythm: Rhythm = DEFAULT_RHYTHM,
    evaluate: Evaluate | None = None,
    quiet: bool = False,
    tensorboard: bool = False,
) -> tuple[Method, tuple[Stage, ...]]:
    """Train a student on a scene by way of a teacher; returns it, ready to render, and what each stage took and gave.

    Args:
        spec: the student's method.
        scene: its training views are learnt from, its test views never touched.
        settings: which teacher, how many pictures of it, and how the student is fine-tuned.
        config: the student's configuration.
        recipe: how the student learns from the pictures.
        out, start, resume, seed, device, rhythm, evaluate, quiet, tensorboard: see :func:`novelview.training.fit`;
            ``start`` is the student's.

    Raises:
        MethodError: unknown teacher, or the scene lacks what teacher or student needs.
        ConfigError: a setting that cannot work, or a teacher of another scene.
        CheckpointError: a run cannot be resumed because a file is damaged.
        OutputError: the run folder holds something already, or cannot be written.
        Interrupted: SIGINT or SIGTERM came; the stage is saved.
    """
    if settings.teacher is None:
        raise ConfigError("There is no teacher", cure="name one, or train on the photographs alone with fit")
    check_scenes(spec, [scene])
    accelerator = make_accelerator(device)
    info = describe(spec, config, recipe, scene, seed, distillation=settings)
    folder = None if out is None else Path(out)
    if folder is not None:
        info = prepare_folder(folder, info, resume, accelerator)
    own = folder if accelerator.is_main_process else None
    journal = Journal(
        None if own is None else own / "distillation.json", quiet or not accelerator.is_main_process
    )
    if folder is not None and latest_step(folder) is not None:
        return load_method(folder)[0], journal.stages

    def stage(method: MethodSpec, name: str, scene: Scene, **options: Any) -> Method:
        shared: dict[str, Any] = {
            "out": None if folder is None else folder / name,
            "resume": folder is not None,
            "seed": seed,
            "device": device,
            # Of every stage the last checkpoint is enough: there are five of them.
            "rhythm": replace(rhythm, keep=1),
            "evaluate": evaluate,
            "quiet": quiet,
            "tensorboard": tensorboard and folder is not None,
        }
        try:
            return fit(method, scene, **{**shared, **options})
        except Interrupted as stop:
            # The stage alone would be of little use: go on with all of it.
            raise Interrupted(stop.signal, stop.step, stop.steps, folder or stop.folder) from None

    work = _Work(info, settings, scene, own, journal, accelerator, stage)
    teacher = _teacher(work, str(accelerator.device))
    views = _pictures(work, teacher)
    student = _student(work, views, start)
    rhythm = replace(rhythm, save=settings.check_every, evaluate=settings.check_every, keep=1)
    return _finetuned(work, student, rhythm, evaluate), journal.stages


def _teacher(work: _Work, device: str) -> _Teacher:
    """The teacher, trained where it is not yet."""
    source, scene, frame = str(work.settings.teacher), work.scene, Similarity.identity()
    name, _, preset = source.partition(":")
    spec = discover().get(name)
    with work.journal.timed("teacher"):
        if spec is not None and spec.weights is None:
            method, title = work.fit(spec, "teacher", scene, preset=preset or None), spec.title
        else:
            method, info = load_method(source, device)
            title = f"{info.spec.title} of {source}"
            if info.spec.traits.regime == "per-scene":
                frame = _frame_of(source, info, scene)
        method.eval()
        seen = scene.test.with_cameras(scene.test.cameras.moved(frame))
        score = mean_psnr(method, seen, scene.train, scene.bounds)
    work.journal.note("teacher", score, title)
    return _Teacher(method, title, frame)


def _frame_of(source: str, info: RunInfo, scene: Scene) -> Similarity:
    """From the scene's coordinates to those of a teacher that was trained on the same capture, perhaps in others."""
    if not set(info.split.train) & {*scene.train.names, *scene.test.names}:
        raise ConfigError(
            "The teacher was trained on another capture",
            where=source,
            why=f"none of its views, such as {info.split.train[0]}, is here",
            cure="train it on the same capture",
        )
    shown = sorted(set(info.split.train) & set(scene.test.names))
    if shown:
        raise ConfigError(
            "The teacher has learnt from views that are held out here",
            where=source,
            why=", ".join(shown[:5]),
            cure="open the capture with the split of the teacher",
        )
    return scene.to_input.then(info.to_input.inverse())


def _pictures(work: _Work, teacher: _Teacher) -> Views:
    """What the teacher sees from where no camera stood; rendered now as far as there is room for it."""
    settings, scene = work.settings, work.scene
    with work.journal.timed("pictures"):
        envelope = envelope_of(scene.train.cameras, scene.bounds)
        generator = generator_for(work.info.seed, "pseudo cameras")
        cameras = envelope.cameras(settings.pseudo_views, generator, settings.zoom)
        asked = cameras.moved(teacher.frame)
        key = picture_key(teacher.method, asked, *scene.train.names)
        # Processes must not share a folder of pictures, so each keeps its own in memory.
        folder = work.folder("pictures") if work.accelerator.num_processes == 1 else None
        ring = picture_ring(folder, asked, key, most_bytes=settings.ring_megabytes << 20)
        if work.out is not None:
            write_rig(work.out / "poses.png", scene, cameras)
        state = teacher.method.condition(scene.train, scene.bounds)
        views = pseudo_views(teacher.method, state, asked, ring).with_cameras(cameras)
        count = min(len(views), ring.capacity)
        for i in track(range(count), count, "pictures"):
            views.image(i)
        ring.flush()
    width, height = ring.size
    room = f"{(ring.disk_bytes or ring.memory_bytes) / 1e6:.0f} MB at most"
    form = f"{len(views)} of {width}x{height}, cameras drawn from a {envelope.name}"
    work.journal.note("pictures", note=f"{form}, {room}")
    return views


def _student(work: _Work, views: Views, start: str | Path | None) -> Method:
    """The student after the teacher's pictures."""
    scene, info = work.scene, work.info
    with work.journal.timed("student"):
        shown, recipe = replace(scene, train=views), info.recipe
        student = work.fit(info.spec, "student", shown, config=info.config, recipe=recipe, start=start)
        score = mean_psnr(student, scene.test, scene.train, scene.bounds)
    work.journal.note("student", score, f"{recipe.steps} steps")
    return student


def _steps(work: _Work, student: Method, rhythm: Rhythm, watch: Evaluate | None) -> tuple[int, str]:
    """How long the student is to learn from the photographs, and how that was found out.

    It learns from most of them and is scored on the others. Its state before is no candidate: the teacher has seen the
    validation views, so that a student that has seen nothing else knows them better than it should.
    """
    settings, info, file = work.settings, work.info, work.folder("validation.json")
    rest, validation = validation_split(work.scene, settings.validation_every)
    if not len(validation):
        return settings.finetune.steps, "all steps: too few views for validation"
    with work.journal.timed("validation"):
        judge = Judge(validation, rest, settings, file, watch, patient=work.accelerator.num_processes > 1)
        options = {"config": info.config, "recipe": settings.finetune, "start": student}
        with suppress(Enough):
            work.fit(info.spec, "validation", rest, rhythm=rhythm, evaluate=judge, **options)
        found = 0.0 if judge.best is None else float(judge.best.step)
        # Of several processes, one was asked.
        steps = int(work.accelerator.reduce(torch.tensor(found, device=work.accelerator.device), "sum"))
    note = (
        f"best after {steps} of {settings.finetune.steps} steps, on {len(validation)} of the training views"
    )
    work.journal.note("validation", note=note)
    return steps, f"{steps} steps"


def _finetuned(work: _Work, student: Method, rhythm: Rhythm, watch: Evaluate | None) -> Method:
    """The student after the photographs, all of them; kept as the run's only checkpoint."""
    scene, info, recipe = work.scene, work.info, work.settings.finetune
    steps, note = _steps(work, student, rhythm, watch)
    # The rate falls as it did then.
    recipe = replace(recipe, steps=steps, decay_steps=recipe.decay_steps or recipe.steps)
    with work.journal.timed("fine-tuning"):
        tuned = work.fit(info.spec, "finetune", scene, config=info.config, recipe=recipe, start=student)
        score = mean_psnr(tuned, scene.test, scene.train, scene.bounds)
    if work.out is not None:
        save_checkpoint(work.out, Checkpoint(Progress(steps, tuned.structure()), tuned.state_dict(), {}))
        # The pictures fill the disk.
        shutil.rmtree(work.out / "pictures", ignore_errors=True)
    work.journal.note("fine-tuning", score, note)
    return tuned
