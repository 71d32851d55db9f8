"""How far DVR here is from the authors' code: the largest error of every recorded quantity.

    python benchmarks/dvr_parity.py FIXTURES [--write]

FIXTURES is the folder with ``config.json`` and the recorded cases; ``--write`` keeps the table in
``benchmarks/results/dvr_parity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from dvr_recorded import Case
from novelview.mesh.extract import Lattice, extract_mesh
from novelview.methods.dvr.checkpoint import SEARCH
from novelview.methods.dvr.config import LossConfig
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.learning import learn, search
from novelview.rendering.surface import implicit_depth, outward_normals
from parity import Row, command, error, table

RESULT = Path(__file__).parent / "results" / "dvr_parity.md"
# Our names of losses, and the recorded ones.
LOSSES = {
    "colour": "loss_rgb",
    "depth": "loss_depth",
    "normal": "normal_loss",
    "empty": "loss_freespace",
    "filled": "loss_occupied",
}
SINGLE, DOUBLE = torch.float32, torch.float64
# Gradients that were recorded: of weighted sums of colours and of depths, and of colours of points that stay.
GRADIENTS = (
    ("rgb", SINGLE, 1e-5),
    ("rgb_f64", DOUBLE, 1e-11),
    ("depth", SINGLE, 1e-5),
    ("rgb_points_fixed", SINGLE, 1e-5),
)


def rows(folder: Path) -> list[Row]:
    """Errors of every case in ``folder``."""
    found = []
    for name in json.loads((folder / "config.json").read_text())["cases"]:
        case = Case.read(folder, name)
        found += [*_network(case), *_surface(case, SINGLE), *_surface(case, DOUBLE), *_normals(case)]
        found += [_gradient(case, *each) for each in GRADIENTS]
        found += [*_training(case), *_mesh(case)]
    return found


def _network(case: Case) -> Iterator[Row]:
    decoder, shapes, _ = case.shapes()
    with torch.no_grad():
        found = torch.stack([decoder(case.render["query_points"][i], s.code) for i, s in enumerate(shapes)])
    wanted = case.render["query_out"]
    scale = float(wanted.abs().max())
    yield Row(case.name, "query_out (relative)", error(found, wanted) / scale, 1e-5)


@torch.no_grad()
def _surface(case: Case, dtype: torch.dtype) -> Iterator[Row]:
    """Which rays meet it, where rounding does not decide; depths, points and colours there."""
    _, shapes, _ = case.shapes(dtype)
    names = ["hit", "mask_zero_occupied", "d_hat", "p_world", "rgb"]
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for i, shape in enumerate(shapes):
        rays, good = case.rays(i, case.render["pixels"][i], dtype), case.render["good"][i]
        found = search(shape, rays, SEARCH, case.config["n_steps"])
        points = rays[good].point(found.depth[good])
        colours = shape.colour(points, rays.directions[good])
        for name, value in zip(
            names, (found.hit, found.inside, found.depth[good], points, colours), strict=True
        ):
            parts[name].append(value)
    stable, good = case.render["stable"], case.render["good"]
    for name in names[:2]:
        unlike = (torch.stack(parts[name]) != case.render[name])[stable]
        yield Row(case.name, f"{name} in {dtype} (rays that differ)", float(unlike.sum()), 0.0)
    suffix, tolerance = ("_f64", 1e-9) if dtype == DOUBLE else ("", 1e-5)
    for name in names[2:]:
        if name + suffix in case.render:
            wanted = case.render[name + suffix][good]
            yield Row(case.name, name + suffix, error(torch.cat(parts[name]), wanted), tolerance)


def _normals(case: Case) -> Iterator[Row]:
    """The recorded ones point inwards; differences over 1e-3 have few digits in float32."""
    _, shapes, _ = case.shapes()
    found = []
    for i, shape in enumerate(shapes):
        points = case.render["p_world"][i][case.render["hit"][i]]
        found.append(outward_normals(shape.field, points, step=1e-3).detach())
    yield Row(case.name, "normals_fd", error(torch.cat(found), -case.render["normals_fd_at_hits"]), 5e-3)


def _gradient(case: Case, kind: str, dtype: torch.dtype, tolerance: float) -> Row:
    decoder, shapes, codes = case.shapes(dtype)
    total = torch.zeros((), dtype=dtype)
    for i, shape in enumerate(shapes):
        good = case.render["good"][i]
        rays = case.rays(i, case.render["pixels"][i], dtype)[good]
        depth = search(shape, rays, SEARCH, case.config["n_steps"]).depth
        if kind != "rgb_points_fixed":
            depth = implicit_depth(shape.field, rays, depth, keep_sign=False)
        if kind == "depth":
            value, weight = depth, case.render["weight_depth"]
        else:
            value = shape.colour(rays.point(depth), rays.directions)
            weight = case.render["weight_rgb"]
        total = total + (weight[i][good].to(dtype) * value).sum()
    total.backward()
    return _compared(case, f"grad_{kind}", decoder, codes, case.render, tolerance)


def _compared(
    case: Case,
    name: str,
    decoder: Decoder,
    codes: Tensor | None,
    recorded: dict[str, Tensor],
    tolerance: float,
) -> Row:
    """Gradients of all parameters and of the codes, in parts of each one's largest value."""
    asked: dict[str, nn.Parameter | Tensor] = dict(decoder.named_parameters())
    if codes is not None:
        asked["__c__"] = codes
    worst = 0.0
    for key, value in asked.items():
        wanted = recorded[f"{name}/{key}"]
        found = torch.zeros_like(value) if value.grad is None else value.grad
        # Where nothing was recorded, nothing may be found.
        worst = max(worst, error(found, wanted) / max(float(wanted.abs().max()), 1e-30))
    return Row(case.name, f"{name} (relative)", worst, tolerance)


