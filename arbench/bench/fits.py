"""Growth of depth, work and seconds over N, and the verdicts on what the models claim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median
from types import MappingProxyType
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.samples import seconds_by_worker
from arbench.results import KEY, Count, Fit, Results, Samples
from arbench.stats import CLASSES, Growth, fit_exact, fit_noisy, judge_counts


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
    steps = {
        (case.worker_key, case.batch, case.op): {n: count.nfe for n, count in counts.items() if count.nfe}
        for (case, *_) in all_keys
        if case.reference and (counts := counted[case.key])
    }
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
                    counts,
                    single,
                    case.returning,
                    steps.get((case.worker_key, case.batch, case.op), {}),
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


_TIMES = {
    ("log N", "N"): "N log N",
    ("sqrt N", "sqrt N"): "N",
    ("N", "log N"): "N log N",
    ("sqrt N", "N"): "N^2",  # no class lies between
    ("N", "sqrt N"): "N^2",
    ("N", "N"): "N^2",
    ("N", "N^2"): "N^3",
}


def _times(steps: str, one: str) -> str | None:
    """Return the class of the product of a number of passes and the cost of one, or None if no class fits."""
    return one if steps == "1" else steps if one == "1" else _TIMES.get((steps, one))


def judge_bound(
    claimed: str,
    growth: Growth,
    counts: Mapping[int, Count],
    one_pass: Growth | None,
    returning: bool = False,
    steps: Mapping[int, int] = MappingProxyType({}),
) -> tuple[Any, str]:
    """Judge the "at most" claim of an iterative method from the cost of one pass.

    With G groups of elements the method evaluates the network at most G + 1 times (``returning``: 2 G), so its cost
    grows at most as G times the cost of one pass. The claim holds if that product is the claimed class and every
    counted size costs less than twice as many passes. It fails if a size needed more evaluations, if the product
    exceeds the claim, or if an exact fit of the values grows faster.

    Args:
        claimed: growth class after '<= '.
        growth: growth of the whole method.
        counts: counts of the method by N.
        one_pass: growth of a method that evaluates the network once; None if unknown.
        returning: whether the method may go back to earlier elements.
        steps: G by N: how often the reference evaluates the network; where it was not counted, G is what fits the
            others exactly, or N.

    Returns:
        The verdict and its reason.
    """
    grown = fit_exact(list(steps), list(steps.values())) if len(steps) >= 4 else None
    groups = (grown.fitted if grown else None) or "N"
    name = "N" if groups == "N" else "G"
    most = f"2 {name}" if returning else f"{name} + 1"
    bound = claimed.removeprefix("<= ")
    sizes, values = growth.sizes, growth.values
    if one_pass is None or one_pass.fitted is None or len(sizes) < 4 or sizes[-1] < 4 * sizes[0]:
        return _without_passes(claimed, growth)
    for n, value in zip(sizes, values, strict=True):
        nfe, least = counts[n].nfe, steps.get(n) or (round(grown.predict(n)) if grown and grown.formula else n)
        limit = 2 * least if returning else least + 1
        if nfe is not None and nfe > limit:
            return "fails", f"{nfe} evaluations at N = {n}, more than {most}"
        if value > 2 * limit * one_pass.predict(n):
            return "fails", f"more than 2 ({most}) passes' worth at N = {n}"
    beyond = growth.formula is not None and growth.fitted not in CLASSES[: CLASSES.index(bound) + 1]
    if beyond or _times(groups, one_pass.fitted) != bound:  # growth is exact: cost outside the passes counts too
        return judge_counts(claimed, growth)
    seen = [counts[n].nfe for n in sizes]
    what = "" if groups == "N" else f" of G = O({groups}) groups"
    return "holds", (
        f"at most {most if returning else name} passes{what}, each O({one_pass.fitted}); "
        f"{seen[0]} to {seen[-1]} were needed at N = {sizes[0]} to {sizes[-1]}"
    )


def _without_passes(claimed: str, growth: Growth) -> tuple[Any, str]:
    """Return the verdict on a bound where the cost of a pass is unknown: only an exact fit of the values refutes it."""
    verdict, why = judge_counts(claimed, growth)
    if verdict == "fails" and growth.formula is None:
        return "undecided", f"what one pass costs is unknown, and passes that depend on the data prove nothing; {why}"
    return verdict, why


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
