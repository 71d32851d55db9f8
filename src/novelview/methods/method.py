"""The contract of a method: what it is told, what it must answer, and what it declares about itself.

Adding a method is adding a folder ``methods/<name>/`` (or installing a package with an entry point in the group
``novelview.methods``) whose ``__init__`` holds one :class:`MethodSpec` named ``METHOD``, or several in ``METHODS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.config import from_json, to_json
from novelview.data.samplers import Sampler
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.generation import Request, Studio, Watch
from novelview.layered import LayeredDepthMap
from novelview.light_field import LightField
from novelview.methods.distillation import Distillation
from novelview.methods.recipe import Recipe
from novelview.random import Draws
from novelview.surface import ImplicitSurface
from novelview.types import Batch, Bounds, Frames, Views


@dataclass(frozen=True)
class Traits:
    """What a method needs and offers, so that a command can refuse before it starts.

    Attributes:
        regime: "per-scene" is optimised on one scene; "feed-forward" is trained once and renders any scene;
            "generative" makes views that no camera saw.
        min_views: fewest input views it can work with.
        max_views: most input views it uses at once; None: no limit.
        size_multiple: image width and height must be multiples of this.
        needs: what a scene must carry besides photographs and poses.
        exports: kinds of assets it can be exported to besides frames and video.
    """

    regime: Literal["per-scene", "feed-forward", "generative"]
    min_views: int = 2
    max_views: int | None = None
    size_multiple: int = 1
    needs: frozenset[Literal["masks", "depth", "text"]] = frozenset()
    exports: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Loss:
    """What one batch costs.

    Attributes:
        total: scalar that is minimised.
        parts: scalars worth a curve, detached; the key "mse", where present, is also shown as PSNR.
    """

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """A view synthesis method. Abstract; every subclass is final.

    A method works in scene coordinates. Per-scene methods keep the scene in their parameters, so their
    ``condition`` returns what little else they need; feed-forward methods keep it in the returned state.

    Attributes:
        idle_parameters: whether some steps leave some parameters without a gradient. Several processes then look for
            these in every step, which costs time; otherwise they refuse such a step.
    """

    idle_parameters: bool = False

    @abstractmethod
    def condition(self, views: Views, bounds: Bounds) -> Any:
        """The state that ``render`` needs of the input views and the scene's extent; opaque to everyone else."""

    @abstractmethod
    def render(self, state: Any, cameras: Cameras) -> Frames:
        """New views. All cameras share one image size; memory is bounded by chunking inside; no gradient."""

    def one_by_one(self, state: Any, cameras: Cameras) -> Callable[[int], Frames]:
        """What camera number i sees, rendered when it is asked for.

        Methods whose views of one call go together render all of them then, so that frames agree.
        """
        return lambda i: self.render(state, cameras[i])

    @abstractmethod
    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        """Training loss of a batch. Every random number comes from ``draws``."""

    def layers(self, state: Any, camera: Cameras) -> LayeredDepthMap:
        """What one camera sees as an asset that needs no network any more; where traits promise "layers"."""
        raise NotImplementedError

    def light_field(self, state: Any) -> LightField:
        """The scene as a network that answers rays, in scene coordinates; where traits promise "onnx" and "web"."""
        raise NotImplementedError

    def surface(self, state: Any) -> ImplicitSurface:
        """The surface of what is in the scene, in scene coordinates; where traits promise "mesh"."""
        raise NotImplementedError

    def studio(self) -> Studio:
        """The world that new subjects are generated in; where the regime is "generative"."""
        raise NotImplementedError

    def generate(self, request: Request, watch: Watch | None = None) -> Frames:
        """Views of a subject that words, or views of it, describe; where the regime is "generative"."""
        raise NotImplementedError

    def explain(self, state: Any, camera: Cameras) -> dict[str, Any]:
        """What a new view is made of: JSON facts, among them "views", the most important first, each with its name."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups: dicts with "params" and perhaps "scale", a factor on the learning rate, and "weight_decay"."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def begin(self, views: Views) -> None:
        """Take from a scene's training views what new weights shall begin with; not called for weights that are loaded.

        Only where a training learns from one scene; whatever is taken must be in a parameter or a buffer.
        """

    def advance(self, step: int, steps: int) -> bool:
        """Called before each training step; coarse-to-fine methods grow here.

        Must depend on ``step`` and ``steps`` only. Returns True when parameters were replaced, so that the
        optimiser starts afresh on the new ones.
        """
        return False

    def shards(self) -> list[nn.Module]:
        """Modules whose weights are gathered one at a time where each process keeps a part of all weights.

        For a transformer, its blocks. None may lie inside another. Each must be used by calling it, or by functions
        that its attribute ``entrances`` names. Weights outside of them are whole during all of ``loss``, and only
        there: ``advance`` must not look at any. Buffers are each process's own, so ``loss`` must not write what it
        finds in its slice of a batch into them.

        Raises:
            ConfigError: the method cannot be trained so.
        """
        return []

    def structure(self) -> dict[str, Any]:
        """JSON facts, beyond the configuration, that fix the shapes of the parameters at this moment."""
        return {}

    def restructure(self, structure: dict[str, Any]) -> None:
        """Give the parameters the shapes that ``structure`` describes, before weights are loaded."""


@dataclass(frozen=True)
class Preset:
    """A named configuration with the recipe that trains it.

    Attributes:
        config: the method's own configuration dataclass.
        recipe: how it is trained.
        summary: one line for ``--help``: what it is for, and its cost.
        distillation: how it learns from another method first; None: from photographs alone.
    """

    config: Any
    recipe: Recipe
    summary: str
    distillation: Distillation | None = None


@dataclass(frozen=True)
class MethodSpec:
    """Everything the program knows about a method without building it.

    Attributes:
        name: what users type.
        title: name for people.
        summary: one sentence: what it is for.
        paper: citation.
        traits: needs and promises.
        config: the configuration dataclass.
        presets: by name, the one that is taken unless another is named first; "tiny" is for tests: seconds on a CPU.
        build: makes the method from its configuration and, for per-scene methods, the extent of the scene.
        sampler: makes what feeds the training from scenes (one for per-scene methods), configuration, recipe and seed. The
            scenes may be thousands that are opened when one is asked for, so it must not walk through them.
        watched: the scene by which the training of a feed-forward method is judged when no capture is named.
        weights: run folder of weights that come along, so that the method works under its own name.
        adjustable: fields of the configuration that may differ between training and rendering.
        load_official: reads a checkpoint of the authors' code, without executing anything in it.
    """

    name: str
    title: str
    summary: str
    paper: str
    traits: Traits
    config: type
    presets: Mapping[str, Preset]
    build: Callable[[Any, Bounds | None], Method]
    sampler: Callable[[Sequence[Scene], Any, Recipe, int], Sampler]
    load_official: Callable[[Path], Method] | None = None
    watched: Callable[[], Scene] | None = None
    weights: Path | None = None
    adjustable: frozenset[str] = frozenset()

    def preset(self, name: str | None = None) -> Preset:
        """A preset by its name, or the first one.

        Raises:
            ConfigError: there is none of that name; the error lists those there are.
        """
        name = name or next(iter(self.presets))
        if name not in self.presets:
            raise ConfigError(
                f"{self.title} has no preset {name!r}", cure=f"choose one of: {', '.join(self.presets)}"
            )
        return self.presets[name]

    def adjusted(self, config: Any, changes: Mapping[str, Any]) -> Any:
        """A trained configuration with fields changed that need no other weights.

        Raises:
            ConfigError: a field that cannot be changed, or a value that it cannot have.
        """
        fixed = sorted(set(changes) - self.adjustable)
        if fixed:
            choices = ", ".join(sorted(self.adjustable)) or "nothing"
            raise ConfigError(
                f"{self.title} cannot change {', '.join(fixed)} after training",
                cure=f"it can change: {choices}",
            )
        return from_json(self.config, {**to_json(config), **changes}, where=self.name)
