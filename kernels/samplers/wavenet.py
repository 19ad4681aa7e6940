"""The whole draw of a WaveNet in native code: state and scratch allocated once, one or two threads."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any, NamedTuple

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled
from arbench.kernels.samplers import draws, exchange, gates, products, vectors
from arbench.kernels.samplers.draws import CATEGORICAL, draw
from arbench.kernels.samplers.exchange import exchange as exchanged
from arbench.kernels.samplers.gates import gate
from arbench.kernels.samplers.products import product

_FILES = (numba_rows, draws, exchange, gates, products, vectors)
HELPERS = hashlib.sha256("".join(map(inspect.getsource, _FILES)).encode()).hexdigest()
"""Hash of the other files that code here is compiled from; see ``mixture.numba_mixture.HELPERS``."""


class Shape(NamedTuple):
    """Sizes of one thread's share, padded to whole vectors except ``params``."""

    batch: int
    kernel: int
    residual: int
    gate: int
    skip: int
    hidden: int
    out: int
    params: int
    hop: int
    """Elements per frame of conditioning; 0 for one frame."""
    scale: float
    """Factor from an element that is no class to the network's input."""
    shift: float
    """What is added to it."""


class Share(NamedTuple):
    """One thread's share of a model: packed weights in the order of use, and what is added to products."""

    weights: Any
    """Gate and output weights of each layer, then those of the two last layers."""
    dilations: Any
    embedding: Any
    """(classes or 1, R)."""
    offsets: Any
    """(frames, L, B or 1, 2 G)."""
    residual_bias: Any
    """(L, R)."""
    skip_bias: Any
    """(S,), summed over layers."""
    hidden_bias: Any
    out_bias: Any


class State(NamedTuple):
    """Where a thread's draw stands, and its scratch memory."""

    position: Any
    """int64: the next element, and how many exchanges there have been."""
    before: Any
    """(B,): the last element."""
    rings: Any
    """Past inputs of each layer: slot t mod reach has those (B, R) of position t."""
    taps: Any
    """(B, K R)."""
    gates: Any
    """(B, 2 G)."""
    outputs: Any
    """(B, G)."""
    streams: Any
    """(B, R + S): the residual stream, and the skip stream."""
    hidden: Any
    """(B, H)."""
    logits: Any
    """(B, O)."""


@compiled("contract")
def run(
    shape, share, state, law, counters, boxes, thread, threads, noise, given, x, params, begin, end, helpers=HELPERS
):
    """Draw elements ``begin`` to ``end`` - 1 of ``x``; return the end, or the element at which the draw was stopped.

    Args:
        shape: ``Shape``.
        share: ``Share`` of this thread.
        state: ``State`` of this thread, advanced in place.
        law: ``draws.Law``.
        counters: see ``exchange``.
        boxes: see ``exchange``.
        thread: number of this thread.
        threads: 1 or 2.
        noise: (B, M, K).
        given: (B, at most M) elements that are taken instead of draws.
        x: (B, M), filled by thread 0.
        params: (B, M, P), filled by thread 0; (B, 0, P) to keep none.
        begin: first element of ``x``; those before it were drawn by earlier calls.
        end: element behind the last.
        helpers: part of the signature by which Numba finds cached code.
    """
    batch, residual, width = shape.batch, shape.residual, shape.residual + shape.skip
    taps, gates, outputs, streams = state.taps, state.gates, state.outputs, state.streams
    flat_taps, flat_gates, flat_outputs = taps.reshape(-1), gates.reshape(-1), outputs.reshape(-1)
    flat_streams, flat_hidden, flat_logits = streams.reshape(-1), state.hidden.reshape(-1), state.logits.reshape(-1)
    weights, before = share.weights, state.before
    number = before.dtype.type
    zero = number(0)
    span = shape.kernel * residual
    shared = share.offsets.shape[2] == 1
    keep = params.shape[1] > 0
    for m in range(begin, end):
        t = state.position[0]
        frame = min(t // shape.hop, len(share.offsets) - 1) if shape.hop else 0
        for b in range(batch):
            b_stream = streams[b]
            if t == 0:
                b_stream[:residual] = zero
            elif law.kind == CATEGORICAL:
                b_stream[:residual] = share.embedding[int(before[b])]
            else:
                value = before[b] * number(shape.scale) + number(shape.shift)
                b_row, b_first = share.embedding[0], b_stream[:residual]
                for i in range(residual):
                    b_first[i] = value * b_row[i]
            b_stream[residual:] = share.skip_bias
        at = ring = 0
        for layer in range(len(share.dilations)):
            dilation = share.dilations[layer]
            reach = (shape.kernel - 1) * dilation
            for b in range(batch):
                b_taps, b_x = taps[b], streams[b, :residual]
                for k in range(shape.kernel - 1):
                    slot = (t + k * dilation) % reach  # the oldest first: t - reach + k dilation
                    start = ring + (slot * batch + b) * residual
                    b_taps[k * residual : (k + 1) * residual] = state.rings[start : start + residual]
                b_taps[span - residual :] = b_x
                if reach:
                    start = ring + (t % reach * batch + b) * residual
                    state.rings[start : start + residual] = b_x
                gates[b] = share.offsets[frame, layer, 0 if shared else b]
                b_bias = share.residual_bias[layer]
                if thread == 0:
                    for i in range(residual):
                        b_x[i] += b_bias[i]
                else:
                    b_x[:] = zero
            ring += reach * batch * residual
            at = product(weights, at, span, 2 * shape.gate, flat_taps, 0, span, flat_gates, 0, 2 * shape.gate, batch)
            for b in range(batch):
                gate(gates[b], outputs[b])
            at = product(weights, at, shape.gate, width, flat_outputs, 0, shape.gate, flat_streams, 0, width, batch)
            if threads > 1:
                state.position[1] += 1
                if not exchanged(counters, boxes, thread, state.position[1], streams, residual):
                    return m
        forced = m < given.shape[1]
        if keep or not forced:
            if threads > 1:
                state.position[1] += 1
                if not exchanged(counters, boxes, thread, state.position[1], streams[:, residual:], shape.skip):
                    return m
            for b in range(batch):
                b_skip = streams[b, residual:]
                for i in range(len(b_skip)):
                    b_skip[i] = b_skip[i] if b_skip[i] > zero else zero
                state.hidden[b] = share.hidden_bias
                state.logits[b] = share.out_bias
            skip, units = shape.skip, shape.hidden
            at = product(weights, at, skip, units, flat_streams, residual, width, flat_hidden, 0, units, batch)
            for b in range(batch):
                b_hidden = state.hidden[b]
                for i in range(len(b_hidden)):
                    b_hidden[i] = b_hidden[i] if b_hidden[i] > zero else zero
            product(weights, at, units, shape.out, flat_hidden, 0, units, flat_logits, 0, shape.out, batch)
            if threads > 1:
                state.position[1] += 1
                if not exchanged(counters, boxes, thread, state.position[1], state.logits, shape.out):
                    return m
        for b in range(batch):
            if forced:
                before[b] = given[b, m]
            else:
                before[b] = draw(law, state.logits[b], noise[b, m])
            if thread == 0:
                x[b, m] = before[b]
                if keep:
                    params[b, m] = state.logits[b, : shape.params]
        state.position[0] = t + 1
    return end
