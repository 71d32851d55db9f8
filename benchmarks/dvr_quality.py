"""Surfaces out of masked photographs: distance to the true one, held-out PSNR and seconds, beside the visual hull.

    python benchmarks/dvr_quality.py [--scenes torus cup] [--steps 500] [--pictures FOLDER] [--write]
    python benchmarks/dvr_quality.py --data DATA --scenes dtu_scan24 [--max-side 200]

Procedural objects, whose surface is known, from 24 views; with DATA, captures of that folder, of which only pictures can be
scored. ``--pictures`` keeps the mesh from three sides. ``--write`` keeps the rows in ``benchmarks/results/dvr_quality.md``,
and the course of each training in ``dvr_course.md``; those of other scenes and settings stay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from lvsm_speed import processor  # noqa: E402
from novelview.data.open import open_scene  # noqa: E402
from novelview.data.procedural import object_scene  # noqa: E402
from novelview.data.procedural.object_views import surface_points  # noqa: E402
from novelview.data.procedural.objects import make_object  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.data.visual_hull import visual_hull  # noqa: E402
from novelview.evaluation.evaluate import evaluate  # noqa: E402
from novelview.evaluation.geometry import GeometryReport, compare_points  # noqa: E402
from novelview.export.frames import write_frame  # noqa: E402
from novelview.geometry.triangles import sample_surface  # noqa: E402
from novelview.mesh.extract import Lattice, extract_mesh  # noqa: E402
from novelview.mesh.make import mesh_of  # noqa: E402
from novelview.mesh.mesh import Mesh  # noqa: E402
from novelview.mesh.turntable import turntable  # noqa: E402
from novelview.methods.discovery import find  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.random import generator_for  # noqa: E402
from novelview.surface import ImplicitSurface  # noqa: E402
from novelview.training import Rhythm, fit  # noqa: E402
from rows import keep  # noqa: E402

RESULT = Path(__file__).parent / "results" / "dvr_quality.md"
COURSE = RESULT.with_name("dvr_course.md")
# Every ninth view is held out: of so many, 24 are left.
VIEWS, HELD_OUT = 27, 9
# How often a training is looked at.
LOOKS = 8
HEAD = """# DVR: surfaces out of masked photographs

Made by `benchmarks/dvr_quality.py`: torch {torch}, {processor}.
Chamfer (L1): the mean of both mean distances between {points:,} points of the mesh and as many of the true surface, in parts
of the diagonal of the true surface's box; normals: mean |cosine|. PSNR in dB over held-out views, whole images. The
visual hull is that of the training masks in 128 cells along its longest side. Seconds are those of the training; those with
one thread were measured two at a time, on two cores.

| scene | preset | steps | views, size | Chamfer | hull's Chamfer | normals | hull's normals | PSNR | threads | seconds |
|---|---|---|---|---|---|---|---|---|---|---|
"""


COURSE_HEAD = """# DVR: quality against minutes

Made by `benchmarks/dvr_quality.py`: torch {torch}, {processor}. Chamfer and PSNR of unfinished trainings, as in
dvr_quality.md; minutes are those of training. The learning rate falls to the end of each: a shorter one is not the same.

| scene | preset | steps | of | minutes | Chamfer | PSNR | threads |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Reconstruct and score."""

    scenes: tuple[str, ...] = ("ball-and-box", "torus", "cup", "vase")
    """Procedural objects, or captures of DATA."""
    data: Path | None = None
    """Folder of capture folders with masks."""
    preset: str = "grids"
    """Of DVR."""
    steps: int | None = None
    """Of each training. Default: the preset's."""
    size: int = 128
    """Width and height of procedural views, pixels."""
    max_side: int = 200
    """Longest side of photographs, pixels."""
    resolution: int = 256
    """Cells of the mesh along its box."""
    points: int = 100_000
    """On each surface."""
    seed: int = 0
    """Of objects, cameras and training."""
    threads: int = 2
    """CPU threads."""
    pictures: Path | None = None
    """Folder for pictures of the meshes."""
    quick: bool = False
    """A tiny setting, to see that all works."""
    write: bool = False
    """Keep the rows."""


def main(options: Options) -> None:
    """Print a row for each scene, and keep it if asked to."""
    if options.quick:
        options = replace(
            options, preset="tiny", size=32, max_side=64, resolution=32, points=2000, write=False
        )
    torch.set_num_threads(options.threads)
    facts = {"torch": torch.__version__, "processor": processor(), "points": options.points}
    for name in options.scenes:
        scene = opened(name, options)
        course = Course(name, scene, options)
        row = f"| {name} | {options.preset} | " + measured(course)
        print(row, flush=True)
        if options.write:
            begin = "|".join(row.split("|")[:4]) + "|"
            keep(RESULT, HEAD.format(**facts), begin, row)
            for begin, row in course.rows():
                keep(COURSE, COURSE_HEAD.format(**facts), begin, row)


