"""Counting: depth, work, operations, bytes and network evaluations of a case, once and without timing.

Counting takes tens of microseconds per operation, so each method is counted on a ladder of small sizes. Larger sizes
are extrapolated by an exact polynomial, once it predicted two held-out sizes to the last digit: the largest of the
ladder, and the largest that can be counted in two seconds. A gate has small sizes and needs the memory of each: it
counts every size directly as long as that is quick.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.inexact import InexactError
from arbench.bench.models.precision import Precision
from arbench.bench.models.setup import ModelSetup, method_of
from arbench.bench.models.witness import Witness
from arbench.meters import CountBudgetExceeded, Counts, Peak, count, peak
from arbench.methods import Method, Outcome
from arbench.models import Source
from arbench.own.raised import one_line
from arbench.results import COUNTERS, Count
from arbench.stats import extrapolator

DIRECT_S = 0.25
"""Seconds within which a size is counted rather than extrapolated."""
SPOT_S = 2.0
"""Seconds within which the largest size is counted that an extrapolation is checked at."""
ADDITIVE = ("flops", "ops", "bytes")
"""Counters whose value for a whole is the sum over its parts."""


@contextmanager
def evaluations(
    source: Source,
    names: Sequence[str] = ("forward", "extend"),
    counts: Callable[..., bool] = lambda *args, **kwargs: True,
) -> Iterator[Callable[[], int]]:
    """Count the calls of ``forward`` and ``extend`` within the context; yield a function that returns their number.

    A call within a call is the same evaluation.

    Args:
        source: the model.
        names: the functions whose calls count; within ``forward`` and ``extend`` a call is not counted either.
        counts: returns from the arguments whether a call counts.
    """
    calls = level = 0

    def counted(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls, level
            calls += level == 0 and name in names and counts(*args, **kwargs)
            level += 1
            try:
                return inner(*args, **kwargs)
            finally:
                level -= 1

        return call

    watched = {"forward", "extend", *names}
    before = {name: source.__dict__[name] for name in watched if name in source.__dict__}
    for name in watched:
        source.__dict__[name] = counted(name, getattr(source, name))
    try:
        yield lambda: calls
    finally:
        for name in watched:
            source.__dict__.pop(name, None)  # a change of the backend may have removed it
        source.__dict__.update(before)


@dataclass
class Counter:
    """Counts cases that differ only in N.

    The encoding of the context is counted at every size, because conditioning comes in frames and so grows in steps;
    only the rest is extrapolated.

    Args:
        setup: provides the input.
        source: the model, in float64 if the method's path depends on values.
        witness: judges what the counted calls returned.
        budget_s: seconds for the whole ladder; a quarter of it for any single case beyond.
        all_direct: count every case directly, and the ladder only after a case exceeded its budget.
    """

    setup: ModelSetup
    source: Source
    witness: Witness
    budget_s: float
    all_direct: bool = False

    def __post_init__(self) -> None:
        self.seen: dict[int, Count] = {}
        self.refused: dict[int, str] = {}
        self._encodings: dict[int, Counts] = {}
        self.per_operation = 0.0
        self.exhausted = False

    def direct(self, case: CaseKey, budget_s: float) -> Count:
        """Count one case operation by operation.

        Raises:
            CountBudgetExceeded: it takes longer.
            InexactError: the counted call returned something else than the verified one.
        """
        task, outcomes = self.setup.task(self.source, case), list[Outcome]()
        method = method_of(case, self.source)
        if method.prepare is not None:
            method.prepare(self.source)

        def call() -> None:
            outcomes.append(method.run(self.source, task))

        started = time.perf_counter()
        with evaluations(self.source) as calls:
            with Precision(DTYPES[self.setup.dtype]) as precision:
                found = count(call, budget_s=budget_s, outside=method.outside)
            own = outcomes[0].evaluations
            nfe = _evaluated(method, calls(), found) if own is None else own
        precision.check()
        took = time.perf_counter() - started
        self.per_operation = took / max(found.ops or 1, 1)
        most, size = Peak(None), found.bytes if self.setup.dtype == case.dtype else None
        if size is not None and (self.all_direct or took < DIRECT_S):
            most = peak(call, self.setup.device)
        judged = case if self.setup.dtype == case.dtype else msgspec.structs.replace(case, dtype=self.setup.dtype)
        for outcome in outcomes:
            try:
                self.witness.check(self.source, judged, task, outcome)
            except InexactError as error:
                facts = {**error.facts, "counted_n": case.n}
                raise InexactError(f"{error} (while counting N = {case.n:,})", **facts) from None
        return Count(
            case.id,
            found.depth,
            nfe,
            found.flops,
            found.ops,
            size,
            most.bytes,
            "counted",
            why_unknown=found.why_unknown or most.why_unknown,
            twin=found.twin or most.twin,
            links=dict(found.links),
        )

    def counts(self, cases: list[CaseKey]) -> Iterator[Count]:
        """Yield the counts of the ladder's sizes, then of every case, each in ascending order of N.

        With ``all_direct`` the cases come first, until one exceeds its budget; then the ladder, then the other cases.
        """
        left = sorted(cases, key=lambda case: case.n)
        while self.all_direct and left:
            found = self._within_budget(left[0])
            if self.exhausted:
                self.exhausted = False
                break
            yield found
            left.pop(0)
        if not left:
            return
        yield from self._climb(cases)
        predict = {} if cases[0].data_dependent else self._extrapolators(cases[0])
        for other in self._other_residues(left, predict):
            small = self._spot_count(other, cases)
            if small is not None:
                predict = _unrefuted(predict, other, small)
                yield small
        spot = self._spot(left, predict)
        checked = self._spot_count(spot, cases) if spot is not None else None
        if spot is not None and checked is not None:
            predict = _unrefuted(predict, spot, checked)
            yield checked
        for case in left:
            if case.n in self.seen:
                continue
            guess = {name: f(case) for name, f in predict.items()}
            if "ops" in guess and guess["ops"] * self.per_operation > DIRECT_S:
                known: dict[str, Any] = {name: guess.get(name) for name in COUNTERS}
                why = self._why_unpredicted() if known["depth"] is None else None
                twin = next((count.twin for count in self.seen.values()), None)
                yield Count(case.id, **known, peak_bytes=None, count_source="extrapolated", why_unknown=why, twin=twin)
                continue
            found = self._within_budget(case)
            predict = _unrefuted(predict, case, found)
            yield found

    def _other_residues(self, cases: list[CaseKey], predict: Mapping[str, Callable[[CaseKey], int]]) -> list[CaseKey]:
        """Return small sizes with the remainders of extrapolated sizes, where those counted are all multiples.

        The ladder's sizes are multiples of 4, say. A model that does more at odd sizes would fit their polynomial.
        """
        if "ops" not in predict:
            return []

        def is_extrapolated(case: CaseKey) -> bool:
            try:
                return predict["ops"](case) * self.per_operation > DIRECT_S / 8  # seconds are a rough guess
            except ValueError:  # the polynomial is no integer there
                return True

        step, most = math.gcd(*self.seen), max(self.seen)
        others = [case for case in cases if case.n > most and case.n % step]
        wanted = {case.n % step: case for case in others if is_extrapolated(case)}
        return [msgspec.structs.replace(case, n=most - most % step + rest) for rest, case in sorted(wanted.items())]

    def _spot(self, cases: list[CaseKey], predict: Mapping[str, Callable[[CaseKey], int]]) -> CaseKey | None:
        """Return the largest size to check an extrapolation at; None if no size is extrapolated or none is affordable.

        It is a case of the run if one can be counted in time, else a size between the ladder and the smallest case.
        """

        def seconds(case: CaseKey) -> float:
            return predict["ops"](case) * self.per_operation

        if "ops" not in predict:
            return None
        beyond = [case for case in cases if case.n not in self.seen and seconds(case) > DIRECT_S]
        limit_s = min(SPOT_S, self.budget_s / 4)
        affordable = [case for case in beyond if seconds(case) <= limit_s]
        if affordable or not beyond:
            return max(affordable, key=lambda case: case.n, default=None)
        first = min(beyond, key=lambda case: case.n)
        started = time.perf_counter()
        for n in range(first.n, max(self.seen), -max(1, first.n // 16)):
            spot = msgspec.structs.replace(first, n=n)
            try:
                self.source.schedule(n)
                if seconds(spot) <= limit_s:
                    return spot
            except ValueError:  # there are no events of this size, or the polynomial is no integer there
                continue
            if time.perf_counter() - started > limit_s:
                return None
        return None

    def _spot_count(self, spot: CaseKey, cases: list[CaseKey]) -> Count | None:
        """Return the count of a size to check an extrapolation at; None if it has none after all."""
        asked = spot.id in {case.id for case in cases}
        try:
            found = self._within_budget(spot)
        except InexactError:
            raise
        except Exception:  # a size that nobody asked for, which a user's model may refuse in any way
            if asked:
                raise
            return None
        self.exhausted = False  # the prediction of its seconds was wrong, not that of the smaller sizes
        if found.count_source != "counted":
            return None
        if not asked:
            found.n, found.ladder_of = spot.n, cases[0].id
        return found

    def _within_budget(self, case: CaseKey) -> Count:
        why = "not tried: counting a smaller size already took too long"
        if not self.exhausted:
            limit_s = self.budget_s / 4
            try:
                self.seen[case.n] = self.direct(case, limit_s)
                return self.seen[case.n]
            except CountBudgetExceeded:
                self.exhausted = True
                why = f"counting took longer than {limit_s:g} s, a quarter of the budget for counting"
        return Count(case.id, None, None, None, None, None, None, "none", why_unknown=why + self._after_refusals())

    def _after_refusals(self) -> str:
        """Return what to do about the sizes of the ladder that the model does not take."""
        if not self.refused:
            return ""
        n, why = next(iter(self.refused.items()))
        return f"; N = {n} of count_ladder fails ({why}): list small sizes that the model takes"

    def _why_unpredicted(self) -> str:
        """Return why the depth of a size that was not counted is unknown."""
        counted = (count.why_unknown for count in self.seen.values() if count.depth is None and count.why_unknown)
        return next(counted, "the counted sizes fit no polynomial")

    def _climb(self, cases: list[CaseKey]) -> Iterator[Count]:
        """Yield the counts of the ladder's sizes, until the budget is spent."""
        case, sizes = cases[0], {case.n for case in cases}
        left = self.budget_s
        for n in sorted(self.source.count_ladder):
            started = time.perf_counter()
            try:
                self.seen[n] = self.direct(msgspec.structs.replace(case, n=n), left)
            except CountBudgetExceeded:
                return
            except InexactError:
                raise
            except Exception as error:  # a size that nobody asked for, which a user's model may refuse in any way
                if n in sizes:
                    raise
                self.refused[n] = one_line(error)
                continue
            if n not in sizes:
                self.seen[n].n, self.seen[n].ladder_of = n, case.id
            yield self.seen[n]
            left -= time.perf_counter() - started
            if left <= 0:
                return

    def _encoding(self, case: CaseKey) -> Counts:
        if case.n not in self._encodings:
            context = self.setup.task(self.source, case).context
            self._encodings[case.n] = count(lambda: self.source.encode(context, case.n))
        return self._encodings[case.n]

    def _extrapolators(self, case: CaseKey) -> dict[str, Callable[[CaseKey], int]]:
        """Return a predictor for each counter whose polynomial predicted the ladder's last size."""
        if len(self.seen) < 2:
            return {}
        sizes = sorted(self.seen)
        encoding = {n: self._encoding(msgspec.structs.replace(case, n=n)) for n in sizes}
        found: dict[str, Callable[[CaseKey], int]] = {}
        for name in COUNTERS:
            values = [getattr(self.seen[n], name) for n in sizes]
            if None in values:
                continue
            if name in ADDITIVE:
                values = [v - getattr(encoding[n], name) for v, n in zip(values, sizes, strict=True)]
            polynomial = extrapolator(sizes[:-1], values[:-1], (sizes[-1], values[-1]))
            if polynomial is not None:
                found[name] = self._predictor(name, polynomial)
        return found

    def _predictor(self, name: str, polynomial: Callable[[int], int]) -> Callable[[CaseKey], int]:
        def predict(case: CaseKey) -> int:
            extra = getattr(self._encoding(case), name) if name in ADDITIVE else 0
            return polynomial(case.n) + extra

        return predict


