"""What only a GPU can show, by one command: that everything is right there, then how fast it is.

    python benchmarks/gpu/run.py [--data DATA] [--only procedural quark lvsm grid r2l dvr viewdiff] [--quick]

Runs the tests marked ``gpu`` and stops where one fails. Then measures procedural views per second, and the grid's
presets ``fast`` and ``gpu`` on the demo scene and, where DATA is the folder of captures, on fox at a quarter of its
size: held-out PSNR against training time, and rays per second; and milliseconds per frame of Quark's networks in
bfloat16, with the Triton renderer beside the readable one, and per training step; per view of LVSM's networks; per
picture of R2L's students beside NeRF; per view and training step of DVR; and per look and training step of ViewDiff's
networks, small and at the size of Stable Diffusion. Writes ``benchmarks/gpu/results.md`` row by row.
``--quick`` trains a hundredth of the steps, on whatever device there is, and writes nothing: it proves that the script
works.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import grid_quality  # noqa: E402
import lvsm_speed  # noqa: E402
import procedural_speed  # noqa: E402
import quark_speed  # noqa: E402
import viewdiff_speed  # noqa: E402
from novelview.data.open import open_scene  # noqa: E402
from novelview.data.procedural import FAMILIES, demo_scene, object_scene  # noqa: E402
from novelview.data.scene import Scene  # noqa: E402
from novelview.errors import MethodError  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from novelview.methods.dvr import METHODS as DVR_SPECS  # noqa: E402
from novelview.methods.grid import METHOD  # noqa: E402
from novelview.methods.lvsm import METHOD as LVSM_SPEC  # noqa: E402
from novelview.methods.lvsm.networks import build_network  # noqa: E402
from novelview.methods.method import Method  # noqa: E402
from novelview.methods.nerf import METHOD as NERF_SPEC  # noqa: E402
from novelview.methods.quark import METHOD as QUARK_SPEC  # noqa: E402
from novelview.methods.quark.model import Quark  # noqa: E402
from novelview.methods.quark.renderers import fast_picture, in_strips  # noqa: E402
from novelview.methods.r2l import METHOD as R2L_SPEC  # noqa: E402
from novelview.random import Draws, generator_for  # noqa: E402
from novelview.rendering.layers import pixel_centres  # noqa: E402
from novelview.types import RayBatch  # noqa: E402

DVR_SPEC = DVR_SPECS[0]
# Many CPUs compute bfloat16 slowly.
PRECISION = {"cuda": "bfloat16", "cpu": "float32"}
RESULTS = Path(__file__).parent / "results.md"
VIEWS = """| procedural family, 128x128 | views/s |
|---|---|"""
GRID = """
| scene | views, size | preset | steps | training s | PSNR | SSIM | curve: s → PSNR | rays/s |
|---|---|---|---|---|---|---|---|---|"""

QUARK = """
| preset of Quark, 8 views | frame | network ms | Triton ms | readable ms | all, with copies, ms | largest error of 255 |
|---|---|---|---|---|---|---|"""
LVSM = """
| LVSM, random weights, 256x256, autocast | inputs | encode ms | per view ms | compiled per view ms | error of 255 |
|---|---|---|---|---|---|"""
R2L = """
| 400x400, random weights | float32 ms | bfloat16 ms | error of 255 | ratio to NeRF |
|---|---|---|---|---|"""
DVR = """
| preset of DVR, untrained | 128x128 view ms | first training step ms | last training step ms |
|---|---|---|---|"""
VIEWDIFF = """
| ViewDiff, random weights | views | precision | one look ms | training step ms | peak GiB |
|---|---|---|---|---|---|"""
TRAINING = """
| small, batch | precision | making samples ms | loss and gradients ms |
|---|---|---|---|"""


Part = Literal["procedural", "quark", "lvsm", "grid", "r2l", "dvr", "viewdiff"]


@dataclass(frozen=True)
class Options:
    """Measure on a GPU."""

    data: Path | None = None
    """Folder of capture folders; without it only procedural scenes are used."""
    only: tuple[Part, ...] = ("procedural", "quark", "lvsm", "grid", "r2l", "dvr", "viewdiff")
    """What is measured."""
    out: Path = RESULTS
    """Table to write."""
    quick: bool = False
    """Train a hundredth of the steps on any device and write nothing."""


def main(options: Options) -> None:
    """Tests first: a fast wrong answer is worth nothing."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.quick:
        raise MethodError("There is no CUDA device here", cure="run on a machine with one, or try --quick")
    if device == "cuda":
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(ROOT / "tests")], check=True)
    name = torch.cuda.get_device_name() if device == "cuda" else "a CPU"
    lines = [f"# On {name}, torch {torch.__version__}", ""]
    for line in measure(options, device):
        print(line, flush=True)
        lines.append(line)
        if not options.quick:
            atomic_write_text(options.out, "\n".join(lines) + "\n")


