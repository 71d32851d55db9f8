"""Many views of a subject, window by window, each looking at earlier ones (ViewDiff, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.generation import Watch
from novelview.geometry.rigid import Similarity
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.frame import middle_of, network_cameras, squared
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.sampling import Watched, denoise, make_scheduler
from novelview.methods.viewdiff.windows import Window, in_order, is_closed, plan
from novelview.random import generator_for
from novelview.types import Frames


@dataclass(frozen=True)
class Known:
    """What is known of a subject before anything is generated.

    Attributes:
        latents: of the views that are given, perhaps of none.
        cameras: theirs, square, in scene coordinates; None where there are none.
        intensity: as the network is told it of each view, given or not: mean and variance of values in [-1, 1].
        frame: from scene coordinates to the network's.
    """

    latents: Float[Tensor, "k c p q"]
    cameras: Cameras | None
    intensity: tuple[float, float]
    frame: Similarity


@torch.no_grad()
def generate_views(
    network: Network, known: Known, prompt: str, cameras: Cameras, seed: int, watch: Watch | None = None
) -> Frames:
    """Views of the subject that ``prompt`` and ``known`` describe.

    Args:
        network: makes them; its configuration says how.
        known: the subject.
        prompt: in words.
        cameras: of one size, in scene coordinates, in the order of a trajectory.
        seed: of all that is drawn.
        watch: is called after each step.
    """
    width, height = cameras.common_size
    square = squared(cameras.undistorted().to("cpu"), network.config.size)
    windows = _plan(square, len(known.latents), network.config)
    everything = square if known.cameras is None else Cameras.concatenate([square, known.cameras])
    side = network.side()
    latents = torch.zeros(len(everything), network.codec.channels, side, side, device=network.device)
    latents[len(square) :] = known.latents
    text = (network.read([prompt]), network.read([""]))

    def frames(found: Tensor) -> Frames:
        images = (network.codec.decode(found).float() / 2 + 0.5).clamp(0, 1)
        return Frames(middle_of(images, width, height).cpu())

    for number, window in enumerate(windows):
        order = [*window.known, *window.new]

        def watched(
            done: int, steps: int, now: Tensor, order: list[int] = order, before: int = number
        ) -> None:
            latents[order] = now
            if watch is not None:
                watch(before * steps + done, len(windows) * steps, lambda: frames(latents[: len(square)]))

        group = network_cameras([everything[order]], [known.frame])
        generator = generator_for(seed, "views", number)
        noise = torch.randn(len(window.new), *latents.shape[1:], generator=generator).to(latents)
        start = torch.cat([latents[list(window.known)], noise])
        latents[order] = _denoised(network, known, window, group, start, text, generator, watched)
    return frames(latents[: len(square)])


def _plan(cameras: Cameras, known: int, config: ViewDiffConfig) -> tuple[Window, ...]:
    if config.order == "spread":
        return plan(len(cameras), config.at_once, known, closed=is_closed(cameras.centres))
    return in_order(len(cameras), config.at_once, known, sides=2 if config.order == "tour" else 1)


def _denoised(
    network: Network,
    known: Known,
    window: Window,
    cameras: GroupCameras,
    latents: Float[Tensor, "n c p q"],
    text: tuple[Tensor, Tensor],
    generator: torch.Generator,
    watch: Watched,
) -> Float[Tensor, "n c p q"]:
    """One window's views, its known ones first, out of the latents of these and noise for the others."""
    config, count = network.config, len(latents)
    given = torch.arange(count)[None] < len(window.known)
    intensity = torch.tensor(known.intensity).expand(1, count, 2)
    prompted, empty = (each.expand(count, -1, -1) for each in text)
    with torch.autocast(network.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        return denoise(
            network.unet,
            make_scheduler(config.scheduler, config.noise, last_sigma=config.last_sigma),
            latents,
            latents[: len(window.known)],
            (prompted, empty),
            network.scenery(cameras, given, intensity),
            steps=config.steps,
            guidance=config.guidance if window.guided else config.guidance_known,
            overwrite=config.overwrite,
            generator=generator,
            watch=watch,
        )
