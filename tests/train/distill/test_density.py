"""Density distillation: the divergence is what it says, its gradient is exact, and it falls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from arbench.data import Audio
from arbench.distributions import uniforms
from arbench.models import resolve
from arbench.train import Recipe, measured, train
from arbench.train.distill.density import Density, divergence, entropy
from arbench.train.distill.power import power_loss, spectrum
from arbench.train.events import event

TEACHER = "wavenet:tiny_gaussian,loss=logistic_mixture,components=2"
RECIPE = Recipe(steps=12, batch=2, n=24, eval_n=30, lr=1e-2, warmup=3, every=4, average=0.9)


def built(spec, seed=0):
    return resolve(spec).build(seed, torch.float64)


def recordings(count=2, length=400):
    rng = np.random.default_rng(1)
    tones = np.sin(np.arange(length) / 4)[None] * 0.2 + rng.normal(0, 0.02, (count, length))
    return [Audio(tone.astype(np.float32), 16000) for tone in tones]


def objective(recipe=RECIPE, samples=4, power=1.0):
    model = built(TEACHER, 3)
    training, validation = model.divide(recordings())
    return Density(model, training, validation, recipe, samples, power)


@pytest.fixture
def student():
    return built("parallel_wavenet:tiny")


def constant(model, weights, mean, log_scale):
    """Make a law of every element the same logistic."""
    with torch.no_grad():
        for tensor in weights:
            tensor.zero_()
        model.out_bias.copy_(torch.tensor([mean, log_scale]))


def test_a_student_like_its_teacher_does_not_diverge(student):
    teacher = built("wavenet:tiny_gaussian,loss=logistic")
    constant(teacher, [teacher.out], 0.05, -2.0)
    for flow in student.flows:
        constant(flow, [flow.out], 0.0, 0.0)
    constant(student.flows[-1], [], 0.05, -2.0)
    z = student.distribution.noise(0, range(4), range(600))
    more = student.distribution.standard(torch.rand(4, 600, 16, generator=torch.Generator().manual_seed(0)).double())
    _, context = event(teacher, 600, range(4), 0, recordings(length=700))
    nats, x = divergence(student, teacher, z, more, context)
    assert x.std() == pytest.approx(math.exp(-2) * math.pi / 3**0.5, rel=0.1)
    error = float(nats.std()) / nats.numel() ** 0.5
    assert error < 0.01
    assert abs(float(nats.mean())) < 4 * error
    constant(teacher, [], 0.05, -2.5)  # KL of logistics with one mean, in closed form: by quadrature
    nats, _ = divergence(student, teacher, z, more, context)
    grid = torch.linspace(-60, 60, 200001, dtype=torch.float64)
    law = student.distribution
    own = law.log_prob(torch.tensor([0.0, 0.0]).double().expand(grid.numel(), 2), grid)
    other = law.log_prob(torch.tensor([0.0, -0.5]).double().expand(grid.numel(), 2), grid)
    exact = float(torch.trapezoid(own.exp() * (own - other), grid))
    assert exact > 0.1
    assert float(nats.mean()) == pytest.approx(exact, abs=4 * float(nats.std()) / nats.numel() ** 0.5)


def test_the_entropy_of_a_logistic(student):
    params = torch.tensor([[[0.3, -1.5]]]).double().expand(1, 20000, 2)
    law = student.distribution
    surprise = -law.log_prob(params, law.draw(params, law.noise(0, [0], range(20000))))
    assert float(entropy(params)[0, 0]) == pytest.approx(0.5)
    assert float(surprise.mean()) == pytest.approx(0.5, abs=4 * float(surprise.std()) / 20000**0.5)


def test_the_gradient_is_that_of_the_loss(student):
    aim = objective()
    aim.initialise(student)
    student.requires_grad_(True)
    weights = list(student.parameters())
    aim.loss(student, 5).backward()
    assert all(weight.grad is not None for weight in weights)
    assert not any(weight.requires_grad or weight.grad is not None for weight in aim.teacher.parameters())
    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        way = [torch.randn(weight.shape, generator=g, dtype=torch.float64) for weight in weights]
        sides = []
        for h in (1e-6, -2e-6):
            with torch.no_grad():
                for weight, one in zip(weights, way, strict=True):
                    weight.add_(one, alpha=h)
                sides.append(float(aim.loss(student, 5)))
        with torch.no_grad():
            for weight, one in zip(weights, way, strict=True):
                weight.add_(one, alpha=1e-6)
        slope = sum(float((weight.grad * one).sum()) for weight, one in zip(weights, way, strict=True))
        assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)


def test_the_gradient_goes_through_what_the_teacher_reads(student):
    """Were the teacher's input cut off, a student's early draws would not answer for what follows them."""
    aim = objective()
    z, more = aim._noise(student, range(1), 24)
    _, context = event(student, 24, [0], 0, aim.training)
    z.requires_grad_(True)
    nats, _ = divergence(student, aim.teacher, z, more, context)
    law = student.distribution
    params = student(z.squeeze(-1), student.encode(context, 24))
    fixed = law.draw(params, z).detach()
    theirs = aim.teacher(fixed, aim.teacher.encode(context, 24))
    cut = -aim.teacher.distribution.log_prob(theirs.unsqueeze(-2), law.draw(params.unsqueeze(-2), more.unsqueeze(-1)))
    whole, part = (torch.autograd.grad(one, z)[0] for one in (nats.sum(), (cut.mean(-1) - entropy(params)).sum()))
    assert (whole - part).abs().max() > 1e-3


def test_more_draws_estimate_the_same_with_less_noise(student):
    aim = objective()
    aim.initialise(student)
    z, _ = aim._noise(student, range(1), 24)
    _, context = event(student, 24, [0], 0, aim.training)
    found = {}
    for count in (1, 25):
        more = student.distribution.standard(uniforms(7, range(40), range(24), count))
        each = [divergence(student, aim.teacher, z, one.unsqueeze(0), context)[0].mean() for one in more]
        found[count] = torch.stack(each)
    assert found[1].std() / found[25].std() == pytest.approx(5, rel=0.35)
    assert float(found[1].mean() - found[25].mean()) == pytest.approx(0, abs=4 * float(found[1].std()) / 40**0.5)


def test_the_divergence_falls_on_noise_that_is_not_trained_on(student, tmp_path):
    recipe = replace(RECIPE, steps=60, every=20, average=0.5)
    aim = objective(recipe)
    aim.initialise(student)
    before = aim.quality(student)
    result = train(student, aim, recipe, tmp_path, lambda *_: None)
    assert result.bits < before.bits - 0.3
    assert before.elements == sum(len(one.samples) for one in aim.validation)
    assert set(before.parts) == {0, 1}


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_the_best_step_is_chosen_by_what_training_minimises(student, tmp_path, power):
    aim = objective(power=power)
    aim.initialise(student)
    parts, louder = aim.judged(student, aim.validation)
    found = aim.quality(student)
    assert louder > 0.01
    assert found.bits == pytest.approx(parts.bits + power * louder)
    assert found.figures == {"divergence": parts.bits, "power_loss": louder}
    assert ("power loss" in aim.unit(student)) == bool(power)
    result = train(student, aim, replace(RECIPE, steps=4), tmp_path, lambda *_: None)
    (line,) = result.curve
    assert line["quality"] == line["divergence"] + power * line["power_loss"]


@pytest.mark.parametrize("at", [4, 9])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, at):
    def run(folder, died, **more):
        model, aim = built("parallel_wavenet:tiny"), objective()
        if not more:
            aim.initialise(model)
        learn = aim.loss

        def loss(model, step):
            if step == died:
                raise KeyboardInterrupt
            return learn(model, step)

        aim.loss = loss
        train(model, aim, RECIPE, folder, lambda *_: None, **more)
        return model

    whole = run(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", at)
    again = run(tmp_path / "broken", None, resume=True)
    for (name, one), other in zip(whole.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_power_is_that_of_each_frequency():
    t = torch.arange(16384, dtype=torch.float64)
    tone = 0.3 * torch.sin(2 * math.pi * 32 / 1024 * t).unsqueeze(0)
    power = spectrum(tone)
    assert power.shape == (1, 513)
    assert int(power.argmax()) == 32
    # half of the energy of a window is that of positive frequencies
    assert float(power.sum()) == pytest.approx(0.3**2 / 2 * 1024 / 2, rel=0.03)
    assert float(power_loss(tone, tone)) == 0
    assert float(power_loss(2 * tone, tone)) == pytest.approx((4 - 1) ** 2 / (4**2 + 1))
    assert float(power_loss(2e-4 * tone, 1e-4 * tone)) == pytest.approx((4 - 1) ** 2 / (4**2 + 1))
    assert float(power_loss(0 * tone, tone)) == pytest.approx(1)
    assert float(power_loss(0 * tone, 0 * tone)) == 0
    assert float(power_loss(torch.roll(tone, 100, 1), tone)) < 1e-3  # its phase does not matter


def test_silence_costs_a_power_loss_of_one(student):
    aim, plain = objective(power=10.0), objective(power=0.0)
    last = student.flows[-1]
    constant(last, [last.out], 0.0, -30.0)
    apart = [float(aim.loss(student, step) - plain.loss(student, step)) for step in range(16)]
    assert apart == pytest.approx([10] * 16, rel=1e-6)


def test_outside_audio_is_scored_with_the_noise_that_draws_it(student):
    objective().initialise(student)
    data = recordings(1, 40)
    found = measured(student, data, 40)
    x, context = event(student, 40, [0], 0, data)
    f = torch.zeros(1, 40, dtype=torch.float64)
    for _ in range(40):  # each pass finds one more element
        params = student(f, student.encode(context, 40))
        f = (x - params[..., 0]) / params[..., 1].exp()
    density = -(f + 2 * torch.nn.functional.softplus(-f)) - params[..., 1]
    assert found.bits == pytest.approx(-float(density.mean()) / math.log(2) + 15, rel=1e-9)


def test_draws_begin_as_loud_as_the_audio():
    for deviation in (0.1, 1e-3):
        student = built("parallel_wavenet:student")
        student.scale_to(deviation)
        z = student.distribution.noise(0, [0], range(2000))
        context = {"local": torch.randn(1, 80, 8, generator=torch.Generator().manual_seed(0)).double()}
        params = student(z.squeeze(-1), student.encode(context, 2000))
        assert float(student.distribution.draw(params, z).std()) == pytest.approx(deviation, rel=0.5)
