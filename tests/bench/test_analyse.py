"""Rows derived from fabricated lines, and the roof above them; every expected number is computed by hand."""

from __future__ import annotations

from types import ModuleType

import pytest

from arbench.bench.analyse import above_roof, derive, planned
from arbench.results import Case, Count, Fit, Limits, Ratio, ResultsError, Samples, Verification


def test_the_plan_of_another_program_is_refused(made: ModuleType):
    results = made.fabricated([])
    results.run.plan = {"cases": [{"speed": 3}]}
    with pytest.raises(ResultsError, match=r"^the plan in the results file lists no cases that arbench knows: "):
        planned(results)


def test_a_case_that_was_not_reached_has_no_row(made: ModuleType):
    a, b = made.key(n=8), made.key(n=16)
    (row,) = derive(made.fabricated([a, b], *made.proved(a)))
    assert isinstance(row, Case)
    assert (row.id, row.status, row.median_s, row.stopped_by) == (a.id, "ok", None, None)


def test_fewer_than_six_workers_show_a_range(made: ModuleType):
    case = made.key()
    (row,) = derive(made.fabricated([case], *made.proved(case), *made.timed(case, 1.0, 3.0, 2.0, 5.0, 4.0, rounds=2)))
    assert (row.median_s, row.range_s, row.ci95_s) == (3.0, (1.0, 5.0), None)
    assert (row.workers, row.samples) == (5, 10)
    assert row.unstable


def test_six_workers_give_an_interval(made: ModuleType):
    """The smallest and largest of six are the interval: it misses the median with probability 2 (1/2)^6, 3.1%."""
    case = made.key()
    (row,) = derive(made.fabricated([case], *made.proved(case), *made.timed(case, 1.0, 1.02, 1.01, 1.04, 1.03, 1.05)))
    assert row.median_s == pytest.approx(1.025)
    assert (row.ci95_s, row.range_s) == ((1.0, 1.05), None)
    assert not row.unstable


def test_one_worker_has_neither(made: ModuleType):
    case = made.key()
    (row,) = derive(made.fabricated([case], *made.proved(case), *made.timed(case, 1.0)))
    assert (row.median_s, row.ci95_s, row.range_s) == (1.0, None, None)


def test_a_worker_counts_once_however_many_samples_it_has(made: ModuleType):
    case = made.key()
    lines = [Samples(case.id, 0, 0, 1.7e9, [9.0] * 50), *made.timed(case, 9.0, 1.0, 2.0)[1:]]
    (row,) = derive(made.fabricated([case], *made.proved(case), *lines))
    assert row.median_s == 2.0
    assert row.samples == 52


def test_why_timing_ended(made: ModuleType):
    a, b = made.key(n=8), made.key(n=16)
    results = made.fabricated([a, b], *made.proved(a, b), *made.timed(a, 1.0), *made.timed(b, 1.0))
    rows = made.only(Case, derive(results, {a.id: "target"}))
    assert [row.stopped_by for row in rows] == ["target", "interrupted"]
    assert {row.stopped_by for row in made.only(Case, derive(results))} == {"interrupted"}


def test_cold_is_the_median_over_workers_that_have_it(made: ModuleType):
    case = made.key()
    lines = [Samples(case.id, w, 0, 1.7e9, [1.0], cold) for w, cold in enumerate([7.0, None, 3.0, 4.0])]
    (row,) = derive(made.fabricated([case], *made.proved(case), *lines))
    assert row.cold_s == 4.0


def test_what_was_charged_keeps_its_reason_and_its_samples(made: ModuleType):
    case = made.key()
    proof = Verification(case.id, "timeout", "pointwise", {"how": "fixed point"}, "no response for 5 s")
    (row,) = derive(made.fabricated([case], *made.proved(case), proof, *made.timed(case, 1.0)))
    assert (row.status, row.error, row.samples) == ("timeout", "no response for 5 s", 1)


