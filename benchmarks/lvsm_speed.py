"""Seconds per view and peak memory of LVSM's networks of the paper's size on a CPU, with random weights.

    python benchmarks/lvsm_speed.py
    python benchmarks/lvsm_speed.py --curve     # more inputs, decoder-only beside cached

Every line is a process of its own, because memory is measured by its peak. A target of 256x256 is rendered; of calls that
take less than ten seconds the fastest of three counts.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro

from novelview.cameras.cameras import Cameras
from novelview.files import atomic_write_text
from novelview.geometry.rigid import look_at
from novelview.methods.lvsm import METHOD
from novelview.methods.lvsm.networks import build_network
from novelview.methods.lvsm.posed import Posed

SIZE, CHEAP = 256, 10.0
HEAD = """# LVSM: seconds per view on a CPU

Made by `benchmarks/lvsm_speed.py`: networks of the paper's size, random weights, {size}x{size}, torch {torch}, {processor}.
Attention through torch's scaled_dot_product_attention in float32, by products of matrices in bfloat16. "peak" is the largest
resident memory of the process, weights (about 650 MiB in float32) and imports included; lines of bfloat16 first make a
float32 picture to compare with, which is in their peak. bfloat16 is autocast, with the weights kept in bfloat16.
The authors' code, measured once in float32 on one thread of a CPU with AVX-512: decoder-only 20.4 to 20.9 s per view,
encoder-decoder 22 to 23 s for encoding and 15.3 s per view; 2 inputs, as here.

| network | precision | threads | encode s | per view s | peak MiB | PSNR against float32, dB |
|---|---|---|---|---|---|---|
"""
CURVE = """# LVSM: seconds per view with more inputs

Made by `benchmarks/lvsm_speed.py --curve`: networks of the paper's size, random weights, {size}x{size}, {threads} threads,
bfloat16, torch {torch}, {processor}. "ratio" is decoder-only's seconds per view by those of
the cached network, whose inputs are encoded once; its share of the layers' operations is 1 / (inputs + 1).

| inputs | decoder-only per view s | cached encode s | cached per view s | ratio | inputs + 1 |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Case:
    """One line to measure."""

    network: str
    precision: str
    threads: int
    views: int
    compare: bool = False


@dataclass(frozen=True)
class Options:
    """Measure speed and memory."""

    case: str = ""
    """Measure this case alone, given as JSON, and print the result as JSON; used for the processes."""
    threads: int = 2
    """CPU threads of the curve over inputs."""
    curve: bool = False
    """Measure the curve over numbers of inputs."""
    views: tuple[int, ...] = (2, 4, 8, 16)
    """Numbers of inputs of the curve."""
    out: Path = Path("benchmarks/results")
    """Folder of the tables: lvsm_speed.md and lvsm_speed_inputs.md."""


def main(options: Options) -> None:
    """Write the tables, line by line."""
    if options.case:
        print(json.dumps(measured(Case(**json.loads(options.case)))))
        return
    facts = {"size": SIZE, "torch": torch.__version__, "processor": processor()}
    if options.curve:
        file, text = options.out / "lvsm_speed_inputs.md", CURVE.format(threads=options.threads, **facts)
        for views in options.views:
            text = kept(file, text + curve_row(views, options.threads))
        return
    file, text = options.out / "lvsm_speed.md", HEAD.format(**facts)
    for network in ("decoder-only", "encoder-decoder", "cached"):
        for precision in ("float32", "bfloat16"):
            for threads in sorted({1, options.threads}):
                text = kept(file, text + first_row(Case(network, precision, threads, 2, compare=True)))


def kept(file: Path, text: str) -> str:
    """Shows the last line and writes all."""
    print(text.splitlines()[-1], flush=True)
    atomic_write_text(file, text)
    return text


def first_row(case: Case) -> str:
    """One network with two inputs."""
    found = apart(case)
    quality = "-" if found["psnr"] is None else f"{found['psnr']:.1f}"
    figures = f"{found['encode']:.1f} | {found['view']:.1f} | {found['peak']:.0f} | {quality}"
    return f"| {case.network} | {case.precision} | {case.threads} | {figures} |\n"


def curve_row(views: int, threads: int) -> str:
    """Decoder-only beside cached."""
    whole, cached = (apart(Case(name, "bfloat16", threads, views)) for name in ("decoder-only", "cached"))
    ratio = whole["view"] / cached["view"]
    figures = (
        f"{whole['view']:.1f} | {cached['encode']:.1f} | {cached['view']:.2f} | {ratio:.1f} | {views + 1}"
    )
    return f"| {views} | {figures} |\n"


def apart(case: Case) -> dict[str, Any]:
    """What a process of its own measures."""
    command = [sys.executable, __file__, "--case", json.dumps(vars(case))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@torch.no_grad()
def measured(case: Case) -> dict[str, Any]:
    """Seconds of encoding and of one view, peak memory in MiB, and how near to float32 the picture is."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    config = replace(METHOD.presets[case.network].config, positions="rays")
    network = build_network(config).eval()
    inputs, target = posed(case.views, images=True), posed(1, images=False)
    half = case.precision == "bfloat16"
    truth = network(inputs, target) if half and case.compare else None
    if half:
        network.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        encode, scene = timed(partial(network.encode, inputs))
        view, image = timed(partial(network.decode, scene, target))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    error = None if truth is None else float((image.float() - truth).square().mean().log10())
    return {"encode": encode, "view": view, "peak": peak, "psnr": None if error is None else -10 * error}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its answer."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < 3 and seconds[-1] < CHEAP):
        began = time.perf_counter()
        answer = call()
        seconds.append(time.perf_counter() - began)
    return min(seconds), answer


def posed(views: int, *, images: bool, size: int = SIZE, device: str = "cpu") -> Posed:
    """Cameras on a circle, and noise for photographs."""
    generator = torch.Generator().manual_seed(views)
    angle = torch.linspace(0, 1, views)
    centres = torch.stack([angle.sin(), torch.full((views,), -0.3), -2 * angle.cos()], dim=-1)
    up = torch.tensor([0.0, -1.0, 0.0]).expand(views, 3)
    poses = look_at(centres, torch.zeros(views, 3), up)
    cameras = Cameras.pinhole(poses, torch.tensor([size, size, size / 2, size / 2]), size, size)
    shown = torch.rand(1, views, 3, size, size, generator=generator) if images else None
    return Posed.of([cameras], torch.device(device), shown)


def processor() -> str:
    """Name of the CPU, and what of its instructions matters here."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    flags = next((value for key, value in facts.items() if key.strip() == "flags"), "").split()
    name = next((value.strip() for key, value in facts.items() if key.strip() == "model name"), "a CPU")
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{name} ({', '.join(units) or 'no wide units'})"


if __name__ == "__main__":
    main(tyro.cli(Options))
