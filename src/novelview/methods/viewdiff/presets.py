"""Named configurations with the recipes that train them."""

from __future__ import annotations

from dataclasses import replace

from novelview.data.procedural.described import WORDS
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe
from novelview.methods.viewdiff.config import (
    STABLE_DIFFUSION,
    AttentionConfig,
    LearnConfig,
    MultiViewConfig,
    NoiseConfig,
    OwnUNetConfig,
    PlacementConfig,
    StudioConfig,
    ViewDiffConfig,
)
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.text import WordsConfig

_WORDS = WordsConfig(words=WORDS, width=96)

SMALL = ViewDiffConfig(
    own=OwnUNetConfig(channels=(96, 112), attention=(True, True), heads=(3, 4), words=_WORDS, pooled=True),
    multiview=MultiViewConfig(
        attention=AttentionConfig(rank=0, finest=1),
        placement=PlacementConfig(down=0, up=2, cells=(16, 8), join="add"),
        projection=ProjectionConfig(
            layers=1, compress="single", expand="single", background=False, samples=20, density_noise=0.0
        ),
        rays=True,
    ),
    noise=NoiseConfig(schedule="linear", first=1e-4, last=0.02, prediction="sample"),
    learn=LearnConfig(
        frames=8, text_dropout=0.1, turned="given", shown_weight=2.0, renderer_rate=1.0, objects=2000
    ),
    stage=StudioConfig(distance=4.9, field_of_view=38.0, elevation=20.0, white=True),
    size=64,
    guidance=3.0,
    at_once=8,
)

_TINY = replace(
    SMALL,
    own=OwnUNetConfig(
        channels=(16, 32),
        attention=(True, True),
        heads=(2, 2),
        groups=8,
        words=replace(_WORDS, width=16, layers=1),
    ),
    multiview=replace(
        SMALL.multiview,
        placement=PlacementConfig(down=0, up=0, cells=(4, 4)),
        projection=ProjectionConfig(latent=8, layers=0, background=False, samples=4, density_noise=0.0),
    ),
    learn=replace(SMALL.learn, frames=3, objects=4, pool_views=4, may_be_given=1),
    size=16,
    steps=2,
    at_once=4,
)

_PUBLISHED = ViewDiffConfig(base=STABLE_DIFFUSION)

PRESETS = {
    "small": Preset(
        SMALL,
        Recipe(
            steps=15_000,
            batch=3,
            learning_rate=6e-4,
            warmup_steps=200,
            decay="cosine",
            final_fraction=0.05,
            optimizer="adamw",
            betas=(0.9, 0.99),
            weight_decay=0.01,
            clip_norm=1.0,
            ema=0.999,
            precision="bfloat16",
        ),
        "64 pixels, words of a small vocabulary, procedural objects: four hours on two cores",
    ),
    "published": Preset(
        _PUBLISHED,
        Recipe(
            steps=60_000,
            batch=64,
            accumulate=8,
            learning_rate=5e-5,
            decay="constant",
            optimizer="adamw",
            weight_decay=0.01,
            clip_norm=5e-3,
        ),
        "Stable Diffusion 2.1 with projection layers in three blocks, 5 views of 256 pixels: two GPUs of 80 GB, a week",
    ),
    "published-small": Preset(
        replace(
            _PUBLISHED,
            multiview=MultiViewConfig(
                placement=PlacementConfig(down=0, up=0, cells=(64, 32, 16, 16)),
                projection=ProjectionConfig(layers=1),
            ),
            learn=LearnConfig(frames=3),
        ),
        Recipe(
            steps=60_000,
            batch=1,
            learning_rate=5e-5,
            decay="constant",
            optimizer="adamw",
            weight_decay=0.01,
            clip_norm=5e-3,
        ),
        "a projection layer in the bottleneck alone, 3 views: one GPU of 24 GB",
    ),
    "tiny": Preset(
        _TINY,
        Recipe(steps=60, batch=2, learning_rate=3e-3, optimizer="adamw", decay="cosine"),
        "for tests: seconds on a CPU",
    ),
}
