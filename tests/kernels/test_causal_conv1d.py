"""Causal convolution: any length, width, dilation and layout, states, gradients, and errors."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arbench.kernels import CAUSAL_CONV1D, causal_conv1d
from arbench.kernels.core.launch import launched, recording

LAYOUTS = pytest.mark.parametrize("layout", ["BDL", "BLD"])
FULL = pytest.mark.parametrize("out", [None, 4], ids=["depthwise", "full"])


def by_definition(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int, states: Tensor | None) -> Tensor:
    """Compute bias + sum_k weight[..., k] x[t - (W - 1 - k) dilation] position by position, for x (B, D, L)."""
    B, _, L = x.shape
    W = weight.shape[-1]
    y = torch.zeros(B, weight.shape[0], L, dtype=x.dtype) if bias is None else bias[None, :, None].repeat(B, 1, L)
    for t in range(L):
        for k in range(W):
            at = t - (W - 1 - k) * dilation
            past = x[:, :, at] if at >= 0 else None
            if at < 0 and states is not None:
                past = states[:, :, at]  # the last state is position -1
            if past is not None:
                y[:, :, t] += past * weight[:, k] if weight.dim() == 2 else past @ weight[:, :, k].T
    return y


@pytest.mark.parametrize("backend", ["eager", "triton"])
@pytest.mark.parametrize("states", [False, True])
@FULL
def test_the_definition(harness: ModuleType, out: int | None, states: bool, backend: str) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D,
        torch.float64,
        batch=2,
        channels=3,
        out=out,
        length=9,
        width=3,
        dilation=2,
        states=states,
    )
    y = causal_conv1d(**inputs, backend=backend)
    x, weight, bias, state = (
        v if v is None else v.cpu() for v in (inputs[k] for k in ("x", "weight", "bias", "initial_states"))
    )
    expected = by_definition(x, weight, bias, 2, state)
    harness.close((y[0] if states else y).cpu(), expected, (1e-12, 1e-12))
    if states:
        assert torch.equal(y[1].cpu(), x[..., -4:])


@pytest.mark.parametrize("length", [1, 2, 129, 151, 1134])
@LAYOUTS
@FULL
def test_any_length(harness: ModuleType, out: int | None, layout: str, length: int) -> None:
    config = dict(batch=1, channels=2, out=out, length=length, width=2, layout=layout, activation="silu")
    harness.compare(CAUSAL_CONV1D, harness.make(CAUSAL_CONV1D, torch.float32, **config, dilation=3, states=True))


@pytest.mark.parametrize("width", [1, 2, 5, 8, 9])
@LAYOUTS
@FULL
def test_any_width(harness: ModuleType, out: int | None, layout: str, width: int) -> None:
    config = dict(batch=1, channels=3, out=out, length=17, width=width, layout=layout, activation="gated")
    harness.compare(CAUSAL_CONV1D, harness.make(CAUSAL_CONV1D, torch.float32, **config, states=True))


@pytest.mark.parametrize(
    ("layout", "dtype", "dilation"),
    [
        *(("BDL", torch.float32, dilation) for dilation in (1, 2, 7, 8, 11, 36, 37, 38, 500)),
        *(("BLD", torch.float16, dilation) for dilation in (1, 2, 7, 8, 11, 36, 37, 38, 500)),
        *(("BDL", torch.float16, dilation) for dilation in (2, 7, 38)),
        *(("BLD", torch.float32, dilation) for dilation in (2, 7, 38)),
    ],
)
def test_any_dilation(harness: ModuleType, layout: str, dtype: torch.dtype, dilation: int) -> None:
    """Use dilations below, at and above the length of a vector and of the sequence."""
    config = dict(batch=2, channels=2, length=37, width=3, layout=layout, dilation=dilation)
    harness.compare(CAUSAL_CONV1D, harness.make(CAUSAL_CONV1D, dtype, **config))
    if dilation in (1, 7, 8, 37):
        harness.compare(CAUSAL_CONV1D, harness.make(CAUSAL_CONV1D, dtype, **config, out=3, states=True))


@LAYOUTS
@FULL
def test_runs_longer_than_a_program(harness: ModuleType, out: int | None, layout: str) -> None:
    """Use several blocks of positions and channels; the weight gradient sums over blocks."""
    config = dict(batch=2, channels=18, out=None if out is None else 70, length=140, width=2, layout=layout)
    harness.compare(CAUSAL_CONV1D, harness.make(CAUSAL_CONV1D, torch.float32, **config, dilation=5))


def test_a_program_takes_several_blocks_of_rows(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a program of the weight gradient take several blocks, and the last one fewer."""

    def programs(inputs: dict[str, Any]) -> int:
        """Return how many programs compute the weight gradient."""
        with recording() as found:
            inputs["weight"].requires_grad_(True)
            y = causal_conv1d(**inputs, backend="triton")[0]
            torch.autograd.grad(y, inputs["weight"], torch.ones_like(y))
        return sum(math.prod(one.grid) for one in found if "backward_weight" in one.fn.__name__)

    for layout in ("BDL", "BLD"):
        config = dict(batch=1, channels=2, width=2, layout=layout, activation="silu", states=True, length=3400)
        depthwise = harness.make(CAUSAL_CONV1D, torch.float32, **config)
        config = dict(batch=1, channels=2, out=2, width=2, layout=layout, length=150, states=True)
        full = harness.scattered(harness.make(CAUSAL_CONV1D, torch.float32, **config))
        usual = [programs(inputs) for inputs in (depthwise, full)]
        with monkeypatch.context() as patch:
            patch.setattr("arbench.kernels.conv.depthwise.TARGET_PROGRAMS", 2)
            patch.setattr("arbench.kernels.conv.full.TARGET_PROGRAMS", 4)
            for inputs, before in zip((depthwise, full), usual, strict=True):
                assert programs(inputs) < before
                harness.compare(CAUSAL_CONV1D, inputs)


