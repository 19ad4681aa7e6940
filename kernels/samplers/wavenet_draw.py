"""A draw from a WaveNet in native code, which can stop after any element and go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arbench.kernels.samplers.draws import Law, noise_width
from arbench.kernels.samplers.exchange import COUNTERS, stop
from arbench.kernels.samplers.products import padded
from arbench.kernels.samplers.shares import Packed, Weights
from arbench.kernels.samplers.wavenet import Shape, Share, State, run

SLICE_FLOPS = 2e9
"""Floating-point operations of one native call, some 50 ms, after which an interrupt is heard."""


class WaveNetDraw:
    """A draw of events, element by element.

    Args:
        weights: the parameters of the network.
        shares: the same, divided and packed, one for each thread.
        law: the law of an element.
        offsets: projected conditioning of the gates, bias included: (L, B or 1, frames, 2 G).
        hop: elements per frame; None if there is only one frame.
        batch: number of events at once.
        scale: factor and summand that turn an element that is no class into the network's input.

    Attributes:
        step_bytes: bytes of the matrices, which an element reads once for the whole batch.
        exchanges: how often two threads exchange partial sums for an element.

    Raises:
        ValueError: the conditioning is that of another number of events.
    """

    def __init__(
        self,
        weights: Weights,
        shares: Sequence[Packed],
        law: Law,
        offsets: Tensor,
        hop: int | None,
        batch: int,
        scale: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        if offsets.shape[1] not in (1, batch):
            raise ValueError(f"the conditioning is for {offsets.shape[1]} events, and {batch} are drawn")
        self._batch, self._law, self._width = batch, law, weights.last.shape[1]
        self._most = offsets.shape[2] * hop if hop else None
        self._kind = weights.gate.dtype
        size = weights.output.shape[1]
        parts = [_share(one, weights.dilations, offsets.detach(), size) for one in shares]
        shapes = [_shape(weights, one, batch, hop, scale) for one in shares]
        states = [self._state(shape, weights.dilations) for shape in shapes]
        self._threads = list(zip(shapes, parts, states, strict=True))
        widest = max(shapes[0].residual, shapes[0].skip, shapes[0].out)
        self._counters = np.zeros(COUNTERS, np.int64)
        self._boxes = self._zeros(2, 2, batch * widest if len(shares) > 1 else 0)
        self.step_bytes = weights.numbers * shares[0].weights.itemsize
        self.exchanges = len(weights.dilations) + 2 if len(shares) > 1 else 0  # layers, skip stream, parameters
        flops = 2 * batch * sum(one.weights.numel() for one in shares)
        self._slice = max(1, int(SLICE_FLOPS / max(flops, 1)))
        self._pool = ThreadPoolExecutor(1) if len(shares) > 1 else None
        self._process = os.getpid()
        self._broken = False
        self._in_use = threading.Lock()

    def draw(self, noise: Tensor, given: Tensor | None = None, record: bool = False) -> tuple[Tensor, Tensor | None]:
        """Draw the next M elements.

        Args:
            noise: (B, M, K).
            given: the first of these elements (B, at most M), which are taken instead of draws.
            record: whether to return the parameters.

        Returns:
            The elements (B, M), int64 for a finite law, and the parameters (B, M, P) or None.

        Raises:
            ValueError: the noise or the given elements do not fit the model, or the conditioning is too short.
            RuntimeError: an earlier call was interrupted or failed, the second thread cannot start, or another caller
                is drawing.
        """
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("another thread is in the middle of this draw; start a draw for each thread")
        try:
            return self._drawn(noise, given, record)
        finally:
            self._in_use.release()

    def _drawn(self, noise: Tensor, given: Tensor | None, record: bool) -> tuple[Tensor, Tensor | None]:
        if self._broken:
            raise RuntimeError("an earlier call of this draw was interrupted or failed; start another one")
        self._check(noise, given)
        count = noise.shape[1]
        x = torch.empty(self._batch, count, dtype=self._kind)
        params = torch.empty(self._batch, count if record else 0, self._width, dtype=self._kind)
        first = x[:, :0] if given is None else given.to(self._kind)
        arrays = [one.detach().contiguous().numpy() for one in (noise.to(self._kind), first, x, params)]
        self._broken = True
        for begin in range(0, count, self._slice):
            self._advance(arrays, begin, min(begin + self._slice, count))
        self._broken = False
        return x.long() if self._law.levels else x, params if record else None

    def _check(self, noise: Tensor, given: Tensor | None) -> None:
        """Raise ValueError for what native code would read out of bounds."""
        wanted = (self._batch, noise_width(self._law))
        if noise.dim() != 3 or (noise.shape[0], noise.shape[2]) != wanted:
            raise ValueError(f"noise has the shape {tuple(noise.shape)}; give ({wanted[0]}, M, {wanted[1]})")
        if given is not None and (given.dim() != 2 or len(given) != self._batch):
            raise ValueError(f"given elements have the shape {tuple(given.shape)}; give ({self._batch}, M)")
        levels = self._law.levels
        if levels and given is not None and given.numel() and not 0 <= given.min() <= given.max() < levels:
            low, high = int(given.min()), int(given.max())
            raise ValueError(f"given elements are from {low} to {high}; the model draws 0 to {levels - 1}")
        end = int(self._threads[0][2].position[0]) + noise.shape[1]
        if self._most is not None and end > self._most:
            raise ValueError(f"the conditioning is long enough for {self._most:,} elements, not {end:,}")

    def _advance(self, arrays: list[Any], begin: int, end: int) -> None:
        if self._pool is None:
            self._run(0, arrays, begin, end)
            return
        if self._process != os.getpid():
            raise RuntimeError("the second thread of this draw is in another process; start another draw in this one")
        try:
            other = self._submitted(self._pool, arrays, begin, end)
            self._run(0, arrays, begin, end)
        except BaseException:
            stop(self._counters)
            raise
        other.result()

    def _submitted(self, pool: ThreadPoolExecutor, arrays: list[Any], begin: int, end: int) -> Future[None]:
        try:
            return pool.submit(self._follow, arrays, begin, end)
        except RuntimeError as error:
            raise RuntimeError(f"the second thread cannot start ({error}); use threads=1") from error

    def _follow(self, arrays: list[Any], begin: int, end: int) -> None:
        """Run the second thread's share; the first waits in native code, so it is told if this fails."""
        try:
            self._run(1, arrays, begin, end)
        except BaseException:
            stop(self._counters)
            raise

    def _run(self, thread: int, arrays: list[Any], begin: int, end: int) -> None:
        shape, share, state = self._threads[thread]
        many = len(self._threads)
        run(shape, share, state, self._law, self._counters, self._boxes, thread, many, *arrays, begin, end)

    def _state(self, shape: Shape, dilations: Sequence[int]) -> State:
        b, reach = shape.batch, (shape.kernel - 1) * sum(dilations)
        return State(
            np.zeros(2, np.int64),
            self._zeros(b),
            self._zeros(reach * b * shape.residual),
            self._zeros(b * shape.kernel * shape.residual),
            self._zeros(b * 2 * shape.gate),
            self._zeros(b * shape.gate),
            self._zeros(b * (shape.residual + shape.skip)),
            self._zeros(b * shape.hidden),
            self._zeros(b * shape.out),
        )

    def _zeros(self, *size: int) -> Any:
        return torch.zeros(size, dtype=self._kind).numpy()


