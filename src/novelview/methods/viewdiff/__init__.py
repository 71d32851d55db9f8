"""ViewDiff: 3D-Consistent Image Generation with Text-to-Image Models (Höllein et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from novelview.data.procedural.described import HELD_OUT
from novelview.data.procedural.described_stream import DescribedStream, described_scene
from novelview.data.samples import SampleSampler
from novelview.data.scene import Scene
from novelview.data.scene_list import mixed_samples
from novelview.errors import import_extra
from novelview.methods.method import Method, MethodSpec, Traits
from novelview.methods.recipe import Recipe
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.examples import scene_samples
from novelview.methods.viewdiff.presets import PRESETS
from novelview.types import Bounds, Sample


def build(config: ViewDiffConfig, bounds: Bounds | None) -> Method:
    # diffusers takes seconds to import, which other methods need not wait for.
    import_extra("diffusers", "diffusion")
    from novelview.methods.viewdiff.model import ViewDiff

    return ViewDiff(config)


def load_official(path: Path) -> Method:
    """A model that was trained with the authors' code; see :mod:`~novelview.methods.viewdiff.checkpoint`."""
    import_extra("diffusers", "diffusion")
    from novelview.methods.viewdiff.checkpoint import load_official

    return load_official(path)


def sampler(scenes: Sequence[Scene], config: ViewDiffConfig, recipe: Recipe, seed: int) -> SampleSampler:
    """Of the scenes' training views and captions; of procedural objects where none is named."""
    learn = config.learn
    made = DescribedStream(
        seed=seed, objects=learn.objects, size=config.size, frames=learn.frames, pool_views=learn.pool_views
    )

    def of(scene: Scene) -> Callable[[int], Sample]:
        return scene_samples(scene, learn.frames, config.size, seed)

    return mixed_samples(made.item, scenes, of, learn.procedural, recipe.batch, seed)


def watched() -> Scene:
    """An object that is not learnt from."""
    colour, shape = HELD_OUT[0]
    return described_scene(f"a {colour} {shape}", 2_000_000, views=9, size=64)


METHOD = MethodSpec(
    name="viewdiff",
    title="ViewDiff",
    summary="many consistent views of a subject out of words or a picture",
    paper="Höllein et al., ViewDiff: 3D-Consistent Image Generation with Text-to-Image Models, CVPR 2024",
    traits=Traits(regime="generative", min_views=1),
    config=ViewDiffConfig,
    presets=PRESETS,
    build=build,
    sampler=sampler,
    load_official=load_official,
    watched=watched,
    weights=Path(__file__).parent / "weights" / "run",
    adjustable=frozenset(
        {
            "prompt",
            "seed",
            "views",
            "steps",
            "guidance",
            "guidance_known",
            "scheduler",
            "last_sigma",
            "overwrite",
            "at_once",
            "order",
            "frames_at_once",
            "precision",
        }
    ),
)
