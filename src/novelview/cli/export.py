"""``novelview export RUN --to KIND``: what a method makes of a scene, as files that need no method any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console

from novelview.cameras.cameras import Cameras
from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.runs import cameras_of_file, folder_for, scene_to_show
from novelview.data.scene import Scene
from novelview.errors import ConfigError, MethodError
from novelview.export.layers import write_layers
from novelview.files import require_new


@dataclass(frozen=True)
class Export:
    """Export what a run makes of a scene. layers: a layered depth map around one place, see docs/layers.md."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    to: Literal["layers"] = "layers"
    """What is made."""
    out: Path | None = None
    """New folder. Default: layers in the run, or in runs/CAPTURE-METHOD."""
    view: str | None = None
    """Stand where this photograph was taken. Default: the one nearest to the middle of all."""
    camera: Path | None = None
    """Stand where a file says instead: a nerfstudio camera path or a transforms.json-like file with one pose."""
    lossless: bool = False
    """Keep colours as they are, in files several times as large."""
    device: str | None = None
    """cpu, cuda, … Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Export, arguments, "export")
    method, info, run = options.method.load(options.device)
    if options.to not in info.spec.traits.exports:
        kinds = ", ".join(sorted(info.spec.traits.exports)) or "nothing but pictures and video"
        raise MethodError(f"{info.spec.title} makes no {options.to}", cure=f"it can be exported to: {kinds}")
    if options.view is not None and options.camera is not None:
        raise ConfigError("Both --view and --camera say where to stand", cure="give one of them")
    scene = scene_to_show(run, info, options.scene)
    out = options.out or folder_for(run, info, scene) / options.to
    require_new(out)
    state = method.condition(scene.train, scene.bounds)
    device = next(method.parameters()).device
    made = method.layers(state, _camera(options, scene).to(device))
    write_layers(out, made.moved(scene.to_input), lossless=options.lossless)
    Console(highlight=False).print(f"wrote {out}")
    return 0


def _camera(options: Export, scene: Scene) -> Cameras:
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
