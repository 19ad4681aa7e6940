"""From raw lines to rows: cases, ratios and fits, derived from a results file and from nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from statistics import median
from types import MappingProxyType
from typing import Any

import msgspec

from arbench.bench.case import KERNELS, CaseKey
from arbench.results import Case, Count, Fit, Ratio, Results, ResultsError, Samples, StoppedBy
from arbench.stats import CLASSES, Growth, fit_exact, fit_noisy, judge_counts, ratio, summarise
from arbench.stats.roofline import bandwidth, product

ROOF = 1.25
"""A row faster than this many times the measured limit is an error of the harness."""


def planned(results: Results) -> list[CaseKey]:
    """The cases of a run, as its first line has them. Raises ResultsError where its plan is not arbench's."""
    try:
        return msgspec.convert(results.run.plan["cases"], list[CaseKey])
    except (KeyError, msgspec.ValidationError) as error:
        raise ResultsError(f"the plan in the results file lists no cases that arbench knows: {error}") from None


def derive(results: Results, stopped: Mapping[str, StoppedBy] | None = None) -> list[Case | Ratio | Fit]:
    """Every row that the raw lines support: cases that were reached, ratios, fits.

    Args:
        stopped: why each case's timing ended; a case that is not named was interrupted.
    """
    cases = planned(results)
    samples = by_case(results.samples)
    rows = [row for case in cases if (row := _case(case, results, samples.get(case.id, []), stopped or {}))]
    sound = {row.id for row in rows if row.status == "ok"}
    trusted = {case: lines for case, lines in samples.items() if case in sound}
    return [*rows, *_ratios(cases, trusted), *_fits(cases, results, trusted)]


def by_case(samples: Iterable[Samples]) -> dict[str, list[Samples]]:
    """Samples, by the case they belong to."""
    found = defaultdict(list)
    for line in samples:
        found[line.case].append(line)
    return found


def seconds_by_worker(samples: Iterable[Samples]) -> dict[int, list[float]]:
    """Every duration, by the process that measured it."""
    found: dict[int, list[float]] = defaultdict(list)
    for line in samples:
        found[line.worker].extend(line.seconds)
    return found


def limit_flops(results: Results, dtype: str) -> float | None:
    """The best measured matrix product of a dtype, in FLOP/s."""
    measured = [results.run.limits, *(line.limits for line in results.limits)]
    rates = [rate for limits in measured if (rate := product(limits, dtype)) is not None]
    return max(rates) * 1e9 if rates else None


def limit_bytes(results: Results, working_set: int) -> float | None:
    """The best measured bandwidth for a working set, in bytes a second."""
    measured = [results.run.limits, *(line.limits for line in results.limits)]
    rates = [rate for limits in measured if (rate := bandwidth(limits, working_set)) is not None]
    return max(rates) * 1e9 if rates else None


def above_roof(case: CaseKey, results: Results, samples: Iterable[Samples]) -> str | None:
    """What is wrong with a case that is faster than the machine can be; None if it is not.

    Of kernels the bytes are held against the bandwidth too; what the operations of a model read and write is
    more than it must.
    """
    count = results.counts.get(case.id)
    seconds = seconds_by_worker(samples)
    if count is None or not seconds:
        return None
    median_s = summarise(seconds).median_s
    held = [(count.flops, limit_flops(results, case.dtype), "GFLOP/s", f"limit of {case.dtype}")]
    if case.spec == KERNELS and count.bytes:
        proof = results.verifications.get(case.id)
        working_set = (proof.verified or {}).get("working_set", count.bytes) if proof else count.bytes
        held.append((count.bytes, limit_bytes(results, working_set), "GB/s", "bandwidth of its working set"))
    for amount, limit, unit, name in held:
        if amount and limit and amount / median_s > ROOF * limit:
            reached = amount / median_s
            return (
                f"an error of the harness: {reached / 1e9:.3g} {unit}, {reached / limit:.2f} times the measured {name}"
            )
    return None


