"""What a training step asks of rays, early on and later."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from novelview.methods.dvr.candidates import learn_candidates
from novelview.methods.dvr.config import LossConfig, SearchConfig, StartConfig
from novelview.methods.dvr.learning import Chance, Seen, learn
from novelview.methods.dvr.shape import Shape


def learn_stage(
    shape: Shape,
    seen: Seen,
    chance: Chance,
    search: SearchConfig,
    losses: LossConfig,
    start: StartConfig,
    *,
    step: int,
    progress: float,
) -> dict[str, Float[Tensor, ""]]:
    """The losses, by name and multiplied by their weights; each summed over rays.

    Args:
        shape: in the unit cube.
        seen: rays with their pixels.
        chance: random numbers, a row for each ray.
        search: how the surface is searched for.
        losses: their weights.
        start: a beginning in which every place along a ray may be the surface.
        step: of the training.
        progress: the share of it that is done.
    """
    if progress < start.until:
        sharpness = start.sharpness_at(progress)
        return learn_candidates(shape, seen, chance, search, losses, start, sharpness=sharpness)
    samples, sharpness = search.samples_at(step), losses.sharpness_at(progress)
    return learn(shape, seen, chance, search, losses, samples=samples, sharpness=sharpness)
