"""The projection layer (ViewDiff, section 3.3): features of all frames to one voxel grid, and back to every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from novelview.errors import ConfigError
from novelview.methods.viewdiff.projection.aggregator import IBRNetAggregator, mean_of_frames
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.lattice import Lattice, Sight, lattice_of
from novelview.methods.viewdiff.projection.networks import compression, expansion, grid_network
from novelview.methods.viewdiff.projection.renderer import Met, VolumeRenderer

COLOURS = 3
"""Channels of the rendered ones that training may ask to look like the views."""

Noise = Callable[[tuple[int, ...]], Tensor]


class Rendered(NamedTuple):
    """What every frame sees of the grid.

    Attributes:
        features: in place of those that were given.
        opacity: in [0, 1].
        depth: sum of depths along z times weights, in half lengths of the box's longest side.
        colours: the first channels that were rendered, in [0, 1] before white; training may ask them to look like the views.
    """

    features: Float[Tensor, "b n c h w"]
    opacity: Float[Tensor, "b n h w"]
    depth: Float[Tensor, "b n h w"]
    colours: Float[Tensor, "b n k h w"]


class ProjectionLayer(nn.Module):
    """Unprojects features into voxels, pools them over the frames, refines the grid and renders it into the frames.

    Attributes bear the names of the authors' checkpoints. Geometry and renderer work in float32 whatever autocast says; what
    the samples of rays pass is computed again for the gradient instead of kept.

    Args:
        channels: of the features.
        time_width: of the U-Net's time embedding.
        cells: along each side of the voxel grid.
        config: everything else.

    Raises:
        ConfigError: the grid cannot be halved as often as its network wants.
    """

    def __init__(self, channels: int, time_width: int, cells: int, config: ProjectionConfig) -> None:
        super().__init__()
        c = config.latent
        self.config, self.cells = config, cells
        self.proj_in_2d = compression(channels, c, multiple=config.compress == "multiple")
        if config.aggregator == "ibrnet":
            self.ibrnet_aggregator = IBRNetAggregator(c, time_width if config.time else 0)
        if config.layers:
            self.blocks_3d = grid_network(c, time_width, config.layers, cells)
        self.linear_ray = nn.Linear(3, c)
        nn.init.xavier_uniform_(self.linear_ray.weight)
        nn.init.zeros_(self.linear_ray.bias)
        self.volume_renderer = VolumeRenderer(c)
        many = config.expand == "multiple"
        self.proj_out_2d_fg = expansion(c, channels, multiple=many)
        self.proj_out_2d_bg = expansion(c, channels, multiple=many and config.background)

    def forward(
        self,
        features: Float[Tensor, "b n c h w"],
        cameras: GroupCameras,
        timesteps: Real[Tensor, "b n"],
        time_embedding: Float[Tensor, "b n t"],
        left_out: int = 0,
        noise: Noise | None = None,
        frames_at_once: int | None = None,
    ) -> Rendered:
        """What the frames see of the grid that they feed.

        Args:
            features: of all frames; their pixels cover the images that the cameras have.
            cameras: of the same frames.
            timesteps: each frame's own.
            time_embedding: the U-Net's, of each frame.
            left_out: so many last frames do not feed the grid, and are rendered as the others are.
            noise: draws standard normal numbers of a shape that begins with (b, n), for the densities in training; must draw
                the same ones again where the whole layer is computed again for the gradient.
            frames_at_once: where no gradient is wanted, work on no more at a time than so many frames are, which bounds
                memory; None: all.

        Raises:
            ConfigError: no frame would feed the grid.
        """
        b, n, _, height, width = features.shape
        if not 0 <= left_out < n:
            raise ConfigError(
                f"No frame of {n} feeds the grid if {left_out} are left out", cure="leave out fewer frames"
            )
        fed = n - left_out
        lattice = lattice_of(cameras, (height, width), self.cells, fed, self.config)
        grid = self.aggregate(features[:, :fed], lattice.sight, time_embedding[:, :fed], frames_at_once)
        if self.config.layers:
            grid = self.blocks_3d(grid, timesteps[:, -1], time_embedding[:, -1])
        met = self._render(grid, lattice, (b, n, height, width), noise)
        shown = met.opacity.view(b * n, 1, height, width)
        seen = rearrange(met.features, "(f h w) c -> f c h w", h=height, w=width).to(features.dtype)
        expanded = in_parts(self._expanded, frames_at_once, seen, shown)
        return Rendered(
            expanded.unflatten(0, (b, n)),
            met.opacity.view(b, n, height, width),
            met.depth.view(b, n, height, width),
            seen[:, :COLOURS].float().unflatten(0, (b, n)),
        )

    def aggregate(
        self,
        features: Float[Tensor, "b m c h w"],
        sight: Sight,
        time: Float[Tensor, "b m t"],
        frames_at_once: int | None = None,
    ) -> Float[Tensor, "b k g g g"]:
        """The grid that m frames make, before its network."""
        compressed = in_parts(self.proj_in_2d, frames_at_once, features.flatten(0, 1))
        pixels = _precise(rearrange(compressed, "f c h w -> (f h w) c"))
        parts: Iterable[Sight] = [sight]
        if frames_at_once is not None and not torch.is_grad_enabled():
            # Voxels do not know of one another, while each needs all frames: a part has all frames of fewer voxels.
            parts = sight.split(-(-(self.cells**3) * frames_at_once // len(compressed)))
        grid = torch.cat([self._pooled(pixels, part, time) for part in parts], dim=1)
        return rearrange(grid, "b (z y x) c -> b c z y x", z=self.cells, y=self.cells)

    def _pooled(
        self, pixels: Float[Tensor, "p k"], sight: Sight, time: Float[Tensor, "b m t"]
    ) -> Float[Tensor, "b v k"]:
        """What the pixels of all frames say of some voxels."""
        unprojected = sight.lookup(pixels).view(*sight.weight.shape[:3], -1)
        if self.config.aggregator == "mean":
            return mean_of_frames(unprojected, sight.weight)
        return self.ibrnet_aggregator(
            unprojected, sight.weight, sight.ray, time if self.config.time else None
        )

    def _expanded(
        self, seen: Float[Tensor, "f k h w"], shown: Float[Tensor, "f 1 h w"]
    ) -> Float[Tensor, "f c h w"]:
        """Features of what is seen, and of what is not."""
        front = shown * self.proj_out_2d_fg(seen)
        return (front + (1 - shown) * self.proj_out_2d_bg(seen)).to(seen.dtype)

    def _render(
        self, grid: Tensor, lattice: Lattice, shape: tuple[int, int, int, int], noise: Noise | None
    ) -> Met:
        with torch.autocast(grid.device.type, enabled=False):
            voxels = rearrange(_precise(grid), "b c z y x -> (b z y x) c")
            added: list[Tensor | None] = [None] * len(lattice.beams)
            if noise is not None:
                samples = lattice.beams[0].depths.shape[1]
                drawn = self.config.density_noise * noise((*shape, samples)).to(voxels)
                added = list(drawn.view(-1, samples).split([len(beam.depths) for beam in lattice.beams]))
            weight, bias = self.linear_ray.weight.to(voxels), self.linear_ray.bias.to(voxels)
            met = []
            for beam, part in zip(lattice.beams, added, strict=True):
                encoding = nn.functional.linear(beam.directions.to(voxels), weight, bias)
                met.append(_again(self.volume_renderer, voxels, beam, encoding, part))
            return Met(*(torch.cat(values) for values in zip(*met, strict=True)))


def in_parts(call: Callable[..., Tensor], at_once: int | None, *values: Tensor) -> Tensor:
    """A call that treats each item of its arguments' first axis by itself, of so many at a time.

    Args:
        call: what is called, with as many arguments as ``values`` has.
        at_once: most items of one call, which bounds memory; None, or where a gradient is wanted: all.
        values: of as many items each.
    """
    if at_once is None or torch.is_grad_enabled():
        return call(*values)
    return torch.cat([call(*part) for part in zip(*(each.split(at_once) for each in values), strict=True)])


def _precise(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _again(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call of which nothing is kept for the gradient but its arguments."""
    if not torch.is_grad_enabled():
        return call(*arguments)
    return checkpoint(call, *arguments, use_reentrant=False, preserve_rng_state=False)