def _case(case: CaseKey, results: Results, samples: list[Samples], stopped: Mapping[str, StoppedBy]) -> Case | None:
    proof = results.verifications.get(case.id)
    if proof is None:
        return None
    facts = {f: getattr(case, f) for f in case.__struct_fields__ if f in Case.__struct_fields__}
    row = Case(id=case.id, status=proof.status, error=proof.error, verified=proof.verified, **facts)
    if count := results.counts.get(case.id):
        for name in ("depth", "nfe", "flops", "ops", "bytes", "peak_bytes", "count_source", "why_unknown"):
            setattr(row, name, getattr(count, name))
    if row.nfe is None and proof.verified:
        row.nfe = proof.verified.get("nfe")
    seconds = seconds_by_worker(samples)
    if not seconds:
        return row
    found = summarise(seconds)
    row.median_s, row.ci95_s, row.range_s = found.median_s, found.ci95_s, found.range_s
    row.workers, row.samples, row.outliers = found.workers, found.samples, found.outliers
    row.unstable = found.unstable
    row.stopped_by = stopped.get(case.id, "interrupted")
    cold = [line.cold_s for line in samples if line.cold_s is not None]
    row.cold_s = median(cold) if cold else None
    if row.status == "ok" and (wrong := above_roof(case, results, samples)):
        row.status, row.error = "error", wrong
    return row


def _ratios(cases: list[CaseKey], samples: Mapping[str, list[Samples]]) -> Iterable[Ratio]:
    def rounds(case: CaseKey) -> dict[tuple[int, int], float]:
        return {(line.worker, line.round): median(line.seconds) for line in samples.get(case.id, [])}

    def place(case: CaseKey) -> tuple[Any, ...]:
        return case.setting, case.model, case.preset, case.op, case.batch, case.n

    references = {place(case): case for case in cases if case.reference}
    for case in cases:
        reference = references.get(place(case))
        if reference is None or reference is case:
            continue
        mine, theirs = rounds(case), rounds(reference)
        if mine.keys() & theirs.keys():
            found = ratio(mine, theirs)
            yield Ratio(case.id, reference.id, found.ratio, found.ci95, found.range, found.workers)


def family_of(case_id: str) -> tuple[str, int]:
    """A case's id without its size, and the size."""
    family, _, n = case_id.rpartition("/n")
    if not (family and n.isdecimal()):
        raise ResultsError(f"'{case_id}' in the results file is not the id of a case")
    return family, int(n)


def _fits(cases: list[CaseKey], results: Results, samples: Mapping[str, list[Samples]]) -> Iterable[Fit]:
    counted: dict[str, dict[int, Count]] = defaultdict(dict)
    for line in results.counts.values():
        if line.count_source == "counted":
            family, n = family_of(line.case)
            counted[family][n] = line
    families = [list(group) for _, group in groupby(cases, key=lambda case: case.family)]
    one_pass = {
        (members[0].setting, members[0].batch, metric): growth
        for members in families
        if _evaluates_once(counts := counted[family_of(members[0].id)[0]])
        for metric in ("depth", "work")
        if (growth := _growth(counts, metric)) is not None
    }
    steps = {
        (case.setting, case.batch, case.op): {n: count.nfe for n, count in counts.items() if count.nfe}
        for (case, *_) in families
        if case.reference and (counts := counted[family_of(case.id)[0]])
    }
    for members in families:
        case = members[0]
        counts = counted[family_of(case.id)[0]]
        for metric, claimed in (("depth", case.claimed_depth), ("work", case.claimed_work)):
            growth = _growth(counts, metric)
            if growth is None:
                continue
            if claimed is None:
                verdict, why = "undecided", "nothing is claimed"
            elif claimed.startswith("<= "):
                single = one_pass.get((case.setting, case.batch, metric))
                verdict, why = judge_bound(
                    claimed,
                    growth,
                    counts,
                    single,
                    case.returning,
                    steps.get((case.setting, case.batch, case.op), {}),
                )
            else:
                verdict, why = judge_counts(claimed, growth)
            yield _fit(case, metric, claimed, growth, verdict, why)
        if timed := _seconds(members, samples):
            yield _fit(case, "seconds", None, timed, "undecided", "no growth of seconds is claimed")
    yield from _parameters(cases)


