"""From raw lines to rows: cases, ratios and fits, derived from a results file and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

import msgspec

from arbench.bench.case import KERNEL_SPEC, CaseKey
from arbench.bench.fits import fits
from arbench.bench.ratios import ratios, slowdowns
from arbench.bench.samples import by_case, seconds_by_worker
from arbench.border.printable import on_one_line
from arbench.results import Case, Fit, Ratio, Results, ResultsError, Samples, Slowdown, StoppedBy
from arbench.results.threads import times_the_threads
from arbench.stats import summarise
from arbench.stats.chunks import pace
from arbench.stats.roofline import bandwidth, product

ROOF = 1.25
"""Largest credible multiple of a measured limit; a faster row is an error of the harness."""


def planned(results: Results) -> list[CaseKey]:
    """Return the cases of a run from its first line. Raises ResultsError if the plan is not arbench's."""
    try:
        cases = msgspec.convert(results.run.plan["cases"], list[CaseKey])
        if len({case.id for case in cases}) < len(cases):
            raise msgspec.ValidationError("one case occurs twice")
        return cases
    except (KeyError, msgspec.ValidationError) as error:
        raise ResultsError(
            f"the plan in the results file lists no cases that arbench knows: {on_one_line(error)}; "
            "measure again with arbench run"
        ) from None


def needed(results: Results) -> list[CaseKey]:
    """Return the cases that were counted for the sake of verdicts alone. Raises ResultsError as ``planned`` does."""
    try:
        return list(msgspec.convert(results.run.plan.get("needed", {}), dict[str, CaseKey]).values())
    except msgspec.ValidationError as error:
        raise ResultsError(
            f"the plan in the results file needs unknown cases: {error}; measure again with arbench run"
        ) from None


def derive(results: Results, stopped: Mapping[str, StoppedBy] | None = None) -> list[Case | Ratio | Slowdown | Fit]:
    """Return every row that the raw lines support: cases that were reached, ratios, slowdowns, fits.

    Args:
        results: the raw lines.
        stopped: why the timing of each case stopped, by id; a missing case was interrupted.

    Raises:
        ResultsError: the plan is not arbench's.
    """
    cases = planned(results)
    samples = by_case(results.samples)
    rows = [row for case in cases if (row := _case(case, results, samples.get(case.id, []), stopped or {}))]
    sound = {row.id for row in rows if row.status == "ok"}
    trusted = {case: lines for case, lines in samples.items() if case in sound}
    return [*rows, *ratios(cases, trusted), *slowdowns(cases, trusted), *fits(cases, results, trusted, needed(results))]


def limit_flops(results: Results, dtype: str) -> float | None:
    """Return the highest measured rate of a matrix product in a dtype, in FLOP/s."""
    measured = [results.run.limits, *(line.limits for line in results.limits)]
    rates = [rate for limits in measured if (rate := product(limits, dtype)) is not None]
    return max(rates) * 1e9 if rates else None


def limit_bytes(results: Results, working_set: int) -> float | None:
    """Return the highest measured bandwidth for a working set, in bytes per second."""
    measured = [results.run.limits, *(line.limits for line in results.limits)]
    rates = [rate for limits in measured if (rate := bandwidth(limits, working_set)) is not None]
    return max(rates) * 1e9 if rates else None


def above_roof(case: CaseKey, results: Results, samples: Iterable[Samples]) -> str | None:
    """Return by how much a case exceeds a measured limit of the machine, or None if it does not.

    A kernel's bytes are compared with the bandwidth too. A model's are not: its operations read and write more than
    the model needs, and caches may serve them.
    """
    seconds = seconds_by_worker(samples)
    return _faster_than_possible(case, results, summarise(seconds).median_s) if seconds else None


def _faster_than_possible(case: CaseKey, results: Results, median_s: float) -> str | None:
    count = results.counts.get(case.id)
    if count is None:
        return None
    peak, more = limit_flops(results, case.dtype), times_the_threads(case.threads, results)
    checks = [(count.flops, peak and peak * more, "GFLOP/s", f"limit of {case.dtype}")]
    if case.spec == KERNEL_SPEC and count.bytes:
        proof = results.verifications.get(case.id)
        working_set = (proof.verified or {}).get("working_set", count.bytes) if proof else count.bytes
        checks.append((count.bytes, limit_bytes(results, working_set), "GB/s", "bandwidth of its working set"))
    for amount, limit, unit, name in checks:
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
        for name in ("depth", "nfe", "flops", "ops", "bytes", "peak_bytes", "count_source", "why_unknown", "twin"):
            setattr(row, name, getattr(count, name))
    for name in ("prompt", "state_bytes", "token_bytes"):
        setattr(row, name, (proof.verified or {}).get(name))
    if row.nfe is None and proof.verified:
        row.nfe = proof.verified.get("nfe")
    seconds = seconds_by_worker(samples)
    if not seconds or row.status == "inexact":  # what was timed is not what was verified
        return row
    found = summarise(seconds)
    row.median_s, row.ci95_s, row.range_s = found.median_s, found.ci95_s, found.range_s
    row.workers, row.samples, row.outliers = found.workers, found.samples, found.outliers
    row.unstable = found.unstable
    row.stopped_by = stopped.get(case.id, "interrupted")
    cold = [line.cold_s for line in samples if line.cold_s is not None]
    row.cold_s = median(cold) if cold else None
    _add_pace(row, samples)
    if row.status == "ok" and (wrong := _faster_than_possible(case, results, found.median_s)):
        row.status, row.error = "error", wrong
    return row


def _add_pace(row: Case, samples: list[Samples]) -> None:
    """Add how the chunks came, for a case that draws chunk by chunk."""
    calls: dict[int, list[list[float]]] = {}
    noise: dict[int, list[float]] = {}
    for line in samples:
        if line.chunks:
            calls.setdefault(line.worker, []).extend(line.chunks)
            noise.setdefault(line.worker, []).extend(line.noise_s or ())
    if row.chunk is None or not calls:
        return
    found = pace(calls, partial=row.n % row.chunk != 0)
    row.first_s, row.gaps = found.first_s, found.gaps
    row.gap_median_s, row.gap_worst_s, row.gap_p99_s = found.gap_median_s, found.gap_worst_s, found.gap_p99_s
    each = [median(seconds) for seconds in noise.values() if seconds]
    row.noise_s = median(each) if each else None
