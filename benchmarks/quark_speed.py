"""Milliseconds per frame of Quark's bundled weights on a CPU, stage by stage, and of its renderers side by side.

    python benchmarks/quark_speed.py [--threads 2]

One procedural scene gives the photographs. Every figure is the median of several rounds in which all contenders of a
table take turns, so that a slow moment of the machine falls on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from novelview.cameras.cameras import Cameras  # noqa: E402
from novelview.cameras.selection import select_views  # noqa: E402
from novelview.data.procedural import make_scene  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.quark import METHOD, fused  # noqa: E402
from novelview.methods.quark.model import Quark  # noqa: E402
from novelview.methods.quark.picture import picture  # noqa: E402
from novelview.methods.quark.renderers import in_strips  # noqa: E402
from novelview.methods.quark.rig import Rig  # noqa: E402
from novelview.rendering.layers import pixel_centres  # noqa: E402
from novelview.training.run import load_method  # noqa: E402

HEAD = """# Quark: milliseconds per frame

Made by `benchmarks/quark_speed.py` with the weights `{run}`, {threads} threads, torch {torch}. Medians of {rounds} rounds;
photographs of {width}x{height}, as is the frame.

## Stages

| views | precision | choice of views | encoder | rest of the network | renderer | whole frame |
|---|---|---|---|---|---|---|
"""
RENDERERS = """
## Renderers

The same layers and photographs, {layers} layers, {views} views. "readable" is `picture.py` in one piece, "in strips" what is
used without numba, "fused, nothing left out" has its threshold at 0. Error is the largest against "readable", in parts
of 255.

| renderer | ms | faster by | largest error |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Options:
    """Measure speed."""

    run: str = "quark"
    """Run folder, name of a method with weights, or "untrained": the preset small as it starts."""
    threads: int = 2
    """CPU threads."""
    width: int = 480
    """Of the frame."""
    height: int = 270
    """Of the frame."""
    rounds: int = 9
    """Rounds."""
    out: Path = Path("benchmarks/results/quark_speed.md")
    """Table to write."""


def main(options: Options) -> None:
    """Write the tables."""
    torch.set_num_threads(options.threads)
    scene = wide_scene(options.width, options.height)
    text = HEAD.format(
        run=options.run,
        threads=options.threads,
        torch=torch.__version__,
        rounds=options.rounds,
        width=options.width,
        height=options.height,
    )
    with torch.no_grad():
        for views in (4, 8):
            text += stages(options, scene, views) + "\n"
        text += renderers(options, scene, 4) + renderers(options, scene, 8)
    print(text)
    atomic_write_text(options.out, text)


def wide_scene(width: int, height: int, views: int = 24) -> Scene:
    """A procedural scene seen by cameras that are wider than high."""
    scene = make_scene("forward", 3_000_003, views=views, size=width, supersample=1)
    top = (width - height) // 2

    def cut(cameras: Cameras) -> Cameras:
        return cameras.cropped(0, top, width, height)

    def pixels(views: Any) -> Any:
        images = torch.stack([views.image(i)[top : top + height] for i in range(len(views))])
        return type(views).from_tensors(cut(views.cameras), images, names=views.names)

    return Scene(scene.name, pixels(scene.train), pixels(scene.test), scene.bounds)


def loaded(run: str, **adjust: Any) -> Quark:
    """The method with some settings changed."""
    if run == "untrained":
        return Quark(METHOD.adjusted(METHOD.preset().config, adjust)).eval()
    method, _ = load_method(run, adjust=adjust)
    assert isinstance(method, Quark)
    return method


def stages(options: Options, scene: Scene, views: int) -> str:
    """Rows of the first table for one number of views."""
    rows = []
    for precision in ("float32", "bfloat16"):
        method = loaded(options.run, views=views, precision=precision)
        state, camera = method.condition(scene.train, scene.bounds), scene.test.cameras[:1]
        seen = method.seen(state, camera)
        xy = pixel_centres(options.height, options.width, seen.images)[None]
        cast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
        finest = _encoder_input(method, seen.images, seen.rig)
        calls: dict[str, Callable[[], Any]] = {
            "choice": partial(select_views, camera, state.cameras, state.near, state.far, views, 0.5),
            "encoder": within(cast, partial(method.network.encoder, finest)),
            "network": within(cast, partial(method.network, seen.images, seen.rig)),
            "renderer": partial(fused.picture, seen.layers, seen.images, seen.rig, xy),
            "frame": partial(method.render, state, camera),
        }
        ms = timed(calls, options.rounds)
        rest = ms["network"] - ms["encoder"]
        figures = (ms["choice"], ms["encoder"], rest, ms["renderer"], ms["frame"])
        rows.append(f"| {views} | {precision} | " + " | ".join(f"{each:.0f}" for each in figures) + " |")
    return "\n".join(rows)


def renderers(options: Options, scene: Scene, views: int) -> str:
    """The second table."""
    method = loaded(options.run, views=views)
    seen = method.seen(method.condition(scene.train, scene.bounds), scene.test.cameras[:1])
    xy = pixel_centres(options.height, options.width, seen.images)[None]
    arguments = (seen.layers, seen.images, seen.rig, xy)
    calls: dict[str, Callable[[], Any]] = {
        "readable": partial(picture, *arguments),
        "in strips": partial(in_strips, *arguments),
        "fused, nothing left out": partial(fused.picture, *arguments, least=0.0),
        "fused": partial(fused.picture, *arguments),
    }
    truth = calls["readable"]().rgb
    ms = timed(calls, options.rounds)
    text = RENDERERS.format(layers=seen.layers.depth.shape[1], views=views)
    for name, call in calls.items():
        error = 255 * float((call().rgb - truth).abs().max())
        text += f"| {name} | {ms[name]:.1f} | {ms['readable'] / ms[name]:.1f} | {error:.2f} |\n"
    return text


def timed(
    calls: dict[str, Callable[[], Any]], rounds: int, wait: Callable[[], Any] = lambda: None
) -> dict[str, float]:
    """Median milliseconds of each call; all take turns, and ``wait`` waits for a GPU."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            wait()
            if number:  # The first round warms up.
                seconds[name].append(time.perf_counter() - began)
    return {name: 1e3 * median(each) for name, each in seconds.items()}


def _encoder_input(method: Quark, images: torch.Tensor, rig: Rig) -> torch.Tensor:
    """What the network gives its encoder."""
    given: list[torch.Tensor] = []
    handle = method.network.encoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    method.network(images, rig)
    handle.remove()
    return given[0]


def within(context: torch.autocast, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call in a context."""

    def inside(*arguments: Any) -> Any:
        with context:
            return call(*arguments)

    return inside


if __name__ == "__main__":
    main(tyro.cli(Options))
