"""Differentiable Volumetric Rendering (Niemeyer et al., CVPR 2020): surfaces out of photographs and masks.

Two methods: ``dvr`` learns one object from its photographs, ``dvr-single`` a family of shapes, to see each in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from novelview.data.procedural import object_scene
from novelview.data.samplers import PixelSampler, RaySampler
from novelview.data.samples import SampleSampler
from novelview.data.scene import Scene
from novelview.data.scene_list import mixed_samples
from novelview.data.sparse import with_sparse_depths
from novelview.data.tiles import TileSampler
from novelview.errors import MethodError
from novelview.methods.dvr.checkpoint import load_official, load_official_single
from novelview.methods.dvr.config import DVRConfig
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.pairs import FAMILY, ShapePairs, pairs_of
from novelview.methods.dvr.presets import PRESETS, SINGLE_PRESETS
from novelview.methods.dvr.single import SingleConfig, SingleView
from novelview.methods.method import MethodSpec, Traits
from novelview.methods.recipe import Recipe
from novelview.types import Bounds, Sample, Views

# Share of the rays, or of the patches, that sparse depths get: the authors march all key points of a view beside its 2048
# pixels.
KNOWN_SHARE = 0.25

PAPER = "Niemeyer et al., Differentiable Volumetric Rendering, CVPR 2020"


def build(config: DVRConfig, bounds: Bounds | None) -> DVR:
    if bounds is None:
        raise MethodError("DVR is built for one object", cure="give the scene's bounds")
    return DVR(config, bounds)


def sampler(scenes: Sequence[Scene], config: DVRConfig, recipe: Recipe, seed: int) -> PixelSampler:
    """Pixels of the first scene's training views, with depths where these are learnt from.

    Raises:
        MethodError: they are, and the scene has neither depth maps nor sparse points of which it is known who sees them.
    """
    views, known_share = scenes[0].train, 0.0
    if config.losses.depth or config.losses.place:
        views, known_share = _with_depths(scenes[0], config)
    if config.losses.change:
        return TileSampler(views, recipe.batch, seed, tile=2, known_share=known_share)
    return RaySampler(views, recipe.batch, seed, known_share=known_share)


def _with_depths(scene: Scene, config: DVRConfig) -> tuple[Views, float]:
    """The training views with depths, and the share of what is drawn that goes where these are known."""
    views = scene.train
    dense = views.has_depths and not config.key_points
    if not (dense or views.has_sparse_depths):
        raise MethodError(
            "There are no depths to learn from",
            where=scene.name,
            why=f"losses.depth is {config.losses.depth:g}, losses.place {config.losses.place:g} and key_points "
            f"{config.key_points}; the capture has {'no' if views.has_depths else 'neither depth maps nor'} sparse points "
            "with the views that see them",
            cure="add depth maps, or open COLMAP's model or a pcl.npz with visibility arrays; or learn without depths: "
            "--preset multi-view, or both weights 0",
        )
    return (views, 0.0) if dense else (with_sparse_depths(views), KNOWN_SHARE)


def build_single(config: SingleConfig, bounds: Bounds | None) -> SingleView:
    return SingleView(config)


def single_sampler(scenes: Sequence[Scene], config: SingleConfig, recipe: Recipe, seed: int) -> SampleSampler:
    """Of captures, one for each shape; procedural shapes where no capture is named."""
    made = ShapePairs(config.shapes, config.train_size, seed, hull=config.hull)
    depth = bool(config.losses.depth or config.losses.place)

    def pairs(scene: Scene) -> Callable[[int], Sample]:
        return pairs_of(scene, seed, hull=config.hull, depth=depth)

    return mixed_samples(made.item, scenes, pairs, 0.0, recipe.batch, seed)


def watched() -> Scene:
    """A shape that is not learnt from."""
    return object_scene(FAMILY, 1_000_000, views=9, size=64, test_every=2, upper=True)


METHODS = (
    MethodSpec(
        name="dvr",
        title="DVR",
        summary="surfaces: coloured meshes of objects out of photographs and masks",
        paper=PAPER,
        traits=Traits(regime="per-scene", needs=frozenset({"masks"}), exports=frozenset({"mesh"})),
        config=DVRConfig,
        presets=PRESETS,
        build=build,
        sampler=sampler,
        load_official=load_official,
    ),
    MethodSpec(
        name="dvr-single",
        title="DVR from one photograph",
        summary="the surface of an object that one masked photograph shows, of a family of shapes that is learnt first",
        paper=PAPER,
        traits=Traits(
            regime="feed-forward",
            min_views=1,
            max_views=1,
            needs=frozenset({"masks"}),
            exports=frozenset({"mesh"}),
        ),
        config=SingleConfig,
        presets=SINGLE_PRESETS,
        build=build_single,
        sampler=single_sampler,
        load_official=load_official_single,
        watched=watched,
    ),
)
