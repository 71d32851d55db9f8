"""The presets of DVR that are known to work."""

from __future__ import annotations

from novelview.methods.dvr.config import (
    DecoderConfig,
    DVRConfig,
    GridsConfig,
    LossConfig,
    SearchConfig,
    StartConfig,
)
from novelview.methods.dvr.single import SingleConfig
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe

# The authors stop by hand; one epoch is every view once, and the rate halves after 3000 and 5000 of about 49.
PAPER = Recipe(steps=300_000, batch=2048, learning_rate=1e-4, decay="exponential", final_fraction=0.25)

GRIDS = DVRConfig(
    form="grids",
    # A field that may bend is flat in places, where steps that its slope divides would tear thin parts.
    search=SearchConfig(samples=(96,), sample_steps=(), render_samples=256, floor=0.3),
    losses=LossConfig(
        change=0.0,
        empty=0.0,
        filled=0.0,
        normal=0.05,
        normal_reach=0.02,
        mask=5.0,
        distance=0.003,
        normal_step=1 / 64,
    ),
    start=StartConfig(until=0.95),
)
MINUTES = Recipe(steps=2000, batch=2048, learning_rate=1e-2, final_fraction=0.05)

PRESETS = {
    "grids": Preset(GRIDS, MINUTES, "the practical one: minutes on two CPU cores"),
    "multi-view": Preset(
        DVRConfig(),
        PAPER,
        "the paper's network for one object, from colours and masks; days on a GPU",
    ),
    "multi-view-depth": Preset(
        DVRConfig(losses=LossConfig(place=1.0)),
        PAPER,
        "the same with depth maps of the photographs",
    ),
    "multi-view-sfm": Preset(
        DVRConfig(losses=LossConfig(place=1.0), key_points=True),
        PAPER,
        "the same with the depths of sparse points of structure from motion",
    ),
    "tiny": Preset(
        DVRConfig(
            form="grids",
            grids=GridsConfig(resolutions=(8, 16), features=2, width=8),
            search=SearchConfig(samples=(16,), sample_steps=(), render_samples=32),
            losses=LossConfig(
                change=0.0, empty=0.0, filled=0.0, normal=0.0, mask=5.0, distance=0.003, normal_step=0.05
            ),
            start=StartConfig(until=0.5, samples=16),
        ),
        Recipe(steps=60, batch=256, learning_rate=2e-2),
        "for tests: seconds on a CPU, coarse results",
    ),
}

# A step sees so many objects; epochs are not counted here, and the authors stop after weeks on one GPU.
PAPER_SINGLE = Recipe(steps=1_000_000, batch=64, learning_rate=1e-4, final_fraction=0.25)

SINGLE_PRESETS = {
    "small": Preset(
        SingleConfig(
            decoder=DecoderConfig(width=128, octaves=3),
            code=64,
            side=64,
            pixels=48,
            search=SearchConfig(samples=(32,), sample_steps=(), render_samples=128),
            losses=LossConfig(colour=0.5, change=0.0, depth=10.0, normal=0.05),
            start=StartConfig(until=0.95, samples=24, sharpness=(1.0, 1.0), opacity=1.0),
        ),
        Recipe(
            steps=8000,
            batch=16,
            learning_rate=4e-4,
            warmup_steps=100,
            decay="cosine",
            final_fraction=0.02,
            precision="bfloat16",
        ),
        "a small network for small families of shapes, with depth: three quarters of an hour on a CPU",
    ),
    "rgb": Preset(
        SingleConfig(decoder=DecoderConfig(width=128), batch_norm=True, hull=True),
        PAPER_SINGLE,
        "the paper's model that learns from colours and masks alone; weeks on a GPU",
    ),
    "combined": Preset(
        SingleConfig(batch_norm=True, pixels=768, losses=LossConfig(change=0.0, depth=10.0, normal=0.05)),
        PAPER_SINGLE,
        "the paper's model that learns from colours, masks and depth; weeks on a GPU",
    ),
    "depth": Preset(
        SingleConfig(
            decoder=DecoderConfig(coloured=False),
            batch_norm=True,
            losses=LossConfig(colour=0.0, change=0.0, depth=1.0, normal=0.05),
        ),
        PAPER_SINGLE,
        "the paper's model that learns from masks and depth, without colours; weeks on a GPU",
    ),
    "tiny": Preset(
        SingleConfig(
            decoder=DecoderConfig(width=32, blocks=2),
            code=8,
            side=32,
            pixels=128,
            shapes=2,
            train_size=24,
            search=SearchConfig(samples=(8,), sample_steps=(), render_samples=16),
            losses=LossConfig(
                change=0.0, empty=0.0, filled=0.0, normal=0.0, mask=5.0, sharpness=(10.0, 10.0)
            ),
        ),
        Recipe(steps=20, batch=2, learning_rate=3e-3),
        "for tests: seconds on a CPU, shapes without meaning",
    ),
}
