"""The rays that are learnt worst: kept aside, and shown again (section 3.3 of the paper, hard examples)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from novelview.geometry.rays import Rays
from novelview.methods.r2l.config import HardConfig
from novelview.types import RayBatch


class HardPool(nn.Module):
    """Rays with their colours that a student had most trouble with.

    The pool grows until it is full. Only then rays are drawn of it, and the worst of every batch take the places of
    the first that were drawn. All sizes are parts of the batch, whose size may be any.

    Attributes:
        rows: origin, direction and colour of each ray; saved with the weights, so that a training goes on exactly.
    """

    def __init__(self, config: HardConfig) -> None:
        super().__init__()
        self.share, self.capacity = config.share, config.capacity
        self.kept = config.share if config.kept is None else min(config.kept, config.share)
        self.rows: Tensor
        self.register_buffer("rows", torch.zeros(0, 9))

    def __len__(self) -> int:
        return self.rows.shape[0]

    def resize(self, count: int) -> None:
        """Room for ``count`` rays that will be loaded."""
        self.rows = self.rows.new_zeros(count, 9)

    def pick(self, batch: int, generator: torch.Generator) -> Int[Tensor, " p"] | None:
        """Which rays of the pool a batch of that many rays is to be joined by, all different; None: it is not full."""
        if not self.share or len(self) < self.capacity * batch:
            return None
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        return order[: int(self.share * batch)].to(self.rows.device)

    def drawn(self, picked: Int[Tensor, " p"]) -> tuple[Rays, Float[Tensor, "p 3"]]:
        """Rays of the pool and their colours."""
        origins, directions, rgb = self.rows[picked].split(3, dim=-1)
        return Rays(origins, directions), rgb

    @torch.no_grad()
    def keep(self, batch: RayBatch, errors: Float[Tensor, " r"], picked: Int[Tensor, " p"] | None) -> None:
        """Take in the worst of a batch.

        Args:
            batch: fresh rays only.
            errors: of each of them.
            picked: what :meth:`pick` gave for this batch.
        """
        chosen = worst(errors, int(self.kept * len(batch)))
        rows = torch.cat([batch.rays.origins, batch.rays.directions, batch.rgb], dim=-1)[chosen]
        if picked is None:
            self.rows = torch.cat([self.rows, rows])
        else:
            self.rows[picked[: len(rows)]] = rows


def worst(errors: Float[Tensor, " r"], count: int) -> Int[Tensor, " n"]:
    """Which ``count`` errors are the largest, the very largest last."""
    return errors.argsort(stable=True)[len(errors) - count :]
