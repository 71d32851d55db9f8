"""Light fields as ONNX files that any runtime can show. See docs/web.md."""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.config import from_json, to_json
from novelview.errors import DataError, MissingDependencyError, NovelviewError, OutputError
from novelview.export.variants import Variant, reduce
from novelview.files import atomic_file
from novelview.light_field import LightField, Subject
from novelview.random import generator_for

FORMAT = 1
# The first in which WebGPU leaves look-ups in volumes to the CPU instead of failing on them.
OPSET = 20
# Largest difference between colours of torch and of the file.
TOLERANCE = 1e-4
# Rows and columns of rays that are tried after writing; the first size is the one that was traced.
_SIZES = ((6, 5), (1, 1), (1, 7), (9, 4), (16, 24))
_COORDINATES = (
    "origins: camera centres in the capture's own coordinates and units; directions: camera-to-world rotation times "
    "((x - cx) / fx, (y - cy) / fy, 1), not normalised, axes x right, y down, z forward, pixel centres at +0.5"
)
_LARGEST_PSNR = 200.0
# The tracer multiplies this out, and must not leave the range of 64 bits.
_LARGEST_SIDE = 1 << 20


@dataclass(frozen=True)
class OnnxCard:
    """What a file says of itself, under the key "novelview" of its metadata.

    Attributes:
        scene: name for people.
        variant: how weights are kept.
        factor: pixels along each side of the block that one ray stands for.
        size: width and height in pixels of the photographs.
        intrinsics: fx, fy, cx, cy of the first of their cameras.
        near, far: depths in the capture's units between which something is seen; far None: infinity.
        largest_error: largest difference of a colour from torch's on random rays, with weights in float32.
        psnr: of the variant's pictures against torch's, the lowest of all check cameras; 200 where they are the same.
        coordinates: of the inputs, in words.
        format: of this card.
    """

    scene: str
    variant: Variant
    factor: int
    size: tuple[int, int]
    intrinsics: tuple[float, float, float, float]
    near: float
    far: float | None
    largest_error: float
    psnr: float
    coordinates: str = _COORDINATES
    format: int = FORMAT


def write_onnx(
    path: str | Path,
    light_field: LightField,
    subject: Subject,
    *,
    check: Cameras,
    variant: Variant = "float32",
) -> OnnxCard:
    """Write a light field as one ONNX file, whole or not at all, after its answers were compared with torch's.

    The graph takes ``origins`` and ``directions``, both (h, w, 3) in float32 for any h and w, and gives ``rgb``
    (factor * h, factor * w, 3). In a light field that was moved to the user's coordinates, origins go back through the
    similarity and directions are rotated only, so that the ray parameter inside the graph is depth along z in the units
    of the scene.

    Args:
        path: file to write or replace, usually ``*.onnx``.
        light_field: in the user's coordinates.
        subject: what it shows, in the user's coordinates.
        check: cameras whose pictures measure what a variant costs; all of one size, which should be small.
        variant: "float32"; "float16" stores the large tables of weights in half the space, and computes in float32;
            "int8" also multiplies matrices of weights in integers of 8 bits.

    Raises:
        MissingDependencyError: onnx, onnxscript or onnxruntime is not installed.
        OutputError: the network has an operation that ONNX does not have, the file answers differently from torch, or
            cannot be written.
    """
    _require("onnx", "onnxscript", "onnxruntime")
    if not len(check):
        raise OutputError("Without a camera an export cannot be checked", cure="give one or more")
    import onnx

    light_field = LightField(copy.deepcopy(light_field.module).cpu().eval(), light_field.factor)
    check = check.to("cpu")
    with atomic_file(path) as temporary:
        plain = _exported(light_field, path)
        onnx.save_model(plain, temporary)
        error = _largest_error(light_field, temporary, check, path)
        if variant != "float32":
            onnx.save_model(reduce(plain, variant), temporary)
        psnr = _psnr(light_field, temporary, check)
        card = _card(subject, variant, light_field.factor, error, psnr)
        model = onnx.load_model(temporary)
        model.producer_name = "novelview"
        onnx.helper.set_model_props(model, {"novelview": json.dumps(to_json(card))})
        onnx.save_model(model, temporary)
    return card


