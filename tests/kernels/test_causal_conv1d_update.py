"""Steps of a causal convolution: equal to the whole convolution, with the documented states, and errors."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arbench.kernels import CAUSAL_CONV1D_UPDATE, causal_conv1d, causal_conv1d_update
from arbench.kernels.core.launch import launched

FULL = pytest.mark.parametrize("out", [None, 4], ids=["depthwise", "full"])
RING = pytest.mark.parametrize("ring", [False, True], ids=["window", "ring"])
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def step(harness: ModuleType, inputs: dict[str, Any]) -> Tensor:
    """Compare one step of the Triton kernel with the float64 reference: outputs close, states bit for bit."""
    exact = harness.widened(inputs)
    y = harness.on_triton(lambda: causal_conv1d_update(**inputs, backend="triton"))
    expected = causal_conv1d_update(**exact, backend="eager")
    harness.close(y, expected, CAUSAL_CONV1D_UPDATE.tolerance[y.dtype])
    assert torch.equal(inputs["conv_state"].double(), exact["conv_state"])
    return y


@pytest.mark.parametrize("backend", ["eager", "triton"])
@pytest.mark.parametrize("spare", [0, 1, 5])
@pytest.mark.parametrize(("width", "dilation"), [(1, 1), (2, 1), (4, 1), (3, 2), (2, 11)])
@RING
@FULL
def test_steps_are_the_convolution(
    harness: ModuleType, out: int | None, ring: bool, width: int, dilation: int, spare: int, backend: str
) -> None:
    """Go step by step from zeros, at different positions in each sequence."""
    length, reach = 7, (width - 1) * dilation
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, length, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    shape = (3, width) if out is None else (out, 3, width)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    expected = causal_conv1d(x, weight, dilation=dilation, backend="eager")
    state = x.new_zeros(2, 3, reach + spare)
    positions = torch.tensor([0, 4], device=harness.DEVICE)  # the second is ahead, after zeros
    for t in range(length):
        y = causal_conv1d_update(
            x[..., t],
            state,
            weight,
            dilation=dilation,
            cache_seqlens=positions + t if ring else None,
            backend=backend,
        )
        harness.close(y, expected[..., t], (1e-12, 1e-12))
    if ring:
        return
    padded = torch.cat([x.new_zeros(2, 3, reach + spare), x], 2)
    assert torch.equal(state, padded[..., padded.shape[2] - reach - spare :])


@pytest.mark.parametrize("config", CAUSAL_CONV1D_UPDATE.checks)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d).removeprefix("torch."))
def test_states_of_the_checks(harness: ModuleType, config: dict[str, Any], dtype: torch.dtype) -> None:
    inputs = harness.make(CAUSAL_CONV1D_UPDATE, dtype, **config)
    if not config.get("ring"):
        step(harness, inputs)
    step(harness, harness.scattered(inputs))


@pytest.mark.parametrize("extra", [0, 1], ids=["exact", "spare"])
@FULL
def test_a_ring_writes_one_slot(harness: ModuleType, out: int | None, extra: int) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D_UPDATE,
        torch.float32,
        batch=3,
        channels=5,
        out=out,
        width=3,
        dilation=2,
        state=4 + extra,
        ring=True,
    )
    before = inputs["conv_state"].clone()
    step(harness, inputs)
    for b, t in enumerate(inputs["cache_seqlens"].tolist()):
        before[b, :, t % (4 + extra)] = inputs["x"][b]
    assert torch.equal(inputs["conv_state"], before)


def test_launches_that_write_the_state_of_a_full_convolution(harness: ModuleType) -> None:
    """Write the state in the same launch only if no other program reads the slot: with a slot to spare."""
    for extra, ring, launches in ((0, True, 1), (1, True, 0), (1, False, 1)):
        inputs = harness.make(
            CAUSAL_CONV1D_UPDATE,
            torch.float32,
            batch=2,
            channels=5,
            out=70,
            width=2,
            dilation=3,
            state=3 + extra,
            ring=ring,
        )
        before = launched["conv1d_update_state_kernel"]
        step(harness, inputs)
        assert launched["conv1d_update_state_kernel"] - before == launches


@pytest.mark.parametrize("batch", [1, 2, 17, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@RING
def test_any_batch_of_a_full_convolution(harness: ModuleType, ring: bool, dtype: torch.dtype, batch: int) -> None:
    """Use a product without tensor cores, then tiles of sequences; outputs and inputs take several blocks."""
    config = dict(channels=41, out=74, width=3, dilation=2, state=6, activation="gated")
    step(harness, harness.make(CAUSAL_CONV1D_UPDATE, dtype, batch=batch, ring=ring, **config))


@pytest.mark.parametrize("state", [3, 8, 9, 16, 33])
def test_windows_in_registers_and_block_by_block(harness: ModuleType, state: int) -> None:
    config = dict(batch=2, channels=300, width=4, state=state, activation="silu")
    step(harness, harness.make(CAUSAL_CONV1D_UPDATE, torch.float32, **config))


@RING
@FULL
def test_padding_and_slots(harness: ModuleType, out: int | None, ring: bool) -> None:
    inputs = harness.make(
        CAUSAL_CONV1D_UPDATE, torch.float32, batch=4, channels=5, out=out, width=3, ring=ring, indices=True
    )
    inputs["conv_state_indices"] = torch.tensor([5, -1, 0, -7], dtype=torch.int32, device=harness.DEVICE)
    before = inputs["conv_state"].clone()
    y = step(harness, inputs)
    assert not y[1].any()
    assert not y[3].any()
    untouched = [1, 2, 3, 4, 6, 7]
    assert torch.equal(inputs["conv_state"][untouched], before[untouched])
    assert not torch.equal(inputs["conv_state"][5], before[5])


@FULL
def test_no_sequence(harness: ModuleType, out: int | None) -> None:
    inputs = harness.make(CAUSAL_CONV1D_UPDATE, torch.float32, batch=0, channels=5, out=out, width=3)
    assert causal_conv1d_update(**inputs, backend="triton").shape == (0, out or 5)


@FULL
def test_weights_of_any_strides(harness: ModuleType, out: int | None) -> None:
    """Store the weight taps first, so that channels and taps are not contiguous."""
    inputs = harness.make(CAUSAL_CONV1D_UPDATE, torch.float32, batch=2, channels=5, out=out, width=3)
    inputs["weight"] = inputs["weight"].movedim(-1, 0).contiguous().movedim(0, -1)
    step(harness, inputs)


@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 9),
    width=st.integers(1, 10),
    dilation=st.integers(1, 5),
    spare=st.integers(0, 4),
    out=st.sampled_from([None, 2, 6]),
    ring=st.booleans(),
    indices=st.booleans(),
    activation=st.sampled_from([None, "silu", "gated"]),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_shape(
    harness: ModuleType, dtype: torch.dtype, spare: int, width: int, dilation: int, **config: Any
) -> None:
    state = (width - 1) * dilation + spare
    step(
        harness,
        harness.make(CAUSAL_CONV1D_UPDATE, dtype, width=width, dilation=dilation, state=state, **config),
    )


X = torch.zeros(2, 4)
STATE = torch.zeros(2, 4, 2)
W = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(x=X[0]), "x must be (B, D), not of shape (4,)"),
        (
            dict(conv_state=STATE[..., :1]),
            "conv_state must be (slots, D, S) with D = 4 and S at least (W - 1) dilation = 2, not of shape (2, 4, 1)",
        ),
        (
            dict(dilation=2),
            "conv_state must be (slots, D, S) with D = 4 and S at least (W - 1) dilation = 4, not of shape (2, 4, 2)",
        ),
        (dict(conv_state=STATE[:1]), "2 sequences need 2 slots; conv_state has 1"),
        (dict(dilation=0), "dilation must be at least 1, not 0"),
        (dict(activation="tanh"), "unknown activation 'tanh'; available: None, silu, gated"),
        (dict(weight=W[:, :0]), "weight of shape (4, 0) is empty; every axis needs at least one element"),
        (dict(bias=torch.zeros(3)), "bias must be (4,), not of shape (3,)"),
        (dict(cache_seqlens=torch.zeros(2)), "cache_seqlens must be int32 or int64, not torch.float32"),
        (
            dict(cache_seqlens=torch.zeros(3, dtype=torch.int32)),
            "cache_seqlens must be (B,) = (2,), not of shape (3,)",
        ),
        (
            dict(conv_state_indices=torch.zeros(2, dtype=torch.bool)),
            "conv_state_indices must be int32 or int64, not torch.bool",
        ),
        (dict(conv_state=STATE.half()), "conv_state is torch.float16, x is torch.float32; convert them to one dtype"),
        (
            dict(cache_seqlens=torch.zeros(2, dtype=torch.int32, device="meta")),
            "cache_seqlens is on meta, x is on cpu; move them to one device",
        ),
    ],
)
def test_misuse(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        causal_conv1d_update(**{"x": X, "conv_state": STATE, "weight": W, **arguments})
    assert str(error.value) == f"causal_conv1d_update: {message}"