@LAYOUTS
@FULL
@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (0, 0)])
def test_nothing_to_do(harness: ModuleType, out: int | None, layout: str, shape: tuple[int, int]) -> None:
    batch, length = shape
    inputs = harness.make(
        CAUSAL_CONV1D,
        torch.float32,
        batch=batch,
        channels=3,
        out=out,
        length=length,
        width=3,
        layout=layout,
        states=True,
        activation="silu",
    )
    leaves = [inputs[k].requires_grad_(True) for k in CAUSAL_CONV1D.gradients]
    y, final = causal_conv1d(**inputs, backend="triton")
    channels = out or 3
    assert y.shape == ((batch, channels, length) if layout == "BDL" else (batch, length, channels))
    assert torch.equal(final, inputs["initial_states"][..., 2 - max(2 - length, 0) :] if length < 2 else final)
    grads = torch.autograd.grad([y, final], leaves, [torch.ones_like(y), torch.ones_like(final)])
    assert torch.equal(grads[1], torch.zeros_like(grads[1]))
    assert torch.equal(grads[2], torch.zeros_like(grads[2]))
    assert torch.equal(grads[3], torch.ones_like(grads[3]) if length == 0 else grads[3])


@pytest.mark.parametrize("cut", [0, 1, 3, 11, 18, 19])
@LAYOUTS
@FULL
def test_states_continue_a_sequence(harness: ModuleType, out: int | None, layout: str, cut: int) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D,
        torch.float64,
        batch=2,
        channels=3,
        out=out,
        length=19,
        width=3,
        dilation=4,
        layout=layout,
        states=True,
    )
    y, final = causal_conv1d(**inputs, backend="triton")
    time = 2 if layout == "BDL" else 1
    first, second = inputs["x"].split([cut, 19 - cut], time)
    a, between = causal_conv1d(**{**inputs, "x": first}, backend="triton")
    b, last = causal_conv1d(**{**inputs, "x": second, "initial_states": between}, backend="triton")
    harness.close(torch.cat([a, b], time), y, (1e-12, 1e-12))
    assert torch.equal(last, final)


