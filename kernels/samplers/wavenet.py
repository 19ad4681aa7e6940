"""The whole draw of a WaveNet in native code: state and scratch allocated once, one or two threads."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled
from arbench.kernels.samplers import draws, exchange, gates, products, vectors
from arbench.kernels.samplers.draws import CATEGORICAL, draw
from arbench.kernels.samplers.exchange import exchange as exchanged
from arbench.kernels.samplers.gates import gate
from arbench.kernels.samplers.products import product
from arbench.kernels.samplers.vectors import ZERO

HELPERS = numba_rows.sources(numba_rows, draws, exchange, gates, products, vectors)
"""See ``numba_rows.sources``."""


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
    """Amount added to it."""


class Share(NamedTuple):
    """One thread's share of a model: packed weights in the order of use, and what is added to products.

    All arrays are one-dimensional; shapes are those that their numbers are in the order of.
    """

    weights: Any
    """Gate and output weights of each layer, then those of the two last layers."""
    dilations: Any
    embedding: Any
    """(classes or 1, R)."""
    offsets: Any
    """(frames, L, B or 1, 2 G)."""
    frames: int
    events: int
    """B if each event has offsets of its own, or 1."""
    residual_bias: Any
    """(L, R)."""
    skip_bias: Any
    """(S,), summed over layers."""
    hidden_bias: Any
    out_bias: Any


class State(NamedTuple):
    """Where a thread's draw stands, and its scratch memory, all one-dimensional."""

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


@njit(error_model="numpy", nogil=True)
def _copy(target, to, source, begin, size):
    """Copy ``size`` numbers between one-dimensional arrays."""
    b_target, b_source = target[to : to + size], source[begin : begin + size]
    for i in range(size):
        b_target[i] = b_source[i]


@njit(error_model="numpy", nogil=True)
def _rectify(x, begin, size):
    """Replace negative numbers by 0; NaN stays, as in PyTorch, or a draw would hide it."""
    zero, b_x = x.dtype.type(0), x[begin : begin + size]
    for i in range(size):
        b_x[i] = zero if b_x[i] < zero else b_x[i]


@njit(error_model="numpy", nogil=True)
def _add(x, begin, bias, first, size):
    """Add numbers to others."""
    b_x, b_bias = x[begin : begin + size], bias[first : first + size]
    for i in range(size):
        b_x[i] += b_bias[i]


@njit(error_model="numpy", nogil=True)
def _enter(shape, law, first, before, embedding, skip_bias, streams):
    """Put the last elements into the residual stream, and biases into the skip stream."""
    residual, width = shape.residual, shape.residual + shape.skip
    number = before.dtype.type
    for b in range(shape.batch):
        at = b * width
        if first:
            streams[at : at + residual] = number(0)
        elif law.kind == CATEGORICAL and len(embedding) > residual:  # else a class enters as one number
            _copy(streams, at, embedding, int(before[b]) * residual, residual)
        else:
            value = before[b] * number(shape.scale) + number(shape.shift)
            b_stream, b_row = streams[at : at + residual], embedding[:residual]
            for i in range(residual):
                b_stream[i] = value * b_row[i]
        _copy(streams, at + residual, skip_bias, ZERO, shape.skip)


@njit(error_model="numpy", nogil=True)
def _remember(shape, dilation, t, ring, rings, streams, taps):
    """Gather the taps of a layer, the oldest first, and put the newest into its ring."""
    batch, residual, last = shape.batch, shape.residual, shape.kernel - 1
    width, reach = residual + shape.skip, last * dilation
    for b in range(batch):
        at = b * shape.kernel * residual
        for k in range(last):
            slot = (t + k * dilation) % reach  # position t - reach + k dilation
            _copy(taps, at + k * residual, rings, ring + (slot * batch + b) * residual, residual)
        _copy(taps, at + last * residual, streams, b * width, residual)
        if reach:
            _copy(rings, ring + (t % reach * batch + b) * residual, streams, b * width, residual)
    return ring + reach * batch * residual


@njit(error_model="numpy", nogil=True)
def _offset(shape, thread, layer, offsets, shared, residual_bias, gates, streams):
    """Put the conditioning into the gates; the first thread passes the residual stream on, with its bias."""
    residual, width, gate = shape.residual, shape.residual + shape.skip, 2 * shape.gate
    for b in range(shape.batch):
        _copy(gates, b * gate, offsets, ZERO if shared else b * gate, gate)
        if thread == 0:
            _add(streams, b * width, residual_bias, layer * residual, residual)
        else:
            streams[b * width : b * width + residual] = streams.dtype.type(0)


@njit(error_model="numpy", nogil=True)
def _activate(shape, gates, outputs):
    size = shape.gate
    for b in range(shape.batch):
        gate(gates[2 * b * size : 2 * (b + 1) * size], outputs[b * size : (b + 1) * size])


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
    weights, dilations, offsets, residual_bias = share.weights, share.dilations, share.offsets, share.residual_bias
    position, before, rings, taps, gates = state.position, state.before, state.rings, state.taps, state.gates
    outputs, streams, hidden, logits = state.outputs, state.streams, state.hidden, state.logits
    batch, residual, skip, units, out = shape.batch, shape.residual, shape.skip, shape.hidden, shape.out
    span, width, size = shape.kernel * residual, residual + skip, shape.gate
    scores = logits.reshape(batch, out)
    shared = share.events == 1
    frame_size = len(dilations) * share.events * 2 * size
    keep = params.shape[1] > 0
    for m in range(begin, end):
        t = position[0]
        frame = min(t // shape.hop, share.frames - 1) if shape.hop else 0
        _enter(shape, law, t == 0, before, share.embedding, share.skip_bias, streams)
        at = ring = ZERO
        for layer in range(len(dilations)):
            ring = _remember(shape, dilations[layer], t, ring, rings, streams, taps)
            first = frame * frame_size + layer * share.events * 2 * size
            _offset(shape, thread, layer, offsets[first:], shared, residual_bias, gates, streams)
            at = product(weights, at, span, 2 * size, taps, ZERO, span, gates, ZERO, 2 * size, batch)
            _activate(shape, gates, outputs)
            at = product(weights, at, size, width, outputs, ZERO, size, streams, ZERO, width, batch)
            if threads > 1:
                position[1] += 1
                if not exchanged(counters, boxes, thread, position[1], streams, ZERO, width, residual, batch):
                    return m
        forced = m < given.shape[1]
        if keep or not forced:
            if threads > 1:
                position[1] += 1
                if not exchanged(counters, boxes, thread, position[1], streams, residual, width, skip, batch):
                    return m
            for b in range(batch):
                _rectify(streams, b * width + residual, skip)
                _copy(hidden, b * units, share.hidden_bias, ZERO, units)
                _copy(logits, b * out, share.out_bias, ZERO, out)
            at = product(weights, at, skip, units, streams, residual, width, hidden, ZERO, units, batch)
            _rectify(hidden, ZERO, batch * units)
            product(weights, at, units, out, hidden, ZERO, units, logits, ZERO, out, batch)
            if threads > 1:
                position[1] += 1
                if not exchanged(counters, boxes, thread, position[1], logits, ZERO, out, out, batch):
                    return m
        for b in range(batch):
            before[b] = given[b, m] if forced else draw(law, scores[b], noise[b, m])
            if thread == 0:
                x[b, m] = before[b]
                if keep:
                    for i in range(shape.params):
                        params[b, m, i] = scores[b, i]
        position[0] = t + 1
    return end
