"""Inputs of a dilated causal convolution, delayed tap by tap, in registers: what its kernels share.

Along a contiguous axis a delay that is not a multiple of a vector's length would load element by element.
Vectors of ``V`` positions are loaded where they are aligned instead, split into ``V`` lanes, and delayed by
naming other lanes: a delay of ``q V + r`` takes its lanes from the vectors ``q`` and ``q + 1`` before, and
costs no instruction. A vector that several taps need is loaded once. With ``V`` = 1 there is one lane, and
vectors lie along another axis (channels) or nowhere.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.core.launch import empty
from arbench.kernels.core.rows import widen

UNROLLED = 8
"""Widest filter whose taps are unrolled; of a wider one they are a loop."""


@triton.jit
def nothing():
    """A tuple to add to."""
    return ()


@triton.jit
def lanes(x, V: tl.constexpr):
    """(C, N V) as V tiles (C, N): lane v holds every position that is v modulo V."""
    if V == 1:
        return (x,)
    else:
        first, second = tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))
        even = lanes(first, V // 2)
        odd = lanes(second, V // 2)
        found = nothing()
        for v in tl.static_range(V // 2):
            found += (even[v], odd[v])
        return found


@triton.jit
def joined(x, V: tl.constexpr):
    """The inverse of ``lanes``."""
    if V == 1:
        return x[0]
    else:
        even = nothing()
        odd = nothing()
        for v in tl.static_range(V // 2):
            even += (x[2 * v],)
            odd += (x[2 * v + 1],)
        both = tl.join(joined(even, V // 2), joined(odd, V // 2))
        return tl.reshape(both, [both.shape[0], both.shape[1] * 2])


@triton.jit
def inputs_at(p_x, p_s, at, channel, L, xl, reach, sl, V: tl.constexpr, WIDE: tl.constexpr):
    """Inputs at positions ``at``, as V lanes; those from -reach to -1 are states, all others outside 0.

    Args:
        p_x, p_s: (C, 1) pointers to position 0, and to state 0; no states are None.
        at: (T,) positions.
        channel: (C, 1) mask.
        WIDE: half precision as float32.
    """
    inside = channel & ((at >= 0) & (at < L))[None, :]  # (C, T)
    x = tl.load(p_x + at.to(tl.int64)[None, :] * xl, mask=inside, other=0.0)
    if p_s is not None:
        before = channel & ((at < 0) & (at >= -reach))[None, :]
        s = tl.load(p_s + (at + reach).to(tl.int64)[None, :] * sl, mask=before, other=0.0)
        x = tl.where(before, s, x)
    if WIDE:
        return lanes(widen(x), V)
    else:
        return lanes(x, V)


@triton.jit
def tap(
    p_x,
    p_s,
    at,
    channel,
    L,
    xl,
    reach,
    sl,
    far,
    J: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    AHEAD: tl.constexpr,
    V: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Inputs J dilations before (``AHEAD``: after) positions, as V lanes; the dilation is
    ``far`` V + RESIDUE, ``far`` being 0 unless FAR."""
    near: tl.constexpr = J * RESIDUE // V * V
    rest: tl.constexpr = J * RESIDUE % V
    shift = J * far * V + near if FAR else near
    start = at + shift if AHEAD else at - shift
    x = inputs_at(p_x, p_s, start, channel, L, xl, reach, sl, V, WIDE)
    if rest == 0:
        return x
    else:
        start = start + V if AHEAD else start - V
        beyond = inputs_at(p_x, p_s, start, channel, L, xl, reach, sl, V, WIDE)
        found = nothing()
        for v in tl.static_range(V):
            if AHEAD:
                found += (x[v + rest] if v + rest < V else beyond[v + rest - V],)
            else:
                found += (x[v - rest] if v >= rest else beyond[v - rest + V],)
        return found


@triton.jit
def add_scaled(total, x, scale, V: tl.constexpr):
    """total + x scale, lane by lane."""
    found = nothing()
    for v in tl.static_range(V):
        found += (total[v] + x[v] * scale,)
    return found


@triton.jit
def repeated(x, V: tl.constexpr):
    """A tile as V equal lanes."""
    found = nothing()
    for _ in tl.static_range(V):
        found += (x,)
    return found


@triton.jit
def activated(x, gate, ACTIVATION: tl.constexpr):
    """What the activation makes of a pre-activation; tanh(x) sigmoid(gate) if gated."""
    if ACTIVATION == "silu":
        return x * tl.sigmoid(x)
    elif ACTIVATION == "gated":
        return (2 * tl.sigmoid(2 * x) - 1) * tl.sigmoid(gate)
    else:
        return x


@triton.jit
def activated_gradient(dy, x, gate, ACTIVATION: tl.constexpr):
    """Gradients of the pre-activation and of the gate's."""
    if ACTIVATION == "silu":
        s = tl.sigmoid(x)
        return dy * s * (1 + x * (1 - s)), dy
    elif ACTIVATION == "gated":
        s = tl.sigmoid(gate)
        t = 2 * tl.sigmoid(2 * x) - 1
        return dy * s * (1 - t * t), dy * t * s * (1 - s)
    else:
        return dy, dy


def vector(width: int, *positions: Tensor) -> int:
    """How many positions a vector holds: as many as 16 bytes where they are contiguous in every tensor
    (..., L), else one."""
    if width > UNROLLED or any(t.stride(-1) != 1 for t in positions):
        return 1
    return 16 // positions[0].itemsize


def ranges(x: Tensor, states: Tensor | None, width: int, dilation: int) -> list[tuple[int, int, Tensor | None]]:
    """Positions of a convolution of ``x`` (B, D, L), launch by launch, and the states that they see: the
    first ones apart, for states lie otherwise; the others begin where a vector does."""
    L = x.shape[2]
    first = 0 if states is None else min(triton.cdiv((width - 1) * dilation, 16) * 16, L)
    return [r for r in ((0, first, states), (first, L, None)) if r[1] > r[0]]


def split_dilation(dilation: int, V: int) -> dict[str, int | bool]:
    """The constants V, RESIDUE and FAR of ``tap``."""
    return dict(V=V, RESIDUE=dilation % V, FAR=dilation >= V)


def strides(x: Tensor | None, axes: int) -> tuple[int, ...]:
    """Of a tensor with so many axes; zeros where there is none."""
    return (0,) * axes if x is None else x.stride()


def like_doubled(dy: Tensor) -> Tensor:
    """Memory for (B, 2 D, L), L contiguous where it is in ``dy`` (B, D, L), else channels."""
    B, D, L = dy.shape
    if dy.stride(2) == 1:
        return empty((B, 2 * D, L), dy.dtype, dy.device)
    return empty((B, L, 2 * D), dy.dtype, dy.device).transpose(1, 2)
