"""How a method is trained: everything the engine needs that is not the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """Optimisation settings; a method's presets carry one each."""

    steps: int = 10_000
    """Number of optimiser steps."""
    batch: int = 4096
    """Global batch per step: rays for per-scene methods, samples for feed-forward ones."""
    accumulate: int = 1
    """Cut each batch into this many pieces to save memory; the gradient is the same."""
    learning_rate: float = 5e-4
    """Peak learning rate; parameter groups may scale it."""
    warmup_steps: int = 0
    """Steps of linear warm-up from warmup_fraction x learning_rate."""
    warmup_fraction: float = 0.0
    """Learning rate at step 0 as a fraction of the peak, when there is a warm-up."""
    hold_steps: int = 0
    """Steps at the peak learning rate between warm-up and decay."""
    decay: Literal["constant", "exponential", "cosine"] = "exponential"
    """Shape of the decay after warm-up and hold."""
    final_fraction: float = 0.1
    """Learning rate at decay_steps as a fraction of the peak."""
    decay_steps: int | None = None
    """Steps after which final_fraction is reached; None: the last step."""
    optimizer: Literal["adam", "adamw", "radam"] = "adam"
    """Which optimiser."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's running-average coefficients."""
    epsilon: float = 1e-8
    """Adam's epsilon."""
    weight_decay: float = 0.0
    """Weight decay (decoupled for adamw)."""
    clip_norm: float | None = None
    """Clip the gradient to this norm; None: never."""
    skip_norm: float | None = None
    """Skip a step whose gradient norm exceeds this; None: skip only when it is not finite."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, ramped up from 0.2, used for rendering; None: off."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the forward pass (float16 on CUDA only)."""
