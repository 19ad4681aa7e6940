"""A model as a worker measures it: verified, counted and called for each case."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from arbench.backends.compiling import CompileError, graphs
from arbench.bench.call import Call
from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job, Message, out_of_memory
from arbench.bench.models.counting import counter_for, evaluations
from arbench.bench.models.formulas import stated
from arbench.bench.models.setup import ModelSetup, method_of
from arbench.bench.models.streaming import streaming
from arbench.bench.models.walks import ExtendError
from arbench.bench.models.witness import Witness
from arbench.bench.samples import COLD, compiles
from arbench.meters import peak_bytes
from arbench.meters.laps import Laps
from arbench.methods import Method, Outcome
from arbench.models import ModelError, StateError
from arbench.own.raised import one_line
from arbench.results import Count, Status, Verification

MOST_CALLS = 3
"""Calls of a case after the first, as long as each makes a graph under ``torch.compile``."""
EAGER = "the same model on plain PyTorch"
"""The twin whose operations are counted for the other backends."""
SAME_STEPS = "{}, which takes the same steps"
"""The twin whose operations are counted for native code, by the name of its method."""

PROBED = "probes of the model itself"
"""Fact ``how`` of a case that a fault of the model is charged to."""


@dataclass(frozen=True)
class _Raised:
    """The exception, on one line, that a model raises at a size and batch, whatever the method."""

    error: str


class ModelSubject:
    """One model in one dtype on one device."""

    def __init__(self, job: Job) -> None:
        case = job.cases[0]
        self.setup = ModelSetup(case.spec, case.dtype, case.device, job.seed, job.weights, job.data, case.backend)
        if self.setup.chosen.preset != case.preset:
            raise ModelError(f"the checkpoint {self.setup.chosen.checkpoint} changed during the run; start another run")
        self.witness = Witness(self.setup, job.outcomes)
        self._direct = job.direct
        self._pairs: dict[Any, tuple[Any, Any]] = {}
        self._made = False
        """True if the last call made a graph under ``torch.compile``: its time is not that of a call."""
        self._probed: dict[tuple[Any, ...], InexactError | _Raised | dict[str, Any]] = {}
        """Findings of the probes of the model, by N, batch and what a method changes of it."""

    def pair(self, case: CaseKey) -> tuple[Any, Any]:
        """Return the model that a case measures, as its method changes it, and its float64 twin; each is built once."""
        variant = self.method(case).variant
        if variant not in self._pairs:
            source = self.setup.build(None, *variant)
            self._pairs[variant] = source, self.setup.twin(source)
            self.witness.twins[variant[0]] = self._pairs[variant][1]
        return self._pairs[variant]

    def build(self) -> Callable[[CaseKey], Call]:
        """Build the model again in fresh memory; return a function from a case to its call."""
        sources: dict[Any, Any] = {}

        def call_of(case: CaseKey) -> Call:
            variant = self.method(case).variant
            if variant not in sources:
                sources[variant] = self.setup.build(None, *variant)
            source = sources[variant]
            task = self.setup.task(source, case)
            algorithm, check = self.method(case).run, partial(self.witness.check, source, case, task)
            if case.chunk is None:
                return Call(partial(algorithm, source, task), check=check)
            laps = Laps(case.device)
            return Call(streaming(algorithm, source, task, laps, self.setup.seed), check=check, laps=laps)

        return call_of

    def count(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        """Count cases that differ only in N: on plain PyTorch, except the memory, which is the case's own."""
        source, _ = self.pair(cases[0])
        yield from stated(self.method(cases[0]), source, cases, self._counted(cases, budget_s))

    def _counted(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        source, twin = self.pair(cases[0])
        method = self.method(cases[0])
        if (method.backend or self.setup.backend) == "eager" and method.twin is None:
            counter = counter_for(self.setup, source, twin, cases[0], self.witness, budget_s, self._direct)
            yield from counter.counts(cases)
            return
        setup, stand_in = self.setup.eager, EAGER
        known = {case.id: case for case in cases}
        if method.twin is not None:
            stand_in = SAME_STEPS.format(method.twin.name)
            known = {c.id: case for case in cases for c in [msgspec.structs.replace(case, method=method.twin.name)]}
            cases = [msgspec.structs.replace(case, method=method.twin.name) for case in cases]
        eager = setup.build(rounds=method.rounds)
        witness = Witness(setup, twins={None: twin})
        for line in counter_for(setup, eager, twin, cases[0], witness, budget_s, self._direct).counts(cases):
            if line.count_source != "none":
                line.twin = line.twin or stand_in
            own_memory = line.case in known and (line.peak_bytes is not None or method.twin is not None)
            line.peak_bytes = self._peak_bytes(known[line.case]) if own_memory else None
            yield self._renamed(line, known)

    @staticmethod
    def _renamed(line: Count, known: Mapping[str, CaseKey]) -> Count:
        """Return a count under the name of the case that it stands for."""
        if line.case in known:
            line.case = known[line.case].id
        elif line.n is not None and line.ladder_of is not None:
            line.case = msgspec.structs.replace(known[line.ladder_of], n=line.n).id
        if line.ladder_of is not None:
            line.ladder_of = known[line.ladder_of].id
        return line

    def method(self, case: CaseKey) -> Method:
        """Return the method of a case."""
        return method_of(case, self.setup.chosen.cls)

    def _peak_bytes(self, case: CaseKey) -> int | None:
        source = self.pair(case)[0]
        task, outcomes = self.setup.task(source, case), list[Outcome]()
        algorithm = self.method(case).run
        peak = peak_bytes(lambda: outcomes.append(algorithm(source, task)), self.setup.device)
        for outcome in outcomes:
            self.witness.check(source, case, task, outcome)
        return peak

    def verify(self, job: Job) -> Iterator[Message]:
        """Verify cases in ascending order of size, so that the duration of a long case can be predicted."""
        from arbench.bench.models.verify.model import verify_model

        probed = self._probed
        spent: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
        for case in sorted(job.cases, key=lambda case: (case.n, case.batch)):
            history = spent.setdefault(case.key, [])
            if case.id in job.call_s:
                history.append((case.n, job.call_s[case.id]))
            if case.id in job.verified:
                continue
            predicted = predict_s(history, case.n)
            if predicted > job.share_s:
                why = f"a call is predicted to take {predicted:.3g} s; the budget allows {job.share_s:.3g} s"
                facts = {"predicted_s": predicted}
                yield Message(line=Verification(case.id, "over_budget", case.exactness, facts, why))
                continue
            where = (case.n, case.batch, self.method(case).variant)
            yield Message(begin=case.id, step="verify" if where in probed else "probe")
            if where not in probed:
                try:
                    probed[where] = verify_model(self.setup, *self.pair(case), case)
                except InexactError as error:
                    probed[where] = error
                except Exception as error:  # a model may raise anything, and does so for every method
                    if out_of_memory(error):
                        yield Message(line=Verification(case.id, "oom", case.exactness, None, one_line(error)))
                        continue
                    if self.setup.device != "cpu":  # an error may leave a GPU unusable for this process
                        raise
                    probed[where] = _Raised(one_line(error))
                yield Message(begin=case.id, step="verify")
            model = probed[where]
            if isinstance(model, _Raised):
                yield Message(line=Verification(case.id, "error", case.exactness, None, model.error))
                continue
            line = self._charged(case, model) if isinstance(model, InexactError) else self._verification(case, model)
            for number in range(MOST_CALLS):
                if line.status != "ok" or not (self._made or (number == 0 and _may_be_cold(history, case.n, line))):
                    break
                yield Message(begin=case.id, step="verify")  # another call has the time of a step to itself
                line = self._called_again(case, line)
            if line.status != "ok" and self._is_outside(case):
                self._pairs.clear()  # the method may have changed the weights
            if line.verified and "call_s" in line.verified:
                history.append((case.n, line.verified["call_s"]))
                self.witness.learn(case, line.verified["outcome"])
            yield Message(line=line)

    def _charged(self, case: CaseKey, fault: InexactError) -> Verification:
        """Charge a fault of the model to a case, unless the case makes no call of the half that is wrong."""
        facts = {**fault.facts, "how": PROBED}
        status: Status = "error" if isinstance(fault, ExtendError) else "inexact"
        charged = Verification(case.id, status, case.exactness, facts, str(fault))
        half = fault.facts.get("half")
        if half is None:
            return charged
        names, wrong = {"several": (["extend"], _over_several), "rewind": (["rewind"], _any)}.get(
            half, (["start", "extend"], _any)
        )
        called = False

        def ends(*args: Any) -> bool:
            nonlocal called
            if not wrong(*args):
                return False
            called = True
            raise _WrongCall

        with evaluations(self.pair(case)[0], names, ends):
            try:
                other = "rewind" if half == "rewind" else "extend"
                check = fault.facts.get("check", other)
                line = self._verification(case, {**_passed(fault), other: str(fault), f"{other}_check": check})
            except _WrongCall:
                return charged
            except Exception:  # a model may raise anything
                if called and self.setup.device == "cpu":
                    return charged
                raise
            return charged if called else line

    def _verification(self, case: CaseKey, model: dict[str, Any]) -> Verification:
        from arbench.bench.models.verify.method import verify_method

        source, twin = self.pair(case)

        def verified() -> Verification:
            before = graphs()
            with evaluations(source) as calls:
                facts, seconds, evaluated = verify_method(self.setup, source, twin, case, calls)
            self._made = graphs() > before
            if not self._is_outside(case):  # code from outside may evaluate the network on its own
                facts.setdefault("nfe", evaluated)
            return Verification(case.id, "ok", case.exactness, facts | {"call_s": seconds, **model})

        line = _or_fault(case, verified, self._may_raise(case))
        if line.status == "inexact":
            line.verified = {**model, **(line.verified or {})}
        return line

    def _called_again(self, case: CaseKey, line: Verification) -> Verification:
        """Return a verification with the seconds of a second call, made as a timed one and compared with the first.

        The first call of a case may compile, which takes seconds with ``torch.compile`` or Numba; later calls do not.
        """
        from arbench.bench.models.verify.method import called

        source, first, made = self.pair(case)[0], dict(line.verified or {}), self._made

        def again() -> Verification:
            task, before = self.setup.task(source, case), graphs()
            outcome, seconds = called(self.setup, source, case, task)
            self._made = graphs() > before
            self.witness.learn(case, first["outcome"])
            self.witness.check(source, case, task, outcome)
            facts = first | {"call_s": min(seconds, first["call_s"])}
            if made or compiles(first["call_s"], seconds):
                facts["first_call_s"] = max(first["call_s"], first.get("first_call_s", 0.0))
            return Verification(case.id, "ok", case.exactness, facts)

        return _or_fault(case, again, self._may_raise(case))

    def _is_outside(self, case: CaseKey) -> bool:
        return self.method(case).outside

    def _may_raise(self, case: CaseKey) -> bool:
        """Return whether an exception is a fault of the case alone; after one on a GPU it may be unusable."""
        return self.setup.device == "cpu" and self._is_outside(case)


def of_the_model(line: Verification) -> bool:
    """Return whether a case is charged with a fault of the model itself, which spoils every method."""
    facts = line.verified or {}
    return line.status == "inexact" and facts.get("how") == PROBED and facts.get("half") is None


def of_its_steps(line: Verification) -> bool:
    """Return whether a case is charged with a fault of the model's steps, which spoils the methods that make them."""
    return line.status in ("inexact", "error") and (line.verified or {}).get("half") is not None


def _passed(fault: InexactError) -> dict[str, Any]:
    """Return the facts of the checks that a model passed before its fault."""
    return {name: value for name, value in fault.facts.items() if name not in ("half", "check", "first_difference")}


class _WrongCall(BaseException):
    """A call of what is wrong ends its case, which would tell nothing more."""


def _any(*args: Any) -> bool:
    return True


def _over_several(state: Any, f: Any, g0: int, g1: int) -> bool:
    """Return whether a call of ``extend`` is for several groups."""
    return g1 - g0 > 1


def _or_fault(case: CaseKey, verified: Callable[[], Verification], may_raise: bool) -> Verification:
    """Return a verification, or why there is none.

    Args:
        case: the case.
        verified: verifies it.
        may_raise: whether any exception is the case's own, beside a wrong outcome, no memory left, and a state that is
            not copied.
    """
    try:
        return verified()
    except InexactError as error:
        return Verification(case.id, "inexact", case.exactness, error.facts, str(error))
    except (StateError, CompileError) as error:
        return Verification(case.id, "error", case.exactness, None, str(error))
    except Exception as error:
        if not may_raise and not out_of_memory(error):
            raise
        status: Status = "oom" if out_of_memory(error) else "error"
        return Verification(case.id, status, case.exactness, None, one_line(error))


def _may_be_cold(history: list[tuple[int, float]], n: int, line: Verification) -> bool:
    """Return whether the call of a case may have compiled: it is the first of its key, or took long for its size."""
    seconds = (line.verified or {})["call_s"]
    if not history or seconds > COLD * predict_s(history, n):
        return True
    smaller, once = history[-1]
    return len(history) == 1 and compiles(seconds, once * n / smaller)  # how it grows is not known yet


def predict_s(history: list[tuple[int, float]], n: int) -> float:
    """Predict the seconds of a call from calls at smaller sizes.

    Args:
        history: pairs of size and seconds, in ascending order.
        n: the size to predict. Growth is assumed quadratic after one size, and as between the last two after more.
    """
    if not history:
        return 0.0
    n1, t1 = history[-1]
    power = 2.0
    if len(history) > 1 and history[-2][0] < n1:
        n0, t0 = history[-2]
        power = min(max(math.log(t1 / t0) / math.log(n1 / n0), 0.0), 3.0)
    return t1 * (n / n1) ** power