def test_counts_join_their_case_and_passes_come_from_the_check_where_none_were_counted(made: ModuleType):
    a, b, c = made.key(n=8), made.key(n=16), made.key(n=32)
    counts = [made.counted(a, 25, nfe=8), Count(b.id, None, None, None, None, None, None, "none")]
    rows = made.only(Case, derive(made.fabricated([a, b, c], *made.proved(a, b, c, nfe=16), *counts)))
    assert [(row.depth, row.nfe, row.flops, row.count_source) for row in rows] == [
        (25, 8, 800, "counted"),
        (None, 16, None, "none"),
        (None, 16, None, "none"),
    ]


def test_samples_of_a_case_that_failed_after_them_make_no_ratio_and_no_fit(made: ModuleType):
    cases = made.ladder()
    reference = made.key("naive", n=cases[0].n)
    lines = [line for case in [*cases, reference] for line in made.timed(case, *[1e-3 * case.n + 0.01] * 6)]
    failed = Verification(cases[0].id, "timeout", "pointwise", {}, "no response for 5 s")
    rows = derive(made.fabricated([*cases, reference], *made.proved(*cases, reference), failed, *lines))
    assert made.only(Case, rows)[0].samples == 6
    assert made.only(Ratio, rows) == made.only(Fit, rows) == []


ROOM = {"matmul": {"float32": 1e-6}}
"""1,000 FLOP/s; a case of 8 elements does 800 FLOPs."""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.8, None),
        (0.64, None),  # exactly 1.25 times the limit
        (0.63, "an error of the harness: 1.27e-06 GFLOP/s, 1.27 times the measured limit of float32"),
        (0.1, "an error of the harness: 8e-06 GFLOP/s, 8.00 times the measured limit of float32"),
    ],
)
def test_above_the_roof(made: ModuleType, seconds, said):
    case = made.key()
    samples = made.timed(case, seconds, seconds)
    results = made.fabricated([case], *made.proved(case), made.counted(case, 9), *samples, limits=ROOM)
    assert above_roof(case, results, samples) == said
    (row,) = made.only(Case, derive(results))
    assert (row.status, row.error) == (("error", said) if said else ("ok", None))


def test_more_threads_than_the_run_has_raise_the_roof(made: ModuleType):
    case = made.key(threads=2)
    samples = made.timed(case, 0.33)
    lines = [*made.proved(case), made.counted(case, 9), *samples]
    assert above_roof(case, made.fabricated([case], *lines, limits=ROOM), samples) is None
    samples = made.timed(case, 0.31)
    said = "an error of the harness: 2.58e-06 GFLOP/s, 1.29 times the measured limit of float32"
    assert above_roof(case, made.fabricated([case], *lines[:2], *samples, limits=ROOM), samples) == said


def test_the_roof_is_the_highest_limit_that_was_measured(made: ModuleType):
    case = made.key()
    samples = made.timed(case, 0.1)
    lines = [*made.proved(case), made.counted(case, 9), *samples]
    assert above_roof(case, made.fabricated([case], *lines, limits=ROOM), samples)
    higher = Limits("2026-01-05T12:00:00+00:00", {"matmul": {"float32": 1e-5}})
    assert above_roof(case, made.fabricated([case], *lines, higher, limits=ROOM), samples) is None
    lower = Limits("2026-01-05T12:00:00+00:00", {"matmul": {"float32": 1e-9}})
    assert above_roof(case, made.fabricated([case], *lines, higher, lower, limits=ROOM), samples) is None


@pytest.mark.parametrize("what", ["limit", "count", "flops", "samples"])
def test_there_is_no_roof_over_what_is_not_known(made: ModuleType, what):
    case = made.key()
    samples = made.timed(case, 0.1) if what != "samples" else []
    count = [made.counted(case, 9)] if what != "count" else []
    if what == "flops":
        count[0].flops = None
    limits = ROOM if what != "limit" else {"matmul": {"float64": 1e-9}}
    assert (
        above_roof(case, made.fabricated([case], *made.proved(case), *count, *samples, limits=limits), samples) is None
    )


def test_a_case_with_another_fault_keeps_it_above_the_roof(made: ModuleType):
    case = made.key()
    proof = Verification(case.id, "oom", "pointwise", None, "MemoryError")
    results = made.fabricated([case], proof, made.counted(case, 9), *made.timed(case, 1e-3), limits=ROOM)
    (row,) = made.only(Case, derive(results))
    assert (row.status, row.error) == ("oom", "MemoryError")
