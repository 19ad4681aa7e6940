"""Taps of a dilated causal convolution, in registers, for the depthwise and the full programs.

Along a contiguous axis a delay that is not a multiple of the vector length would load element by element.
Instead, aligned vectors of ``VEC`` positions are loaded and split into ``VEC`` lanes, and a delay renames
lanes: a delay of ``q VEC + r`` takes its lanes from the vectors ``q`` and ``q + 1`` before and costs no
instruction. A vector that several taps need is loaded once. With ``VEC`` = 1 there is one lane, and vectors
lie along another axis (channels) or nowhere.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.core.launch import empty
from arbench.kernels.core.rows import widen

MAX_UNROLLED = 8
"""Widest filter whose taps are unrolled; the taps of a wider one are a loop."""


@triton.jit
def empty_tuple():
    """Return a tuple to append to."""
    return ()


@triton.jit
def split_lanes(x, VEC: tl.constexpr):
    """Split (D, N VEC) into VEC tiles (D, N): lane v holds the positions that are v modulo VEC."""
    if VEC == 1:
        return (x,)
    else:
        first, second = tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))
        even = split_lanes(first, VEC // 2)
        odd = split_lanes(second, VEC // 2)
        lanes = empty_tuple()
        for v in tl.static_range(VEC // 2):
            lanes += (even[v], odd[v])
        return lanes


@triton.jit
def join_lanes(lanes, VEC: tl.constexpr):
    """Join VEC tiles (D, N) into (D, N VEC); the inverse of ``split_lanes``."""
    if VEC == 1:
        return lanes[0]
    else:
        even = empty_tuple()
        odd = empty_tuple()
        for v in tl.static_range(VEC // 2):
            even += (lanes[2 * v],)
            odd += (lanes[2 * v + 1],)
        both = tl.join(join_lanes(even, VEC // 2), join_lanes(odd, VEC // 2))
        return tl.reshape(both, [both.shape[0], both.shape[1] * 2])


@triton.jit
def load_positions(
    p_x,
    p_states,
    pos,
    m_d,
    L,
    x_stride_l,
    reach,
    states_stride_l,
    VEC: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Load the inputs at positions ``pos`` (N VEC,), as VEC lanes (D, N); WIDEN half precision to float32.

    Positions -reach .. -1 are states, other positions outside 0 .. L - 1 are 0. ``p_x`` (D, 1) points to
    position 0, ``p_states`` (D, 1) to the first state or is None for zeros; ``m_d`` (D, 1) masks channels.
    """
    mask = m_d & ((pos >= 0) & (pos < L))[None, :]  # (D, N VEC)
    x = tl.load(p_x + pos.to(tl.int64)[None, :] * x_stride_l, mask=mask, other=0.0)
    if p_states is not None:
        before = m_d & ((pos < 0) & (pos >= -reach))[None, :]
        states = tl.load(p_states + (pos + reach).to(tl.int64)[None, :] * states_stride_l, mask=before, other=0.0)
        x = tl.where(before, states, x)
    if WIDEN:
        return split_lanes(widen(x), VEC)
    else:
        return split_lanes(x, VEC)