def _shape(weights: Weights, share: Packed, batch: int, hop: int | None, scale: tuple[float, float]) -> Shape:
    return Shape(
        batch,
        weights.kernel,
        share.embedding.shape[1],
        share.gate,
        len(share.skip_bias),
        share.hidden,
        len(share.last_bias),
        weights.last.shape[1],
        hop or 0,
        *scale,
    )


def _share(share: Packed, dilations: Sequence[int], offsets: Tensor, size: int) -> Share:
    kind = share.embedding.dtype
    part = slice(*share.channels)
    halves = (offsets[..., :size][..., part], offsets[..., size:][..., part])
    gap = padded(share.channels[1] - share.channels[0], kind) - (share.channels[1] - share.channels[0])
    offsets = torch.cat([torch.nn.functional.pad(half, (0, gap)) for half in halves], dim=-1)
    weights = share.weights.numpy()
    return Share(
        weights.view(np.uint16) if weights.dtype == np.int16 else weights,
        np.array(dilations, np.int64),
        share.embedding.flatten().numpy(),
        offsets.permute(2, 0, 1, 3).flatten().numpy(),
        offsets.shape[2],
        offsets.shape[1],
        share.residual_bias.flatten().numpy(),
        share.skip_bias.numpy(),
        share.hidden_bias.numpy(),
        share.last_bias.numpy(),
    )
