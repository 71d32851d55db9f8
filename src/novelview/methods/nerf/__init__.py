"""NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis (Mildenhall et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from novelview.data.samplers import RaySampler
from novelview.data.scene import Scene
from novelview.errors import MethodError
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.nerf.checkpoint import load_official
from novelview.methods.nerf.config import PRESETS, NeRFConfig
from novelview.methods.nerf.model import NeRF
from novelview.methods.recipe import Recipe
from novelview.types import Bounds


def build(config: NeRFConfig, bounds: Bounds | None) -> NeRF:
    if bounds is None:
        raise MethodError("NeRF is built for one scene", cure="give the scene's bounds")
    return NeRF(config, bounds)


def sampler(scenes: Sequence[Scene], config: NeRFConfig, recipe: Recipe, seed: int) -> RaySampler:
    cameras = scenes[0].train.cameras.through_pixels(config.pixel_centre)
    return RaySampler(
        scenes[0].train.with_cameras(cameras),
        recipe.batch,
        seed,
        one_view_per_step=config.one_view_per_step,
        centre_crop_steps=config.centre_crop_steps,
    )


METHOD = MethodSpec(
    name="nerf",
    title="NeRF",
    summary="the plain per-scene choice: one network per scene, slow, faithful to the paper",
    paper="Mildenhall et al., NeRF: Representing Scenes as Neural Radiance Fields, ECCV 2020",
    traits=Traits(regime="per-scene"),
    config=NeRFConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
    load_official=load_official,
)