def _evaluated(method: Method, calls: int, found: Counts) -> int | None:
    """Return how often a call evaluated the network; None for code from outside that may do so on its own."""
    return None if method.outside and (calls == 0 or found.depth is None) else calls


def _unrefuted(
    predict: Mapping[str, Callable[[CaseKey], int]], case: CaseKey, found: Count
) -> dict[str, Callable[[CaseKey], int]]:
    """Return the predictors that a count does not contradict."""

    def agrees(name: str, f: Callable[[CaseKey], int]) -> bool:
        try:
            return getattr(found, name) in (f(case), None)
        except ValueError:  # the polynomial is no integer there
            return False

    return {name: f for name, f in predict.items() if agrees(name, f)}


def counter_for(
    setup: ModelSetup,
    source: Source,
    twin: Source,
    case: CaseKey,
    witness: Witness,
    budget_s: float,
    all_direct: bool = False,
) -> Counter:
    """Return the counter for a case at every N.

    Args:
        setup: provides the input.
        source: the model.
        twin: the model in float64, which counts the methods whose path depends on values, so that counts are exact.
        case: one of the cases.
        witness: as for ``Counter``.
        budget_s: as for ``Counter``.
        all_direct: as for ``Counter``.
    """
    if case.data_dependent:
        exact = replace(setup, dtype="float64", backend="eager")
        return Counter(exact, twin, Witness(exact, twins={None: twin}), budget_s, all_direct)
    return Counter(setup, source, witness, budget_s, all_direct)
