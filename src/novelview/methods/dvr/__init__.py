"""Differentiable Volumetric Rendering (Niemeyer et al., CVPR 2020): surfaces out of photographs and masks.

Two methods: ``dvr`` learns one object from its photographs, ``dvr-single`` a family of shapes, to see each in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from novelview.data.procedural import object_scene
from novelview.data.samplers import PixelSampler, RaySampler
from novelview.data.samples import SampleSampler
from novelview.data.scene import Scene
from novelview.data.scene_list import mixed_samples
from novelview.data.tiles import TileSampler
from novelview.errors import MethodError
from novelview.methods.dvr.checkpoint import load_official, load_official_single
from novelview.methods.dvr.config import DVRConfig
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.pairs import ShapePairs, pairs_of
from novelview.methods.dvr.presets import PRESETS, SINGLE_PRESETS
from novelview.methods.dvr.single import SingleConfig, SingleView
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.recipe import Recipe
from novelview.types import Bounds

PAPER = "Niemeyer et al., Differentiable Volumetric Rendering, CVPR 2020"


def build(config: DVRConfig, bounds: Bounds | None) -> DVR:
    if bounds is None:
        raise MethodError("DVR is built for one object", cure="give the scene's bounds")
    return DVR(config, bounds)


def sampler(scenes: Sequence[Scene], config: DVRConfig, recipe: Recipe, seed: int) -> PixelSampler:
    if config.losses.change:
        return TileSampler(scenes[0].train, recipe.batch, seed, tile=2)
    return RaySampler(scenes[0].train, recipe.batch, seed)


def build_single(config: SingleConfig, bounds: Bounds | None) -> SingleView:
    return SingleView(config)


def single_sampler(scenes: Sequence[Scene], config: SingleConfig, recipe: Recipe, seed: int) -> SampleSampler:
    """Of captures, one for each shape; procedural shapes where no capture is named."""
    made = ShapePairs(config.shapes, config.train_size, seed)
    return mixed_samples(made.item, scenes, lambda scene: pairs_of(scene, seed), 0.0, recipe.batch, seed)


def watched() -> Scene:
    """A shape that is not learnt from."""
    return object_scene("shape", 1_000_000, views=9, size=64, test_every=2)


METHODS = (
    MethodSpec(
        name="dvr",
        title="DVR",
        summary="surfaces: coloured meshes of objects out of photographs and masks",
        paper=PAPER,
        traits=Traits(regime="per-scene", needs=frozenset({"masks"}), exports=frozenset({"mesh"})),
        config=DVRConfig,
        presets=PRESETS,
        build=build,
        sampler=sampler,
        load_official=load_official,
    ),
    MethodSpec(
        name="dvr-single",
        title="DVR from one photograph",
        summary="the surface of an object that one masked photograph shows, of a family of shapes that is learnt first",
        paper=PAPER,
        traits=Traits(
            regime="feed-forward",
            min_views=1,
            max_views=1,
            needs=frozenset({"masks"}),
            exports=frozenset({"mesh"}),
        ),
        config=SingleConfig,
        presets=SINGLE_PRESETS,
        build=build_single,
        sampler=single_sampler,
        load_official=load_official_single,
        watched=watched,
    ),
)