def measure(options: Options, device: str) -> Iterator[str]:
    """The lines of the result, one by one."""
    if "procedural" in options.only:
        yield from procedural_rows(options, device)
    if "quark" in options.only:
        yield from quark_rows(options, device)
    if "lvsm" in options.only:
        yield from lvsm_rows(options, device)
    if "grid" in options.only:
        yield from grid_rows(options, device)
    if "r2l" in options.only:
        yield from r2l_rows(options, device)
    if "dvr" in options.only:
        yield from dvr_rows(options, device)
    if "viewdiff" in options.only:
        yield from viewdiff_rows(options, device)


def procedural_rows(options: Options, device: str) -> Iterator[str]:
    """Views per second."""
    threads, items = torch.get_num_threads(), 1 if options.quick else 20
    yield VIEWS
    views = procedural_speed.SOURCES + procedural_speed.TARGETS
    for family in FAMILIES:
        seconds = procedural_speed.seconds(family, 1, device, threads, items, 0)
        yield f"| {family} | {views * items / seconds:.0f} |"


def quark_rows(options: Options, device: str) -> Iterator[str]:
    """Milliseconds per frame of every network, and per training step of the small one."""
    yield QUARK
    scene = quark_speed.wide_scene(*((96, 54) if options.quick else (1920, 1080)), views=11)
    for preset in ("small",) if options.quick else ("quark", "quark+", "small"):
        yield quark_row(preset, scene, device, 1 if options.quick else 20)
    yield TRAINING
    for precision in (torch.float32, torch.bfloat16) if device == "cuda" else (torch.float32,):
        yield training_row(precision, device, *((1, 1) if options.quick else (8, 10)))


def lvsm_rows(options: Options, device: str) -> Iterator[str]:
    """Milliseconds per view of the networks of the paper's size."""
    yield LVSM
    networks = ("tiny",) if options.quick else ("decoder-only", "encoder-decoder", "cached")
    for network in networks:
        for views in (2,) if options.quick else (2, 4, 8, 16):
            yield lvsm_row(network, views, device, 1 if options.quick else 20)


def grid_rows(options: Options, device: str) -> Iterator[str]:
    """Quality against time."""
    threads = torch.get_num_threads()
    yield GRID
    for name, scene in _scenes(options):
        for preset in ("fast", "gpu"):
            chosen = METHOD.presets[preset]
            if options.quick:
                steps = chosen.recipe.steps // 100
                chosen = replace(chosen, recipe=replace(chosen.recipe, steps=steps))
            yield grid_quality.measure(name, scene, preset, chosen, threads, device)


def r2l_rows(options: Options, device: str) -> Iterator[str]:
    """Milliseconds per picture of NeRF and of R2L's students, whose time does not depend on their weights."""
    yield R2L
    scene = demo_scene(16 if options.quick else 400)
    contenders = {"NeRF, 64 + 128 samples": NERF_SPEC.build(NERF_SPEC.preset().config, scene.bounds)}
    for preset in ("W256D88", "W181D88", "W256D44", "W363D22", "mobile"):
        contenders[preset] = R2L_SPEC.build(R2L_SPEC.presets[preset].config, scene.bounds)
    base: dict[str, float] = {}
    for name, method in contenders.items():
        method = method.to(device).eval()
        render = partial(method.render, None, scene.test.cameras[:1].to(device))
        calls: dict[str, Callable[[], Any]] = {"float32": render}
        calls["bfloat16"] = quark_speed.within(torch.autocast(device, torch.bfloat16), render)
        ms = quark_speed.timed(calls, 1 if options.quick else 10, waiting(device))
        apart = 255 * float((calls["bfloat16"]().rgb - render().rgb).abs().max())
        base = base or ms
        ratio = f"{base['float32'] / ms['float32']:.1f} / {base['bfloat16'] / ms['bfloat16']:.1f}"
        yield f"| {name} | {ms['float32']:.1f} | {ms['bfloat16']:.1f} | {apart:.2f} | {ratio} |"