def _parameters(cases: Iterable[CaseKey]) -> Iterable[Fit]:
    """Of each model whose parameters grow with N, one fit beside its first case."""
    weights: dict[tuple[str, str], dict[int, CaseKey]] = defaultdict(dict)
    for case in cases:
        weights[case.model, case.preset].setdefault(case.n, case)
    for by_n in weights.values():
        sizes = sorted(by_n)
        growth = fit_exact(sizes, [by_n[n].weights for n in sizes])
        if growth.fitted not in (None, "1"):
            first = next(iter(by_n.values()))
            yield _fit(first, "weights", None, growth, "undecided", "no growth of parameters is claimed")


def _evaluates_once(counts: Mapping[int, Count]) -> bool:
    return bool(counts) and all(count.nfe == 1 for count in counts.values())


def _growth(counts: Mapping[int, Count], metric: str) -> Growth | None:
    name = "flops" if metric == "work" else metric
    known = {n: getattr(count, name) for n, count in sorted(counts.items())}
    known = {n: value for n, value in known.items() if value is not None}
    if not known:
        return None
    growth = fit_exact(list(known), list(known.values()))
    if growth.fitted is None and metric == "work":
        # conditioning comes in frames, ceil(N / hop) of them: no polynomial, but no noise either
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
    """The class of so many passes of such a class each; None where there is none."""
    return one if steps == "1" else steps if one == "1" else _TIMES.get((steps, one))


def judge_bound(
    claimed: str,
    growth: Growth,
    counts: Mapping[int, Count],
    one_pass: Growth | None,
    returning: bool = False,
    steps: Mapping[int, int] = MappingProxyType({}),
) -> tuple[Any, str]:
    """Holds an "at most" claim of an iterative method against what one pass costs.

    With G groups of elements it evaluates the network at most G + 1 times (``returning``: 2 G), so whatever
    one pass grows as, the whole grows as at most G times that. The claim holds if that product is what is
    claimed and every counted size stays below twice as many passes; it fails if a size needed more
    evaluations, if the product is more than claimed, or if the values themselves grow faster, exactly.

    Args:
        steps: G by N, which is how often the reference evaluates the network; N where it was not counted.
    """
    grown = fit_exact(list(steps), list(steps.values())).fitted if len(steps) >= 4 else None
    groups = grown or "N"
    name = "N" if groups == "N" else "G"
    most = f"2 {name}" if returning else f"{name} + 1"
    bound = claimed.removeprefix("<= ")
    sizes, values = growth.sizes, growth.values
    if one_pass is None or one_pass.fitted is None or len(sizes) < 4 or sizes[-1] < 4 * sizes[0]:
        return judge_counts(claimed, growth)
    for n, value in zip(sizes, values, strict=True):
        nfe, least = counts[n].nfe, steps.get(n, n)
        limit = 2 * least if returning else least + 1
        if nfe is not None and nfe > limit:
            return "fails", f"{nfe} evaluations at N = {n}, more than {most}"
        if value > 2 * limit * one_pass.predict(n):
            return "fails", f"more than 2 ({most}) passes' worth at N = {n}"
    beyond = growth.formula is not None and growth.fitted not in CLASSES[: CLASSES.index(bound) + 1]
    if beyond or _times(groups, one_pass.fitted) != bound:  # exact growth: what is beside the passes counts
        return judge_counts(claimed, growth)
    seen = [counts[n].nfe for n in sizes]
    what = "" if groups == "N" else f" of G = O({groups}) groups"
    return "holds", (
        f"at most {most if returning else name} passes{what}, each O({one_pass.fitted}); "
        f"{seen[0]} to {seen[-1]} were needed at N = {sizes[0]} to {sizes[-1]}"
    )


def _seconds(members: list[CaseKey], samples: Mapping[str, list[Samples]]) -> Growth | None:
    timed: dict[int, dict[int, float]] = defaultdict(dict)
    for case in members:
        for worker, seconds in seconds_by_worker(samples.get(case.id, [])).items():
            timed[worker][case.n] = median(seconds)
    sizes = sorted({n for found in timed.values() for n in found})
    return fit_noisy(sizes, timed) if len(sizes) >= 4 else None


def _fit(case: CaseKey, metric: Any, claimed: str | None, growth: Growth, verdict: Any, why: str) -> Fit:
    return Fit(
        *case.family,
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
