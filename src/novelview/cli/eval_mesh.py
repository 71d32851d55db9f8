"""``novelview eval --mesh A.ply --reference B.ply``: how close a surface is to the true one.

With ``--dtu``, by the protocol of the DTU data set; with ``--data``, only what a capture's masks show of the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from rich.console import Console
from rich.table import Table

from novelview.cli.options import parse
from novelview.data.open import open_scene
from novelview.errors import ConfigError, DataError
from novelview.evaluation.dtu import DtuReport, inside_masks, mesh_points, score_scan
from novelview.evaluation.dtu_files import find_scan, read_plane, read_region
from novelview.evaluation.geometry import GeometryReport, compare_points, volume_iou
from novelview.evaluation.surfaces import Surface, SurfacePoints, read_surface
from novelview.files import atomic_write_json
from novelview.random import generator_for

# Thresholds where none are given: shares of the longest edge of the reference's bounding box.
_SHARES = (0.005, 0.01, 0.02)


@dataclass(frozen=True)
class EvalMesh:
    """Score a surface against a reference and write a report as JSON: accuracy, completeness, Chamfer distance, normal
    consistency, precision, recall and F-score. All distances are in the unit of the files, which must share one frame;
    none is scaled by 10, as Chamfer-L1 often is in papers.

    With --dtu FOLDER --scan N instead of --reference, score it by the protocol of the DTU data set, in millimetres."""

    mesh: Path
    """Surface to score: a mesh (.ply, .obj, .off, .stl, .glb), or points (.ply without faces, .xyz, .npz). A .glb has y
    up, also one that `novelview export` wrote: compare it with another .glb, or export a .ply."""
    reference: Path | None = None
    """The true surface: a mesh, or points, of which .npz may hold normals (arrays points and normals)."""
    out: Path | None = None
    """Report. Default: the mesh's name with .geometry.json, beside it."""
    points: int = 100_000
    """Number of points drawn evenly from the area of a mesh, and for --iou from the box around both; point clouds are
    taken as they are. DTU's protocol has its own density."""
    thresholds: tuple[float, ...] = ()
    """Distances for precision, recall and F-score, in the unit of the files. Default: 0.5, 1 and 2 percent of the longest
    edge of the reference's bounding box."""
    unit: str = "file units"
    """What the report calls the unit of the files, for example mm."""
    iou: bool = False
    """Also the volume that both enclose, as a share of what either does. Both must be watertight meshes."""
    data: Path | None = None
    """Capture in whose frame the mesh is: score only what its masks show of the mesh. A point counts that is in at least
    one image, and in each of these within --mask-radius of the mask."""
    format: str | None = None
    """Format of that capture; found out by looking when absent."""
    mask_radius: float = 12.0
    """Of the disk that masks are dilated by, in pixels of the images as stored; 12 in DVR's paper."""
    dtu: Path | None = None
    """Folder of the DTU data set with Points/stl/stlNNN_total.ply, ObsMask/ObsMaskN_10.mat and ObsMask/PlaneN.mat (or all
    three in it): the mesh is sampled every 0.2 mm; accuracy counts where the scanner saw, completeness above the table."""
    scan: int | None = None
    """Number of DTU's scan, for example 24."""
    outliers: Literal["drop", "cap"] = "drop"
    """With --dtu, points 20 mm or farther away are left out, as in the official protocol, or count as 20 mm away."""
    seed: int = 0
    """Which random points are drawn."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run."""
    # Whoever asks for help need not name a file after --mesh.
    asks = not {"-h", "--help"}.isdisjoint(arguments)
    options = parse(EvalMesh, ["--help"] if asks else arguments, "eval")
    _check(options)
    mesh = read_surface(options.mesh)
    scored: GeometryReport | DtuReport
    if options.dtu is not None and options.scan is not None:
        reference, scored, kept = _score_scan(mesh, options, options.dtu, options.scan)
    else:
        assert options.reference is not None
        reference = options.reference
        scored, kept = _score(mesh, read_surface(reference), options)
    out = options.out or options.mesh.with_suffix(".geometry.json")
    atomic_write_json(
        out,
        {
            "mesh": options.mesh.as_posix(),
            "reference": reference.as_posix(),
            "scan": options.scan,
            "masks": kept,
            "seed": options.seed,
            "scores": scored.to_json(),
        },
    )
    _print_scan(scored) if isinstance(scored, DtuReport) else _print(scored)
    console = Console(highlight=False, soft_wrap=True)
    if kept is not None:
        console.print(f"within the masks: {kept['points']} of {kept['of']} points of the mesh")
    console.print(f"wrote {out}")
    return 0


def _check(options: EvalMesh) -> None:
    """Refuse options that make no sense, or not together."""
    bad = (
        options.points < 1 or not options.mask_radius >= 0 or any(not each > 0 for each in options.thresholds)
    )
    if bad:
        raise ConfigError(
            "This comparison makes no sense",
            why=f"points {options.points}, thresholds {options.thresholds}, mask radius {options.mask_radius}",
            cure="give at least 1 point, thresholds above 0, and a radius of 0 or more",
        )
    if (options.dtu is None) != (options.scan is None):
        raise ConfigError("DTU's protocol is for one scan", cure="give both --dtu FOLDER and --scan NUMBER")
    if (options.dtu is None) == (options.reference is None):
        raise ConfigError(
            "A surface is scored against one reference",
            cure="give either --reference FILE, or --dtu and --scan",
        )
    if options.dtu is not None and (options.iou or options.thresholds):
        raise ConfigError(
            "DTU's protocol knows no volumes and no thresholds", cure="leave out --iou and --thresholds"
        )
    if options.iou and options.data is not None:
        raise ConfigError("Volumes are those of whole meshes", cure="leave out --iou, or --data")


