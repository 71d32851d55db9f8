"""R2L: Distilling Neural Radiance Field to Neural Light Field (Wang et al., ECCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence

from novelview.data.samplers import RaySampler, Sampler
from novelview.data.scene import Scene
from novelview.data.tiles import TileSampler
from novelview.errors import MethodError
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.r2l.checkpoint import load_official
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.presets import PRESETS
from novelview.methods.recipe import Recipe
from novelview.types import Bounds


def build(config: R2LConfig, bounds: Bounds | None) -> R2L:
    if bounds is None:
        raise MethodError("R2L is built for one scene", cure="give the scene's bounds")
    return R2L(config, bounds)


def sampler(scenes: Sequence[Scene], config: R2LConfig, recipe: Recipe, seed: int) -> Sampler:
    views = scenes[0].train
    views = views.with_cameras(views.cameras.through_pixels(config.pixel_centre))
    if config.form == "bundle":
        return TileSampler(views, recipe.batch, seed, tile=config.bundle.tile)
    return RaySampler(views, recipe.batch, seed)


METHOD = MethodSpec(
    name="r2l",
    title="R2L",
    summary="one network query per pixel: a light field that renders in real time",
    paper="Wang et al., R2L: Distilling Neural Radiance Field to Neural Light Field, ECCV 2022",
    traits=Traits(regime="per-scene", exports=frozenset({"onnx", "web"})),
    config=R2LConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
    load_official=load_official,
)
