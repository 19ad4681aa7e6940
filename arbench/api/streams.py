"""``arbench.stream``: an event as it is drawn, chunk by chunk."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from arbench.api.conditions import Conditions, Model, at_least_one, prepared, text
from arbench.bench.job import out_of_memory
from arbench.bench.options import PlanError
from arbench.border.suggest import did_you_mean
from arbench.methods import FreshNoise, MethodError, Task, resolve
from arbench.methods.base import stepless
from arbench.methods.native import Native, lacks, loopless, native
from arbench.methods.registry import BACKEND
from arbench.methods.stepwise import Steps
from arbench.methods.streaming import CHUNK, LOOPS, Advancing, Chunks
from arbench.models import Context
from arbench.models.weights import rounded
from arbench.own.raised import one_line
from arbench.own.settings import settings_of


class Stream(Iterator[Tensor]):
    """The chunks of an event: an iterator that draws each chunk when it is asked for.

    After an exception (Ctrl-C too) or ``close`` it yields nothing more; the chunks that it yielded stay as they are.
    Several streams may run at once, in one thread or in several; threads that share one stream get its chunks in turns.

    Attributes:
        source: the model.
        method: the method that draws: ``fused`` or ``cached``.
        why: why it is not ``fused``, where the model has a native loop that cannot run; else None.
        rate_hz: audio samples per second; None for other events.
        n: number of elements of the event, N.
        batch: number of events, B.
        chunk: elements per chunk.
        context: conditioning of the events.
    """

    def __init__(
        self, conditions: Conditions, chunk: int, method: str | None, given: Tensor | None, seed: int, decode: bool
    ) -> None:
        settings = (method or "").partition(",")[2]
        loop = native(settings_of(settings)) if settings else Native()
        if loop.rounds is not None:
            conditions = replace(conditions, source=rounded(copy.deepcopy(conditions.source), loop.rounds))
        self.source, self.n, self.batch = conditions.source, conditions.n, conditions.batch
        self.context, self.chunk, self.rate_hz = conditions.context, chunk, conditions.source.rate_hz
        law = self.source.distribution
        fresh = FreshNoise(law, seed, range(self.batch), conditions.dtype, conditions.device)
        task = Task(self.n, self.context, given=given, fresh=fresh)
        with torch.no_grad():
            steps, self.method, self.why = _begun(conditions, task, method, loop)
        self._chunks = Chunks(steps, chunk)
        self._decode = decode and self.rate_hz is not None
        self._lock, self._busy = threading.RLock(), False

    def __next__(self) -> Tensor:
        with self._lock:
            if self._busy:  # a signal handler came in between
                raise RuntimeError("the stream is in the middle of a chunk; ask for the next one later")
            self._busy = True
            try:
                with torch.no_grad():
                    x = next(self._chunks)
                    return self.source.amplitudes(x) if self._decode else x.clone()
            except BaseException:  # also Ctrl-C in between: a chunk that is lost would leave a gap
                self._chunks.close()
                raise
            finally:
                self._busy = False

    @property
    def elements(self) -> Tensor:
        """The elements (B, M) as the model draws them: the given ones and those of all chunks so far."""
        return self._chunks.x.clone()

    def close(self) -> None:
        """Yield no more chunks, and free the model's state."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name, drawn = type(self.source).__name__, self._chunks.drawn
        return f"<arbench.stream of {name}: {self.batch} x {drawn:,} of {self.n:,} elements, {self.method}>"


