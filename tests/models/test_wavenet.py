"""Tests of WaveNet: every loss, its published configurations, misuse."""

from __future__ import annotations

import pytest
import torch

from arbench.distributions import LOSSES, Categorical, DiscretizedLogisticMixture, Normal
from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve
from arbench.models.events import audio

PUBLISHED = {
    "nv": Categorical,
    "vocoder": DiscretizedLogisticMixture,
    "paper": DiscretizedLogisticMixture,
    "clarinet": Normal,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_selected_by_name(loss: str) -> None:
    """A loss finds its distribution, and every method that fits it scores or samples."""
    source = resolve(f"wavenet:tiny,loss={loss},components=3").build(1, torch.float64)
    assert type(source.distribution) is type(LOSSES[loss](4, 3))
    x, context = source.observe(12, [0, 1], seed=2)
    assert x.is_floating_point() != source.distribution.finite
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    noise = source.distribution.noise(0, [0, 1], range(12))
    first: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for method in methods_for(source):
            if method.exactness != "pointwise":
                continue
            found = method.run(source, Task(12, context, noise=noise, x=x, record=True))
            value = found.x if method.op == "sample" else found.log_prob
            assert value is not None
            assert value.isfinite().all()
            torch.testing.assert_close(value, first.setdefault(method.op, value), rtol=1e-9, atol=1e-9)


def test_speculative_sampling_needs_elements_that_can_be_equal() -> None:
    names = {m.name for m in methods_for(resolve("wavenet:tiny_gaussian").build())}
    assert {"cached", "naive", "fixed_point", "blocks", "forecast"} < names
    assert not names & {"speculative", "rejection"}


def test_real_amplitudes_are_the_clips_own() -> None:
    source = resolve("wavenet:tiny_gaussian").build()
    x, _ = source.observe(300, [3], seed=1)
    levels, _ = (
        resolve("wavenet:tiny_gaussian,loss=discretized_logistic_mixture,levels=65536")
        .build()
        .observe(300, [3], seed=1)
    )
    assert x.dtype == torch.float32
    assert x.abs().max() <= 1
    assert torch.equal(audio.quantise(x, 65536, companded=False), levels)


def test_a_level_enters_as_the_amplitude_that_it_stands_for() -> None:
    """The discretized and the continuous mixture use one network: same weights, same parameters."""
    spec = "wavenet:tiny_logistic,levels=65536,loss"
    finite, real = (
        resolve(f"{spec}={loss}").build(4, torch.float64)
        for loss in ("discretized_logistic_mixture", "logistic_mixture")
    )
    levels, _ = finite.observe(40, [0, 1], seed=3)
    amplitudes = levels.double() * (2 / 65535) - 1
    torch.testing.assert_close(
        finite(levels, finite.encode({}, 40)), real(amplitudes, real.encode({}, 40)), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss=gausian", "unknown loss 'gausian'; did you mean 'gaussian'?"),
        ("loss=gaussian_mixture,components=0", "a mixture needs at least 1 component, got 0"),
        (
            "loss=discretized_logistic_mixture,levels=1",
            "need at least 2 levels and 1 component, got 1 and 10",
        ),
        ("skip=0", "WaveNet needs skip channels, got 0"),
    ],
)
def test_misuse_is_one_line(setting: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"wavenet:tiny,{setting}").build()
    assert str(caught.value) == f"model 'wavenet:tiny,{setting}': {said}"


@pytest.mark.slow
@pytest.mark.parametrize("preset", PUBLISHED)
def test_published_presets_score_and_sample(preset: str) -> None:
    source: Source = resolve(f"wavenet:{preset}").build()
    assert type(source.distribution) is PUBLISHED[preset]
    x, context = source.observe(24, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(24), torch.float32)
    with torch.no_grad():
        done = {
            m.op: m.run(source, Task(24, context, noise=noise, x=x))
            for m in methods_for(source)
            if m.name in ("parallel", "cached")
        }
    assert done["score"].log_prob is not None
    assert done["score"].log_prob.isfinite().all()
    assert done["sample"].x.shape == (1, 24)


def test_a_real_law_begins_at_the_scale_of_the_audio_and_levels_stay() -> None:
    loud, quiet = (0.1 * torch.randn(1, 400, generator=torch.Generator().manual_seed(0)) * k for k in (1, 0.01))
    for spec in ("wavenet:tiny_gaussian,local=0", "wavenet:tiny_gaussian,local=0,loss=logistic_mixture,components=3"):
        for clip in (loud, quiet):
            model = resolve(spec).build()
            before = model.distribution.log_prob(model(clip, model.encode({}, 400)), clip).mean()
            inputs = model.embedding.norm()
            model.initialise(clip, model.encode({}, 400))
            params = model(clip, model.encode({}, 400))
            after = model.distribution.log_prob(params, clip).mean()
            assert after > before
            assert -after < torch.distributions.Normal(0.0, clip.std()).entropy() + 1
            k = max(model.distribution.params_width // 3, 1)
            assert torch.allclose(model.out_bias[-k:].exp(), clip.std())
            assert torch.allclose(model.embedding.norm() * clip.std(), inputs)
    model = resolve("wavenet:tiny_logistic").build()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.initialise(torch.randint(4, (1, 40)), model.encode({}, 40))
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
