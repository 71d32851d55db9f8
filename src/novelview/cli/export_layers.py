"""``novelview export --to layers``: a layered depth map around one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from novelview.cameras.cameras import Cameras
from novelview.cli.runs import cameras_of_file
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.export.layers import write_layers
from novelview.files import require_new
from novelview.methods.method import Method


@dataclass(frozen=True)
class LayerOptions:
    """Where layers are, and how they are kept."""

    view: str | None = None
    """layers: stand where this photograph was taken. Default: the one nearest to the middle of all."""
    camera: Path | None = None
    """layers: stand where a file says instead: a nerfstudio camera path or a transforms.json-like file with one pose."""
    lossless: bool = False
    """layers: keep colours as they are, in files several times as large."""


def make_layers(method: Method, state: Any, scene: Scene, out: Path, options: LayerOptions) -> str:
    """Write layers to a new folder."""
    require_new(out)
    device = next(method.parameters()).device
    made = method.layers(state, _camera(options, scene).to(device))
    write_layers(out, made.moved(scene.to_input), lossless=options.lossless)
    return ""


def _camera(options: LayerOptions, scene: Scene) -> Cameras:
    if options.view is not None and options.camera is not None:
        raise ConfigError("Both --view and --camera say where to stand", cure="give one of them")
    if options.camera is not None:
        cameras, _ = cameras_of_file(options.camera, scene)
        if len(cameras) != 1:
            raise ConfigError(
                f"{len(cameras)} poses are given", where=options.camera, cure="name a file with one"
            )
        return cameras
    if options.view is None:
        centres = scene.train.cameras.centres
        nearest = torch.linalg.vector_norm(centres - centres.mean(dim=0), dim=-1).argmin()
        return scene.train.cameras[int(nearest)]
    for views in (scene.train, scene.test):
        if options.view in views.names:
            return views.cameras[views.names.index(options.view)]
    some = ", ".join(scene.train.names[:4])
    raise ConfigError(f"There is no view called {options.view!r}", cure=f"the first ones are {some}")
