"""The loop: what an update does, what a run leaves, and that a killed run ends like one that was not."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_model

from arbench.models import resolve
from arbench.train import Likelihood, Recipe, TrainError, loop, train
from arbench.train.state import StateFileError

RECIPE = Recipe(steps=12, batch=2, n=8, lr=1e-2, warmup=3, every=4, average=0.9)


@pytest.fixture
def model():
    return resolve("lstm:tiny").build(0, torch.float64)


def objective(model, recipe=RECIPE):
    rest, held_out = model.divide("the quick brown fox jumps over the lazy dog; " * 8)
    return Likelihood(rest, held_out, recipe)


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """An objective whose process ends at a step."""

    def __init__(self, inner, at):
        self.inner, self.at = inner, at

    def loss(self, model, step):
        if step == self.at:
            raise Killed
        return self.inner.loss(model, step)

    def quality(self, model):
        return self.inner.quality(model)


def run(model, folder: Path, objective, recipe=RECIPE, **more):
    kept = {}

    def save(model, progress):
        kept["step"] = progress.step
        kept["weights"] = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    result = train(model, objective, recipe, folder, save, **more)
    return result, kept


def test_training_lowers_the_bits_and_keeps_the_best_average(model, tmp_path):
    before = objective(model).quality(model).bits
    recipe = replace(RECIPE, steps=40, every=10)
    result, kept = run(model, tmp_path, objective(model, recipe), recipe)
    assert result.bits < before - 0.1
    assert result.bits == min(line["quality"] for line in result.curve)
    assert kept["step"] == result.step == min(result.curve, key=lambda line: line["quality"])["step"]
    other = resolve("lstm:tiny").build(0, torch.float64)
    other.load_state_dict({**other.state_dict(), **kept["weights"]})
    assert objective(other).quality(other).bits == result.bits


@pytest.mark.parametrize("at", [0, 3, 4, 5, 9, 11])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, at):
    whole = resolve("lstm:tiny").build(0, torch.float64)
    run(whole, tmp_path / "whole", objective(whole))
    broken = resolve("lstm:tiny").build(0, torch.float64)
    with pytest.raises(Killed):
        run(broken, tmp_path / "broken", Dying(objective(broken), at))
    again = resolve("lstm:tiny").build(0, torch.float64)
    resumed = (tmp_path / "broken" / "state.safetensors").exists()
    assert resumed == (at > RECIPE.every - 1)
    run(again, tmp_path / "broken", objective(again), resume=resumed)
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, dict(again.named_parameters())[name]), name
    one, other = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [json.loads(line) for line in (tmp_path / "broken" / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]


@pytest.mark.parametrize("evaluation", [1, 2, 3])
@pytest.mark.parametrize("last", ["the checkpoint", "the curve"])
def test_a_kill_between_checkpoint_and_state_changes_nothing(tmp_path, monkeypatch, last, evaluation):
    """The checkpoint, or the curve too, is of an evaluation that the state knows nothing of."""

    def trained(folder, **more):
        model = resolve("lstm:tiny").build(0, torch.float64)
        save = lambda model, _: save_model(model, folder / "model.safetensors")  # noqa: E731
        folder.mkdir(exist_ok=True)
        train(model, objective(model), RECIPE, folder, save, **more)

    def dying(place, name):
        done, left = getattr(place, name), [evaluation]

        def write(*given):
            left[0] -= 1
            if not left[0]:
                raise Killed
            return done(*given)

        return write

    trained(tmp_path / "whole")
    place, name = (loop, "write_text") if last == "the checkpoint" else (loop.state, "write")
    with monkeypatch.context() as patch:
        patch.setattr(place, name, dying(place, name))
        with pytest.raises(Killed):
            trained(tmp_path / "broken")
    files = {path.name for path in (tmp_path / "broken").iterdir()}
    assert {"model.safetensors", *(["curve.jsonl"] if last == "the curve" else [])} <= files
    assert ("state.safetensors" in files) == (evaluation > 1)
    trained(tmp_path / "broken", resume="state.safetensors" in files)
    for file in ("model.safetensors", "state.safetensors"):
        one, other = (load_file(tmp_path / name / file) for name in ("whole", "broken"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    curves = [(tmp_path / name / "curve.jsonl").read_text().splitlines() for name in ("whole", "broken")]
    one, other = ([{**json.loads(line), "seconds": 0} for line in lines] for lines in curves)
    assert one == other


class Seldom(Dying):
    """An objective that gives a weight a gradient at some steps, and another weight none."""

    def loss(self, model, step):
        found = super().loss(model, step)
        return found + model.seldom.sin().sum() if step % 3 == 1 else found


@pytest.mark.parametrize("at", [6, 9])
def test_weights_without_a_gradient_are_resumed_too(tmp_path, at):
    def trained(name, at, **more):
        model = resolve("lstm:tiny").build(0, torch.float64)
        model.seldom, model.never = (torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
        run(model, tmp_path / name, Seldom(objective(model), at), **more)
        return model

    whole = trained("whole", -1)
    with pytest.raises(Killed):
        trained("broken", at)
    again = trained("broken", -1, resume=True)
    assert not torch.equal(whole.seldom, whole.never)
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, dict(again.named_parameters())[name]), name


def test_any_seed_that_a_run_takes(model, tmp_path):
    recipe = replace(RECIPE, steps=1, warmup=0, every=1, seed=2**63 - 1)
    result, _ = run(model, tmp_path, objective(model, recipe), recipe)
    assert result.steps == 1


def test_an_update_is_adam_s_with_the_clipped_gradient(model, tmp_path):
    recipe = replace(RECIPE, steps=1, warmup=0, every=1, clip=1e-3, decay=0.5, average=0)
    twin = resolve("lstm:tiny").build(0, torch.float64).train().requires_grad_(True)
    objective(twin, recipe).loss(twin, 0).backward()
    norm = torch.sqrt(sum((p.grad**2).sum() for p in twin.parameters()))
    assert norm > recipe.clip
    wanted = {}
    for name, p in twin.named_parameters():
        g = p.grad * recipe.clip / (norm + 1e-6)
        wanted[name] = p * (1 - recipe.lr * recipe.decay) - recipe.lr * g / (g.abs() + 1e-8)
    run(model, tmp_path, objective(model, recipe), recipe)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), wanted[name].detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("step", [0, 7])
def test_a_loss_that_is_no_number_stops_and_leaves_the_checkpoint(model, tmp_path, step):
    inner = objective(model)

    class Bad(Dying):
        def loss(self, model, at):
            loss = self.inner.loss(model, at)
            return loss * float("nan") if at == step else loss

    kept = []
    with pytest.raises(TrainError, match=rf"the loss is nan at step {step + 1}; lower --lr or --clip") as caught:
        train(model, Bad(inner, step), RECIPE, tmp_path, lambda model, progress: kept.append(progress.step))
    assert kept == ([4] if step > 4 else [])
    assert ("best evaluation before" in str(caught.value)) == bool(kept)


def test_a_gradient_that_is_no_number_stops_too(model, tmp_path):
    class Bad(Dying):
        def loss(self, model, at):
            first = next(model.parameters())
            return self.inner.loss(model, at) + torch.sqrt((first * 0).sum())

    with pytest.raises(TrainError, match="norm of the gradient is"):
        train(model, Bad(objective(model), 0), RECIPE, tmp_path, lambda *_: None)


def test_it_stops_early(model, tmp_path):
    class Worse(Dying):
        seen = 0

        def quality(self, model):
            Worse.seen += 1
            return replace(self.inner.quality(model), bits=float(Worse.seen))

    recipe = replace(RECIPE, steps=100, every=1, patience=3)
    result, kept = run(model, tmp_path, Worse(objective(model, recipe), -1), recipe)
    assert (result.steps, result.step, result.bits, kept["step"]) == (4, 1, 1.0, 1)


def test_a_run_is_resumed_only_as_it_was_begun(model, tmp_path):
    run(model, tmp_path, objective(model), facts={"data": "a"})
    with pytest.raises(StateFileError, match="the run has data a, not b; resume with the options"):
        run(model, tmp_path, objective(model), facts={"data": "b"}, resume=True)
    with pytest.raises(StateFileError, match=r"the run has recipe lr 0.01, not 0.5"):
        run(model, tmp_path, objective(model), replace(RECIPE, lr=0.5), facts={"data": "a"}, resume=True)
    other = resolve("lstm:tiny").build(0, torch.float32)
    with pytest.raises(StateFileError, match="the run has dtype float64, not float32"):
        run(other, tmp_path, objective(other), facts={"data": "a"}, resume=True)
    (tmp_path / "curve.jsonl").unlink()
    with pytest.raises(StateFileError, match=r"curve.jsonl: has no line of step 12, where the run stopped"):
        run(model, tmp_path, objective(model), facts={"data": "a"}, resume=True)
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(StateFileError, match="not the state of a training run"):
        run(model, tmp_path, objective(model), facts={"data": "a"}, resume=True)


def test_the_rate_rises_and_falls():
    recipe = Recipe(steps=101, warmup=10, lr=1.0, floor=0.1)
    rates = [recipe.rate(step) for step in range(101)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(steps=0), "steps must be at least 1, got 0"),
        (dict(lr=0.0), "lr must be a positive number, got 0.0"),
        (dict(lr=float("nan")), "lr must be a positive number, got nan"),
        (dict(average=1.0), "average must be at least 0 and below 1, got 1.0"),
        (dict(floor=1.5), "floor must be at least 0 and below 1, got 1.5"),
        (dict(decay=-1.0), "decay must be at least 0, got -1.0"),
        (dict(warmup=3000), "warmup takes 3000 steps, and the run has 2000; choose fewer"),
        (dict(prefix=64), "prefix must be below the 64 elements of a window, got 64"),
        (dict(prefix=64, eval_n=65, floor=1), None),
        (dict(eval_n=0), "eval_n must be at least 1, got 0"),
    ],
)
def test_impossible_settings(settings, said):
    assert Recipe(**settings).wrong() == said
