"""``novelview eval --generated FOLDER``: whether generated views show one thing, and how close they are to real images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from novelview.cli.options import parse
from novelview.data.decode import read_image
from novelview.data.fitting import MaskUse
from novelview.data.formats import READERS
from novelview.data.formats.paths import photographs
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError
from novelview.evaluation.consistency import PixelErrors, ReprojectionReport, reprojection_error
from novelview.evaluation.distributions import DistributionScores, compare_distributions
from novelview.evaluation.features import FeatureNetwork, RandomConv, image_features
from novelview.evaluation.fitted import FEWEST, FIT, FittedReport, fitted_consistency
from novelview.evaluation.inception import Inception
from novelview.files import atomic_write_json
from novelview.progress import progress_bar
from novelview.random import generator_for
from novelview.subjects import GIVEN
from novelview.training.run import fit


@dataclass(frozen=True)
class EvalGenerated:
    """Score views that no camera saw, and write a report as JSON.

    Consistency: by how much cameras miss what looks alike in neighbouring views, beside the chance level of exchanged
    cameras; and how well a coarse grid that is fitted to every other view shows the views between. With --against,
    also how close the images are to real ones as a distribution, by FID and KID."""

    generated: tuple[Path, ...]
    """Folders of generated views, each an ordinary capture (transforms.json, images, perhaps masks)."""
    against: Path | None = None
    """Real images: a capture, whose consistency is measured too, or a folder of images."""
    features: Path | None = None
    """Weights of Inception-v3 for FID and KID as published: pt_inception-2015-12-05-6726825d.pth of the package
    pytorch-fid. Without them, features of a random network rank results, and their values mean nothing else."""
    masks: MaskUse = "object"
    """What masks mean. object: everything outside them is painted white; ignore: as if there were none."""
    max_side: int | None = None
    """Longest image side in pixels. Default: as on disk."""
    fit: bool = True
    """Also fit a grid to half of the views, which takes seconds per folder."""
    seed: int = 0
    """Which random draws are made."""
    out: Path | None = None
    """Report. Default: the first folder's name with .evaluation.json, beside it."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""


@dataclass(frozen=True)
class _Consistency:
    """What was measured on one capture; None where that was not asked for, or it has too few views."""

    name: str
    scene: Scene
    reprojection: ReprojectionReport
    fitted: FittedReport | None

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": self.name,
            "views": len(self.scene.train),
            "size": list(self.scene.train.cameras.common_size),
            "masks": self.scene.train.has_masks,
            "reprojection": self.reprojection.to_json(),
            "fitted": None if self.fitted is None else self.fitted.to_json(),
        }


@dataclass(frozen=True)
class _Real:
    """Real images, from a capture or from files."""

    files: tuple[Path, ...]
    scene: Scene | None

    def images(self) -> Iterator[Float[Tensor, "h w 3"]]:
        if self.scene is None:
            return map(_on_white, self.files)
        views = self.scene.train
        return (views.image(i) for i in range(len(views)))


def run(arguments: Sequence[str]) -> int:
    """Parse and run."""
    # Whoever asks for help need not name a folder after --generated.
    asks = not {"-h", "--help"}.isdisjoint(arguments)
    options = parse(EvalGenerated, ["--help"] if asks else arguments, "eval")
    if not options.generated:
        raise ConfigError("No folder of generated views is named", cure="add --generated FOLDER")
    if options.features is not None and options.against is None:
        raise ConfigError("Features are compared with those of real images", cure="add --against FOLDER")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    # Files that are missing or damaged are found before anything takes its time.
    network = None if options.against is None else _network(options.features, device)
    real = None if options.against is None else _real(options.against, options)
    scenes = {path.as_posix(): _open(path, options) for path in options.generated}
    given = len(scenes)
    if real is not None and real.scene is not None and options.against is not None:
        scenes |= {f"{options.against.as_posix()} (real)": real.scene}
    with progress_bar(Console(stderr=True)) as bar:
        rows = [
            _consistency(name, scene, options, device)
            for name, scene in bar.track(scenes.items(), len(scenes))
        ]
    scores = None
    if network is not None and real is not None:
        scores = _distribution(network, [row.scene for row in rows[:given]], real, options)
    out = options.out or _beside(options.generated[0])
    atomic_write_json(
        out,
        {
            "generated": [row.to_json() for row in rows[:given]],
            "against": None if options.against is None else options.against.as_posix(),
            "real": [row.to_json() for row in rows[given:]],
            "distribution": None if scores is None else scores.to_json(),
            "seed": options.seed,
        },
    )
    _print(rows, scores)
    Console(highlight=False, soft_wrap=True).print(f"wrote {out}")
    return 0


