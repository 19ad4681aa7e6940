"""Tests of the LSTM: PyTorch's own layers for a sequence, a product and gates for a step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arbench.meters import count
from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.layers.recurrent import LSTMStack
from arbench.models.lstm import LSTM


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def stack(layers: int) -> LSTMStack:
    return LSTMStack(3, 5, layers, 0.7, torch.Generator().manual_seed(2)).double()


def by_hand(model: LSTMStack, x: Tensor) -> Tensor:
    """Return the last layer's h (B, M, H), from the equations."""
    for w, u, b, d in model.lstm.all_weights:
        h = c = x.new_zeros(len(x), len(u[0]))
        out = []
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ w.T + b + h @ u.T + d).view(len(x), 4, -1).unbind(1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            out.append(h)
        x = torch.stack(out, dim=1)
    return x


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 4, 9])
def test_steps_and_chunks_are_the_equations(layers: int, chunk: int) -> None:
    model, x = stack(layers), torch.randn(2, 9, 3, dtype=torch.float64)
    expected, carry = by_hand(model, x), model.start(2)
    found = torch.cat([model.extend(carry, x[:, t : t + chunk]) for t in range(0, 9, chunk)], dim=1)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(model(x)[0], expected, rtol=0, atol=1e-12)


def test_a_stack_goes_on_from_where_another_ended() -> None:
    model, x = stack(2), torch.randn(2, 9, 3, dtype=torch.float64)
    whole, end = model(x)
    begun, state = model(x[:, :5])
    carry = model.start(2, state)
    rest = torch.cat([model.extend(carry, x[:, t : t + 1]) for t in range(5, 9)], dim=1)
    assert torch.allclose(torch.cat([begun, rest], dim=1), whole, rtol=0, atol=1e-12)
    assert torch.allclose(torch.stack(carry.cell), end[1], rtol=0, atol=1e-12)


def test_a_copy_is_not_moved_on() -> None:
    model, x = stack(2), torch.randn(2, 4, 3, dtype=torch.float64)
    carry = model.start(2)
    model.extend(carry, x[:, :1])
    kept = carry.copied()
    before = [h.clone() for h in kept.hidden]
    model.extend(carry, x[:, 1:2])
    model.extend(carry, x)
    assert all(torch.equal(a, b) for a, b in zip(before, kept.hidden, strict=True))


def test_initial_weights_are_uniform_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = resolve("lstm:small").build(seed=1)
    assert torch.equal(torch.rand(3), expected)
    for parameter in model.parameters():
        assert parameter.abs().max() <= 0.05
        assert parameter.std() == pytest.approx(0.05 / 3**0.5, rel=0.15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_depth_of_scoring_is_that_of_its_steps(dtype: torch.dtype) -> None:
    """Depth is 7 per step and layer, whether PyTorch runs them in one call or one by one."""
    model = resolve("lstm:tiny").build(dtype=dtype)
    depths = []
    for n in (16, 32):
        x = model.observe(n, [0], seed=0)[0]
        depths.append(count(lambda x=x: model(x, model.embedding)).depth)
    assert None not in depths
    assert depths[1] - depths[0] == 2 * 7 * 16


def test_one_hot_has_no_embedding() -> None:
    model = resolve("lstm:tiny_one_hot").build()
    assert model.embedding is None
    assert torch.equal(model.encode({}, 4), torch.eye(3))


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        # table, 2 layers of 8 W^2 weights and 8 W biases, product and biases
        ("zaremba_medium", 10_000 * 650 + 2 * (8 * 650**2 + 8 * 650) + 650 * 10_000 + 10_000),
        ("small", 256 * 128 + 2 * (8 * 128**2 + 8 * 128) + 128 * 256 + 256),
    ],
)
def test_weights_are_counted(preset: str, weights: int) -> None:
    assert resolve(f"lstm:{preset}").build().weights(8) == weights


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "millions"), [("graves", 4.3), ("zaremba_large", 66.0)])
def test_weights_are_as_published(preset: str, millions: float) -> None:
    assert round(resolve(f"lstm:{preset}").build().weights(8) / 1e6, 1) == millions


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in LSTM.presets if not p.startswith("tiny")])
def test_published_presets_score_and_sample(preset: str) -> None:
    model = resolve(f"lstm:{preset}").build()
    n = model.ladder[0]
    x, context = model.observe(n, [0, 1], seed=0)
    noise = model.distribution.noise(0, [0, 1], range(n), torch.float32)

    def run(name: str, **what: Tensor) -> object:
        method = next(m for m in methods_for(model) if m.name == name)
        return method.run(model, Task(n, context, **what))

    log_prob = run("parallel", x=x).log_prob
    assert (log_prob < 0).all()
    assert torch.allclose(run("sequential", x=x).log_prob, log_prob, rtol=0, atol=1e-4)
    assert run("cached", noise=noise).x.shape == (2, n)


@pytest.mark.parametrize(("setting", "said"), [("levels=0", "levels must be at least 1, got 0")])
def test_misuse_is_one_line(setting: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"lstm:tiny,{setting}").build()
    assert str(caught.value) == f"model 'lstm:tiny,{setting}': {said}"