@LAYOUTS
@FULL
def test_no_output_depends_on_a_later_input(harness: ModuleType, out: int | None, layout: str) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D,
        torch.float64,
        batch=1,
        channels=3,
        out=out,
        length=21,
        width=3,
        dilation=2,
        layout=layout,
    )
    time = 2 if layout == "BDL" else 1
    x = inputs["x"].requires_grad_(True)
    y = causal_conv1d(**inputs, backend="triton")
    for t in (0, 7, 20):
        (grad,) = torch.autograd.grad(y.select(time, t).sum(), x, retain_graph=True)
        reached = grad.abs().sum([0, 3 - time]).nonzero().flatten().tolist()
        assert reached == [s for s in (t - 4, t - 2, t) if s >= 0]


@pytest.mark.parametrize("activation", [None, "silu", "gated"])
@FULL
def test_layouts_give_the_same(harness: ModuleType, out: int | None, activation: str | None) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D,
        torch.float64,
        batch=2,
        channels=3,
        out=out,
        length=40,
        width=4,
        dilation=3,
        activation=activation,
    )
    y = causal_conv1d(**inputs, backend="triton")
    inputs |= {"x": inputs["x"].transpose(1, 2).contiguous(), "layout": "BLD"}
    other = causal_conv1d(**inputs, backend="triton").transpose(1, 2)
    harness.close(other, y, (1e-13, 1e-13))


def test_vectors_and_single_elements_give_the_same(harness: ModuleType) -> None:
    """Compare a contiguous L, which uses lanes, with a strided one, which does not."""
    inputs = harness.make(
        CAUSAL_CONV1D, torch.float32, batch=2, channels=3, length=77, width=4, dilation=3, states=True
    )
    y, final = causal_conv1d(**inputs, backend="triton")
    strided, again = causal_conv1d(**{**inputs, "x": harness.poisoned(inputs["x"])}, backend="triton")
    harness.close(strided, y, (1e-6, 1e-6))
    assert torch.equal(again, final)


@FULL
@pytest.mark.parametrize("wanted", ["x", "weight", "bias", "initial_states"])
def test_one_gradient_alone(harness: ModuleType, out: int | None, wanted: str) -> None:
    def gradient(*names: str) -> Tensor:
        inputs = harness.make(
            CAUSAL_CONV1D,
            torch.float64,
            batch=2,
            channels=3,
            out=out,
            length=11,
            width=3,
            states=True,
            activation="silu",
        )
        leaves = [inputs[k].requires_grad_(True) for k in names]
        y, _ = causal_conv1d(**inputs, backend="triton")
        return torch.autograd.grad(y.square().sum(), leaves)[names.index(wanted)]

    harness.close(gradient(wanted), gradient(*CAUSAL_CONV1D.gradients), (1e-12, 1e-12))


def test_final_states_alone_have_a_gradient(harness: ModuleType) -> None:
    inputs = harness.make(CAUSAL_CONV1D, torch.float64, batch=1, channels=2, length=3, width=3, dilation=2, states=True)
    x, states = inputs["x"].requires_grad_(True), inputs["initial_states"].requires_grad_(True)
    _, final = causal_conv1d(**inputs, backend="triton")
    dx, dstates = torch.autograd.grad(final, [x, states], torch.arange(8.0).double().view(1, 2, 4).to(x.device))
    assert dx.tolist() == [[[1, 2, 3], [5, 6, 7]]]
    assert dstates.tolist() == [[[0, 0, 0, 0], [0, 0, 0, 4]]]


def test_programs_that_are_claimed(harness: ModuleType) -> None:
    inputs = harness.make(CAUSAL_CONV1D, torch.float32, **CAUSAL_CONV1D.checks[0])
    inputs["x"].requires_grad_(True)
    before = launched.copy()
    y, _ = causal_conv1d(**inputs, backend="triton")
    y.backward(torch.ones_like(y))
    made = launched - before
    assert made == {
        "depthwise_conv1d_forward_kernel": 2,
        "depthwise_conv1d_backward_weight_kernel": 2,
        "depthwise_conv1d_backward_input_kernel": 1,
    }


