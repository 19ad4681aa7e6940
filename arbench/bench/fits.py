"""Growth of depth, work and seconds over N, and the verdicts on what the models claim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.samples import seconds_by_worker
from arbench.border.naming import split_weights
from arbench.results import KEY, Count, Fit, Results, Samples
from arbench.stats import Growth, fit_exact, fit_noisy, judge_bound, judge_counts


def fits(
    cases: list[CaseKey],
    results: Results,
    samples: Mapping[str, list[Samples]],
    needed: Sequence[CaseKey] = (),
) -> Iterable[Fit]:
    """Yield a fit for each metric of the cases that differ only in N.

    Args:
        cases: the cases of a run; those that differ only in N stand together.
        results: the raw lines.
        samples: the samples to fit, by id of the case.
        needed: cases that verdicts need beside these; they have no fits of their own.
    """
    counted = _counted([*cases, *needed], results.counts.values())
    by_key = [list(group) for _, group in groupby(cases, key=lambda case: case.key)]
    all_keys = [*by_key, *([case] for case in needed)]
    one_pass = {
        (members[0].worker_key, members[0].batch, metric): growth
        for members in sorted(all_keys, key=lambda members: _evaluations(counted[members[0].key]) == 1)
        if _evaluations(counts := counted[members[0].key]) is not None
        for metric in ("depth", "work")
        if (growth := _growth(counts, metric)) is not None
    }
    groups = _groups(all_keys, counted)
    for members in by_key:
        case = members[0]
        counts = counted[case.key]
        for metric, claimed in (("depth", case.claimed_depth), ("work", case.claimed_work)):
            growth = _growth(counts, metric)
            if growth is None:
                continue
            if claimed is None:
                verdict, why = "undecided", "nothing is claimed"
            elif claimed.startswith("<= "):
                single = one_pass.get((case.worker_key, case.batch, metric))
                verdict, why = judge_bound(
                    claimed,
                    growth,
                    {n: counts[n].nfe for n in growth.sizes},
                    single,
                    groups.get(_scheduled(case), {}),
                    case.returning,
                )
            else:
                verdict, why = judge_counts(claimed, growth)
            fit = _fit(case, metric, claimed, growth, verdict, why)
            if metric == "depth" and verdict == "fails":
                fit.grows_by = grows_by(counts)
            yield fit
        if timed := _seconds(members, samples):
            yield _fit(case, "seconds", None, timed, "undecided", "no growth of seconds is claimed")
    yield from _parameters(cases)


def _groups(
    keys: Iterable[Sequence[CaseKey]], counted: Mapping[Any, Mapping[int, Count]]
) -> dict[tuple[str, str], dict[int, int]]:
    """Return the number of groups by N, for each model and op: how often the reference evaluates the network.

    The schedule of a model is a function of N alone, so counts with other weights, batches and types are of the same
    groups. A size at which counts differ is left out.
    """
    seen: dict[tuple[str, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for case, *_ in keys:
        if case.reference:
            for n, count in counted[case.key].items():
                if count.nfe:
                    seen[_scheduled(case)][n].add(count.nfe)
    return {
        key: {n: found.pop() for n, found in sorted(sizes.items()) if len(found) == 1} for key, sizes in seen.items()
    }


def _scheduled(case: CaseKey) -> tuple[str, str]:
    """Return the model of a case without its trained weights, and the op."""
    return split_weights(case.spec)[0], case.op


def _counted(cases: list[CaseKey], counts: Iterable[Count]) -> dict[Any, dict[int, Count]]:
    """Return the exact counts by the key of their cases and by N, including sizes of the counting ladder."""
    planned = {case.id: case for case in cases}
    found: dict[Any, dict[int, Count]] = defaultdict(dict)
    for line in counts:
        if line.count_source == "counted":
            place = _place(line, planned)
            if place is not None:
                key, n = place
                found[key][n] = line
    return found


def _place(line: Count, planned: Mapping[str, CaseKey]) -> tuple[Any, int] | None:
    """Return the key and N that a count belongs to, or None if it belongs to no case of the plan."""
    if line.case in planned:
        return planned[line.case].key, planned[line.case].n
    if line.n is not None and (case := planned.get(line.ladder_of or "")) is not None:
        return case.key, line.n
    for case in planned.values():  # files from before ``ladder_of``: the id says the rest
        beginning = case.id.removesuffix(str(case.n))
        if line.case.startswith(beginning) and (n := line.case.removeprefix(beginning)).isdecimal():
            return case.key, int(n)
    return None


def _parameters(cases: Iterable[CaseKey]) -> Iterable[Fit]:
    """Yield a fit of the number of parameters for each model where it grows with N, beside its first case."""
    weights: dict[tuple[str, str], dict[int, CaseKey]] = defaultdict(dict)
    for case in cases:
        weights[case.model, case.preset].setdefault(case.n, case)
    for by_n in weights.values():
        sizes = sorted(by_n)
        growth = fit_exact(sizes, [by_n[n].weights for n in sizes])
        if growth.fitted not in (None, "1"):
            first = next(iter(by_n.values()))
            yield _fit(first, "weights", None, growth, "undecided", "no growth of parameters is claimed")


def _evaluations(counts: Mapping[int, Count]) -> int | None:
    """Return how often a method evaluates the network, if that is the same at every N: 1, or the layers of a stack."""
    known = {count.nfe for count in counts.values()}
    return known.pop() if len(known) == 1 else None


def _growth(counts: Mapping[int, Count], metric: str) -> Growth | None:
    name = "flops" if metric == "work" else metric
    known = {n: getattr(count, name) for n, count in sorted(counts.items())}
    known = {n: value for n, value in known.items() if value is not None}
    if not known:
        return None
    growth = fit_exact(list(known), list(known.values()))
    if growth.fitted is None and metric == "work" and min(known.values()) > 0:
        # conditioning comes in ceil(N / hop) frames, which is no polynomial, although it has no noise
        return fit_noisy(list(known), {0: {n: float(value) for n, value in known.items()}})
    return growth


_NAMED = 3
"""Most operators named as the reason of a growth."""


def grows_by(counts: Mapping[int, Count]) -> str | None:
    """Return the operators whose links of the deepest chain grow with N, those that grow most first.

    For example ``cumsum (aten::cumsum counts ceil(log2 N))``.

    Args:
        counts: counts of a method by N.

    Returns:
        None where no operator grows, or links are known at fewer than two sizes.
    """
    known = {n: count.links for n, count in sorted(counts.items()) if count.links}
    if len(known) < 2:
        return None
    names = dict.fromkeys(name for links in known.values() for name in links)
    series = {name: [links.get(name, 0) for links in known.values()] for name in names}
    growing = {name: values for name, values in series.items() if values[-1] > values[0]}
    ranked = sorted(growing, key=lambda name: growing[name][0] - growing[name][-1])
    parts = []
    for name in ranked[:_NAMED]:
        values = growing[name]
        formula = fit_exact(list(known), values).formula
        sizes = list(known)
        amount = formula or f"{values[0]:,} at N = {sizes[0]:,} and {values[-1]:,} at N = {sizes[-1]:,}"
        parts.append(f"{name.rpartition('::')[2]} ({name} counts {amount})")
    more = len(ranked) - _NAMED
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "") if parts else None


def _seconds(members: list[CaseKey], samples: Mapping[str, list[Samples]]) -> Growth | None:
    timed: dict[int, dict[int, float]] = defaultdict(dict)
    for case in members:
        for worker, seconds in seconds_by_worker(samples.get(case.id, [])).items():
            timed[worker][case.n] = median(seconds)
    sizes = sorted({n for found in timed.values() for n in found})
    return fit_noisy(sizes, timed) if len(sizes) >= 4 else None


def _fit(case: CaseKey, metric: Any, claimed: str | None, growth: Growth, verdict: Any, why: str) -> Fit:
    return Fit(
        **dict(zip(KEY, case.key, strict=True)),
        metric=metric,
        claimed=claimed,
        fitted=growth.fitted,
        sizes=list(growth.sizes),
        values=list(growth.values),
        intercept=growth.intercept,
        slope=growth.slope,
        exponent=growth.exponent,
        exponent_ci95=growth.exponent_ci95,
        residual=growth.residual,
        verdict=verdict,
        why=why,
    )
