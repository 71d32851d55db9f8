"""A dense-grid radiance field: the practical per-scene method, minutes on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence

from novelview.data.samplers import RaySampler
from novelview.data.scene import Scene
from novelview.errors import MethodError
from novelview.methods.grid.config import PRESETS, GridConfig
from novelview.methods.grid.model import Grid
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.recipe import Recipe
from novelview.types import Bounds


def build(config: GridConfig, bounds: Bounds | None) -> Grid:
    if bounds is None:
        raise MethodError("A grid is built for one scene", cure="give the scene's bounds")
    return Grid(config, bounds)


def sampler(scenes: Sequence[Scene], config: GridConfig, recipe: Recipe, seed: int) -> RaySampler:
    return RaySampler(scenes[0].train, recipe.batch, seed)


METHOD = MethodSpec(
    name="grid",
    title="Grid",
    summary="the practical per-scene choice: a dense grid, minutes on two CPU cores",
    paper="after Sun et al., Direct Voxel Grid Optimization, CVPR 2022, and Fridovich-Keil et al., Plenoxels, CVPR 2022",
    traits=Traits(regime="per-scene"),
    config=GridConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
)
