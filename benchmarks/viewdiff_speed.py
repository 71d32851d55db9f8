"""What ViewDiff costs: parameters that are added, operations, seconds and peak memory.

    python benchmarks/viewdiff_speed.py [--only small published published-small]

Every case runs in a process of its own, whose peak memory is what it took in all. The published networks are built at the
size of Stable Diffusion 2.1 with random weights, and look at 5 views of 256x256 once, without guidance.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from novelview.generation import Request
from novelview.methods.viewdiff import METHOD
from novelview.methods.viewdiff.base import own_unet
from novelview.methods.viewdiff.conditions import camera_vectors
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.denoiser import Scenery, input_rays, predict
from novelview.methods.viewdiff.prior import prior_cameras
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.unet import augment
from novelview.subjects import Trajectory
from novelview.training.run import load_method
from rows import keep

RESULT = Path(__file__).parent / "results" / "viewdiff_speed.md"
HEAD = """# ViewDiff: parameters, operations, seconds, memory

Made by `benchmarks/viewdiff_speed.py`, each row in a process of its own on a CPU. TFLOP of matrix products and convolutions,
two per multiplication and addition, as torch counts them. "small": the weights that come along, 8 views of 64x64 out of
words, 10 steps with guidance (two looks each). "published", "published-small": size of Stable Diffusion 2.1, random weights,
one look at 5 views of 256x256 (latents of 32x32), timed the second time, when geometry and memory are there. Peak memory is
that of the whole process, weights included. "Added": of "small" its projection layers, of the others all but the base model.

| case | precision | threads | parameters M | of these added M | TFLOP | seconds | peak GiB |
|---|---|---|---|---|---|---|---|
"""
Case = Literal["small", "published", "published-small"]
STABLE_DIFFUSION_21 = {
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
FRAMES, SIZE = 5, 256


@dataclass(frozen=True)
class Options:
    """Measure, a row for each case and precision."""

    only: tuple[Case, ...] = ("small", "published", "published-small")
    """Cases."""
    precision: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """Arithmetic."""
    threads: tuple[int, ...] = (1, 2)
    """Threads of torch."""
    child: bool = False
    """Measure the first of each here, and print it as JSON."""


def main(options: Options) -> None:
    """Start a process for each row, and write it."""
    if options.child:
        torch.set_num_threads(options.threads[0])
        print(json.dumps(measured(options.only[0], options.precision[0])))
        return
    for case in options.only:
        for precision in options.precision:
            for threads in options.threads:
                words = ["--child", "--only", case, "--precision", precision, "--threads", str(threads)]
                done = subprocess.run(
                    [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
                )
                found = json.loads(done.stdout.splitlines()[-1])
                begin = f"| {case} | {precision} | {threads} |"
                row = f"{begin} {found['parameters']:.1f} | {found['added']:.1f} | {found['tflop']:.3f} | "
                row += f"{found['seconds']:.1f} | {found['peak']:.1f} |"
                keep(RESULT, HEAD, begin, row)
                print(row, flush=True)


def measured(case: Case, precision: Literal["float32", "bfloat16"]) -> dict[str, float]:
    """One row's figures."""
    found = small(precision) if case == "small" else published(case, precision)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**found, "peak": peak}


def small(precision: str) -> dict[str, float]:
    """The weights that come along."""
    method, _ = load_method("viewdiff", "cpu", {"precision": precision})
    request = Request("a red torus", Trajectory(views=8).cameras(method.studio()))
    with counting() as counted:
        method.generate(request)
    start = time.perf_counter()
    method.generate(request)
    seconds = time.perf_counter() - start
    added = sum(p.numel() for name, p in method.named_parameters() if "unproj_reproj" in name)
    return figures(method, added, counted, seconds)


def published(case: Case, precision: str) -> dict[str, float]:
    """One look of a network of Stable Diffusion's size."""
    unet, look = looking(case, FRAMES, "cpu")
    before = sum(p.numel() for p in UNet2DConditionModel(**STABLE_DIFFUSION_21).parameters())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        with counting() as counted:
            look()
        start = time.perf_counter()
        look()
        seconds = time.perf_counter() - start
    return figures(unet, sum(p.numel() for p in unet.parameters()) - before, counted, seconds)


def looking(preset: str, frames: int, device: str) -> tuple[Any, Callable[[], Tensor]]:
    """The U-Net of a preset with random weights, and its look at a group of noisy views.

    Args:
        preset: of ViewDiff; one that extends Stable Diffusion does so at the size of 2.1, without loading it.
        frames: of the group.
        device: where it is.
    """
    config: ViewDiffConfig = METHOD.presets[preset].config
    unet = UNet2DConditionModel(**STABLE_DIFFUSION_21) if config.base else own_unet(config.own)
    augment(unet, config.multiview).to(device)
    channels = unet.config.in_channels
    side = config.size // (8 if config.base else config.own.patch)
    cameras = several(prior_cameras(torch.rand(frames, 4), config.size)).to(device)
    given = torch.zeros(1, frames, dtype=torch.bool, device=device)
    vectors = camera_vectors(cameras, torch.zeros(1, frames, 2, device=device))
    rays = input_rays(cameras, given, side, side) if config.multiview.rays else None
    scenery = Scenery(cameras, vectors if config.multiview.attention.rank else None, given, rays)
    latents = torch.randn(1, frames, channels, side, side, device=device)
    text = torch.randn(frames, 77, unet.config.cross_attention_dim, device=device)
    timesteps = torch.full((1, frames), 500, device=device)
    return unet, lambda: predict(unet, latents, timesteps, text, scenery)


def counting() -> FlopCounterMode:
    """Counts attention on a CPU too, which torch leaves out."""

    def attention(query: Any, key: Any, value: Any, *rest: Any, out_shape: Any = None, **options: Any) -> int:
        return sdpa_flop_count(query, key, value)

    operation = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={operation: attention})


def several(cameras: GroupCameras) -> GroupCameras:
    """Groups of one frame each as one group."""
    return replace(
        cameras,
        poses=cameras.poses.movedim(1, 0),
        intrinsics=cameras.intrinsics.movedim(1, 0),
        box=cameras.box[:1],
    )


def figures(module: Any, added: int, counted: FlopCounterMode, seconds: float) -> dict[str, float]:
    """What all cases have."""
    return {
        "parameters": sum(p.numel() for p in module.parameters()) / 1e6,
        "added": added / 1e6,
        "tflop": counted.get_total_flops() / 1e12,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
