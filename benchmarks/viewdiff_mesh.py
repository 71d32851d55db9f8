"""From words to views to a mesh: how long each step takes, and what comes out, pictured from three sides.

    python benchmarks/viewdiff_mesh.py [--picture docs/images/viewdiff_mesh.jpg]

Does what ``novelview generate WORDS --path spiral --views 24 --elevation -20 --rise 60 --to glb`` does, with the weights
that come along, and writes ``benchmarks/results/viewdiff_mesh.md``. Words and seed were not chosen by results.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from novelview.cli.generate_mesh import STEPS, make_surface
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.write import write_scene
from novelview.export.mesh import write_mesh
from novelview.files import atomic_write_text
from novelview.mesh.make import mesh_of
from novelview.mesh.mesh import Mesh
from novelview.mesh.turntable import turntable
from novelview.methods.method import Method
from novelview.subjects import Trajectory, generate_scene
from novelview.training.run import load_method
from pictures import draw

RESULT = Path(__file__).parent / "results" / "viewdiff_mesh.md"
WORDS = ("a red torus", "a yellow cone", "a green chair", "a red box on a blue cylinder")
PATH = Trajectory(views=24, path="spiral", elevation=-20.0, rise=60.0)
HEAD = """# ViewDiff: from words to a mesh

Made by `benchmarks/viewdiff_mesh.py`: 24 views on a rising spiral, a surface learnt from them by `dvr` ({steps} steps), a
mesh of 128 cells. Seconds on {threads} threads of a CPU, in float32; the subject's box has sides of 2 units.

| words | views s | surface s | mesh s | in all, minutes | faces | watertight | sides |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Make meshes of words."""

    picture: Path | None = None
    """Also draw, of each, four of the views and the mesh from three sides."""
    out: Path = RESULT
    """Table to write."""


def main(options: Options) -> None:
    """Make them, and write the table."""
    model, _ = load_method("viewdiff")
    head, rows, pictures = HEAD.format(steps=STEPS, threads=torch.get_num_threads()), [], []
    for words in WORDS:
        row, shown = made(model, words)
        rows.append(row)
        pictures.append(shown)
        print(row, flush=True)
    atomic_write_text(options.out, head + "\n".join(rows) + "\n")
    if options.picture is not None:
        draw(options.picture, torch.cat(pictures), columns=7)


def made(model: Method, words: str) -> tuple[str, Tensor]:
    """The row of one subject, and its pictures."""
    times = [time.perf_counter()]
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "views").mkdir()
        views = generate_scene(model, words, PATH.cameras(model.studio()))
        write_scene(place / "views", views)
        times.append(time.perf_counter())
        scene = open_scene(place / "views", split="none")
        surface = make_surface(scene, place / "surface", STEPS, 0, None)
        times.append(time.perf_counter())
        mesh = meshed(surface, scene)
        write_mesh(place / "mesh.glb", mesh)
        times.append(time.perf_counter())
    steps = [after - before for before, after in pairwise(times)]
    sides = " x ".join(f"{side:.2f}" for side in mesh.size)
    cells = [words, *(f"{seconds:.1f}" for seconds in steps), f"{(times[-1] - times[0]) / 60:.2f}"]
    cells += [f"{len(mesh.faces):,}", "yes" if mesh.is_watertight else "no", sides]
    few = views.train.images()[::6]
    return "| " + " | ".join(cells) + " |", torch.cat([enlarged(few), three_sides(mesh)])


def meshed(surface: Method, scene: Scene) -> Mesh:
    """The mesh in the coordinates of the views."""
    state = surface.condition(scene.train, scene.bounds)
    return mesh_of(surface.surface(state), resolution=128, crumbs=0.01).moved(scene.to_input)


def three_sides(mesh: Mesh) -> Tensor:
    """Pictures a third of a turn apart."""
    return turntable(mesh, views=3, size=128)


def enlarged(images: Tensor) -> Tensor:
    """As large as those of meshes."""
    return F.interpolate(images.movedim(-1, 1), (128, 128)).movedim(1, -1)


if __name__ == "__main__":
    main(tyro.cli(Options))
