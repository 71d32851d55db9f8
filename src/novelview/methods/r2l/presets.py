"""The presets of R2L that are known to work."""

from __future__ import annotations

from novelview.methods.method import Preset
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.recipe import Recipe

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

PRESETS = {
    "W181D88": Preset(
        R2LConfig(width=181), PAPER, "the paper's small network, 6.0 MFLOP per ray; days on a large GPU"
    ),
    "W256D88": Preset(
        R2LConfig(), PAPER, "the paper's best network, 11.8 MFLOP per ray; days on a large GPU"
    ),
    "W256D44": Preset(
        R2LConfig(depth=44),
        PAPER,
        "the paper's network of half the depth, 6.0 MFLOP per ray; days on a large GPU",
    ),
    "W363D22": Preset(
        R2LConfig(width=363, depth=22),
        PAPER,
        "the paper's network of a quarter of the depth, 6.0 MFLOP per ray; days on a large GPU",
    ),
    "tiny": Preset(
        R2LConfig(width=48, depth=6, samples=6, octaves=4, hard_share=0.0),
        Recipe(steps=200, batch=256, learning_rate=5e-3),
        "for tests: seconds on a CPU, coarse results",
    ),
}