def _training(case: Case) -> Iterator[Row]:
    """All losses of a step, and the gradient of their sum."""
    decoder, shapes, codes = case.shapes()
    normal = case.config["trainer"]["lambda_normal"]
    weights = LossConfig(colour=1.0, change=0.0, depth=10.0, empty=1.0, filled=1.0, normal=normal)
    samples = SEARCH.samples_at(case.config["train_it"])
    sums = dict.fromkeys(LOSSES, torch.zeros(()))
    for i, shape in enumerate(shapes):
        found = learn(shape, case.seen(i), case.chance(i), SEARCH, weights, samples=samples, sharpness=1.0)
        sums = {name: sums[name] + found[name] / case.batch for name in LOSSES}
    for name, theirs in LOSSES.items():
        # Normals are differences over 1e-3.
        tolerance = 1e-3 if name == "normal" else 1e-5
        yield _relative(case, f"loss/{theirs}", sums[name], case.train[f"loss/{theirs}"], tolerance)
    total = torch.stack(list(sums.values())).sum()
    yield _relative(case, "total", total, case.train["total"], 1e-5)
    total.backward()
    yield _compared(case, "grad", decoder, codes, case.train, 1e-3)


def _relative(case: Case, name: str, found: Tensor, wanted: Tensor, tolerance: float) -> Row:
    return Row(case.name, f"{name} (relative)", error(found.detach() / wanted, torch.tensor(1.0)), tolerance)


def _mesh(case: Case) -> Iterator[Row]:
    """Of the first shape. Faces cut the same polygons along other diagonals, so only their number compares."""
    _, shapes, _ = case.shapes()
    settings, asked = case.config["mesh"], []

    def field(points: Tensor) -> Tensor:
        asked.append(len(points))
        return shapes[0].field(points)

    half, cells = (1 + settings["padding"]) / 2, settings["resolution0"]
    mesh = extract_mesh(field, Lattice((-half,) * 3, (half,) * 3, (cells,) * 3, settings["upsampling"]))
    counts = case.mesh["mise_query_counts"].tolist()
    yield Row(case.name, "mise_query_counts (rounds that differ)", float(asked != counts), 0.0)
    distance, nearest = torch.cdist(mesh.vertices.double(), case.mesh["vertices"]).min(dim=1)
    unmatched = len(case.mesh["vertices"]) - len(nearest.unique())
    yield Row(case.name, "vertices (distance)", float(distance.max()), 2e-7)
    yield Row(case.name, "vertices (without a partner)", float(unmatched), 0.0)
    yield Row(case.name, "faces (number)", float(abs(len(mesh.faces) - len(case.mesh["faces"]))), 0.0)
    with torch.no_grad():
        colours = (shapes[0].colour(mesh.vertices, mesh.vertices) * 255).byte()
    wanted = case.mesh["vertex_colors"][nearest, :3]
    yield Row(case.name, "vertex_colors (of 255)", error(colours.float(), wanted.float()), 0.0)


def page(folder: Path) -> str:
    """The table of a folder."""
    return (
        "# DVR against the authors' code\n\n"
        "Same weights, cameras, pixels and random numbers, on a CPU. Made by `benchmarks/dvr_parity.py`. `_f64` is in "
        "float64, all else in\nfloat32. Relative errors are in parts of the largest value; of gradients, which are named by "
        "what was differentiated, in parts\nof the largest value of each parameter, and the worst parameter counts.\n\n"
        f"{table(rows(folder))}\n"
    )


if __name__ == "__main__":
    command(__doc__, RESULT, page)
