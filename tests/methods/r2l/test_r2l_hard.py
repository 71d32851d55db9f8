"""The pool of hard rays against a list, and what must not happen before it is full."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.methods.r2l.config import HardConfig
from novelview.methods.r2l.hard import HardPool, worst
from novelview.types import RayBatch

SIZE = 20


def fresh(generator: torch.Generator) -> RayBatch:
    origins, directions, rgb = torch.rand(3, SIZE, 3, generator=generator)
    return RayBatch(Rays(origins, directions), rgb, torch.zeros(SIZE, dtype=torch.long), 1)


def rows(batch: RayBatch) -> list[list[float]]:
    return torch.cat([batch.rays.origins, batch.rays.directions, batch.rgb], dim=-1).tolist()


def test_the_worst_come_last() -> None:
    errors = torch.tensor([0.3, 0.9, 0.1, 0.5])
    assert worst(errors, 3).tolist() == [0, 3, 1]
    assert worst(errors, 0).tolist() == []


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.1, 0.25, 0.5]),
    kept=st.sampled_from([None, 0.1, 0.2, 1.0]),
    capacity=st.sampled_from([0.5, 1.0, 2.25]),
)
def test_it_is_a_list_whose_drawn_rows_are_overwritten(
    seed: int, share: float, kept: float | None, capacity: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    pool = HardPool(HardConfig(share, kept, capacity))
    # No more enter than leave.
    leaving = int(share * SIZE)
    entering = min(leaving, leaving if kept is None else int(kept * SIZE))
    listed: list[list[float]] = []
    for _ in range(40):
        full, batch, errors = (
            len(listed) >= capacity * SIZE,
            fresh(generator),
            torch.rand(SIZE, generator=generator),
        )
        picked = pool.pick(SIZE, generator)
        assert (picked is not None) == full
        hard = sorted(range(SIZE), key=lambda i: float(errors[i]))[SIZE - entering :]
        if picked is None:
            listed += [rows(batch)[i] for i in hard]
        else:
            places = picked.tolist()
            assert len(set(places)) == len(places) == leaving
            rays, rgb = pool.drawn(picked)
            drawn = torch.cat([rays.origins, rays.directions, rgb], dim=-1).tolist()
            assert drawn == [listed[place] for place in places]
            for place, i in zip(places, hard, strict=False):
                listed[place] = rows(batch)[i]
        pool.keep(batch, errors, picked)
        assert pool.rows.tolist() == listed


def test_every_place_is_drawn_as_often(generator: torch.Generator) -> None:
    pool = HardPool(HardConfig(share=0.5, capacity=1.0))
    pool.resize(SIZE)
    picks: list[Tensor | None] = [pool.pick(SIZE, generator) for _ in range(2000)]
    counts = torch.stack([pick for pick in picks if pick is not None]).flatten().bincount(minlength=SIZE)
    assert int(counts.sum()) == 20_000
    assert float((counts / 1000 - 1).abs().max()) < 0.1


@pytest.mark.parametrize("capacity", [0.0, 20.0])
def test_without_hard_rays_nothing_is_drawn(generator: torch.Generator, capacity: float) -> None:
    before = generator.get_state()
    assert HardPool(HardConfig(share=0.0, capacity=capacity)).pick(SIZE, generator) is None
    assert torch.equal(generator.get_state(), before)
