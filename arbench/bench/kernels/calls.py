"""Calls of a kernel: by any implementation, forward or backward, and on a GPU many in one graph.

On a GPU a call of microseconds is timed inside a CUDA graph, whose launches take no time on the host, and over several
copies of the inputs, so that the caches contain nothing from the previous call.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from arbench.bench.call import Call
from arbench.bench.case import CaseKey
from arbench.bench.job import out_of_memory
from arbench.bench.kernels.peers import adapter
from arbench.bench.kernels.plan import COMPILE, OWN, TORCH
from arbench.kernels import Kernel

Inputs = dict[str, Any]
Function = Callable[[Inputs], Any]

WORKING_SET = 1 << 30
"""Bytes that the copies should cover at least, if memory and ``MOST_COPIES`` allow."""
MOST_COPIES = 1024
"""Largest number of launches in one graph."""


def implementation(kernel: Kernel, case: CaseKey) -> Function:
    """Return the implementation that a case names: a function of the kernel's inputs, compiled at its first call."""
    if case.backend == COMPILE:
        return compiled(kernel)
    if case.method in (OWN, TORCH):
        return lambda inputs: kernel.call(**inputs, backend=case.backend)
    return adapter(case.method, kernel.name).call


def compiled(kernel: Kernel) -> Function:
    """Return the kernel's reference under ``torch.compile``, for inputs of one shape."""
    import torch._functorch.config as functorch

    functorch.donated_buffer = False  # a repeated backward pass needs its buffers
    function = kernel.call

    def reference(inputs: Inputs) -> Any:
        return function(**inputs, backend="eager")

    # Dynamo caches compiled code by code object, and gives up after a few entries for one
    own = FunctionType(reference.__code__.replace(), reference.__globals__, closure=reference.__closure__)
    return torch.compile(own, dynamic=False)


def outputs(result: Any) -> list[Tensor]:
    """Return the results of a call as a list, without those that are None."""
    several = result if isinstance(result, tuple | list) else (result,)
    return [one for one in several if one is not None]


def copied(inputs: Inputs) -> Inputs:
    """Return the same arguments, with tensors in memory of their own."""
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in inputs.items()}


def leaves_of(kernel: Kernel, inputs: Inputs) -> list[str]:
    """Return the names of the given inputs that have a gradient."""
    return [name for name in kernel.gradients if isinstance(inputs.get(name), Tensor)]


def backward(
    kernel: Kernel, function: Function, inputs: Inputs, downstream: Callable[[int, Tensor], Tensor]
) -> Callable[[], tuple[Tensor, ...]]:
    """Return the backward pass alone, as a repeatable call: the gradients of ``leaves_of`` the inputs.

    Args:
        kernel: the kernel.
        function: an implementation.
        inputs: arguments of the forward pass.
        downstream: returns the gradient of an output, from its number and the output.

    Raises:
        RuntimeError: no output has a gradient.
    """
    leaves = leaves_of(kernel, inputs)
    inputs = {**inputs, **{name: inputs[name].detach().requires_grad_(True) for name in leaves}}
    with torch.enable_grad():
        found = outputs(function(inputs))
    kept = [(i, one) for i, one in enumerate(found) if one.requires_grad]
    if not kept:
        raise RuntimeError(f"{kernel.name}: no output has a gradient")
    grads = [downstream(i, one) for i, one in kept]
    tops, ends = [one for _, one in kept], [inputs[name] for name in leaves]
    return lambda: torch.autograd.grad(tops, ends, grads, retain_graph=True)


def copies_of(size: int, cache: int, free: int) -> int:
    """Return the number of copies of a call's inputs to use in turn.

    Args:
        size: bytes that one call reads and writes.
        cache: bytes of the last-level cache.
        free: bytes of free memory, of which a quarter may be used.
    """
    size = max(size, 1)
    wanted = math.ceil(max(WORKING_SET, 4 * cache) / size)
    return max(1, min(wanted, MOST_COPIES, free // 4 // size))


def several(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """Return a function that makes all calls, one after the other, and returns what the last one returned."""

    def run() -> Any:
        for call in calls[:-1]:
            call()
        return calls[-1]()

    return run


def waits(call: Callable[[], Any]) -> str | None:
    """Return how a call makes the host wait for the GPU, which a graph cannot capture; None if it does not.

    Call this before the capture: a capture that fails leaves PyTorch's allocator capturing for good.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns that it may miss some waits
        torch.cuda.set_sync_debug_mode("error")
        try:
            call()
        except RuntimeError as error:
            if "synchronizing" not in str(error):
                raise
            return " ".join(str(error).split())[:200]
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return None


class Replay:
    """Calls captured into one CUDA graph, which launches them without the host.

    Args:
        make: builds the calls; they and their inputs are built on the capturing stream.
        device: the CUDA device.

    Attributes:
        call: the call to time.
        why_not: reason why the calls could not be captured and are made without a graph; None if they were.
    """

    def __init__(self, make: Callable[[], list[Callable[[], Any]]], device: str) -> None:
        self.why_not: str | None = None
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            calls = make()
            for call in calls:  # compiles, tunes and allocates, which a capture must not do
                call()
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.cuda.synchronize(device)
        self._kept: list[Any] = [calls]  # results stay, so that each call writes memory of its own
        self.call = Call(several(calls), len(calls))
        with torch.cuda.stream(stream):
            self.why_not = waits(calls[0])
        if self.why_not is not None:
            return
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):
                results = [call() for call in calls]
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            self.why_not = " ".join(str(error).split())[:200]
            torch.cuda.synchronize(device)
        else:
            self._kept += [results, graph]
            self._graph, self._last = graph, results[-1]
            self.call = Call(self._replay, len(calls))

    def _replay(self) -> Any:
        self._graph.replay()
        return self._last


def on_device(device: str) -> Any:
    """Return a context in which a CUDA device is the current one; it does nothing on the CPU."""
    return torch.cuda.device(device) if device != "cpu" else nullcontext()