@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 5),
    length=st.integers(1, 30),
    width=st.integers(1, 10),
    dilation=st.integers(1, 50),
    out=st.sampled_from([None, 2, 6]),
    activation=st.sampled_from([None, "silu", "gated"]),
    layout=st.sampled_from(["BDL", "BLD"]),
    states=st.booleans(),
    bias=st.booleans(),
    scattered=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, dtype: torch.dtype, scattered: bool, **config: Any) -> None:
    inputs = harness.make(CAUSAL_CONV1D, dtype, **config)
    harness.compare(CAUSAL_CONV1D, harness.scattered(inputs) if scattered else inputs)


X = torch.zeros(2, 4, 9)
W = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(x=X[0]), "x must be (B, D, L), not of shape (4, 9)"),
        (dict(x=X[0], layout="BLD"), "x must be (B, L, D), not of shape (4, 9)"),
        (dict(layout="LBD"), "unknown layout 'LBD'; available: BDL, BLD"),
        (dict(dilation=0), "dilation must be at least 1, not 0"),
        (dict(dilation=1.5), "dilation must be an integer, not 1.5"),
        (dict(activation="relu"), "unknown activation 'relu'; available: None, silu, gated"),
        (dict(x=X[:, :0]), "x has no channels; it needs at least one"),
        (dict(weight=W[0]), "weight must be (D, W) or (D_out, D, W), not of shape (3,)"),
        (dict(weight=W[:, :0]), "weight of shape (4, 0) is empty; every axis needs at least one element"),
        (dict(weight=W[:3]), "x has D = 4 channels; weight must be (D, W), not of shape (3, 3)"),
        (dict(layout="BLD"), "x has D = 9 channels; weight must be (D, W), not of shape (4, 3)"),
        (
            dict(activation="gated"),
            "x has D = 4 channels; weight must be (2 D, W) if gated, not of shape (4, 3)",
        ),
        (
            dict(weight=torch.zeros(4, 3, 2)),
            "x has D = 4 channels; weight must be (D_out, D, W), not of shape (4, 3, 2)",
        ),
        (
            dict(weight=torch.zeros(5, 4, 2), activation="gated"),
            "a gate needs an even number of output channels, not 5",
        ),
        (dict(bias=torch.zeros(3)), "bias must be (4,), not of shape (3,)"),
        (
            dict(initial_states=torch.zeros(2, 4, 3)),
            "initial_states must be (B, D, (W - 1) dilation) = (2, 4, 2), not of shape (2, 4, 3)",
        ),
        (dict(dilation=2**30), "9 positions plus a reach of 2147483648 exceed 32 bits; split x or lower the dilation"),
        (dict(weight=W.double()), "weight is torch.float64, x is torch.float32; convert them to one dtype"),
        (dict(x=X.int()), "x must be float64, float32, float16 or bfloat16, not torch.int32"),
        (dict(weight=W.to("meta")), "weight is on meta, x is on cpu; move them to one device"),
    ],
)
def test_misuse(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        causal_conv1d(**{"x": X, "weight": W, **arguments})
    assert str(error.value) == f"causal_conv1d: {message}"


@pytest.mark.parametrize("config", CAUSAL_CONV1D.checks[:1])
def test_the_cost_counts_each_tensor_once(harness: ModuleType, config: dict[str, Any]) -> None:
    inputs = harness.make(CAUSAL_CONV1D, torch.float16, **config)
    result = causal_conv1d(**inputs, backend="eager")
    tensors = [v for v in (*inputs.values(), *result) if isinstance(v, Tensor)]
    assert CAUSAL_CONV1D.cost("forward", inputs).bytes == sum(t.nbytes for t in tensors)