def opened(name: str, options: Options) -> Scene:
    """A procedural object, or a capture in small."""
    if options.data is not None:
        return open_scene(options.data / name, max_side=options.max_side)
    return object_scene(name, options.seed, views=VIEWS, size=options.size, test_every=HELD_OUT)


@dataclass
class Course:
    """How good a training is after how many seconds, looking at it left out."""

    name: str
    scene: Scene
    options: Options
    began: float = 0.0
    """On the clock."""
    looked: float = 0.0
    """Seconds that looking took."""
    looks: list[tuple[int, float, list[str]]] = field(default_factory=list)
    """Steps, seconds, and Chamfer, agreement of normals and PSNR."""

    def __call__(self, method: Method, step: int) -> dict[str, float]:
        stopped = time.perf_counter()
        shape = ["-"] * 2
        if self.options.data is None:
            mesh = mesh_of(method.surface(None), resolution=self.options.resolution)
            shape = against_truth(mesh, self.name, self.options)
        psnr = evaluate(method, self.scene, baselines=False, quiet=True).mean.psnr
        self.looks.append((step, stopped - self.began - self.looked, [*shape, f"{psnr:.2f}"]))
        self.looked += time.perf_counter() - stopped
        return {}

    def rows(self) -> list[tuple[str, str]]:
        """With the cells by which each is known."""
        found, last = [], self.looks[-1][0]
        for step, seconds, (chamfer, _, psnr) in self.looks:
            begin = f"| {self.name} | {self.options.preset} | {step:5d} | {last} |"
            scores = f" {seconds / 60:.2f} | {chamfer} | {psnr} | {self.options.threads} |"
            found.append((begin, begin + scores))
        return found


def measured(course: Course) -> str:
    """All of a row but its first two cells."""
    options, scene = course.options, course.scene
    preset = find("dvr").preset(options.preset)
    recipe = replace(preset.recipe, steps=options.steps or preset.recipe.steps)
    course.began = time.perf_counter()
    method = fit(
        "dvr",
        scene,
        config=preset.config,
        recipe=recipe,
        seed=options.seed,
        quiet=True,
        rhythm=Rhythm(evaluate=max(1, recipe.steps // LOOKS)),
        evaluate=course,
    )
    surface = method.surface(None)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        mesh = mesh_of(surface, resolution=options.resolution)
        show(options.pictures / f"{course.name}-{options.preset}-{recipe.steps}.png", mesh)
    _, seconds, (chamfer, normals, psnr) = course.looks[-1]
    hull = ["-"] * 2
    if options.data is None:
        hull = against_truth(hull_of(scene, surface, options), course.name, options)
    width, height = scene.train.cameras[0].common_size
    views = f"{len(scene.train)} + {len(scene.test)}, {width}x{height}"
    shapes = [chamfer, hull[0], normals, hull[1]]
    return " | ".join([str(recipe.steps), views, *shapes, psnr, str(options.threads), f"{seconds:.0f} |"])


def hull_of(scene: Scene, surface: ImplicitSurface, options: Options) -> Mesh:
    """The visual hull of the training masks, in the same box as the surface."""
    lower, upper = torch.tensor(surface.lower), torch.tensor(surface.upper)
    field = visual_hull(scene.train, lower, upper, agreement=1.0)
    return extract_mesh(field, Lattice.of_resolution(surface.lower, surface.upper, options.resolution))


def against_truth(mesh: Mesh, name: str, options: Options) -> list[str]:
    """Chamfer-L1 in parts of the diagonal, and agreement of normals."""
    solid = make_object(name, options.seed)
    truth, true_normals = surface_points(solid, options.points, generator_for(options.seed, "truth"))
    points, normals = sample_surface(
        mesh.vertices, mesh.faces, options.points, generator_for(options.seed, "mesh")
    )
    report: GeometryReport = compare_points(
        points, truth, predicted_normals=normals, reference_normals=true_normals
    )
    diagonal = float((truth.amax(dim=0) - truth.amin(dim=0)).norm())
    return [f"{report.chamfer_l1 / diagonal:.4f}", f"{report.normal_consistency:.3f}"]


def show(path: Path, mesh: Mesh) -> None:
    """The mesh from three sides: colours above, normals below."""
    rows = [
        torch.cat(list(turntable(mesh, views=3, shading=shading)), dim=1)
        for shading in ("colours", "normals")
    ]
    write_frame(path, torch.cat(rows))


if __name__ == "__main__":
    main(tyro.cli(Options))
