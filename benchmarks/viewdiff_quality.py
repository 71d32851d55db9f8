"""How good the views of a small ViewDiff are: agreement in 3D, faithfulness to a picture, likeness to real ones.

    python benchmarks/viewdiff_quality.py [--run viewdiff] [--name "bundled weights"] [--sheet docs/images/viewdiff.jpg]

Every call exchanges one row of ``benchmarks/results/viewdiff_quality.md``. A row needs some minutes on two cores.

Objects of words: the descriptions that no training draws (colours of shapes that are held out, alone and in company), 16
views each on one ring. Agreement is the PSNR of a grid that is fitted to every other view, on the views between, and the
median distance of matched corners from where cameras say they are. Objects of pictures: other members of the same
descriptions; one view is given, four others are made three times. Nothing of it is chosen after the fact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
import tyro

from novelview.data.procedural.described import held_out_descriptions
from novelview.data.procedural.described_objects import described_object
from novelview.data.procedural.described_stream import described_scene
from novelview.data.procedural.objects import EDGE, SolidObject
from novelview.data.procedural.pictures import render_pictures
from novelview.evaluation.consistency import reprojection_error
from novelview.evaluation.distributions import compare_distributions
from novelview.evaluation.evaluate_reconstruction import made_from
from novelview.evaluation.features import RandomConv, image_features
from novelview.evaluation.fitted import FIT, FittedReport, fitted_consistency
from novelview.evaluation.reconstruction import RepeatedScores, score_reconstruction
from novelview.generation import Request
from novelview.geometry.rigid import Similarity
from novelview.methods.method import Method
from novelview.random import generator_for
from novelview.subjects import Trajectory
from novelview.training.checkpoint import read_checkpoint
from novelview.training.run import fit, load_method, located
from novelview.types import Bounds, Views
from pictures import draw
from rows import keep

RESULT = Path(__file__).parent / "results" / "viewdiff_quality.md"
HEAD = """# ViewDiff: quality of the small model

Made by `benchmarks/viewdiff_quality.py`, whose head says what is measured. "grid" is the PSNR of a grid fitted to half of 16
views on the other half, "nearest" that of the nearest fitted view in its place; "corners" the median distance of matched
corners from epipolar lines, in % of the image's width, beside that of exchanged cameras. PSNR and SSIM of views made from
one picture: mean over three samples, then the best of the three and the mean image of the three. FID and KID by a fixed
network of random filters, which only compares rows of this table. "true renders" and "given picture repeated" bound what
can be expected. "s": seconds for 8 views out of words. "steps": of the last part of a training.

| weights | steps | objects | grid | nearest | corners | exchanged | PSNR, best, mean image | SSIM | FID | KID x 1000 | s |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
VIEWS, SAMPLES, TARGETS, SEED = 16, 3, 4, 1_000_000


@dataclass(frozen=True)
class Options:
    """Measure one model."""

    run: str = "viewdiff"
    """Run folder, or the name of the method for the bundled weights."""
    bound: Literal["true", "repeat"] | None = None
    """Measure a bound instead, in the studio of the run: true renders, or the given picture in place of all views."""
    name: str = "bundled weights"
    """How the row is called."""
    objects: int = 20
    """Descriptions that are used, of 20."""
    sheet: Path | None = None
    """Also draw 8 views of some objects here."""
    out: Path = RESULT
    """Table to write."""


@dataclass(frozen=True)
class Shown:
    """Views of one description on a ring."""

    views: Views
    bounds: Bounds


def main(options: Options) -> None:
    """Measure, and write the row."""
    torch.manual_seed(0)
    words = held_out_captions()[: options.objects]
    studio, _ = load_method(options.run)
    model = None if options.bound else studio
    true = [ring_of(studio, caption, i) for i, caption in enumerate(words)]
    made = true if model is None else [generated(model, caption, i) for i, caption in enumerate(words)]
    if options.sheet is not None and model is not None:
        draw(options.sheet, torch.cat([shown.views.images()[::2] for shown in made]), columns=8)
    cells = [options.name, "" if model is None else steps_of(options.run), str(len(words))]
    cells += agreement(made) if options.bound != "repeat" else ["", "", "", ""]
    cells += faithfulness(model, studio, words) if options.bound != "true" else ["", ""]
    cells += likeness(made, true) if model is not None else ["", ""]
    cells += [f"{seconds(model):.1f}" if model is not None else ""]
    row = "| " + " | ".join(cells) + " |"
    keep(options.out, HEAD, f"| {options.name} |", row)
    print(row)


