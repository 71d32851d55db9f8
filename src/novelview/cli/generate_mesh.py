"""``novelview generate --to glb``: the surface of generated views, and meshes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from novelview.cli.export_mesh import MeshOptions, check_texture, make_mesh
from novelview.data.scene import Scene
from novelview.errors import MethodError, import_extra
from novelview.methods.discovery import find
from novelview.methods.method import Method
from novelview.training import fit

METHOD, PRESET = "dvr", "grids"
# A few small pictures hold no more detail, and fewer rays than a batch of the preset.
RESOLUTIONS, BATCH, STEPS = (8, 16, 32, 64), 768, 600


def check_meshes(kinds: Sequence[str], options: MeshOptions) -> None:
    """Refuse, before views take their time, what no mesh can be made of.

    Raises:
        ConfigError: a format has no textures.
        MissingDependencyError: a package is missing.
    """
    for kind in kinds:
        check_texture(Path(f"mesh.{kind}"), options)
    for package in ("trimesh", "skimage", "scipy", "fast_simplification", "xatlas"):
        import_extra(package, "mesh")


def make_surface(scene: Scene, run: Path, steps: int, seed: int, device: str | None) -> Method:
    """Learn a surface from all views of a scene, in a run folder that may be trained on, rendered and exported.

    Raises:
        MethodError: the views have no masks.
    """
    if not scene.train.has_masks:
        raise MethodError(
            "There is no surface to be learnt from views without masks",
            where=scene.name,
            why="their background is not of one colour, so that the subject cannot be told from it",
            cure=f"put masks of the same names into a folder 'masks' beside 'images', then novelview train {METHOD} --data"
            f" {scene.origin['path']}",
        )
    preset = find(METHOD).preset(PRESET)
    config = replace(preset.config, grids=replace(preset.config.grids, resolutions=RESOLUTIONS))
    recipe = replace(preset.recipe, steps=steps, batch=BATCH)
    return fit(METHOD, scene, config=config, recipe=recipe, out=run, seed=seed, device=device)


def write_meshes(
    method: Method, scene: Scene, folder: Path, kinds: Sequence[str], options: MeshOptions
) -> Iterator[tuple[Path, str, float]]:
    """Write ``mesh.glb`` and so on; gives each file, a sentence on it, and the seconds it took."""
    state = method.condition(scene.train, scene.bounds)
    for i, kind in enumerate(dict.fromkeys(kinds)):
        start, file = time.perf_counter(), folder / f"mesh.{kind}"
        # One picture checks all files.
        said = make_mesh(method, state, scene, file, replace(options, check=options.check and i == 0))
        yield file, said, time.perf_counter() - start