def viewdiff_rows(options: Options, device: str) -> Iterator[str]:
    """Milliseconds of one look of the U-Net and of a training step's gradients, and peak memory of both."""
    yield VIEWDIFF
    cases = [("tiny", 3)] if options.quick else [("small", 8), ("published", 5), ("published", 10)]
    for name, frames in cases:
        network, look = viewdiff_speed.looking(name, frames, device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        for precision in ("float32", "bfloat16"):
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                calls = {"look": torch.no_grad()(look), "step": partial(_gradients, network, look)}
                ms = quark_speed.timed(calls, 1 if options.quick else 10, waiting(device))
            peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
            yield f"| {name} | {frames} | {precision} | {ms['look']:.1f} | {ms['step']:.1f} | {peak:.1f} |"


def _gradients(network: torch.nn.Module, look: Callable[[], torch.Tensor]) -> None:
    network.zero_grad()
    look().square().mean().backward()


def dvr_rows(options: Options, device: str) -> Iterator[str]:
    """Milliseconds per view and per training step."""
    yield DVR
    scene = object_scene("cup", views=8, size=16 if options.quick else 128, test_every=4)
    camera = scene.test.cameras[:1].to(device)
    for name in ("tiny",) if options.quick else ("grids", "multi-view"):
        preset = DVR_SPEC.presets[name]
        method = DVR_SPEC.build(preset.config, scene.bounds)
        method.begin(scene.train)
        method, steps = method.to(device), preset.recipe.steps
        batch = DVR_SPEC.sampler([scene], preset.config, preset.recipe, 0).batch(0).to(device)

        def learn(step: int, method: Method = method, batch: RayBatch = batch, steps: int = steps) -> None:
            method.advance(step, steps)
            method.zero_grad()
            method.loss(batch, step, Draws(generator_for(0, device=device))).total.backward()

        calls: dict[str, Callable[[], Any]] = {
            "view": partial(method.render, None, camera),
            "first": partial(learn, 0),
            "last": partial(learn, steps - 1),
        }
        ms = quark_speed.timed(calls, 1 if options.quick else 10, waiting(device))
        yield f"| {name} | {ms['view']:.1f} | {ms['first']:.1f} | {ms['last']:.1f} |"


@torch.no_grad()
def quark_row(preset: str, scene: Scene, device: str, rounds: int) -> str:
    """Speed of an untrained network of a preset: it does not depend on the weights, the renderer's hardly."""
    size = scene.test.cameras[:1].common_size
    method = Quark(
        QUARK_SPEC.adjusted(QUARK_SPEC.presets[preset].config, {"views": 8, "precision": PRECISION[device]})
    )
    method = method.to(device).eval()
    state, camera = method.condition(scene.train, scene.bounds), scene.test.cameras[:1]
    seen = method.seen(state, camera)
    xy = pixel_centres(size[1], size[0], seen.images)[None]
    arguments = (seen.layers, seen.images, seen.rig, xy)
    cast = torch.autocast(device, torch.bfloat16, enabled=PRECISION[device] == "bfloat16")
    calls: dict[str, Callable[[], Any]] = {
        "network": quark_speed.within(cast, partial(method.network, seen.images, seen.rig)),
        "fast": partial(fast_picture, *arguments),
        "readable": partial(in_strips, *arguments),
        "frame": partial(method.render, state, camera),
    }
    ms = quark_speed.timed(calls, rounds, waiting(device))
    apart = 255 * float((calls["fast"]().rgb - calls["readable"]().rgb).abs().max())
    figures = f"{ms['network']:.2f} | {ms['fast']:.2f} | {ms['readable']:.2f} | {ms['frame']:.2f}"
    return f"| {preset} | {size[0]}x{size[1]} | {figures} | {apart:.2f} |"


@torch.no_grad()
def lvsm_row(preset: str, views: int, device: str, rounds: int) -> str:
    """Speed of an untrained network, and how far compiled blocks are from plain ones."""
    config = LVSM_SPEC.presets[preset].config
    size = config.size or lvsm_speed.SIZE
    network = build_network(config).to(device).eval()
    inputs = lvsm_speed.posed(views, images=True, size=size, device=device)
    target = lvsm_speed.posed(1, images=False, size=size, device=device)
    cast = torch.autocast(device, torch.bfloat16, enabled=PRECISION[device] == "bfloat16")
    with cast:
        scene = network.encode(inputs)
    calls: dict[str, Callable[[], Any]] = {
        "encode": quark_speed.within(cast, partial(network.encode, inputs)),
        "view": quark_speed.within(cast, partial(network.decode, scene, target)),
    }
    ms, plain = quark_speed.timed(calls, rounds, waiting(device)), calls["view"]()
    for block in network.blocks():
        block.compile()
    compiled = quark_speed.timed({"view": calls["view"]}, rounds, waiting(device))["view"]
    apart = 255 * float((calls["view"]() - plain).abs().max())
    return f"| {preset} | {views} | {ms['encode']:.2f} | {ms['view']:.2f} | {compiled:.2f} | {apart:.2f} |"


def training_row(precision: torch.dtype, device: str, batch: int, rounds: int) -> str:
    """A step of the small network at full resolution: samples, then loss and gradients."""
    preset = QUARK_SPEC.presets["small"]
    method = Quark(replace(preset.config, half_resolution=0.0)).to(device)
    sampler = QUARK_SPEC.sampler([], method.config, replace(preset.recipe, batch=batch), 0)
    samples = sampler.batch(0)

    def learn() -> None:
        method.zero_grad()
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            loss = method.loss(samples, 0, Draws(generator_for(0, device=device))).total
        loss.backward()

    ms = quark_speed.timed({"samples": partial(sampler.batch, 0), "learn": learn}, rounds, waiting(device))
    name = str(precision).removeprefix("torch.")
    return f"| {batch} | {name} | {ms['samples']:.1f} | {ms['learn']:.1f} |"


def waiting(device: str) -> Callable[[], Any]:
    """What waits until a device is done."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def _scenes(options: Options) -> Iterator[tuple[str, Scene]]:
    yield "demo", demo_scene()
    yield "demo, larger", demo_scene(24 if options.quick else 400)
    if options.data is not None:
        yield "fox", open_scene(options.data / "fox", scale=1 / 4)


if __name__ == "__main__":
    main(tyro.cli(Options))
