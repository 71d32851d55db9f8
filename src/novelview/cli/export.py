"""``novelview export RUN --to KIND``: what a method makes of a scene, as files that need no method any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from novelview.cli.export_layers import LayerOptions, make_layers
from novelview.cli.export_light_field import LightFieldOptions, WebOptions, make_onnx, make_web
from novelview.cli.export_mesh import MeshOptions, make_mesh
from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.runs import folder_for, scene_to_show
from novelview.data.scene import Scene
from novelview.errors import ConfigError, MethodError
from novelview.methods.method import Method


@dataclass(frozen=True)
class Export:
    """Export what a run makes of a scene. layers: a layered depth map around one place, see docs/layers.md;
    onnx: a light field as a network for any runtime; web: a page in which to turn it, see docs/web.md;
    glb, ply and obj: a surface as a triangle mesh, see docs/mesh.md."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    layers: Unprefixed[LayerOptions]
    light_field: Unprefixed[LightFieldOptions]
    web: Unprefixed[WebOptions]
    mesh: Unprefixed[MeshOptions]
    to: Literal["layers", "onnx", "web", "glb", "ply", "obj"] = "layers"
    """What is made."""
    out: Path | None = None
    """New folder (layers, web) or file (all others). Default: layers, web, light_field.onnx or mesh.glb, .ply or .obj in
    the run, or in runs/CAPTURE-METHOD."""
    device: str | None = None
    """cpu, cuda, … Default: cuda where there is one."""


@dataclass(frozen=True)
class _Kind:
    """How one kind of export is made.

    Attributes:
        promise: of a method's traits, that it can be made.
        name: of what is made, where nobody names it.
        options: fields of :class:`Export` that say how; all others must be left alone.
        make: from method, its state, scene, where to, and those options in order; returns a sentence for people.
    """

    promise: str
    name: str
    options: tuple[str, ...]
    make: Callable[..., str]


_KINDS = {
    "layers": _Kind("layers", "layers", ("layers",), make_layers),
    "onnx": _Kind("onnx", "light_field.onnx", ("light_field",), make_onnx),
    "web": _Kind("web", "web", ("light_field", "web"), make_web),
    **{suffix: _Kind("mesh", f"mesh.{suffix}", ("mesh",), make_mesh) for suffix in ("glb", "ply", "obj")},
}
_UNTOUCHED: dict[str, Any] = {
    "layers": LayerOptions(),
    "light_field": LightFieldOptions(),
    "web": WebOptions(),
    "mesh": MeshOptions(),
}


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Export, arguments, "export")
    kind = _KINDS[options.to]
    _check(options, kind)
    method, info, run = options.method.load(options.device)
    promises = info.spec.traits.exports
    if kind.promise not in promises:
        kinds = (
            ", ".join(to for to in _KINDS if _KINDS[to].promise in promises)
            or "nothing but pictures and video"
        )
        raise MethodError(f"{info.spec.title} makes no {options.to}", cure=f"it can be exported to: {kinds}")
    scene = scene_to_show(run, info, options.scene)
    out = options.out or folder_for(run, info, scene) / kind.name
    said = _made(kind, options, method, scene, out)
    Console(highlight=False, soft_wrap=True).print(f"wrote {out}{said}")
    return 0


def _made(kind: _Kind, options: Export, method: Method, scene: Scene, out: Path) -> str:
    chosen = [getattr(options, name) for name in kind.options]
    return kind.make(method, method.condition(scene.train, scene.bounds), scene, out, *chosen)


def _check(options: Export, kind: _Kind) -> None:
    """Raise ``ConfigError`` for options that another kind of export has, and for a mesh's file of another format."""
    for name, untouched in _UNTOUCHED.items():
        if name not in kind.options and getattr(options, name) != untouched:
            words = ", ".join(f"--{field.replace('_', '-')}" for field in vars(untouched))
            raise ConfigError(
                f"Exports to {options.to} have none of these options: {words}", cure="leave them out"
            )
    if kind.promise == "mesh" and options.out is not None and options.out.suffix.lower() != f".{options.to}":
        raise ConfigError(
            f"--to {options.to} does not fit the name of the file",
            where=options.out,
            cure=f"name a file that ends with .{options.to}",
        )
