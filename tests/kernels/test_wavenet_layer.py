"""A WaveNet layer: odd lengths, widths and taps, dilations longer than the past, every kind of conditioning."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv1d, pad

from arbench.kernels import KERNELS, wavenet_layer
from arbench.kernels.core.launch import Launch, recording

KERNEL = KERNELS["wavenet_layer"]
SMALL: dict[str, Any] = dict(batch=2, length=37, residual=6, gate=5, skip=7, width=2, dilation=4)


def layer(
    x: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    dilation: int,
    offset: Tensor,
    hop: int,
    skip: Tensor,
) -> tuple[Tensor, Tensor]:
    """Compute the layer as published, from convolutions."""
    R, (G, _) = x.shape[2], out_weight.shape
    weight = gate_weight.unflatten(0, (-1, R)).permute(2, 1, 0)
    past = pad(x.transpose(1, 2), ((weight.shape[2] - 1) * dilation, 0))
    a = conv1d(past, weight, gate_bias, dilation=dilation).transpose(1, 2)
    a = a + offset.repeat_interleave(hop, 1)[:, : x.shape[1]]
    out = (a[..., :G].tanh() * a[..., G:].sigmoid()) @ out_weight + out_bias
    return x + out[..., :R], skip + out[..., R:]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 5, 100])
def test_the_reference_is_the_layer_as_published(harness: ModuleType, width: int, dilation: int) -> None:
    inputs = harness.make(KERNEL, torch.float64, **{**SMALL, "width": width, "dilation": dilation, "hop": 3})
    for found, expected in zip(wavenet_layer(**inputs, backend="eager"), layer(**inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_reference_has_gradients(harness: ModuleType) -> None:
    inputs = harness.make(KERNEL, torch.float64, **{**SMALL, "length": 5, "dilation": 2})
    names = ["x", "gate_weight", "gate_bias", "out_weight", "out_bias", "offset", "skip"]
    values = [inputs[name].requires_grad_(True) for name in names]

    def call(*given: Tensor) -> Any:
        return wavenet_layer(**{**inputs, **dict(zip(names, given, strict=True))})

    assert torch.autograd.gradcheck(call, values, fast_mode=True)


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 151, 1134])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_any_length(harness: ModuleType, length: int, dtype: torch.dtype) -> None:
    inputs = harness.make(KERNEL, dtype, **{**SMALL, "length": length, "hop": 7})
    harness.compare(KERNEL, harness.scattered(inputs))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("dilation", [1, 8, 36, 37, 2**40])
def test_any_taps(harness: ModuleType, width: int, dilation: int) -> None:
    inputs = harness.make(KERNEL, torch.float32, **{**SMALL, "width": width, "dilation": dilation})
    harness.compare(KERNEL, inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("residual", "gate", "skip"), [(1, 1, 0), (33, 47, 65), (70, 65, 129), (16, 130, 1)])
def test_any_channels(harness: ModuleType, residual: int, gate: int, skip: int, dtype: torch.dtype) -> None:
    """Use widths on either side of a block."""
    config = {**SMALL, "residual": residual, "gate": gate, "skip": skip, "width": 3}
    harness.compare(KERNEL, harness.scattered(harness.make(KERNEL, dtype, **config)))


@pytest.mark.parametrize(
    "shape", [dict(residual=64, gate=64, skip=128, width=2), dict(residual=128, gate=128, skip=128, width=3)]
)
def test_published_channels(harness: ModuleType, shape: dict[str, int]) -> None:
    for dtype in (torch.float32, torch.float16):
        config = {**shape, "batch": 1, "length": 131, "dilation": 16, "hop": 64}
        harness.compare(KERNEL, harness.make(KERNEL, dtype, **config))


@pytest.mark.parametrize("batch", [0, 1, 3, 130])
def test_any_batch(harness: ModuleType, batch: int) -> None:
    inputs = harness.make(KERNEL, torch.float32, **{**SMALL, "batch": batch, "length": 3, "dilation": 2})
    if batch:
        harness.compare(KERNEL, inputs)
        return
    y, skip = wavenet_layer(**inputs, backend="triton")
    assert (y.shape, skip.shape) == ((0, 3, 6), (0, 3, 7))
    assert wavenet_layer(**inputs, backend="eager")[0].shape == y.shape


@pytest.mark.parametrize("frames", [1, 3, 5])
@pytest.mark.parametrize("batch", [1, 2])
def test_one_frame_applies_everywhere_and_one_row_to_all(harness: ModuleType, frames: int, batch: int) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    inputs |= {"hop": 13, "offset": inputs["offset"][:batch, :frames]}
    harness.compare(KERNEL, harness.scattered(inputs))
    spread = inputs["offset"].expand(2, -1, -1)
    spread = spread.expand(-1, 37, -1) if frames == 1 else spread.repeat_interleave(13, 1)[:, :37]
    whole = wavenet_layer(**{**inputs, "hop": 1, "offset": spread}, backend="triton")
    for a, b in zip(wavenet_layer(**inputs, backend="triton"), whole, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("absent", ["gate_bias", "out_bias", "offset", "skip"])
def test_an_absent_argument_is_zero(harness: ModuleType, absent: str) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    without = {**inputs, absent: None}
    harness.compare(KERNEL, without)
    zero = {**inputs, absent: torch.zeros_like(inputs[absent])}
    for backend in ("triton", "eager"):
        for a, b in zip(wavenet_layer(**without, backend=backend), wavenet_layer(**zero, backend=backend), strict=True):
            torch.testing.assert_close(a, b)


def test_inputs_are_left_as_they_are(harness: ModuleType) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    before = {k: v.clone() for k, v in inputs.items() if isinstance(v, Tensor)}
    for backend in ("triton", "eager"):
        wavenet_layer(**inputs, backend=backend)
        assert all(torch.equal(inputs[k], v) for k, v in before.items())


def test_nothing_comes_from_later_positions(harness: ModuleType) -> None:
    inputs = harness.make(KERNEL, torch.float32, **{**SMALL, "width": 3})
    changed = inputs["x"].clone()
    changed[:, 20:] = float("nan")
    one = wavenet_layer(**inputs, backend="triton")
    two = wavenet_layer(**{**inputs, "x": changed}, backend="triton")
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a[:, :20], b[:, :20])
        assert bool(b[:, 20:].isnan().all())


@pytest.mark.parametrize("value", [30.0, 1e4, 1e30])
def test_saturated_gates(harness: ModuleType, value: float) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    signs = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0, 1.0, 1.0, -1.0, -1.0, 1.0]], device=harness.DEVICE)
    inputs["offset"] = (signs * value).expand(2, 37, 10)
    harness.compare(KERNEL, inputs)


def test_values_that_are_not_numbers_stay(harness: ModuleType) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    inputs["offset"][0, 3, 2] = float("nan")
    inputs["offset"][1, 4, 7] = float("nan")
    harness.compare(KERNEL, inputs)
    assert bool(wavenet_layer(**inputs, backend="triton")[0][0, 3].isnan().all())


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 40),
    residual=st.integers(1, 20),
    gate=st.integers(1, 40),
    skip=st.integers(0, 20),
    width=st.integers(1, 4),
    dilation=st.integers(1, 50),
    hop=st.none() | st.integers(1, 50),
    first=st.booleans(),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, **config: Any) -> None:
    harness.compare(KERNEL, harness.scattered(harness.make(KERNEL, torch.float64, **config)))


def test_axes_in_another_order(harness: ModuleType) -> None:
    """Put time last in memory; the result has the strides of the argument."""
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    inputs["x"] = inputs["x"].transpose(1, 2).contiguous().transpose(1, 2)
    inputs["gate_weight"] = inputs["gate_weight"].t().contiguous().t()
    harness.compare(KERNEL, inputs)
    assert wavenet_layer(**inputs, backend="triton")[0].stride() == inputs["x"].stride()


def recorded(**config: Any) -> Launch:
    inputs = KERNEL.inputs(dtype=torch.float16, device="meta", **config)
    with recording() as found:
        wavenet_layer(**inputs, backend="triton")
    assert len(found) == 1, "a layer must be one launch"
    return found[0]


@pytest.mark.parametrize("gate", [64, 65, 256])
def test_one_launch_whatever_the_width(gate: int) -> None:
    launch = recorded(**{**SMALL, "gate": gate})
    assert (launch.args["h"] is None) == (gate == 64)
    assert launch.grid == (1,)


def test_cost_is_that_of_the_two_products() -> None:
    inputs = KERNEL.inputs(
        dtype=torch.float32,
        device="meta",
        batch=3,
        length=7,
        residual=4,
        gate=5,
        skip=6,
        width=2,
        dilation=1,
        hop=None,
    )
    cost = KERNEL.cost("forward", inputs)
    assert cost.flops == 2 * 3 * 7 * (2 * 4 * 10 + 5 * 10)
    weights = 8 * 10 + 10 + 5 * 10 + 10
    assert cost.bytes == 4 * (3 * 7 * (2 * 4 + 2 * 6) + weights)


def test_triton_refuses_a_gradient(harness: ModuleType) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL)
    inputs["gate_weight"].requires_grad_(True)
    with pytest.raises(ValueError, match="no gradient") as caught:
        wavenet_layer(**inputs, backend="triton")
    assert str(caught.value) == (
        "wavenet_layer: the Triton kernel has no gradient; use backend='eager' or torch.no_grad()"
    )
    with torch.no_grad():
        assert not wavenet_layer(**inputs, backend="triton")[0].requires_grad
    assert wavenet_layer(**inputs)[0].requires_grad


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(x=torch.zeros(37, 6)), ValueError, "x must be (B, T, R) with R at least 1, not (37, 6)"),
        (dict(x=torch.zeros(2, 37, 0)), ValueError, "x must be (B, T, R) with R at least 1, not (2, 37, 0)"),
        (
            dict(gate_weight=torch.zeros(13, 10)),
            ValueError,
            "gate_weight must be (W R, 2 G) with R = 6, W and G at least 1, not (13, 10)",
        ),
        (
            dict(gate_weight=torch.zeros(0, 10)),
            ValueError,
            "gate_weight must be (W R, 2 G) with R = 6, W and G at least 1, not (0, 10)",
        ),
        (
            dict(gate_weight=torch.zeros(12, 0)),
            ValueError,
            "gate_weight must be (W R, 2 G) with R = 6, W and G at least 1, not (12, 0)",
        ),
        (
            dict(gate_weight=torch.zeros(12, 9)),
            ValueError,
            "gate_weight must be (W R, 2 G) with R = 6, W and G at least 1, not (12, 9)",
        ),
        (dict(out_weight=torch.zeros(5, 5)), ValueError, "out_weight must be (G, R + S) with G = 5, R = 6, not (5, 5)"),
        (
            dict(out_weight=torch.zeros(4, 13)),
            ValueError,
            "out_weight must be (G, R + S) with G = 5, R = 6, not (4, 13)",
        ),
        (dict(gate_bias=torch.zeros(5)), ValueError, "gate_bias must be (10,), not (5,)"),
        (dict(out_bias=torch.zeros(1, 13)), ValueError, "out_bias must be (13,), not (1, 13)"),
        (dict(dilation=1.5), TypeError, "dilation must be an integer, not 1.5"),
        (dict(hop="2"), TypeError, "hop must be an integer, not '2'"),
        (dict(dilation=0), ValueError, "dilation and hop must be at least 1, not 0 and 3"),
        (dict(hop=0), ValueError, "dilation and hop must be at least 1, not 4 and 0"),
        (
            dict(offset=torch.zeros(2, 12, 10)),
            ValueError,
            "offset must be (2 or 1, 1 or 13 or more, 10), not (2, 12, 10)",
        ),
        (
            dict(offset=torch.zeros(3, 13, 10)),
            ValueError,
            "offset must be (2 or 1, 1 or 13 or more, 10), not (3, 13, 10)",
        ),
        (dict(skip=torch.zeros(2, 36, 7)), ValueError, "skip must be (2, 37, 7), not (2, 36, 7)"),
        (
            dict(out_weight=torch.zeros(5, 6), out_bias=None),
            ValueError,
            "skip must be None, because out_weight has no skip channels",
        ),
        (
            dict(x=torch.zeros(2, 37, 6, dtype=torch.long)),
            TypeError,
            "x must be float64, float32, float16 or bfloat16, not torch.int64",
        ),
        (
            dict(skip=torch.zeros(2, 37, 7, dtype=torch.float64)),
            TypeError,
            "skip is torch.float64, x is torch.float32; convert them to one dtype",
        ),
    ],
)
@pytest.mark.parametrize("backend", ["eager", "triton"])
def test_misuse(
    harness: ModuleType, change: dict[str, Any], error: type[Exception], message: str, backend: str
) -> None:
    inputs = harness.make(KERNEL, torch.float32, **SMALL, hop=3)
    change = {k: v.to(harness.DEVICE) if isinstance(v, Tensor) else v for k, v in change.items()}
    with pytest.raises(error) as caught:
        wavenet_layer(**{**inputs, **change}, backend=backend)
    assert str(caught.value) == f"wavenet_layer: {message}"


def test_a_narrow_gate_in_registers_or_in_memory_is_the_same(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = harness.make(KERNEL, torch.float32, **{**SMALL, "gate": 20})

    def blocks() -> set[int]:
        with recording() as programs:
            wavenet_layer(**inputs, backend="triton")
        return {program.constants["BLOCK_G"] for program in programs}

    assert min(blocks()) >= 20
    held = wavenet_layer(**inputs, backend="triton")
    module = sys.modules[wavenet_layer.__module__]
    tile = module._tile
    monkeypatch.setattr(module, "_tile", lambda *given: {**tile(*given), "BLOCK_G": 16})
    assert blocks() == {16}
    for a, b in zip(harness.on_triton(lambda: wavenet_layer(**inputs, backend="triton")), held, strict=True):
        torch.testing.assert_close(a, b)
