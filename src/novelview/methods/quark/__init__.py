"""Quark: Real-time, High-resolution, and General Neural View Synthesis (Flynn, Broxton, Murmann et al., 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.samples import SampleSampler, SceneSamples, Source, halved, zoomed
from novelview.data.scene import Scene
from novelview.data.scene_list import mixed_samples
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.quark.config import PRESETS, QuarkConfig
from novelview.methods.quark.losses import lpips_of
from novelview.methods.quark.model import Quark
from novelview.methods.recipe import Recipe
from novelview.random import generator_for
from novelview.types import Bounds, Sample

# What is trained on: objects before nothing teach little about occlusion.
FAMILIES = ("forward", "room", "table")
WATCHED_SIZE = 128


def build(config: QuarkConfig, bounds: Bounds | None) -> Quark:
    return Quark(config)


def sampler(scenes: Sequence[Scene], config: QuarkConfig, recipe: Recipe, seed: int) -> SampleSampler:
    """Of the scenes' training views, and endless procedural scenes: those alone where a scene is one itself."""
    if config.lpips_trunk or config.lpips_linear:
        lpips_of(
            config.lpips_trunk, config.lpips_linear
        )  # Files that are missing are missed before anything is made.
    # Samples of the first, coarse part of the training.
    coarse = round(config.half_resolution * recipe.steps) * recipe.batch
    full, half = (_stream(config, seed, size) for size in (config.size, config.size // 2))

    def made(index: int) -> Sample:
        return (half if index < coarse else full).item(index)

    def of(scene: Scene) -> Source:
        samples = SceneSamples(scene.train, scene.bounds, config.views, seed)

        def seen(index: int) -> Sample:
            sample = zoomed(samples.item(index), _focal_factor(config, seed, index))
            return halved(sample) if index < coarse else sample

        return seen

    return mixed_samples(made, scenes, of, config.procedural, recipe.batch, seed)


def _focal_factor(config: QuarkConfig, seed: int, index: int) -> float:
    share = float(torch.rand((), generator=generator_for(seed, "focal", index)))
    return 1 + config.focal_jitter * share


def _stream(config: QuarkConfig, seed: int, size: int) -> ProceduralStream:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return ProceduralStream(
        FAMILIES, seed=seed, size=size, sources=config.views, device=device, reach=config.reach
    )


def watched() -> Scene:
    return make_scene("room", 2_000_000, views=33, size=WATCHED_SIZE)


METHOD = MethodSpec(
    name="quark",
    title="Quark",
    summary="layered depth maps from a few photographs: any scene at once, by weights that come along",
    paper="Flynn et al., Quark: Real-time, High-resolution, and General Neural View Synthesis, SIGGRAPH Asia 2024",
    traits=Traits(regime="feed-forward", min_views=2, exports=frozenset({"layers"})),
    config=QuarkConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
    watched=watched,
    weights=Path(__file__).parent / "weights" / "run",
    adjustable=frozenset({"views", "detail", "fade", "exposure", "precision"}),
)
