"""Schedule, optimiser and recipe checks against formulas written out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from novelview.errors import CheckpointError, ConfigError
from novelview.methods.recipe import Recipe
from novelview.training.average import WeightAverage
from novelview.training.optim import (
    build_optimizer,
    check_recipe,
    gradient_norm,
    keep_state,
    learning_rate,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)


def test_exponential_is_nerfs_schedule() -> None:
    recipe = Recipe(steps=200, learning_rate=5e-4, decay_steps=250, final_fraction=0.1)
    for step in (0, 1, 100, 199):
        assert learning_rate(step, recipe) == pytest.approx(5e-4 * 0.1 ** (step / 250))
    assert learning_rate(400, recipe) == pytest.approx(5e-5)


def test_warmup_then_cosine() -> None:
    recipe = Recipe(
        steps=110, learning_rate=1.0, warmup_steps=10, warmup_fraction=0.2, decay="cosine", final_fraction=0.1
    )
    assert learning_rate(0, recipe) == pytest.approx(0.2)
    assert learning_rate(5, recipe) == pytest.approx(0.6)
    assert learning_rate(10, recipe) == pytest.approx(1.0)
    assert learning_rate(60, recipe) == pytest.approx(0.1 + 0.9 * 0.5)
    assert learning_rate(110, recipe) == pytest.approx(0.1)
    rates = [learning_rate(step, recipe) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_constant_stays() -> None:
    recipe = Recipe(steps=5, learning_rate=0.3, decay="constant")
    assert {learning_rate(step, recipe) for step in range(20)} == {0.3}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch", 0),
        ("accumulate", 0),
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("warmup_fraction", 1.5),
        ("final_fraction", 0.0),
        ("decay_steps", 0),
        ("betas", (0.9, 1.0)),
        ("epsilon", 0.0),
        ("weight_decay", -0.1),
        ("clip_norm", 0.0),
        ("skip_norm", -1.0),
        ("ema", 1.0),
    ],
)
def test_impossible_recipes_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        check_recipe(replace(Recipe(), **{field: value}))


def test_batch_must_be_divisible() -> None:
    recipe = Recipe(batch=12, accumulate=2)
    check_recipe(recipe, processes=3)
    with pytest.raises(ConfigError, match=r"multiple of accumulate x processes = 2 x 4"):
        check_recipe(recipe, processes=4)


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("radam", torch.optim.RAdam)]
)
def test_optimiser_follows_the_recipe(name: str, kind: type) -> None:
    recipe = Recipe(optimizer=name, betas=(0.8, 0.9), epsilon=1e-5, weight_decay=0.1, learning_rate=0.02)
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    optimizer = build_optimizer([{"params": [ours]}], recipe)
    reference = kind([theirs], lr=0.02, betas=(0.8, 0.9), eps=1e-5, weight_decay=0.1)
    for step in range(8):
        for parameter, each in ((ours, optimizer), (theirs, reference)):
            parameter.grad = torch.arange(5.0) - step
            each.step()
    torch.testing.assert_close(ours, theirs)


def test_groups_scale_the_rate() -> None:
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = build_optimizer([{"params": [a], "scale": 20.0}, {"params": iter([b])}], Recipe())
    set_learning_rate(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(0.2), 0.01]


def test_gradient_norm() -> None:
    a, b, c = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    assert gradient_norm([a, b]) == 0
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert gradient_norm([a, b, c]) == 5
    b.grad[0] = math.inf
    assert not torch.isfinite(gradient_norm([a, b, c]))


def stepped(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = build_optimizer([{"params": list(model.parameters())}], Recipe())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return optimizer


def test_state_goes_out_and_in_by_name() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = stepped(model)
    tensors = optimizer_tensors(optimizer, model)
    assert set(tensors) >= {"0.weight.exp_avg", "1.bias.exp_avg_sq", "0.bias.step"}
    other = build_optimizer([{"params": list(model.parameters())}], Recipe())
    load_optimizer_tensors(other, model, tensors)
    again = optimizer_tensors(other, model)
    assert set(again) == set(tensors)
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_foreign_state_is_refused() -> None:
    model = nn.Linear(2, 3)
    optimizer = stepped(model)
    with pytest.raises(CheckpointError, match="no parameter is called 'ghost'"):
        load_optimizer_tensors(optimizer, model, {"ghost.exp_avg": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"weight\.exp_avg has shape \(9, 9\)"):
        load_optimizer_tensors(optimizer, model, {"weight.exp_avg": torch.zeros(9, 9)})


def test_survivors_keep_their_state() -> None:
    model = nn.Linear(2, 3)
    old = stepped(model)
    survivor = model.weight
    model.bias = nn.Parameter(torch.zeros(6))
    new = build_optimizer([{"params": list(model.parameters())}], Recipe())
    keep_state(old, new)
    assert torch.equal(new.state[survivor]["exp_avg"], old.state[survivor]["exp_avg"])
    assert model.bias not in new.state


def test_average_follows_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average, expected = WeightAverage(model, 0.5), 0.0
    for step in range(1, 30):
        model.weight.data.fill_(step)
        average.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        assert average.tensors["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_average_is_lent_and_taken_back() -> None:
    model = nn.Linear(2, 2)
    average = WeightAverage(model, 0.9)
    before = model.weight.detach().clone()
    model.weight.data += 1
    own = model.weight.detach().clone()
    with average.applied(model):
        assert torch.equal(model.weight, before)
    assert torch.equal(model.weight, own)
    average.apply(model)
    assert torch.equal(model.weight, before)


def test_average_ignores_what_does_not_learn() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert set(WeightAverage(model, 0.9).tensors) == {"weight"}
