"""Flicker along a camera path, with views that fade in and out and with views that come and go at once.

    python benchmarks/quark_flicker.py [RUN]

Procedural scenes are rendered exactly along a path through their training cameras. Every frame's successor is carried
back to it by the true depth, for the method's pictures as for the true ones; where both see the same surface, the
change of the method's picture minus the change of the true one is flicker: popping, swimming, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
import tyro
from torch import Tensor

from novelview.cameras import paths
from novelview.cameras.cameras import Cameras
from novelview.data.procedural import make_scene
from novelview.data.procedural.families import make_stage
from novelview.data.procedural.scenes import render_views
from novelview.data.scene import Scene
from novelview.evaluation.metrics import psnr
from novelview.files import atomic_write_text
from novelview.geometry.warp import sample_bilinear
from novelview.training.run import load_method
from novelview.types import Frames, Views

HEAD = """# Quark: flicker along a path

Made by `benchmarks/quark_flicker.py` with the weights `{run}`: {frames} frames of {size}x{size} along a path through the
training cameras of held-out procedural scenes, {views} input views per frame. Flicker is the mean absolute difference (in
parts of 255, over colours and pixels whose surface both frames see) between the change from frame to frame of the
rendering and of the truth, after warping by the true depth; "worst frame" is the mean of the worst pair of frames,
"99 %" the 99th percentile over pixels. "Exchanges" counts how often a view was replaced, "there" is the mean flicker of
the pairs of frames between which one was, "elsewhere" that of all others.

| scene | fade | PSNR | flicker | worst frame | 99 % | exchanges | there | elsewhere |
|---|---|---|---|---|---|---|---|---|
"""
# Relative difference of depths up to which two frames see the same surface.
SAME = 0.01


@dataclass(frozen=True)
class Options:
    """Measure flicker."""

    run: tyro.conf.Positional[str] = "quark"
    """Run folder, or the name of a method that comes with weights."""
    seeds: tuple[int, ...] = (3_000_001, 3_000_002)
    """Scenes of each family."""
    families: tuple[str, ...] = ("forward", "room")
    """Families of procedural scenes."""
    fades: tuple[float, ...] = (0.0, 0.5)
    """Values of the option that are compared."""
    frames: int = 60
    """Frames of a path."""
    size: int = 160
    """Width and height."""
    views: int = 4
    """Input views of a frame."""
    out: Path = Path("benchmarks/results/quark_flicker.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the table."""
    text = HEAD.format(run=options.run, frames=options.frames, size=options.size, views=options.views)
    for family in options.families:
        for seed in options.seeds:
            scene = make_scene(family, seed, views=24, size=options.size, test_every=25)
            cameras = paths.interpolate(scene.train.cameras[:6], options.frames, loop=False)
            truth = render_views(make_stage(family, seed), cameras, 2)
            for fade in options.fades:
                line = row(options, scene, truth, fade)
                print(line, flush=True)
                text += line + "\n"
    atomic_write_text(options.out, text)


def row(options: Options, scene: Scene, truth: Views, fade: float) -> str:
    """One scene's figures with one setting."""
    method, _ = load_method(options.run, adjust={"views": options.views, "fade": fade})
    state, cameras = method.condition(scene.train, scene.bounds), truth.cameras
    shown = Frames.concatenate([method.render(state, cameras[i]) for i in range(len(cameras))]).rgb
    used = [
        {each["view"] for each in method.explain(state, cameras[i])["views"]} for i in range(len(cameras))
    ]
    exchanges = [len(before - after) for before, after in pairwise(used)]
    quality = fmean(psnr(shown[i].clamp(0, 1), truth.image(i)) for i in range(len(cameras)))
    changes = [255 * change(shown, truth, i) for i in range(len(cameras) - 1)]
    together, means = torch.cat(changes), [float(each.mean()) for each in changes]
    high = float(together.flatten()[:: max(1, together.numel() // 10**6)].quantile(0.99))
    there = [mean for mean, count in zip(means, exchanges, strict=True) if count]
    elsewhere = [mean for mean, count in zip(means, exchanges, strict=True) if not count]
    figures = (
        f"{quality:.2f} | {float(together.mean()):.2f} | {max(means):.2f} | {high:.1f} | {sum(exchanges)}"
    )
    at = " | ".join(f"{fmean(each):.2f}" if each else "-" for each in (there, elsewhere))
    return f"| {scene.name} | {fade:g} | {figures} | {at} |"


def change(shown: Tensor, truth: Views, i: int) -> Tensor:
    """How differently the rendering and the truth change from frame ``i`` to the next, (pixels, 3)."""
    places, depth = carried(truth.cameras, truth.depth(i), i)
    there, inside = sample_bilinear(truth.depth(i + 1)[..., None], places)
    same = inside & ((there[..., 0] - depth).abs() < SAME * depth) & (truth.depth(i).flatten() > 0)
    pictures = [(shown[i], shown[i + 1]), (truth.image(i), truth.image(i + 1))]
    rendered, true = (sample_bilinear(after, places)[0] - before.reshape(-1, 3) for before, after in pictures)
    return (rendered - true)[same].abs()


def carried(cameras: Cameras, depth: Tensor, i: int) -> tuple[Tensor, Tensor]:
    """Pixels and depths of frame ``i``'s surface in the next frame."""
    rays = cameras[i].rays()[0].reshape(-1)
    points = rays.origins + depth.reshape(-1, 1) * rays.directions
    places, there = cameras[i + 1].project(points)
    return places[0], there[0]


if __name__ == "__main__":
    main(tyro.cli(Options))
