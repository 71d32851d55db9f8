"""What the table of R2L's speed is made of: methods and their exports, as functions of a camera and of rays at once."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from novelview.cameras.cameras import Cameras
from novelview.export.onnx import write_onnx
from novelview.export.variants import Variant
from novelview.light_field import LightField, Subject
from novelview.methods.method import Method, MethodSpec
from novelview.methods.nerf.model import NeRF
from novelview.methods.r2l.model import R2L
from turns import timed

# Numbers of rays at once that are tried, NeRF's on a picture of 32x32.
NERF_SIZES, SIZES = (32, 64, 128, 256, 512, 1024), (256, 512, 1024, 2048, 4096, 10_000)
SMALL = 32


@dataclass(frozen=True)
class Contender:
    """One line.

    Attributes:
        name: for people.
        precision: of the numbers, and what computes them.
        flops: per ray; None: not counted.
        sizes: numbers of rays at once to choose from; empty: it chooses itself.
        draw: renders a camera with so many rays at once.
        camera: what is rendered.
        search: what is rendered while the best number is looked for.
    """

    name: str
    precision: str
    flops: int | None
    sizes: tuple[int, ...]
    draw: Callable[[Cameras, int], object]
    camera: Cameras
    search: Cameras

    def fastest(self) -> int:
        """The number of rays at once that took least; 0: its own."""
        # More than there are is all of them.
        sizes = sorted({min(size, rays_of(self.search)) for size in self.sizes})
        if len(self.sizes) < 2:
            return self.sizes[0] if self.sizes else 0
        seconds = {
            size: min(timed(partial(self.draw, self.search, size)) for _ in range(3)) for size in sizes
        }
        return min(seconds, key=seconds.__getitem__)


def in_torch(name: str, method: Method, state: Any, camera: Cameras) -> Iterator[Contender]:
    """The method itself, in two precisions."""
    sizes = NERF_SIZES if isinstance(method, NeRF) else SIZES if isinstance(method, R2L) else ()
    search = camera.resized(SMALL, SMALL) if isinstance(method, NeRF) else camera
    for precision in ("float32", "bfloat16"):
        draw = partial(drawn, method, state, precision)
        yield Contender(name, f"{precision}, torch", flops_of(method), sizes, draw, camera, search)


def drawn(method: Any, state: Any, precision: str, camera: Cameras, at_once: int) -> None:
    """Renders a camera as everyone does; bfloat16 is autocast."""
    if isinstance(method, NeRF):
        method.config = replace(method.config, chunk=at_once)
    elif isinstance(method, R2L):
        method.student.rays_at_once = {"cpu": at_once, "cuda": at_once}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        method.render(state, camera)


def in_onnxruntime(
    spec: MethodSpec, method: Method, state: Any, subject: Subject, folder: Path
) -> Iterator[Contender]:
    """The exported network in float32 and int8, where the method has one that answers each ray by itself.

    Args:
        spec, method, state: what is exported.
        subject: with the one camera that is rendered.
        folder: for the files.
    """
    if "onnx" not in spec.traits.exports or not has_onnxruntime():
        return
    light_field: LightField = method.light_field(state)
    if light_field.factor != 1:
        return
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = torch.get_num_threads()
    variants: tuple[Variant, ...] = ("float32", "int8")
    camera, file = subject.cameras, folder / "network.onnx"
    for variant in variants:
        write_onnx(file, light_field, subject, check=camera.resized(8, 8), variant=variant)
        session = onnxruntime.InferenceSession(file.read_bytes(), settings, ["CPUExecutionProvider"])
        label, draw = f"{variant}, onnxruntime", partial(_answered, session)
        yield Contender(subject.name, label, flops_of(method), SIZES, draw, camera, camera)


def has_onnxruntime() -> bool:
    """Whether exports can be written and run here."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))


def flops_of(method: Any) -> int | None:
    """Per ray, of the linear layers; None where the method does not count them."""
    found: int | None = getattr(method.student if isinstance(method, R2L) else method, "flops_per_ray", None)
    return found


def rays_of(camera: Cameras) -> int:
    """How many there are."""
    width, height = camera.common_size
    return width * height


def _answered(session: Any, camera: Cameras, at_once: int) -> None:
    rays = camera.rays().reshape(-1)
    for start in range(0, len(rays), at_once):
        chunk = rays[start : start + at_once]
        origins, directions = chunk.origins[None].contiguous(), chunk.directions[None].contiguous()
        session.run(["rgb"], {"origins": origins.numpy(), "directions": directions.numpy()})
