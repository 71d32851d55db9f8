"""Surfaces out of masked photographs: distance to the true one, held-out PSNR and seconds, beside the visual hull.

    python benchmarks/dvr_quality.py [--scenes torus cup] [--minutes 3] [--pictures FOLDER] [--write]
    python benchmarks/dvr_quality.py --data DATA --scenes dtu_scan24 [--max-side 200]

Procedural objects, whose surface is known, from 24 views; with DATA, captures of that folder, of which only pictures can be
scored. ``--pictures`` keeps the mesh from three sides. ``--write`` keeps the rows in ``benchmarks/results/dvr_quality.md``;
those of other scenes and settings stay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
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
from novelview.methods.dvr.config import DVRConfig  # noqa: E402
from novelview.methods.dvr.model import DVR  # noqa: E402
from novelview.methods.recipe import Recipe  # noqa: E402
from novelview.random import generator_for  # noqa: E402
from novelview.surface import ImplicitSurface  # noqa: E402
from novelview.training import train  # noqa: E402
from rows import keep  # noqa: E402

RESULT = Path(__file__).parent / "results" / "dvr_quality.md"
# Every ninth view is held out: of so many, 24 are left.
VIEWS, HELD_OUT = 27, 9
# Steps by which is found out how long one takes.
PROBE = 20
HEAD = """# DVR: surfaces out of masked photographs

Made by `benchmarks/dvr_quality.py`: torch {torch}, {processor}.
Chamfer (L1): the mean of both mean distances between {points:,} points of the mesh and as many of the true surface, in parts
of the diagonal of the true surface's box; normals: mean |cosine|. PSNR in dB over held-out views, whole images. The
visual hull is that of the training masks in 128 cells along its longest side. Seconds are those of the training.

| scene | preset | steps | views, size | Chamfer | hull's Chamfer | normals | hull's normals | PSNR | threads | seconds |
|---|---|---|---|---|---|---|---|---|---|---|
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
    minutes: float | None = None
    """As many steps as fit into this time. Default: the preset's steps."""
    steps: int | None = None
    """Alternatively, so many."""
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
    head = HEAD.format(torch=torch.__version__, processor=processor(), points=options.points)
    for name in options.scenes:
        scene = opened(name, options)
        row = f"| {name} | {options.preset} | " + measured(name, scene, options)
        print(row, flush=True)
        if options.write:
            begin = "|".join(row.split("|")[:4]) + "|"
            keep(RESULT, head, begin, row)


def opened(name: str, options: Options) -> Scene:
    """A procedural object, or a capture in small."""
    if options.data is not None:
        return open_scene(options.data / name, max_side=options.max_side)
    return object_scene(name, options.seed, views=VIEWS, size=options.size, test_every=HELD_OUT)


def measured(name: str, scene: Scene, options: Options) -> str:
    """All of a row but its first two cells."""
    preset = find("dvr").preset(options.preset)
    steps = options.steps or preset.recipe.steps
    if options.minutes is not None:
        steps = steps_within(60 * options.minutes, scene, preset.config, preset.recipe, options.seed)
    began = time.perf_counter()
    method = trained(scene, preset.config, replace(preset.recipe, steps=steps), options.seed)
    seconds = time.perf_counter() - began
    surface = method.surface(None)
    mesh = mesh_of(surface, resolution=options.resolution)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        show(options.pictures / f"{name}-{options.preset}-{steps}.png", mesh)
    psnr = evaluate(method, scene, baselines=False, quiet=True).mean.psnr
    shapes = ["-"] * 4
    if options.data is None:
        found = against_truth(mesh, name, options)
        hull = against_truth(hull_of(scene, surface, options), name, options)
        shapes = [found[0], hull[0], found[1], hull[1]]
    width, height = scene.train.cameras[0].common_size
    views = f"{len(scene.train)} + {len(scene.test)}, {width}x{height}"
    return " | ".join([str(steps), views, *shapes, f"{psnr:.2f}", str(options.threads), f"{seconds:.0f} |"])


def trained(scene: Scene, config: DVRConfig, recipe: Recipe, seed: int) -> DVR:
    """The method after a training of the scene."""
    spec = find("dvr")
    torch.manual_seed(seed)
    method = spec.build(config, scene.bounds)
    assert isinstance(method, DVR)
    train(method, spec.sampler([scene], config, recipe, seed), recipe, seed=seed, quiet=True)
    return method.eval()


def steps_within(seconds: float, scene: Scene, config: DVRConfig, recipe: Recipe, seed: int) -> int:
    """Steps that fit into a time if all took as long as those with the most samples per ray."""
    search = replace(config.search, samples=config.search.samples[-1:], sample_steps=())
    slow, began = replace(config, search=search), 0.0
    # The first time warms up.
    for _ in range(2):
        began = time.perf_counter()
        trained(scene, slow, replace(recipe, steps=PROBE), seed)
    return max(1, int(seconds * PROBE / (time.perf_counter() - began)))


def hull_of(scene: Scene, surface: ImplicitSurface, options: Options) -> Mesh:
    """The visual hull of the training masks, in the same box as the surface."""
    lower, upper = torch.tensor(surface.lower), torch.tensor(surface.upper)
    field = visual_hull(scene.train, lower, upper, agreement=1.0)
    return extract_mesh(field, Lattice.of_resolution(surface.lower, surface.upper, options.resolution))


def against_truth(mesh: Mesh, name: str, options: Options) -> tuple[str, str]:
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
    return f"{report.chamfer_l1 / diagonal:.4f}", f"{report.normal_consistency:.3f}"


def show(path: Path, mesh: Mesh) -> None:
    """The mesh from three sides: colours above, normals below."""
    rows = [
        torch.cat(list(turntable(mesh, views=3, shading=shading)), dim=1)
        for shading in ("colours", "normals")
    ]
    write_frame(path, torch.cat(rows))


if __name__ == "__main__":
    main(tyro.cli(Options))