def read_onnx(path: str | Path) -> tuple[LightField, OnnxCard]:
    """A light field in the user's coordinates, computed by onnxruntime on the CPU, out of what ``write_onnx`` wrote.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        DataError: the file cannot be read, or is some other network.
    """
    network = _Session(Path(path))
    text = network.session.get_modelmeta().custom_metadata_map.get("novelview")
    if text is None:
        raise DataError("This network is no light field of novelview", where=path, cure="export it again")
    try:
        card = from_json(OnnxCard, json.loads(text), where=path)
    except (ValueError, NovelviewError) as error:
        why = error.why if isinstance(error, NovelviewError) else str(error)
        raise DataError("The description in this file is damaged", where=path, why=why) from error
    return LightField(network, card.factor), card


class _Session(nn.Module):
    """A picture network that onnxruntime computes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        _require("onnxruntime")
        import onnxruntime

        try:
            self.session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        # onnxruntime's exceptions have no base of their own below Exception.
        except Exception as error:
            raise DataError("Cannot read an ONNX file", where=path, why=str(error)) from error

    def forward(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "H W 3"]:
        inputs = {"origins": origins.contiguous().numpy(), "directions": directions.contiguous().numpy()}
        return torch.from_numpy(self.session.run(["rgb"], inputs)[0])


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"This needs packages that are not installed: {', '.join(missing)}",
            cure='pip install "novelview[onnx]"',
        )


def _exported(light_field: LightField, path: str | Path) -> Any:
    # Only here: it takes a second to import.
    from torch.export import Dim

    height, width = _SIZES[0]
    example = torch.rand(2, height, width, 3, generator=generator_for(0, "onnx", "example"))
    sides = {0: Dim("height", max=_LARGEST_SIDE), 1: Dim("width", max=_LARGEST_SIDE)}
    with _silence():
        try:
            program = torch.onnx.export(
                light_field.module,
                (example[0], example[1]),
                input_names=["origins", "directions"],
                output_names=["rgb"],
                dynamic_shapes=(sides, sides),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise OutputError(
                "This network cannot be written as ONNX",
                where=path,
                why=_root_cause(error),
                cure="use operations that torch.onnx.export knows, for any height and width",
            ) from error
    assert program is not None
    return program.model_proto


def _root_cause(error: BaseException) -> str:
    """The first line of what began it all; the exporter's own errors are pages about itself."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _largest_error(light_field: LightField, file: Path, check: Cameras, path: str | Path) -> float:
    """Largest difference from torch on random rays; raises ``OutputError`` where that is too large."""
    generator = generator_for(0, "onnx", "check")
    size = check.sizes[0].to(check.intrinsics)
    worst = 0.0
    try:
        answer = _Session(file)
        for height, width in _SIZES:
            camera = check[int(torch.randint(len(check), (), generator=generator))]
            pixels = torch.rand(1, height * width, 2, generator=generator) * size
            rays = camera.rays_through(pixels)[0].reshape(height, width)
            with torch.no_grad():
                expected = light_field.module(rays.origins, rays.directions)
            found = answer(rays.origins, rays.directions)
            worst = max(worst, _difference(found, expected))
    # Whatever the runtime does not like of the graph.
    except Exception as error:
        raise OutputError("The written ONNX file does not work", where=path, why=str(error)) from error
    if not worst <= TOLERANCE:
        raise OutputError(
            "The written ONNX file answers differently from torch",
            where=path,
            why=f"colours differ by up to {worst:.2g}, more than {TOLERANCE:g}",
        )
    return worst


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest one between colours; infinite where a shape is wrong or a colour is no number."""
    if found.shape != expected.shape:
        return math.inf
    return float((found - expected).abs().nan_to_num(math.inf).max())


def _psnr(light_field: LightField, file: Path, check: Cameras) -> float:
    expected = light_field.render(check).rgb
    found = LightField(_Session(file), light_field.factor).render(check).rgb
    squared = (found.double() - expected.double()).square().mean(dim=(1, 2, 3)).max()
    return min(_LARGEST_PSNR, -10 * math.log10(max(float(squared), 1e-30)))


def _card(subject: Subject, variant: Variant, factor: int, error: float, psnr: float) -> OnnxCard:
    width, height = subject.cameras[:1].common_size
    fx, fy, cx, cy = subject.cameras.intrinsics[0].tolist()
    return OnnxCard(
        scene=subject.name,
        variant=variant,
        factor=factor,
        size=(width, height),
        intrinsics=(fx, fy, cx, cy),
        near=subject.near,
        far=subject.far if math.isfinite(subject.far) else None,
        largest_error=error,
        psnr=psnr,
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed here and on its own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