def stream(
    model: Model,
    *,
    weights: Any = None,
    chunk: int = CHUNK,
    n: int | None = None,
    batch: int = 1,
    method: str | None = None,
    context: Context | None = None,
    given: Any = None,
    seed: int = 0,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    backend: str | None = None,
    data: Any = None,
    decode: bool = True,
) -> Stream:
    """Draw events chunk by chunk: ``for chunk in arbench.stream("wavenet:nv", weights=FILE): play(chunk)``.

    The chunks together are the event that every exact method draws from this seed, whatever ``chunk`` is. The noise of
    a chunk is made with the chunk. All that can be refused is refused here, before the first chunk.

    Args:
        model: NAME[:PRESET][,SETTING=VALUE...], path.py:Class[:PRESET], package.module:Class[:PRESET], each with
            @WEIGHTS behind it for trained weights, as in ``wavenet:nv@speech``; a subclass of
            ``arbench.models.Source``; or a model that is built already, which several streams may share.
        weights: safetensors file; by default those of ``model``, or random ones. Not for a model that is built.
        chunk: elements per chunk. The last chunk may have fewer; where several elements are drawn at once, a chunk has
            as many as complete the last of these groups.
        n: number of elements of an event, those given included. By default as many as ``context`` is long enough for,
            or else the longest event in the data has, such as the longest recording.
        batch: number of events B.
        method: ``fused`` (the model's native loop; with settings, as in ``fused,weights=bfloat16,threads=2``) or
            ``cached`` (one incremental step per element); by default ``fused`` where the model has such a loop.
        context: conditioning by name, tensors (B, ...), as the model's ``observe`` returns it; by default that of
            real events in the data.
        given: first elements (M,) or (B, M), as the model draws them, that the events begin with; no chunk has them.
        seed: seed of noise and data, and of random weights.
        dtype: dtype of the model: float32 by default, float64, float16 or bfloat16, by name or as PyTorch's own. Not
            for a model that is built.
        device: ``cpu`` by default, ``cuda``, ``cuda:1``, ..., by name or as PyTorch's own. Not for a model that is
            built.
        backend: backend of the kernels within the model, ``eager`` by default. Not for a model that is built.
        data: path of the user's data, for the conditioning. Not for a model that is built.
        decode: whether the chunks of audio are amplitudes, float32 in [-1, 1]; otherwise, and for other events, they
            are elements as the model draws them.

    Returns:
        An iterator over chunks (B, m) on the model's device. It raises FloatingPointError in place of a chunk whose
        draws or their parameters are not finite, as where weights are so large that sums overflow.

    Raises:
        PlanError: an argument is wrong; nothing was drawn.
    """
    chunk = at_least_one("chunk", chunk)
    _check_method(method)
    built = {"weights": weights, "dtype": dtype, "device": device, "backend": backend, "data": data}
    conditions, prompt = prepared(model, built, n=n, batch=batch, context=context, given=given, seed=seed)
    return Stream(conditions, chunk, method, prompt, seed, decode)


def _check_method(method: str | None) -> None:
    """Raise PlanError unless a method draws in chunks, with these settings."""
    if method is None:
        return
    name, _, settings = text("method", method, "cached").partition(",")
    if name not in LOOPS:
        raise PlanError(f"no method '{name}' draws in chunks; {did_you_mean(name, LOOPS)}")
    try:
        resolve(method)
    except MethodError as error:
        if settings and name != "fused":
            raise PlanError(f"method '{name}' takes no settings") from None
        raise PlanError(str(error)) from None
    if settings and name != "fused":
        backend = settings_of(settings)[BACKEND]
        raise PlanError(f"method '{name}' takes no settings; use {BACKEND}='{backend}' beside it")


def _begun(conditions: Conditions, task: Task, method: str | None, loop: Native) -> tuple[Advancing, str, str | None]:
    """Return a draw before its first chunk, its method, and why that is not the model's native loop if it has one.

    Raises:
        PlanError: the conditioning does not fit the model, the method cannot run it, or memory is too small.
    """
    source, name = conditions.source, conditions.name
    if (off := stepless(source)) is not None:
        raise PlanError(f"{name}: a stream {off}")
    try:
        why = lacks(source)
        if method != "cached" and why is None:
            return loop.begin(source, task, check=True), method or "fused", None
        if method not in (None, "cached"):
            raise PlanError(f"{name}: {method} {why}; use method='cached'")
        if method is None and not loopless(source):
            warnings.warn(f"{name} is drawn step by step, which is slower: a native loop {why}", stacklevel=4)
        return Steps(source, task, check=True), "cached", why
    except (RuntimeError, ValueError, IndexError, KeyError, MemoryError) as error:
        if out_of_memory(error):
            raise PlanError(f"{name}: out of memory with batch {task.batch} and N = {task.n}; choose less") from None
        if conditions.own:
            raise
        raise PlanError(f"{name}: context does not fit the model: {one_line(error)}") from None
