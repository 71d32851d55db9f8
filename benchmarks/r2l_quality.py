"""What distillation makes of scenes: held-out PSNR and seconds of teacher, student and fine-tuned student.

    python benchmarks/r2l_quality.py [--data DATA] [--scenes demo fox] [--preset grid] [--teacher NAME] [--write]

The embedded scene, and captures of the folder DATA, whole: one call of ``distil`` each with the settings of the preset.
``--write`` keeps the rows in ``benchmarks/results/r2l_quality.md``; those of other scenes, presets and teachers stay.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from lvsm_speed import processor  # noqa: E402
from novelview.data.open import open_scene  # noqa: E402
from novelview.data.procedural import demo_scene  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.errors import ConfigError  # noqa: E402
from novelview.methods.method import Preset  # noqa: E402
from novelview.methods.r2l import METHOD  # noqa: E402
from novelview.training import distil  # noqa: E402
from novelview.training.journal import Stage, told  # noqa: E402
from rows import keep  # noqa: E402

RESULT = Path(__file__).parent / "results" / "r2l_quality.md"
# Image sizes at which two cores learn a capture in minutes.
LONGEST = 120
HEAD = """# Distillation: quality and time

Made by `benchmarks/r2l_quality.py`, one run for each row, seed 0: torch {torch}, {processor}, {threads} threads. PSNR in dB
is the mean over all held-out views. No run chooses anything by them, but the preset `grid` was settled by looking at those
of demo and fox. "disk" is the most that the run's folder held when it was looked at.

| scene | preset | taught by | views, size | teacher | pictures | student | validation | fine-tuned | all | after | disk |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Distil scenes and score them."""

    data: Path | None = None
    """Folder of capture folders; needed for all scenes but "demo"."""
    scenes: tuple[str, ...] = ("demo",)
    """Which ones."""
    preset: str = "grid"
    """Of R2L."""
    teacher: str | None = None
    """As `novelview train` takes it. Default: the preset's."""
    out: Path | None = None
    """Folder for the runs, as SCENE-PRESET-TEACHER. Default: they are not kept."""
    write: bool = False
    """Keep the rows."""


def main(options: Options) -> None:
    preset = METHOD.preset(options.preset)
    if preset.distillation is None:
        raise ConfigError(f"The preset {options.preset!r} has no teacher", cure="choose another one")
    settings = replace(preset.distillation, teacher=options.teacher or preset.distillation.teacher)
    preset = replace(preset, distillation=settings)
    for name in options.scenes:
        begin = f"| {name} | {options.preset} | {settings.teacher} |"
        scene = open_by_name(name, options.data)
        with tempfile.TemporaryDirectory() as folder:
            row = begin + measured(scene, preset, (options.out or Path(folder)) / file_name(begin))
        print(row, flush=True)
        if options.write:
            head = HEAD.format(
                torch=torch.__version__, processor=processor(), threads=torch.get_num_threads()
            )
            keep(RESULT, head, begin, row)


def open_by_name(name: str, data: Path | None) -> Scene:
    """The embedded scene, or a capture in small."""
    if name == "demo":
        return demo_scene()
    if data is None:
        raise ConfigError(f"Where is the capture {name!r}?", cure="add --data DATA")
    return open_scene(data / name, max_side=LONGEST)


def file_name(begin: str) -> str:
    """A name for a run of what a row begins with."""
    return "-".join(re.findall(r"\w+", begin))


def measured(scene: Scene, preset: Preset, out: Path) -> str:
    """All of a row but its beginning; the run goes to a new folder."""
    disk = 0

    def weigh(*_: object) -> dict[str, float]:
        nonlocal disk
        disk = max(disk, sum(each.stat().st_size for each in out.rglob("*") if each.is_file()))
        return {}

    assert preset.distillation is not None
    settings: dict[str, Any] = {"config": preset.config, "recipe": preset.recipe, "out": out}
    _, stages = distil(METHOD, scene, preset.distillation, evaluate=weigh, **settings)
    print("\n".join(told(stages)), flush=True)
    width, height = scene.train.cameras[0].common_size
    views = f"{len(scene.train)} + {len(scene.test)}, {width}x{height}"
    cells = " | ".join(map(cell, stages))
    total = sum(stage.seconds for stage in stages)
    kept = stages[-1].note
    return f" {views} | {cells} | {total:.0f} s | {kept} | {disk / 1e6:.0f} MB |"


def cell(stage: Stage) -> str:
    """Score and time of a stage."""
    return f"{stage.seconds:.0f} s" if stage.psnr is None else f"{stage.psnr:.2f}, {stage.seconds:.0f} s"


if __name__ == "__main__":
    main(tyro.cli(Options))