@triton.jit
def load_tap(
    p_x,
    p_states,
    pos,
    m_d,
    L,
    x_stride_l,
    reach,
    states_stride_l,
    dilation_vecs,
    DELAY: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    REVERSED: tl.constexpr,
    VEC: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Load the inputs DELAY dilations before positions (after them if REVERSED), as VEC lanes.

    The dilation is ``dilation_vecs * VEC + DILATION_REM``; ``dilation_vecs`` is 0 unless LONG_DILATION.
    """
    vector_shift: tl.constexpr = DELAY * DILATION_REM // VEC * VEC
    lane_shift: tl.constexpr = DELAY * DILATION_REM % VEC
    shift = DELAY * dilation_vecs * VEC + vector_shift if LONG_DILATION else vector_shift
    start = pos + shift if REVERSED else pos - shift
    near = load_positions(p_x, p_states, start, m_d, L, x_stride_l, reach, states_stride_l, VEC, WIDEN)
    if lane_shift == 0:
        return near
    else:
        start = start + VEC if REVERSED else start - VEC
        beyond = load_positions(p_x, p_states, start, m_d, L, x_stride_l, reach, states_stride_l, VEC, WIDEN)
        lanes = empty_tuple()
        for v in tl.static_range(VEC):
            if REVERSED:
                lanes += (near[v + lane_shift] if v + lane_shift < VEC else beyond[v + lane_shift - VEC],)
            else:
                lanes += (near[v - lane_shift] if v >= lane_shift else beyond[v - lane_shift + VEC],)
        return lanes


@triton.jit
def multiply_add(total, x, scale, VEC: tl.constexpr):
    """Return total + x * scale, lane by lane."""
    lanes = empty_tuple()
    for v in tl.static_range(VEC):
        lanes += (total[v] + x[v] * scale,)
    return lanes


@triton.jit
def repeat_lanes(x, VEC: tl.constexpr):
    """Return a tile as VEC equal lanes."""
    lanes = empty_tuple()
    for _ in tl.static_range(VEC):
        lanes += (x,)
    return lanes


@triton.jit
def apply_activation(pre, gate, ACTIVATION: tl.constexpr):
    """Apply the activation to a pre-activation; tanh(pre) sigmoid(gate) if gated."""
    if ACTIVATION == "silu":
        return pre * tl.sigmoid(pre)
    elif ACTIVATION == "gated":
        return (2 * tl.sigmoid(2 * pre) - 1) * tl.sigmoid(gate)
    else:
        return pre


@triton.jit
def activation_gradient(dy, pre, gate, ACTIVATION: tl.constexpr):
    """Return the gradients of the pre-activation and of the gate's pre-activation."""
    if ACTIVATION == "silu":
        s = tl.sigmoid(pre)
        return dy * s * (1 + pre * (1 - s)), dy
    elif ACTIVATION == "gated":
        s = tl.sigmoid(gate)
        t = 2 * tl.sigmoid(2 * pre) - 1
        return dy * s * (1 - t * t), dy * t * s * (1 - s)
    else:
        return dy, dy


def vector_length(width: int, *tensors: Tensor) -> int:
    """Return the positions in a vector: 16 bytes' worth if L is contiguous in every tensor (..., L), else one."""
    if width > MAX_UNROLLED or any(t.stride(-1) != 1 for t in tensors):
        return 1
    return 16 // tensors[0].itemsize


def position_ranges(
    x: Tensor, states: Tensor | None, width: int, dilation: int
) -> list[tuple[int, int, Tensor | None]]:
    """Split the positions of a convolution of ``x`` (B, D, L) into one range a launch.

    States have other strides than ``x``, so the positions that reach them get a launch of their own, up to
    where a vector starts.

    Returns:
        Start, end, and the states that the range reaches, for each non-empty range.
    """
    L = x.shape[2]
    first = 0 if states is None else min(triton.cdiv((width - 1) * dilation, 16) * 16, L)
    return [r for r in ((0, first, states), (first, L, None)) if r[1] > r[0]]


def dilation_constants(dilation: int, vec: int) -> dict[str, int | bool]:
    """Return the constants VEC, DILATION_REM and LONG_DILATION of ``load_tap``."""
    return dict(VEC=vec, DILATION_REM=dilation % vec, LONG_DILATION=dilation >= vec)


def strides_of(x: Tensor | None, axes: int) -> tuple[int, ...]:
    """Return the strides of a tensor with ``axes`` axes; zeros for None."""
    return (0,) * axes if x is None else x.stride()


def empty_doubled(dy: Tensor) -> Tensor:
    """Return memory for (B, 2 D, L), contiguous along L if ``dy`` (B, D, L) is, else along channels."""
    B, D, L = dy.shape
    if dy.stride(2) == 1:
        return empty((B, 2 * D, L), dy.dtype, dy.device)
    return empty((B, L, 2 * D), dy.dtype, dy.device).transpose(1, 2)
