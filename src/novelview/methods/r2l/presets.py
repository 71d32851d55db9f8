"""The presets of R2L that are known to work."""

from __future__ import annotations

from dataclasses import replace

from novelview.methods.distillation import Distillation
from novelview.methods.method import Preset
from novelview.methods.r2l.config import (
    BundleConfig,
    HardConfig,
    LiftedConfig,
    NetworkConfig,
    PointsConfig,
    R2LConfig,
)
from novelview.methods.recipe import Recipe
from novelview.volumes.config import VolumeConfig

# The authors count steps from 1: 1e-4 at their step 0, 5e-4 at their step 200, then ten times less every 500,000 steps.
PAPER = Recipe(
    steps=1_200_000,
    batch=81_920,
    learning_rate=5e-4,
    warmup_steps=199,
    warmup_fraction=0.204,
    final_fraction=1e-4,
    decay_steps=2_000_199,
)

# The authors learn on at the rate they have reached, and stop before the photographs are known by heart.
PAPER_DISTILLATION = Distillation(
    teacher="nerf",
    pseudo_views=10_000,
    ring_megabytes=1024,
    finetune=Recipe(steps=400_000, batch=81_920, learning_rate=2e-6, decay="constant"),
    check_every=200,
)

# Ten pictures of 800x800 pixels per step; the decay of the learning rate is not known.
MOBILE = Recipe(
    steps=600_000,
    batch=10 * 800 * 800,
    learning_rate=5e-4,
    optimizer="adamw",
    weight_decay=0.01,
    precision="bfloat16",
)
MOBILE_SMALL = Recipe(
    steps=20_000,
    batch=8192,
    learning_rate=3e-3,
    warmup_steps=200,
    final_fraction=0.05,
    optimizer="adamw",
    weight_decay=0.01,
)

NOTHING_HARD = HardConfig(share=0.0)
MOBILE_POINTS = PointsConfig(samples=8, octaves=6)

PRESETS = {
    "grid": Preset(
        R2LConfig(
            form="grid",
            network=NetworkConfig(width=64, depth=6),
            lifted=LiftedConfig(
                VolumeConfig(
                    resolution=96, colour_resolution=96, samples=32, smooth_density=1e-4, smooth_colour=0.02
                )
            ),
            hard=NOTHING_HARD,
        ),
        Recipe(steps=2500, batch=4096, learning_rate=0.4, final_fraction=0.05),
        "the practical one: minutes on two CPU cores, teacher included",
        Distillation(
            teacher="grid:fast",
            finetune=Recipe(steps=1000, batch=4096, learning_rate=0.04, final_fraction=0.3),
        ),
    ),
    "W181D88": Preset(
        R2LConfig(network=NetworkConfig(width=181)),
        PAPER,
        "the paper's small network, 6.0 MFLOP per ray; days on a large GPU",
        PAPER_DISTILLATION,
    ),
    "W256D88": Preset(
        R2LConfig(),
        PAPER,
        "the paper's best network, 11.8 MFLOP per ray; days on a large GPU",
        PAPER_DISTILLATION,
    ),
    "W256D44": Preset(
        R2LConfig(network=NetworkConfig(depth=44)),
        PAPER,
        "the paper's network of half the depth, 6.0 MFLOP per ray; days on a large GPU",
        PAPER_DISTILLATION,
    ),
    "W363D22": Preset(
        R2LConfig(network=NetworkConfig(width=363, depth=22)),
        PAPER,
        "the paper's network of a quarter of the depth, 6.0 MFLOP per ray; days on a large GPU",
        PAPER_DISTILLATION,
    ),
    "mobile": Preset(
        R2LConfig(form="bundle", network=NetworkConfig(depth=60), points=MOBILE_POINTS, hard=NOTHING_HARD),
        MOBILE,
        "MobileR2L, 0.16 MFLOP per pixel, for telephones and browsers; days on a large GPU",
        Distillation(
            pseudo_views=10_000,
            ring_megabytes=4096,
            finetune=replace(MOBILE, steps=2000, batch=640_000, learning_rate=2e-5),
        ),
    ),
    "mobile-small": Preset(
        R2LConfig(
            form="bundle",
            network=NetworkConfig(width=96, depth=16),
            points=MOBILE_POINTS,
            bundle=BundleConfig(factor=4, tile=32),
            hard=NOTHING_HARD,
        ),
        MOBILE_SMALL,
        "a small one for small pictures, 0.03 MFLOP per pixel; ten minutes on two CPU cores",
        Distillation(finetune=replace(MOBILE_SMALL, steps=1000, learning_rate=3e-4)),
    ),
    "tiny": Preset(
        R2LConfig(
            network=NetworkConfig(width=48, depth=6),
            points=PointsConfig(samples=6, octaves=4),
            hard=NOTHING_HARD,
        ),
        Recipe(steps=200, batch=256, learning_rate=5e-3),
        "for tests: seconds on a CPU, coarse results",
    ),
}
