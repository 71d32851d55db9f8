"""Options of LVSM and the presets that are known to work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from novelview.errors import ConfigError
from novelview.methods.method import Preset
from novelview.methods.recipe import Recipe

Architecture = Literal["decoder-only", "encoder-decoder", "cached"]


@dataclass(frozen=True)
class LVSMConfig:
    """What makes one LVSM differ from another. The defaults are the published decoder-only network for scenes."""

    architecture: Architecture = "decoder-only"
    """decoder-only: all views in one sequence; encoder-decoder: inputs become latents first; cached: inputs are encoded
    once, and each target attends to their keys and values and to itself."""
    width: int = 768
    """Channels of a token."""
    head_width: int = 64
    """Channels of one attention head."""
    layers: int = 24
    """Blocks that a target passes through."""
    encoder_layers: int = 12
    """Blocks that inputs pass through: a stack of their own (encoder-decoder), or the first of the shared one (cached)."""
    latents: int = 3072
    """Learned latents (encoder-decoder)."""
    patch: int = 8
    """Side of a patch in pixels; image sides must be multiples."""
    positions: Literal["rays", "cameras", "both"] = "rays"
    """How tokens know where they are: rays, as published; cameras, relative to one another in attention (PRoPE); or both."""
    frame: Literal["inputs", "all", "world"] = "inputs"
    """Cameras that fix the frame of rays: the inputs; or all, targets too, as the paper has it, so that a picture depends on
    which others are asked for with it; world: the scene's own frame, as published for objects."""
    unit: Literal["cameras", "depth"] = "cameras"
    """What has a common length in that frame: the farthest camera from the middle, as published, or the depth of the scene,
    which depends less on which cameras there are."""
    views: int = 16
    """Photographs that are looked at, spread over the capture where it has more."""
    size: int = 256
    """Height in pixels of the photographs as the network sees them; larger ones are reduced. 0: as they are."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network while rendering; norms and positions stay float32."""
    compile: bool = False
    """Compile the network with torch.compile: a slow first frame, faster ones after."""
    checkpoint_blocks: bool = False
    """While training, keep only what enters each block and compute the rest again: less memory, a third more time."""
    sources: int = 2
    """While training, input views of a sample."""
    targets: int = 6
    """While training, target views of a sample."""
    fewest_sources: int = 0
    """While training, steps have from so many input views to all; 0: always all."""
    train_size: int = 256
    """While training, height in pixels of the views."""
    half_resolution: float = 0.0
    """Share of the training, its beginning, at half that height."""
    square: bool = True
    """While training on captures, cut the middle square out of their photographs."""
    video: bool = False
    """While training on captures, take them for videos: inputs are two ends of a stretch, targets lie between."""
    shortest_gap: int = 25
    """Shortest such stretch, in frames."""
    longest_gap: int = 192
    """Longest such stretch, in frames."""
    curriculum: float = 0.0
    """Share of the training over which stretches grow from the shortest to the longest; 0: all lengths from the start."""
    families: tuple[str, ...] = ("object",)
    """Families of the endless procedural scenes."""
    procedural: float = 0.0
    """While training on captures, share of the steps that see endless procedural scenes instead."""
    perceptual_loss: float = 0.5
    """Weight of the perceptual loss, where vgg names its weights."""
    gradient_loss: float = 0.0
    """Weight of the error of differences of neighbouring pixels, which needs no weights."""
    vgg: str = ""
    """While training, file of VGG-19's weights for the perceptual loss: imagenet-vgg-verydeep-19.mat, or a state dict as
    torchvision names it (.pth, .safetensors)."""

    def __post_init__(self) -> None:
        for name in ("width", "head_width", "layers", "patch", "views", "sources", "targets", "train_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        if self.width % self.head_width:
            raise ConfigError(f"{self.width} channels cannot be cut into heads of {self.head_width}")
        if self.positions != "rays" and self.head_width % 8:
            raise ConfigError(
                f"Heads of {self.head_width} channels cannot hold camera positions",
                why="half of them come in fours, a quarter in twos",
                cure="give a head_width that is a multiple of 8",
            )
        if self.positions != "rays" and self.architecture == "encoder-decoder":
            raise ConfigError(
                "Latents have no camera, so an encoder-decoder knows positions from rays alone",
                cure="use positions rays, or another architecture",
            )
        self._check_layers()
        for name in ("half_resolution", "procedural", "curriculum"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give a share from 0 to 1")
        for name in ("size", "fewest_sources", "perceptual_loss", "gradient_loss"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give 0 or more")
        if self.train_size % self.patch or (self.half_resolution and self.train_size % (2 * self.patch)):
            raise ConfigError(
                f"Views of {self.train_size} pixels cannot be cut into patches of {self.patch}",
                cure="give a multiple of the patch (of two patches with half_resolution)",
            )

    def _check_layers(self) -> None:
        if self.architecture == "decoder-only":
            return
        most = self.layers if self.architecture == "cached" else max(self.encoder_layers, 1)
        if not 1 <= self.encoder_layers <= most:
            raise ConfigError(
                f"Bad encoder_layers {self.encoder_layers}",
                why=f"inputs pass through the first of {self.layers} shared blocks"
                if self.architecture == "cached"
                else "latents need at least one block",
                cure=f"give 1 to {most}",
            )
        if self.architecture == "encoder-decoder" and self.latents < 1:
            raise ConfigError(f"Bad latents {self.latents}", cure="give at least 1")


# Section 4 and the appendix of the paper; the skip rule and the batch per stage are those of its training code.
_PUBLISHED = Recipe(
    steps=100_000,
    batch=512,
    learning_rate=4e-4,
    warmup_steps=3000,
    decay="cosine",
    final_fraction=0.0,
    optimizer="adamw",
    betas=(0.9, 0.95),
    weight_decay=0.05,
    clip_norm=1.0,
    skip_norm=5.0,
    precision="bfloat16",
)

_VIDEO: dict[str, Any] = {"frame": "all", "video": True, "checkpoint_blocks": True}

_SMALL = LVSMConfig(
    architecture="cached",
    width=192,
    head_width=32,
    layers=6,
    encoder_layers=3,
    positions="both",
    unit="depth",
    views=8,
    size=96,
    sources=4,
    targets=8,
    fewest_sources=1,
    train_size=96,
    half_resolution=0.8,
    gradient_loss=0.1,
)

PRESETS = {
    "small": Preset(
        _SMALL,
        replace(
            _PUBLISHED,
            steps=6_500,
            batch=4,
            learning_rate=1e-3,
            warmup_steps=300,
            hold_steps=3_900,
            final_fraction=0.02,
            betas=(0.9, 0.99),
            ema=0.999,
            precision="float32",
        ),
        "a sixtieth of the paper's size, cached: trains on two CPU cores in an hour",
    ),
    "decoder-only": Preset(
        LVSMConfig(**_VIDEO), _PUBLISHED, "the paper's network for scenes, 170.8 M parameters, for GPUs"
    ),
    "encoder-decoder": Preset(
        LVSMConfig(architecture="encoder-decoder", layers=12, **_VIDEO),
        _PUBLISHED,
        "the paper's network with latents, 173.2 M parameters, for GPUs",
    ),
    "cached": Preset(
        LVSMConfig(architecture="cached", encoder_layers=24, positions="both", **_VIDEO),
        _PUBLISHED,
        "decoder-only's size with inputs encoded once, for GPUs; never trained here",
    ),
    "tiny": Preset(
        LVSMConfig(
            architecture="cached",
            width=32,
            head_width=16,
            layers=2,
            encoder_layers=1,
            positions="both",
            patch=4,
            views=4,
            size=16,
            train_size=16,
            sources=2,
            targets=2,
        ),
        Recipe(steps=60, batch=2, learning_rate=3e-3, optimizer="adamw"),
        "for tests: seconds on a CPU, poor results",
    ),
}
