"""The loop: gradients do not depend on slicing, recipes do what they say, interruptions lose nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import RECIPE, FakeConfig, FakeMethod, FakeSampler
from torch import Tensor

from novelview.data.ahead import Ahead
from novelview.errors import CheckpointError, ConfigError, MethodError, OutputError
from novelview.methods.method import Loss
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training import Interrupted, Rhythm, make_accelerator, train
from novelview.training import learner as learner_module
from novelview.training.checkpoint import read_checkpoint, save_checkpoint
from novelview.training.learner import Learner

Weights = dict[str, Tensor]
PLAIN = FakeConfig()


def fresh(config: FakeConfig = PLAIN) -> FakeMethod:
    torch.manual_seed(0)
    return FakeMethod(config, None)


def trained(recipe: Recipe, config: FakeConfig = PLAIN, **options: Any) -> Weights:
    sampler = FakeSampler(recipe.batch, 0)
    accelerator = make_accelerator("cpu")
    return dict(
        train(fresh(config), sampler, recipe, accelerator=accelerator, quiet=True, **options).state_dict()
    )


def assert_same(a: Weights, b: Weights, **tolerance: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        if tolerance:
            torch.testing.assert_close(a[name], b[name], **tolerance)
        else:
            assert torch.equal(a[name], b[name]), name


def test_matches_a_plain_loop() -> None:
    """The engine is the textbook loop: a dozen lines of torch give the same weights to the last bit."""
    recipe = replace(RECIPE, clip_norm=0.01)
    method, sampler = fresh(), FakeSampler(recipe.batch, 0)
    (table,), others = (group["params"] for group in method.parameter_groups())
    groups = [{"params": [table], "lr": 0.1}, {"params": others, "lr": 0.01}]
    optimizer = torch.optim.Adam(groups, lr=0.01, fused=True)
    for step in range(recipe.steps):
        method.advance(step, recipe.steps)
        rate = recipe.learning_rate * 0.1 ** (step / recipe.steps)
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = rate * 10, rate
        optimizer.zero_grad()
        method.loss(sampler.batch(step), step, Draws(generator_for(0, "step", step))).total.backward()
        torch.nn.utils.clip_grad_norm_([table, *others], 0.01)
        optimizer.step()
    assert_same(trained(recipe), dict(method.state_dict()))


def test_same_seed_same_weights_other_seed_others() -> None:
    assert_same(trained(RECIPE, seed=3), trained(RECIPE, seed=3))
    assert not torch.equal(trained(RECIPE, seed=3)["table"], trained(RECIPE, seed=4)["table"])


@pytest.mark.parametrize("pieces", [2, 8])
def test_slicing_does_not_change_the_training(pieces: int) -> None:
    config = FakeConfig(grow_at=(10,))
    assert_same(
        trained(RECIPE, config), trained(replace(RECIPE, accumulate=pieces), config), rtol=1e-3, atol=1e-5
    )


def test_batches_made_ahead_do_not_change_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, accumulate=2)
    usual = trained(recipe)
    closed: list[Ahead] = []
    close = Ahead.close
    monkeypatch.setattr(Ahead, "close", lambda ahead: (closed.append(ahead), close(ahead)))
    monkeypatch.setattr(FakeSampler, "concurrent", True)
    monkeypatch.setattr(learner_module, "_MADE_AHEAD", ("cpu",))
    assert_same(trained(recipe), usual)
    assert len(closed) == 1


def test_slicing_does_not_change_the_gradient() -> None:
    norms = []
    for pieces in (1, 4):
        recipe = replace(RECIPE, accumulate=pieces)
        learner = Learner(fresh(), FakeSampler(recipe.batch, 0), recipe, make_accelerator("cpu"), 0)
        norms.append(learner.update(0))
    for name in ("gradient_norm", "loss", "mse"):
        torch.testing.assert_close(norms[0][name], norms[1][name], rtol=1e-6, atol=0)


def test_growth_gives_the_new_parameter_an_optimiser() -> None:
    config = FakeConfig(grow_at=(0, 10))
    weights = trained(RECIPE, config)
    assert len(weights["table"]) == 16
    assert len(weights["table"].unique(dim=0)) == 16, "rows that were copied have learnt to differ"


class Broken(FakeMethod):
    """Its loss is not finite at given steps."""

    bad: frozenset[int] = frozenset()

    def loss(self, batch: Any, step: int, draws: Draws) -> Loss:
        loss = super().loss(batch, step, draws)
        return Loss(loss.total * float("nan"), loss.parts) if step in self.bad else loss


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    method = Broken(FakeConfig(), None)
    method.bad = frozenset({3, 4, 20})
    train(method, FakeSampler(64, 0), RECIPE, tmp_path, quiet=True, rhythm=Rhythm(log=10))
    assert all(bool(value.isfinite().all()) for value in method.state_dict().values())
    assert read_checkpoint(tmp_path).progress.skipped == 3
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["skipped"] for line in metrics] == [2, 2, 3]


def test_several_processes_refuse_parameters_that_rest_undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    method, accelerator = fresh(FakeConfig(unused=True)), make_accelerator("cpu")
    monkeypatch.setattr(type(accelerator), "num_processes", 2)
    learner = Learner(method, FakeSampler(RECIPE.batch, 0), RECIPE, accelerator, 0)
    learner.update(1)
    method.idle_parameters = False
    learner.update(2)
    with pytest.raises(MethodError, match=r"Step 3 leaves the parameter 'spare'") as caught:
        learner.update(3)
    assert "idle_parameters" in str(caught.value.cure)


def test_large_gradients_are_skipped() -> None:
    recipe = replace(RECIPE, skip_norm=1e-9)
    start = dict(fresh().named_parameters())
    end = trained(recipe)
    assert all(torch.equal(end[name], value) for name, value in start.items())


def test_failure_is_not_endless() -> None:
    method = Broken(FakeConfig(), None)
    method.bad = frozenset(range(1000))
    with pytest.raises(MethodError, match="100 gradients in a row"):
        train(method, FakeSampler(64, 0), replace(RECIPE, steps=1000), quiet=True)


def test_average_is_what_comes_out(tmp_path: Path) -> None:
    averaged = trained(replace(RECIPE, ema=0.9), run=tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.average is not None
    assert torch.equal(averaged["table"], checkpoint.average["table"])
    assert torch.equal(trained(RECIPE)["table"], checkpoint.model["table"])
    assert not torch.equal(averaged["table"], checkpoint.model["table"])


def test_evaluation_sees_averaged_weights_in_evaluation_mode(tmp_path: Path) -> None:
    seen: list[tuple[int, bool, Tensor]] = []

    def evaluate(method: Any, step: int) -> dict[str, float]:
        seen.append((step, method.training, method.table.detach().clone()))
        return {"psnr": 20.0}

    recipe, rhythm = replace(RECIPE, ema=0.9), Rhythm(evaluate=10, save=10, keep=9)
    with_evaluation = trained(recipe, run=tmp_path, evaluate=evaluate, rhythm=rhythm)
    assert [(step, training) for step, training, _ in seen] == [(10, False), (20, False), (30, False)]
    assert torch.equal(seen[-1][2], with_evaluation["table"])
    assert_same(with_evaluation, trained(recipe))
    assert '{"step": 10, "evaluation": {"psnr": 20.0}}' in (tmp_path / "metrics.jsonl").read_text()


def test_bfloat16_runs_the_forward_pass_in_bfloat16() -> None:
    dtypes = set()

    class Spy(FakeMethod):
        def loss(self, batch: Any, step: int, draws: Draws) -> Loss:
            dtypes.add(self.first(torch.ones(1, 6)).dtype)
            return super().loss(batch, step, draws)

    method = train(
        Spy(FakeConfig(), None), FakeSampler(64, 0), replace(RECIPE, precision="bfloat16"), quiet=True
    )
    assert dtypes == {torch.bfloat16}
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    # The precision of one training does not stick to the process.
    dtypes.clear()
    train(Spy(FakeConfig(), None), FakeSampler(64, 0), RECIPE, quiet=True)
    assert dtypes == {torch.float32}


def test_rhythm_must_be_possible() -> None:
    with pytest.raises(ConfigError, match="save = 0"):
        Rhythm(save=0)


def test_float16_needs_cuda() -> None:
    with pytest.raises(ConfigError, match="float16 does not train on cpu"):
        trained(replace(RECIPE, precision="float16"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_absent_device() -> None:
    with pytest.raises(ConfigError, match="Cannot train on cuda"):
        make_accelerator("cuda")


EVERYTHING = replace(RECIPE, steps=40, ema=0.95, weight_decay=0.01, clip_norm=0.02, warmup_steps=5)
GROWING = FakeConfig(grow_at=(8, 21, 30), unused=True)


class Stop(Exception):
    """Ends a training from within, like a crash."""


@pytest.mark.parametrize("crash", [7, 8, 21, 22, 33])
@pytest.mark.parametrize("optimizer", ["adam", "radam"])
def test_resuming_is_exact(tmp_path: Path, crash: int, optimizer: str) -> None:
    """Weights, average and optimiser are the same bits whether a crash fell just before, at or after growth."""
    recipe = replace(EVERYTHING, optimizer=optimizer)
    straight, crashed = tmp_path / "a", tmp_path / "b"
    rhythm = Rhythm(save=7)
    sampler = FakeSampler(recipe.batch, 0)
    train(fresh(GROWING), sampler, recipe, straight, quiet=True, rhythm=rhythm)

    class Crashing(FakeSampler):
        def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
            if step == crash:
                raise Stop
            return super().batch(step, index, count)

    with pytest.raises(Stop):
        train(fresh(GROWING), Crashing(recipe.batch, 0), recipe, crashed, quiet=True, rhythm=rhythm)
    assert read_checkpoint(crashed).progress.step == crash // 7 * 7
    train(fresh(GROWING), sampler, recipe, crashed, quiet=True, rhythm=rhythm)
    a, b = read_checkpoint(straight), read_checkpoint(crashed)
    assert replace(a.progress, seconds=0.0) == replace(b.progress, seconds=0.0)
    assert_same(a.model, b.model)
    assert_same(a.optimizer, b.optimizer)
    assert a.average is not None
    assert b.average is not None
    assert_same(a.average, b.average)


def test_finished_run_gives_its_method_back(tmp_path: Path) -> None:
    first = trained(replace(RECIPE, ema=0.9), run=tmp_path)
    assert_same(trained(replace(RECIPE, ema=0.9), run=tmp_path), first)


def test_damaged_checkpoint_stops_a_resumption(tmp_path: Path) -> None:
    trained(RECIPE, run=tmp_path)
    whole = read_checkpoint(tmp_path)
    damaged = replace(
        whole, progress=replace(whole.progress, step=99), optimizer={"ghost.exp_avg": torch.ones(1)}
    )
    save_checkpoint(tmp_path, damaged)
    with pytest.raises(CheckpointError, match="ghost"):
        trained(replace(RECIPE, steps=200), run=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_leaves(tmp_path: Path, number: int) -> None:
    class Signalling(FakeSampler):
        def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
            if step == 12:
                os.kill(os.getpid(), number)
            return super().batch(step, index, count)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        train(fresh(), Signalling(64, 0), RECIPE, tmp_path, quiet=True)
    assert (caught.value.signal, caught.value.step, caught.value.folder) == (number, 13, tmp_path)
    assert "novelview train --resume" in str(caught.value)
    assert signal.getsignal(number) is before
    assert read_checkpoint(tmp_path).progress.step == 13
    assert_same(trained(RECIPE, run=tmp_path), trained(RECIPE))


def test_second_signal_would_kill(tmp_path: Path) -> None:
    handlers = []

    class Signalling(FakeSampler):
        def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
            if step == 12:
                os.kill(os.getpid(), signal.SIGINT)
                handlers.extend([signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)])
            return super().batch(step, index, count)

    with pytest.raises(Interrupted):
        train(fresh(), Signalling(64, 0), RECIPE, tmp_path, quiet=True)
    assert handlers == [signal.SIG_DFL, signal.SIG_DFL]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own answer to Ctrl-C, which shells take away from what they start in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_without_a_run_an_interrupt_is_an_interrupt() -> None:
    class Signalling(FakeSampler):
        def batch(self, step: int, index: int = 0, count: int = 1) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return super().batch(step, index, count)

    with pytest.raises(KeyboardInterrupt):
        train(fresh(), Signalling(64, 0), RECIPE, quiet=True)


def test_full_disk_ends_a_training_with_the_last_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import novelview.training.engine as engine

    def save(run: Path, checkpoint: Any, keep: int) -> None:
        if checkpoint.progress.step == 20:
            raise OutputError("Cannot write", where=run, why="the disk is full")
        save_checkpoint(run, checkpoint, keep)

    monkeypatch.setattr(engine, "save_checkpoint", save)
    with pytest.raises(OutputError, match="disk is full"):
        trained(RECIPE, run=tmp_path, rhythm=Rhythm(save=10))
    assert read_checkpoint(tmp_path).progress.step == 10


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_cuda_trains_and_resumes(tmp_path: Path, precision: str) -> None:
    recipe = replace(EVERYTHING, precision=precision)
    sampler, rhythm = FakeSampler(recipe.batch, 0), Rhythm(save=15)
    accelerator = make_accelerator("cuda")
    options: Any = {"accelerator": accelerator, "quiet": True, "rhythm": rhythm}
    method = train(fresh(GROWING), sampler, recipe, tmp_path, **options)
    assert method.table.device.type == "cuda"
    whole = read_checkpoint(tmp_path)
    (tmp_path / "latest.json").write_text('{"step": 30, "folder": "checkpoints/step-0000030"}')
    assert bool(read_checkpoint(tmp_path).progress.scaler) == (precision == "float16")
    train(fresh(GROWING), sampler, recipe, tmp_path, **options)
    again = read_checkpoint(tmp_path)
    assert again.progress.scaler == whole.progress.scaler
    torch.testing.assert_close(again.model, whole.model, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_process_may_change_its_device() -> None:
    devices = [make_accelerator(device).device.type for device in ("cuda", "cpu", None)]
    assert devices == ["cuda", "cpu", "cuda"]


@pytest.mark.gpu
def test_cuda_learns_what_the_cpu_learns() -> None:
    sampler, plain = FakeSampler(64, 0), FakeConfig(noise=0.0)
    runs = [
        train(fresh(plain), sampler, RECIPE, accelerator=make_accelerator(device), quiet=True)
        .cpu()
        .state_dict()
        for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-2, atol=1e-3)
