"""LVSM: A Large View Synthesis Model with Minimal 3D Inductive Bias (Jin, Jiang, Tan et al., ICLR 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.samples import SampleSampler, SceneSamples, Source, halved
from novelview.data.scene import Scene
from novelview.data.scene_list import mixed_samples
from novelview.data.sequences import SequenceSamples
from novelview.data.squares import squares
from novelview.errors import DataError
from novelview.methods.lvsm.checkpoint import load_official
from novelview.methods.lvsm.config import PRESETS, LVSMConfig
from novelview.methods.lvsm.losses import perceptual_loss
from novelview.methods.lvsm.model import LVSM
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.recipe import Recipe
from novelview.types import Bounds, Sample


def build(config: LVSMConfig, bounds: Bounds | None) -> LVSM:
    return LVSM(config)


def sampler(scenes: Sequence[Scene], config: LVSMConfig, recipe: Recipe, seed: int) -> SampleSampler:
    """Of the scenes' training views, and endless procedural scenes: those alone where a scene is one itself."""
    if config.vgg and config.perceptual_loss:
        perceptual_loss(config.vgg)  # A file that is missing is missed before anything is made.
    # Samples of the first, coarse part of the training.
    coarse = round(config.half_resolution * recipe.steps) * recipe.batch
    full, half = (_stream(config, seed, size) for size in (config.train_size, config.train_size // 2))

    def made(index: int) -> Sample:
        return (half if index < coarse else full).item(index)

    def of(scene: Scene) -> Source:
        item = _captured(scene, config, recipe, seed)
        return lambda index: halved(item(index)) if index < coarse else item(index)

    return mixed_samples(made, scenes, of, config.procedural, recipe.batch, seed)


def _captured(scene: Scene, config: LVSMConfig, recipe: Recipe, seed: int) -> Source:
    """Samples of one capture at full size: of a video, or of photographs in no order."""
    count = config.sources + config.targets
    if len(scene.train) < count:
        raise DataError(
            "This capture is too small to learn from",
            where=scene.name,
            why=f"of its {len(scene.train)} training views, {config.sources} sources and {config.targets} targets are drawn",
            cure="lower --config.sources or --config.targets, or hold out fewer views",
        )
    views = squares(scene.train, config.train_size, config.patch, config.square)
    if not config.video:
        return SceneSamples(views, scene.bounds, config.sources, seed, config.targets).item
    gaps = config.shortest_gap, config.longest_gap
    stretches = SequenceSamples(views, scene.bounds, config.sources, config.targets, *gaps, seed=seed)
    grown = max(1, round(config.curriculum * recipe.steps) * recipe.batch)
    return lambda index: stretches.item(index, min(1.0, index / grown))


def _stream(config: LVSMConfig, seed: int, size: int) -> ProceduralStream:
    return ProceduralStream(
        config.families,
        seed=seed,
        size=size,
        sources=config.sources,
        targets=config.targets,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def watched() -> Scene:
    return make_scene("object", 2_000_000, views=33, size=96)


METHOD = MethodSpec(
    name="lvsm",
    title="LVSM",
    summary="new views out of a transformer alone: few photographs, no geometry",
    paper="Jin et al., LVSM: A Large View Synthesis Model with Minimal 3D Inductive Bias, ICLR 2025",
    traits=Traits(regime="feed-forward", min_views=1),
    config=LVSMConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
    load_official=load_official,
    watched=watched,
    weights=Path(__file__).parent / "weights" / "run",
    adjustable=frozenset({"views", "frame", "size", "precision", "compile"}),
)