def _score(
    mesh: Surface, reference: Surface, options: EvalMesh
) -> tuple[GeometryReport, dict[str, Any] | None]:
    """Scores, and how many points the masks have left."""
    predicted, truth = (
        each.points(options.points, generator_for(options.seed, "surface", which))
        for which, each in enumerate((mesh, reference))
    )
    if not len(truth.points):
        raise DataError("The reference holds no surface", where=reference.path)
    which, kept = _within_masks(predicted.points, options)
    overlap = _overlap(mesh, reference, options) if options.iou else None
    return replace(_compare(predicted.chosen(which), truth, options), volume_iou=overlap), kept


def _overlap(mesh: Surface, reference: Surface, options: EvalMesh) -> float:
    first, second = mesh.solid, reference.solid
    lower, upper = torch.minimum(first.lower, second.lower), torch.maximum(first.upper, second.upper)
    generator = generator_for(options.seed, "volume")
    return volume_iou(first, second, lower, upper, generator, count=options.points)


def _score_scan(
    mesh: Surface, options: EvalMesh, folder: Path, scan: int
) -> tuple[Path, DtuReport, dict[str, Any] | None]:
    """The scan's file, scores by DTU's protocol, and how many points the masks have left."""
    files = find_scan(folder, scan)
    region, plane = read_region(files.region), read_plane(files.plane)
    points = mesh.vertices
    if mesh.is_mesh:
        points = mesh_points(mesh.vertices, mesh.faces, generator_for(options.seed, "surface", 0))
    which, kept = _within_masks(points.numpy(), options)
    report = score_scan(
        points.numpy()[which],
        read_surface(files.points).vertices,
        generator_for(options.seed, "thinning"),
        region=region,
        plane=plane,
        beyond=options.outliers,
    )
    return files.points, report, kept


def _within_masks(
    points: np.ndarray, options: EvalMesh
) -> tuple[Bool[np.ndarray, " p"], dict[str, Any] | None]:
    """Which points count by the capture's masks, and what the report says of it."""
    if options.data is None:
        return np.ones(len(points), dtype=bool), None
    scene = open_scene(
        options.data, format=options.format, split="none", masks="keep", normalise=False, measure=False
    )
    if not scene.train.has_masks:
        raise DataError(
            "This capture has no masks",
            where=options.data,
            cure="put masks of the images' names into a folder 'masks' beside theirs, or leave out --data",
        )
    which = inside_masks(torch.from_numpy(points).float(), scene.train, options.mask_radius).numpy()
    if len(points) and not which.any():
        raise DataError(
            "No point of the mesh is within the masks",
            where=options.mesh,
            why=f"there are {len(scene.train)} images with masks in {options.data}",
            cure="check that the mesh is in the frame and unit of that capture",
        )
    data = options.data.as_posix()
    kept = {"data": data, "radius_px": options.mask_radius, "points": int(which.sum()), "of": len(points)}
    return which, kept


def _compare(predicted: SurfacePoints, reference: SurfacePoints, options: EvalMesh) -> GeometryReport:
    """An empty surface counts as a diagonal of the reference's bounding box away."""
    return compare_points(
        predicted.points,
        reference.points,
        predicted_normals=predicted.normals,
        reference_normals=reference.normals,
        thresholds=options.thresholds or tuple(share * reference.longest_edge for share in _SHARES),
        unit=options.unit,
        missing=reference.diagonal,
    )


def _print(report: GeometryReport) -> None:
    table = Table(
        "", title=f"{report.predicted_points} points against {report.reference_points} of the reference"
    )
    for heading in ("mesh to reference", "reference to mesh", "mean"):
        table.add_column(heading, justify="right")
    unit = report.unit
    means = (report.accuracy, report.completeness, report.chamfer_l1)
    squares = (report.accuracy_squared, report.completeness_squared, report.chamfer_squared)
    table.add_row(f"distance, {unit}", *[f"{value:.6g}" for value in means])
    table.add_row(f"squared distance, ({unit})²", *[f"{value:.6g}" for value in squares])
    normals = (report.normal_accuracy, report.normal_completeness, report.normal_consistency)
    table.add_row("normals, |cosine|", *["unknown" if value is None else f"{value:.4f}" for value in normals])
    if report.volume_iou is not None:
        table.add_row("volume IoU", "", "", f"{100 * report.volume_iou:.2f} %")
    for each in report.thresholds:
        shares = (each.precision, each.recall, each.f_score)
        table.add_row(f"within {each.distance:.4g} {unit}", *[f"{100 * share:.2f} %" for share in shares])
    console = Console(highlight=False)
    console.print(table)
    console.print("distance: accuracy, completeness, Chamfer-L1; within: precision, recall, F-score")


def _print_scan(report: DtuReport) -> None:
    table = Table("", title="DTU's protocol")
    for heading in ("accuracy", "completeness", "overall"):
        table.add_column(heading, justify="right")
    distances = (report.accuracy, report.completeness, report.overall)
    table.add_row("distance, mm", *[f"{value:.4f}" for value in distances])
    table.add_row("points", str(report.accuracy_points), str(report.completeness_points), "")
    console = Console(highlight=False)
    console.print(table)
    done = "left out" if report.beyond == "drop" else f"counted as {report.outlier:g} mm"
    console.print(f"points {report.outlier:g} mm or farther from the other side: {done}")
