"""``novelview export --to onnx`` and ``--to web``: a light field as a network, or as a page in which to turn it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import spread_views
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.export.onnx import OnnxCard, write_onnx
from novelview.export.variants import Variant
from novelview.export.web import write_web
from novelview.light_field import LightField, Subject
from novelview.methods.method import Method

# Cameras at which a file is compared with the method, and the longer side of these pictures.
_CHECKS, _CHECK_SIDE = 3, 128


@dataclass(frozen=True)
class LightFieldOptions:
    """How the network is kept."""

    variant: Variant = "float32"
    """onnx and web: float16 halves the file; int8 quarters it and rounds more. What that costs is measured and said."""


@dataclass(frozen=True)
class WebOptions:
    """What the page shows and where its runtime is from."""

    size: str | None = None
    """web: size of the picture at rest, WIDTHxHEIGHT in pixels. Default: that of the photographs."""
    runtime: Path | None = None
    """web: folder dist of the npm package onnxruntime-web. Default: fetched once with npm."""

    def width_and_height(self) -> tuple[int, int] | None:
        """The stated size; raises ``ConfigError`` where it is none."""
        if self.size is None:
            return None
        found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", self.size)
        if not found:
            raise ConfigError(
                f"Bad --size {self.size!r}", cure="give WIDTHxHEIGHT in pixels, for example 800x600"
            )
        return int(found[1]), int(found[2])


def make_onnx(method: Method, state: Any, scene: Scene, out: Path, options: LightFieldOptions) -> str:
    """Write or replace an ONNX file."""
    light_field, subject, check = _exported(method, state, scene)
    return _said(write_onnx(out, light_field, subject, check=check, variant=options.variant))


def make_web(
    method: Method, state: Any, scene: Scene, out: Path, options: LightFieldOptions, web: WebOptions
) -> str:
    """Write a new folder with a page."""
    size = web.width_and_height()
    light_field, subject, check = _exported(method, state, scene)
    card = write_web(
        out, light_field, subject, check=check, size=size, variant=options.variant, runtime=web.runtime
    )
    return f"{_said(card)}\nsee it: python3 -m http.server --directory {out} 8000, then http://localhost:8000"


def _exported(method: Method, state: Any, scene: Scene) -> tuple[LightField, Subject, Cameras]:
    """The light field, its subject and a few small cameras to check it with, in the user's coordinates."""
    subject = Subject(scene.name, scene.train.cameras, scene.bounds.near, scene.bounds.far).moved(
        scene.to_input
    )
    width, height = subject.cameras[0].common_size
    ratio = min(1.0, _CHECK_SIDE / max(width, height))
    chosen = subject.cameras[spread_views(subject.cameras, _CHECKS)]
    check = chosen.undistorted().resized(max(1, round(width * ratio)), max(1, round(height * ratio)))
    return method.light_field(state).moved(scene.to_input), subject, check


def _said(card: OnnxCard) -> str:
    return f" ({card.variant}: {card.psnr:.1f} dB against the method's own pictures)"
