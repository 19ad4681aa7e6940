"""Kernels as a worker measures them: verified against float64, counted by formula, called for each case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from arbench.bench.call import Call
from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job, Message, out_of_memory
from arbench.bench.kernels.plan import COMPILE, Implementation, config_of
from arbench.own.raised import one_line
from arbench.results import Count, Verification

if TYPE_CHECKING:
    from arbench.bench.kernels.verify import Expected

CHANGES = "changes its inputs: "
"""Precedes the checksum of a call whose next results differ unless its inputs are restored."""
LONG_S = 0.05
"""Seconds of a first call above which it may have compiled, so that a second one is timed."""
NO_DEPTH = "a kernel's cost formula gives FLOPs and bytes, no depth"


def interpret(case: CaseKey) -> bool:
    """Return True if the programs of a case run in Triton's interpreter."""
    return case.device == "cpu" and Implementation(case.method, case.backend).interpreted


class KernelSubject:
    """All kernels in one dtype on one device."""

    def __init__(self, job: Job) -> None:
        case = job.cases[0]
        import arbench.kernels as kernels
        from arbench.bench.kernels.calls import Function

        self.kernels = kernels.KERNELS
        self.device, self.dtype = case.device, DTYPES[case.dtype]
        self.seed = job.seed
        self._functions: dict[str, Function] = {}
        self._expected: tuple[Any, Any] = (None, None)
        self._outcomes = dict(job.outcomes)

    def verify(self, job: Job) -> Iterator[Message]:
        """Verify the cases that are not in ``job.verified``; for each, yield that it begins, then its verification."""
        for case in job.cases:
            if case.id not in job.verified:
                yield Message(begin=case.id, step="verify")
                yield Message(line=self.verification(case))

    def verification(self, case: CaseKey) -> Verification:
        """Compare a case with the float64 reference."""
        try:
            facts = self._facts(case)
        except InexactError as error:
            return Verification(case.id, "inexact", case.exactness, error.facts, str(error))
        except Exception as error:  # another library may raise anything
            if out_of_memory(error):
                return Verification(case.id, "oom", case.exactness, None, one_line(error))
            if self.device != "cpu":
                raise  # the device may be unusable in this process from now on
            return Verification(case.id, "error", case.exactness, None, reason(error))
        return Verification(case.id, "checked" if interpret(case) else "ok", case.exactness, facts)

    def _facts(self, case: CaseKey) -> dict[str, Any]:
        from arbench.bench.kernels.verify import verify_kernel

        kernel = self.kernels[case.model]
        inputs = self.inputs(case)
        facts = verify_kernel(kernel, case, self.function(case), inputs, self._against(case, inputs), self.dtype)
        if interpret(case):
            return {**facts, "interpreted": True}
        return facts | self._timed_once(case)

    def _against(self, case: CaseKey, inputs: dict[str, Any]) -> Expected:
        """Return the float64 results of a case, computed once for all methods."""
        from arbench.bench.kernels.verify import expected

        key = (case.model, case.preset, case.op)
        if self._expected[0] != key:
            self._expected = key, expected(self.kernels[case.model], case.op, inputs)
        found: Expected = self._expected[1]
        return found

    def _timed_once(self, case: CaseKey) -> dict[str, Any]:
        """Return the seconds of a warm call, and the facts about its copies of the inputs."""
        import torch

        facts, call = self._call(case)

        def timed() -> tuple[Any, float]:
            if self.device != "cpu":
                torch.cuda.synchronize(self.device)
            started = time.perf_counter()
            result = call.run()
            if self.device != "cpu":
                torch.cuda.synchronize(self.device)
            return result, time.perf_counter() - started

        result, seconds = timed()
        if seconds > LONG_S:  # the verified call may have run another variant of compiled code
            result, again = timed()
            seconds = min(seconds, again)
        facts["call_s"] = seconds / call.times
        call.check(result)
        return facts | {"outcome": self._outcomes[case.id]}

    def _check(self, case: CaseKey, used: list[dict[str, Any]], run: Callable[[], Any], result: Any) -> None:
        """Compare what a timed call returned with the verified results.

        Args:
            case: what the call did.
            used: the inputs of the call, and of its copies.
            run: makes the call again. A call that changes its inputs is made once more on restored ones, since after
                many calls on the same inputs its results are not those of the first.
            result: what it returned.

        Raises:
            InexactError: the results differ from the verified ones, and from float64's by more than they may.
        """
        from arbench.bench.kernels.calls import outputs
        from arbench.bench.kernels.checksum import checksum
        from arbench.bench.kernels.verify import changes_inputs, judge, judge_inputs, named

        known = self._outcomes.get(case.id, "")
        changing = known.startswith(CHANGES)
        if not changing:
            found = checksum(outputs(result))
            if known == found:
                return
        fresh = self.inputs(case)
        against = None if changing else self._against(case, fresh)
        if against is None or changes_inputs(fresh, against):
            result = _again(run, used, fresh)
            found = CHANGES + checksum([*outputs(result), *_tensors(used[-1])])
            if known == found:
                return
        kernel = self.kernels[case.model]
        against = self._against(case, fresh)
        try:
            facts = judge(kernel, case, named(kernel, case.op, used[-1], result), against, self.dtype)
            if found.startswith(CHANGES):
                judge_inputs(used[-1], against, facts)
        except InexactError as error:
            raise InexactError(f"a call that is timed differs: {error}", **error.facts) from None
        self._outcomes[case.id] = found

    def count(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        """Count cases by the kernel's cost formula, and measure their peak memory."""
        from arbench.meters import peak_bytes

        for case in cases:
            inputs = self.inputs(case)
            cost = self.kernels[case.model].cost(case.op, inputs)  # type: ignore[arg-type]
            peak = None
            if case.backend != COMPILE:  # compiled code does not run under the dispatch mode that measures memory
                peak = peak_bytes(self._plain(case, inputs), self.device)
            yield Count(case.id, None, None, cost.flops, None, cost.bytes, peak, "formula", NO_DEPTH)

    def build(self) -> Callable[[CaseKey], Call]:
        """Return a function from a case to its call, on inputs in fresh memory."""
        return lambda case: self._call(case)[1]

    def function(self, case: CaseKey) -> Callable[[Any], Any]:
        """Return the implementation that a case names; it is compiled once per process."""
        from arbench.bench.kernels.calls import implementation

        if case.id not in self._functions:
            self._functions[case.id] = implementation(self.kernels[case.model], case)
        return self._functions[case.id]

    def inputs(self, case: CaseKey) -> dict[str, Any]:
        """Return random arguments of a call, in fresh memory."""
        import torch

        kernel = self.kernels[case.model]
        generator = torch.Generator(self.device).manual_seed(self.seed)
        return kernel.inputs(
            dtype=self.dtype, device=self.device, generator=generator, **config_of(kernel, case.preset)
        )

    def _plain(self, case: CaseKey, inputs: dict[str, Any]) -> Callable[[], Any]:
        """Return one call on these inputs, without a CUDA graph."""
        from arbench.bench.kernels.calls import backward
        from arbench.bench.kernels.verify import downstream

        function = self.function(case)
        if case.op == "forward":
            return lambda: function(inputs)
        return backward(self.kernels[case.model], function, inputs, downstream(self.dtype))

    def _call(self, case: CaseKey) -> tuple[dict[str, Any], Call]:
        """Return facts about the call to time, and the call itself, on inputs in fresh memory."""
        import torch

        from arbench.bench.kernels.calls import Replay, copied, copies_of, on_device

        inputs = self.inputs(case)
        used = [inputs]
        if self.device == "cpu":
            run = self._plain(case, inputs)
            return {}, Call(run, check=partial(self._check, case, used, run))
        size = self.kernels[case.model].cost(case.op, inputs).bytes  # type: ignore[arg-type]
        cache = torch.cuda.get_device_properties(self.device).L2_cache_size
        torch.cuda.empty_cache()  # PyTorch's cache from verifying would count as used memory
        copies = copies_of(size, cache, torch.cuda.mem_get_info(self.device)[0])

        def calls() -> list[Callable[[], Any]]:
            used[1:] = [copied(inputs) for _ in range(copies - 1)]
            return [self._plain(case, one) for one in used]

        with on_device(self.device):
            replay = Replay(calls, self.device)
        facts: dict[str, Any] = {"copies": copies, "working_set": copies * size}
        if replay.why_not is not None:
            facts["not_captured"] = replay.why_not
        return facts, replace(replay.call, check=partial(self._check, case, used, replay.call.run))


def _tensors(inputs: dict[str, Any]) -> list[Any]:
    import torch

    return [value for _, value in sorted(inputs.items()) if isinstance(value, torch.Tensor)]


def _again(run: Callable[[], Any], used: list[dict[str, Any]], fresh: dict[str, Any]) -> Any:
    """Return what a call returns once its inputs are what they were before the first call."""
    import torch

    for inputs in used:
        for name, value in fresh.items():
            if isinstance(value, torch.Tensor):
                inputs[name].copy_(value)
    return run()


def reason(error: BaseException) -> str:
    """Return on one line why an implementation failed."""
    text = str(error)
    if "InvalidCxxCompiler" in text:
        return "torch.compile finds no working C++ compiler; install one, such as g++"
    return one_line(error)
