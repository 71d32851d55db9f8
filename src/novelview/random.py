"""Every random draw of the program goes through a generator made here, so that one seed gives one result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def generator_for(seed: int, *keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on nothing but ``seed`` and ``keys``.

    Stateless by design: step 1,000 of a training draws the same numbers whether the run was resumed or not.
    """
    text = "/".join(str(key) for key in (seed, *keys))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(digest, "little") >> 1)
    return generator


@dataclass(frozen=True)
class Draws:
    """Random numbers for one slice of a global batch.

    Numbers are drawn for the whole batch and then sliced, so the union over processes or micro-batches is the
    same set of numbers that a single process would have drawn.

    Attributes:
        generator: source of randomness, in the same state for every slice.
        index: which slice this is, in [0, count).
        count: how many equal slices the global batch is cut into.
    """

    generator: torch.Generator
    index: int = 0
    count: int = 1

    def rand(self, rows: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (rows, *shape), on the generator's device."""
        whole = torch.rand(
            (rows * self.count, *shape), generator=self.generator, device=self.generator.device
        )
        return whole[self.index * rows : (self.index + 1) * rows]

    def shared(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) that all slices have in common, on the CPU."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device).cpu()

    def randn(self, rows: int, *shape: int) -> Tensor:
        """Standard normal numbers, shape (rows, *shape), on the generator's device."""
        whole = torch.randn(
            (rows * self.count, *shape), generator=self.generator, device=self.generator.device
        )
        return whole[self.index * rows : (self.index + 1) * rows]
