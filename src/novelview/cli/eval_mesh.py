"""``novelview eval --mesh A.ply --reference B.ply``: how close a surface is to the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from novelview.cli.options import parse
from novelview.errors import ConfigError, DataError
from novelview.evaluation.geometry import GeometryReport, compare_points
from novelview.evaluation.surfaces import SurfacePoints, read_surface
from novelview.files import atomic_write_json
from novelview.random import generator_for

# Thresholds where none are given: shares of the longest edge of the reference's bounding box.
_SHARES = (0.005, 0.01, 0.02)


@dataclass(frozen=True)
class EvalMesh:
    """Score a surface against a reference and write a report as JSON: accuracy, completeness, Chamfer distance, normal
    consistency, precision, recall and F-score. All distances are in the unit of the files, which must share one frame;
    none is scaled by 10, as Chamfer-L1 often is in papers."""

    mesh: Path
    """Surface to score: a mesh (.ply, .obj, .off, .stl, .glb), or points (.ply without faces, .xyz, .npz). A .glb has y
    up, also one that `novelview export` wrote: compare it with another .glb, or export a .ply."""
    reference: Path
    """The true surface: a mesh, or points, of which .npz may hold normals (arrays points and normals)."""
    out: Path | None = None
    """Report. Default: the mesh's name with .geometry.json, beside it."""
    points: int = 100_000
    """Number of points drawn evenly from the area of a mesh; point clouds are taken as they are."""
    thresholds: tuple[float, ...] = ()
    """Distances for precision, recall and F-score, in the unit of the files. Default: 0.5, 1 and 2 percent of the longest
    edge of the reference's bounding box."""
    unit: str = "file units"
    """What the report calls the unit of the files, for example mm."""
    seed: int = 0
    """Which random points are drawn."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run."""
    # Whoever asks for help need not name a file after --mesh.
    asks = not {"-h", "--help"}.isdisjoint(arguments)
    options = parse(EvalMesh, ["--help"] if asks else arguments, "eval")
    if options.points < 1 or any(not each > 0 for each in options.thresholds):
        raise ConfigError(
            "This comparison makes no sense",
            why=f"points {options.points}, thresholds {options.thresholds}",
            cure="give at least 1 point, and thresholds above 0",
        )
    predicted, reference = (
        read_surface(path, options.points, generator_for(options.seed, "surface", which))
        for which, path in enumerate((options.mesh, options.reference))
    )
    if not len(reference.points):
        raise DataError("The reference holds no surface", where=options.reference)
    report = _compare(predicted, reference, options)
    out = options.out or options.mesh.with_suffix(".geometry.json")
    files = {"mesh": options.mesh.as_posix(), "reference": options.reference.as_posix()}
    atomic_write_json(out, {**files, "seed": options.seed, "scores": report.to_json()})
    _print(report)
    Console(highlight=False, soft_wrap=True).print(f"wrote {out}")
    return 0


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
    for each in report.thresholds:
        shares = (each.precision, each.recall, each.f_score)
        table.add_row(f"within {each.distance:.4g} {unit}", *[f"{100 * share:.2f} %" for share in shares])
    console = Console(highlight=False)
    console.print(table)
    console.print("distance: accuracy, completeness, Chamfer-L1; within: precision, recall, F-score")