def _network(weights: Path | None, device: str) -> FeatureNetwork:
    network: FeatureNetwork = RandomConv() if weights is None else Inception.from_file(weights)
    return network.to(device)


def _open(path: Path, options: EvalGenerated) -> Scene:
    scene = open_scene(path, split="none", masks=options.masks, max_side=options.max_side)
    if len(scene.train) < 2:
        raise DataError("Consistency is between views, there is one", where=path, cure="give at least 2")
    return scene


def _real(path: Path, options: EvalGenerated) -> _Real:
    """A folder that holds images, and nothing that says where they were taken, is no capture."""
    files = photographs(path)
    if files and not any(reader.detect(path) for reader in READERS):
        return _Real(tuple(files), None)
    return _Real((), _open(path, options))


def _consistency(name: str, scene: Scene, options: EvalGenerated, device: str) -> _Consistency:
    views, generator = scene.train, generator_for(options.seed, "exchanges")
    fitted = None
    if options.fit and len(views) >= FEWEST:
        grid = partial(fit, "grid", config=FIT.config, recipe=FIT.recipe, seed=options.seed, device=device)
        fitted = fitted_consistency(views, scene.bounds, partial(grid, quiet=True))
    return _Consistency(name, scene, reprojection_error(views, scene.bounds, generator), fitted)


def _distribution(
    network: FeatureNetwork, scenes: Sequence[Scene], real: _Real, options: EvalGenerated
) -> DistributionScores:
    generated = image_features(network, chain.from_iterable(map(_images, scenes)))
    reference = image_features(network, real.images())
    cut_out = [scene.bounds.background is not None for scene in scenes]
    others = "files as they are, on white where transparent"
    if real.scene is not None:
        others = _rule([real.scene.bounds.background is not None])
    return compare_distributions(
        generated,
        reference,
        generator_for(options.seed, "subsets"),
        network=network.name,
        masks=f"generated: {_rule(cut_out)}; real: {others}",
    )


def _rule(cut_out: Sequence[bool]) -> str:
    if not any(cut_out):
        return "no masks"
    some = "" if all(cut_out) else f" in {sum(cut_out)} of {len(cut_out)} folders"
    return f"white outside the masks{some}"


def _images(scene: Scene) -> Iterator[Float[Tensor, "h w 3"]]:
    """All that a model made; pictures that it was given are not its own."""
    made = [i for i, name in enumerate(scene.train.names) if not Path(name).name.startswith(GIVEN)]
    return (scene.train.image(i) for i in made)


def _on_white(path: Path) -> Float[Tensor, "h w 3"]:
    pixels = read_image(path, turn=True)
    if pixels.shape[-1] == 3:
        return pixels
    return pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])


def _beside(folder: Path) -> Path:
    # A file is called transforms.json in every capture; its folder is what people named.
    folder = folder.resolve()
    named = folder.parent if folder.is_file() else folder
    return named.with_name(f"{named.name}.evaluation.json")


def _print(rows: Sequence[_Consistency], scores: DistributionScores | None) -> None:
    console = Console(highlight=False)
    table = Table("", title="Consistency")
    table.columns[0].overflow = "fold"
    for heading in ("views", "matches", "2 views, %", "3 views, %", "between, dB", "nearest, dB"):
        table.add_column(heading, justify="right")
    for row in rows:
        errors, fitted = row.reprojection, row.fitted
        table.add_row(
            row.name,
            str(errors.views),
            str(errors.two_views.count),
            _beside_chance(errors.two_views, errors.two_views_chance),
            _beside_chance(errors.three_views, errors.three_views_chance),
            "" if fitted is None else f"{fitted.others.psnr:.2f}",
            "" if fitted is None else f"{fitted.nearest.psnr:.2f}",
        )
    console.print(table)
    console.print(
        "2 and 3 views: median distance of matches from where the cameras want them, in percent of the image's width,"
        " and with exchanged cameras (chance); between: PSNR of a grid fitted to every other view, on the others;"
        " nearest: of the nearest fitted view instead"
    )
    if scores is not None:
        console.print(
            f"FID {scores.fid:.4g}, KID {scores.kid:.4g} ± {scores.kid_std:.2g}, by {scores.network}"
        )
        console.print(
            f"{scores.generated} generated and {scores.reference} real images; masks: {scores.masks}"
        )
        for note in scores.notes:
            console.print(note)


def _beside_chance(errors: PixelErrors, chance: PixelErrors) -> str:
    if errors.median_share is None or chance.median_share is None:
        return "none"
    return f"{100 * errors.median_share:.2f} ({100 * chance.median_share:.1f})"
