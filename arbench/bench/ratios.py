"""Ratios of the seconds of two cases, from samples that the same processes took in the same rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from arbench.bench.case import CaseKey
from arbench.results import OWN_SAMPLES, Ratio, Samples, Slowdown
from arbench.stats import ratio

Rounds = dict[tuple[int, int], float]


def ratios(cases: Iterable[CaseKey], samples: Mapping[str, list[Samples]]) -> Iterable[Ratio]:
    """Yield the speed of each case relative to the reference method of its op, where both were timed.

    Args:
        cases: the cases of a run.
        samples: the samples to compare, by id of the case.
    """
    known = list(cases)
    references = {(*_place(case), case.op): case for case in known if case.reference}
    for case in known:
        reference = references.get((*_place(case), case.op))
        if reference is None or reference is case:
            continue
        mine, theirs = _rounds(case, samples), _rounds(reference, samples)
        if mine.keys() & theirs.keys():
            found = ratio(mine, theirs)
            yield Ratio(case.id, reference.id, found.ratio, found.ci95, found.range, found.workers)


def slowdowns(cases: Iterable[CaseKey], samples: Mapping[str, list[Samples]]) -> Iterable[Slowdown]:
    """Yield how many times as long as scoring each case of sampling takes, where both were timed at its N.

    Scoring is represented by the fastest exact method that accepts any data; sampling by itself, whatever its method.

    Args:
        cases: the cases of a run.
        samples: the samples to compare, by id of the case.
    """
    known = [(case, rounds) for case in cases if (rounds := _rounds(case, samples))]
    scored: dict[Any, list[tuple[CaseKey, Rounds]]] = defaultdict(list)
    for case, rounds in known:
        if case.op == "score" and case.exactness == "pointwise" and case.method != OWN_SAMPLES:
            scored[case.backend, _place(case)].append((case, rounds))
    for case, rounds in known:
        if case.op != "sample":
            continue
        shared = [
            (other, theirs) for other, theirs in scored[case.backend, _place(case)] if theirs.keys() & rounds.keys()
        ]
        if shared:
            score, theirs = min(shared, key=lambda pair: median(pair[1].values()))
            found = ratio(theirs, rounds)
            yield Slowdown(case.id, score.id, found.ratio, found.ci95, found.range, found.workers)


def _place(case: CaseKey) -> tuple[Any, ...]:
    return case.worker_key, case.model, case.preset, case.batch, case.n


def _rounds(case: CaseKey, samples: Mapping[str, list[Samples]]) -> Rounds:
    """Return the median seconds of each round, by worker and round."""
    return {(line.worker, line.round): median(line.seconds) for line in samples.get(case.id, [])}