def held_out_captions() -> list[str]:
    """Of all descriptions that no training draws."""
    return [description.caption for description in held_out_descriptions()]


def ring_of(studio: Method, caption: str, seed: int) -> Shown:
    """True renders on the ring that views are generated on."""
    room = studio.studio()
    cameras = Trajectory(views=VIEWS).cameras(room)
    solid = described_object_at(caption, seed)
    scale = EDGE / 2 / max(room.bounds.box_max)
    smaller = cameras.moved(Similarity(scale, torch.eye(3), torch.zeros(3)))
    images, masks = render_pictures(solid, smaller)
    return Shown(Views.from_tensors(cameras, images, masks), room.bounds)


def described_object_at(caption: str, seed: int) -> SolidObject:
    """A member of a description that no training has."""
    by_caption = {each.caption: each for each in held_out_descriptions()}
    return described_object(by_caption[caption], SEED + seed)


def generated(model: Method, caption: str, seed: int) -> Shown:
    """Views on a ring out of words."""
    room = model.studio()
    cameras = Trajectory(views=VIEWS).cameras(room)
    frames = model.generate(Request(caption, cameras, seed=seed))
    return Shown(Views.from_tensors(cameras, frames.rgb), room.bounds)


def agreement(shown: list[Shown]) -> list[str]:
    """PSNR of fitted grids, and distances of matched corners."""
    grids = fitted(shown)
    corners = [reprojection_error(each.views, each.bounds, generator_for(0, "corners")) for each in shown]
    near = [each.two_views.median_share for each in corners if each.two_views.median_share is not None]
    chance = [r.two_views_chance.median_share for r in corners if r.two_views_chance.median_share is not None]
    return [
        f"{fmean(each.others.psnr for each in grids):.2f}",
        f"{fmean(each.nearest.psnr for each in grids):.2f}",
        f"{100 * fmean(near):.2f}",
        f"{100 * fmean(chance):.2f}",
    ]


def fitted(shown: list[Shown]) -> list[FittedReport]:
    """How well grids of every other view show the views between."""
    learn = partial(fit, "grid", config=FIT.config, recipe=FIT.recipe, quiet=True)
    return [fitted_consistency(each.views, each.bounds, learn) for each in shown]


def faithfulness(model: Method | None, studio: Method, words: list[str]) -> list[str]:
    """Scores of views made from one picture; of the picture itself in their place where there is no model."""
    found = reconstructions(model, studio, words)
    psnr = [fmean(getattr(each, kind).psnr for each in found) for kind in ("mean", "best", "mean_image")]
    ssim = fmean(each.mean.ssim_uniform7 for each in found)
    return [" / ".join(f"{value:.2f}" for value in psnr), f"{ssim:.3f}"]


def reconstructions(
    model: Method | None, studio: Method, words: list[str], first: int = SEED
) -> list[RepeatedScores]:
    """Of one member of each description, four views out of one; seeds of members count from ``first``."""
    size = studio.studio().width
    found = []
    for i, caption in enumerate(words):
        scene = described_scene(caption, first + i, views=1 + TARGETS, size=size, test_every=0)
        given, others = scene.train[[0]], scene.train[list(range(1, 1 + TARGETS))]
        if model is None:
            samples = given.images().expand(1, TARGETS, -1, -1, -1)
        else:
            made = [made_from(model, given, others, scene.bounds, "", seed) for seed in range(SAMPLES)]
            samples = torch.stack(made)
        found.append(score_reconstruction(samples, others.images()).whole)
    return found


def likeness(made: list[Shown], true: list[Shown]) -> list[str]:
    """FID and KID against true renders of the same descriptions."""
    network = RandomConv()
    both = [
        image_features(network, torch.cat([each.views.images()[::4] for each in shown]))
        for shown in (made, true)
    ]
    scores = compare_distributions(
        both[0], both[1], generator_for(0, "kid"), network=network.name, masks="whole images"
    )
    return [f"{scores.fid:.2f}", f"{1000 * scores.kid:.2f}"]


def seconds(model: Method) -> float:
    """Of eight views, words alone."""
    cameras = Trajectory(views=8).cameras(model.studio())
    start = time.perf_counter()
    model.generate(Request("a red torus", cameras))
    return time.perf_counter() - start


def steps_of(run: str) -> str:
    """Optimiser steps of a run's weights."""
    return str(read_checkpoint(located(run), training=False).progress.step)


if __name__ == "__main__":
    main(tyro.cli(Options))
