"""Rows derived from fabricated lines; every expected number is computed by hand."""

from __future__ import annotations

from math import isqrt
from typing import Any

import msgspec
import pytest

from arbench.bench.analyse import above_roof, derive, planned
from arbench.bench.case import CaseKey
from arbench.methods import METHODS
from arbench.report import sentences
from arbench.results import (
    Case,
    Count,
    Fit,
    Limits,
    Ratio,
    Results,
    ResultsError,
    Run,
    Samples,
    Slowdown,
    Verification,
)


def key(method: str = "cached", n: int = 8, **more: Any) -> CaseKey:
    facts = {
        "spec": "m:tiny",
        "model": "m",
        "preset": "tiny",
        "op": "sample",
        "backend": "eager",
        "device": "cpu",
        "dtype": "float32",
        "batch": 1,
        "element": "audio sample",
        "weights": 5,
        "exactness": "pointwise",
        "reference": method == "naive",
        **more,
    }
    return CaseKey(method=method, n=n, **facts)


def fabricated(cases: list[CaseKey], *lines: Any, limits: dict[str, Any] | None = None) -> Results:
    plan = {"options": {}, "cases": msgspec.to_builtins(cases)}
    results = Results(Run(1, "r", "2026-01-05T12:00:00+00:00", [], 0, None, plan, {}, limits or {}))
    for line in lines:
        results.add(line)
    return results


def proved(*cases: CaseKey, status: Any = "ok", **verified: Any) -> list[Verification]:
    return [Verification(case.id, status, "pointwise", verified, None) for case in cases]


def timed(case: CaseKey, *seconds: float, rounds: int = 1, start: int = 0) -> list[Samples]:
    """Return samples of one worker for each duration, with the same duration in each round."""
    return [
        Samples(case.id, worker, number, 1.7e9, [s])
        for worker, s in enumerate(seconds)
        for number in range(start, start + rounds)
    ]


def counted(case: CaseKey, depth: int | None, source: Any = "counted", nfe: int | None = 1) -> Count:
    return Count(case.id, depth, nfe, 100 * case.n, 7, 64, None, source)


def only(kind: type, rows: list) -> list:
    return [row for row in rows if isinstance(row, kind)]


def test_the_plan_of_another_program_is_refused():
    results = fabricated([])
    results.run.plan = {"cases": [{"speed": 3}]}
    with pytest.raises(ResultsError, match=r"^the plan in the results file lists no cases that arbench knows: "):
        planned(results)


def test_a_case_that_was_not_reached_has_no_row():
    a, b = key(n=8), key(n=16)
    (row,) = derive(fabricated([a, b], *proved(a)))
    assert isinstance(row, Case)
    assert (row.id, row.status, row.median_s, row.stopped_by) == (a.id, "ok", None, None)


def test_fewer_than_six_workers_show_a_range():
    case = key()
    (row,) = derive(fabricated([case], *proved(case), *timed(case, 1.0, 3.0, 2.0, 5.0, 4.0, rounds=2)))
    assert (row.median_s, row.range_s, row.ci95_s) == (3.0, (1.0, 5.0), None)
    assert (row.workers, row.samples) == (5, 10)
    assert row.unstable


def test_six_workers_give_an_interval():
    """The smallest and largest of six are the interval: it misses the median with probability 2 (1/2)^6, 3.1%."""
    case = key()
    (row,) = derive(fabricated([case], *proved(case), *timed(case, 1.0, 1.02, 1.01, 1.04, 1.03, 1.05)))
    assert row.median_s == pytest.approx(1.025)
    assert (row.ci95_s, row.range_s) == ((1.0, 1.05), None)
    assert not row.unstable


def test_one_worker_has_neither():
    case = key()
    (row,) = derive(fabricated([case], *proved(case), *timed(case, 1.0)))
    assert (row.median_s, row.ci95_s, row.range_s) == (1.0, None, None)


def test_a_worker_counts_once_however_many_samples_it_has():
    case = key()
    lines = [Samples(case.id, 0, 0, 1.7e9, [9.0] * 50), *timed(case, 9.0, 1.0, 2.0)[1:]]
    (row,) = derive(fabricated([case], *proved(case), *lines))
    assert row.median_s == 2.0
    assert row.samples == 52


def test_why_timing_ended():
    a, b = key(n=8), key(n=16)
    results = fabricated([a, b], *proved(a, b), *timed(a, 1.0), *timed(b, 1.0))
    rows = only(Case, derive(results, {a.id: "target"}))
    assert [row.stopped_by for row in rows] == ["target", "interrupted"]
    assert {row.stopped_by for row in only(Case, derive(results))} == {"interrupted"}


def test_cold_is_the_median_over_workers_that_have_it():
    case = key()
    lines = [Samples(case.id, w, 0, 1.7e9, [1.0], cold) for w, cold in enumerate([7.0, None, 3.0, 4.0])]
    (row,) = derive(fabricated([case], *proved(case), *lines))
    assert row.cold_s == 4.0


def test_what_was_charged_keeps_its_reason_and_its_samples():
    case = key()
    proof = Verification(case.id, "timeout", "pointwise", {"how": "fixed point"}, "no response for 5 s")
    (row,) = derive(fabricated([case], *proved(case), proof, *timed(case, 1.0)))
    assert (row.status, row.error, row.samples) == ("timeout", "no response for 5 s", 1)


def test_counts_join_their_case_and_passes_come_from_the_check_where_none_were_counted():
    a, b, c = key(n=8), key(n=16), key(n=32)
    counts = [counted(a, 25, nfe=8), Count(b.id, None, None, None, None, None, None, "none")]
    rows = only(Case, derive(fabricated([a, b, c], *proved(a, b, c, nfe=16), *counts)))
    assert [(row.depth, row.nfe, row.flops, row.count_source) for row in rows] == [
        (25, 8, 800, "counted"),
        (None, 16, None, "none"),
        (None, 16, None, "none"),
    ]


def test_a_ratio_comes_from_shared_rounds_alone():
    """In the shared rounds cached takes 1 and naive 4; rounds of only one of them would give another ratio."""
    fast, slow = key("cached"), key("naive")
    lines = [
        *timed(fast, 1.0, 1.0, rounds=2),
        *timed(slow, 4.0, 4.0, rounds=2),
        *timed(fast, 1.0, 100.0, rounds=3, start=2)[3:],
        Samples(slow.id, 5, 0, 1.7e9, [1e6]),
    ]
    (found,) = only(Ratio, derive(fabricated([fast, slow], *proved(fast, slow), *lines)))
    assert (found.case, found.reference) == (fast.id, slow.id)
    assert found.ratio == pytest.approx(4.0)
    assert found.workers == 2
    assert found.range == (pytest.approx(4.0), pytest.approx(4.0))
    assert found.ci95 is None


def test_a_ratio_of_six_workers_has_an_interval():
    fast, slow = key("cached"), key("naive")
    lines = [*timed(fast, *[1.0] * 6), *timed(slow, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)]
    (found,) = only(Ratio, derive(fabricated([fast, slow], *proved(fast, slow), *lines)))
    assert found.ratio == pytest.approx(30**0.5)
    assert found.ci95 == (pytest.approx(3.0), pytest.approx(8.0))
    assert found.range is None


def scoring(method: str = "parallel", **more: Any) -> CaseKey:
    return key(method, op="score", **{"reference": False, **more})


def test_a_slowdown_is_sampling_over_the_fastest_exact_scoring_in_the_same_rounds():
    """In the shared rounds sampling takes 6, parallel 2 and sequential 3; a round of scoring alone would change it."""
    sample, parallel, sequential = key(), scoring(), scoring("sequential")
    student, own = scoring("student", exactness="approximate"), scoring("own_samples")
    cases = [sample, parallel, sequential, student, own]
    took = zip(cases, (6.0, 2.0, 3.0, 1.0, 1.0), strict=True)
    lines = [line for case, s in took for line in timed(case, *[s + s * w / 100 for w in range(6)])]
    lines += [line for worker in (0, 1) for line in timed(parallel, *[9.0] * (worker + 1), start=7)]
    (found,) = only(Slowdown, derive(fabricated(cases, *proved(*cases), *lines)))
    assert (found.sample, found.score, found.workers) == (sample.id, parallel.id, 6)
    assert found.ratio == pytest.approx(3.0)
    assert found.ci95 == pytest.approx((3.0, 3.0))
    assert found.range is None


def test_a_slowdown_of_few_workers_has_a_range():
    sample, score = key(), scoring()
    lines = [*timed(sample, 6.0, 8.0), *timed(score, 2.0, 2.0)]
    (found,) = only(Slowdown, derive(fabricated([sample, score], *proved(sample, score), *lines)))
    assert (found.ci95, found.range) == (None, pytest.approx((3.0, 4.0)))


@pytest.mark.parametrize("other", [{"n": 16}, {"batch": 4}, {"dtype": "float64"}, {"preset": "nv"}])
def test_there_is_no_slowdown_across_settings(other):
    sample, score = key(), scoring(**other)
    found = derive(fabricated([sample, score], *proved(sample, score), *timed(sample, 1.0), *timed(score, 1.0)))
    assert not only(Slowdown, found)


def test_samples_of_a_case_that_failed_after_them_make_no_ratio_and_no_fit():
    cases = ladder()
    reference = key("naive", n=cases[0].n)
    lines = [line for case in [*cases, reference] for line in timed(case, *[1e-3 * case.n + 0.01] * 6)]
    failed = Verification(cases[0].id, "timeout", "pointwise", {}, "no response for 5 s")
    rows = derive(fabricated([*cases, reference], *proved(*cases, reference), failed, *lines))
    assert only(Case, rows)[0].samples == 6
    assert only(Ratio, rows) == only(Fit, rows) == []


@pytest.mark.parametrize(
    "other",
    [{"n": 16}, {"batch": 2}, {"op": "score"}, {"dtype": "float64"}, {"spec": "m:nv", "preset": "nv"}],
)
def test_there_is_no_ratio_across_settings(other):
    fast, slow = key("cached"), key("naive", **other)
    lines = [*timed(fast, 1.0), *timed(slow, 4.0)]
    assert only(Ratio, derive(fabricated([fast, slow], *proved(fast, slow), *lines))) == []


def test_there_is_no_ratio_without_a_shared_round():
    fast, slow = key("cached"), key("naive")
    lines = [*timed(fast, 1.0), *timed(slow, 4.0, start=1)]
    assert only(Ratio, derive(fabricated([fast, slow], *proved(fast, slow), *lines))) == []


def ladder(claim: str | None = "N", method: str = "cached", **more: Any) -> list[CaseKey]:
    return [key(method, n, claimed_depth=claim, **more) for n in (8, 16, 32, 64)]


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [("N", "holds"), ("1", "fails"), ("N^2", "fails"), ("<= N^2", "holds"), (None, "undecided")],
)
def test_depth_is_fitted_and_judged(claim, verdict):
    cases = ladder(claim)
    lines = [counted(case, 3 * case.n + 1) for case in cases]
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if fit.metric == "depth"]
    assert (fit.fitted, fit.slope, fit.intercept, fit.residual) == ("N", 3.0, 1.0, 0.0)
    assert (fit.sizes, fit.values) == ([8, 16, 32, 64], [25.0, 49.0, 97.0, 193.0])
    assert (fit.claimed, fit.verdict) == (claim, verdict), fit.why
    assert fit.key == cases[0].key


def linked(case: CaseKey, **links: int) -> Count:
    named = {f"aten::{name}": many for name, many in links.items()}
    return msgspec.structs.replace(counted(case, sum(links.values())), links=named)


def test_a_claim_that_fails_names_the_operators_that_grow():
    """Depth is 2 + 5 + ceil(log2 N): a scan grows, the products and the masks do not."""
    cases = ladder("1")
    lines = [linked(case, mm=5, cumsum=case.n.bit_length() - 1, where=2) for case in cases]
    (fit,) = [fit for fit in only(Fit, derive(fabricated(cases, *proved(*cases), *lines))) if fit.metric == "depth"]
    assert (fit.verdict, fit.fitted, fit.grows_by) == ("fails", "log N", "cumsum (aten::cumsum counts ⌈log₂ N⌉)")
    said = [one.statement for one in sentences(fabricated([], *[fit])) if one.verdict == "fails"]
    assert [one.partition("; ")[2] for one in said] == ["grows by: cumsum (aten::cumsum counts ⌈log₂ N⌉)"]


def test_many_growing_operators_are_the_largest_three_and_a_number():
    cases = ladder("1")
    lines = [linked(c, mm=3 * c.n, add=2 * c.n, exp=c.n + c.n % 7, tanh=c.n // 8, neg=4) for c in cases]
    (fit,) = [fit for fit in only(Fit, derive(fabricated(cases, *proved(*cases), *lines))) if fit.metric == "depth"]
    sizes = [case.n for case in cases]
    first, last = sizes[0], sizes[-1]
    assert fit.grows_by == (
        "mm (aten::mm counts 3·N), add (aten::add counts 2·N), "
        f"exp (aten::exp counts {first + first % 7} at N = {first} and {last + last % 7} at N = {last}) and 1 more"
    )


def test_a_claim_that_holds_or_counts_without_links_name_nothing():
    cases = ladder("N")
    for lines in ([linked(c, mm=c.n) for c in cases], [counted(c, c.n * c.n) for c in cases]):
        fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
        assert {fit.grows_by for fit in fits} == {None}


def test_only_counted_lines_are_fitted():
    cases = ladder()
    lines = [
        counted(case, 3 * case.n + 1 if case.n < 64 else 1, "counted" if case.n < 64 else "extrapolated")
        for case in cases
    ]
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if fit.metric == "depth"]
    assert (fit.sizes, fit.verdict) == ([8, 16, 32], "undecided")
    lines = [
        counted(case, 9, source) for case, source in zip(cases[:3], ("formula", "none", "extrapolated"), strict=True)
    ]
    assert only(Fit, derive(fabricated(cases, *proved(*cases), *lines))) == []


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "by id"])
def test_sizes_of_the_counting_ladder_are_fitted_too(carried: bool):
    """In files from before ``Count.ladder_of`` only the id contains the size."""
    (case,) = cases = [key(n=1000, claimed_depth="N")]
    lines = [counted(key(n=n), 3 * n + 1) for n in (4, 8, 12, 16)]
    if carried:
        lines = [
            msgspec.structs.replace(line, case=f"size {n}", n=n, ladder_of=case.id)
            for line, n in zip(lines, (4, 8, 12, 16), strict=True)
        ]
    fits = only(Fit, derive(fabricated(cases, *proved(case), *lines)))
    assert [(fit.sizes, fit.verdict) for fit in fits if fit.metric == "depth"] == [([4, 8, 12, 16], "holds")]


@pytest.mark.parametrize("other", [key("naive").id, f"{key().id}x", "nonsense"])
def test_a_count_of_another_plan_is_skipped(other: str):
    cases = ladder()
    lines = [*proved(*cases), *[counted(case, 3 * case.n) for case in cases]]
    foreign = msgspec.structs.replace(counted(cases[0], 9), case=other)
    assert derive(fabricated(cases, *lines, foreign)) == derive(fabricated(cases, *lines))


def test_a_depth_that_is_not_known_is_not_fitted():
    cases = ladder()
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *[counted(case, None) for case in cases])))
    assert [fit.metric for fit in fits] == ["work"]


def iterated(
    passes: dict[int, int],
    claim: str = "<= N",
    extra: int = 0,
    method: str = "fixed_point",
    returning: bool = False,
) -> Fit:
    """Return the depth fit of an iterative method that costs 10 per pass, beside a parallel one of a single pass."""
    once = ladder("1", "parallel", op="score")
    many = [msgspec.structs.replace(case, returning=returning) for case in ladder(claim, method)]
    lines = [counted(case, 10) for case in once]
    lines += [counted(case, 10 * passes[case.n] + extra, nfe=passes[case.n]) for case in many]
    fits = only(Fit, derive(fabricated(once + many, *proved(*once, *many), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", method)]
    return fit


def test_a_method_that_iterates_is_held_against_its_passes():
    fit = iterated({8: 5, 16: 9, 32: 7, 64: 8})
    assert (fit.verdict, fit.why) == (
        "holds",
        "at most N passes, each O(1); 5 to 8 were needed at N = 8 to 64",
    )
    fit = iterated({8: 5, 16: 9, 32: 34, 64: 8})
    assert (fit.verdict, fit.why) == ("fails", "34 evaluations at N = 32, more than N + 1")
    fit = iterated({8: 5, 16: 9, 32: 7, 64: 8}, extra=200)
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (N + 1) passes' worth at N = 8")


@pytest.mark.parametrize("beside", [False, True])
def test_without_the_cost_of_a_pass_scattered_counts_refute_nothing(beside: bool):
    """Depths of a method that guesses, which look like N^1.23 over these sizes; a pass has depth 105."""
    depths = {4: 107, 8: 213, 12: 403, 16: 571, 24: 889, 32: 1205, 64: 3197, 128: 6611}
    many = [key("fixed_point", n, claimed_depth="<= N") for n in depths]
    lines = [counted(case, depths[case.n], nfe=depths[case.n] // 105) for case in many]
    once = ladder("1", "parallel", op="score") if beside else []
    lines += [counted(case, 105) for case in once]
    results = fabricated(many, *proved(*many), *lines)
    results.run.plan["needed"] = {case.id: msgspec.to_builtins(case) for case in once}
    rows = derive(results)
    (fit,) = [fit for fit in only(Fit, rows) if fit.metric == "depth"]
    assert {row.method for row in only(Case, rows)} == {fit.method} == {"fixed_point"}
    assert fit.verdict == ("holds" if beside else "undecided")
    assert ("what one pass costs is unknown" in fit.why) != beside


def test_an_exact_count_refutes_a_bound_by_itself():
    many = ladder("<= 1", "fixed_point")
    (fit,) = only(Fit, derive(fabricated(many, *proved(*many), *[counted(case, 3 * case.n) for case in many])))[:1]
    assert (fit.metric, fit.verdict) == ("depth", "fails")


def test_groups_are_predicted_where_the_reference_was_not_counted():
    """The reference makes N / 4 passes and was counted up to 32: 20 passes of 16 groups at 64 are too many."""
    once = ladder("1", "parallel", op="score")
    reference = [key("naive", n) for n in (8, 16, 24, 32)]
    many = ladder("<= N", "fixed_point")
    passes = {8: 2, 16: 4, 32: 8, 64: 20}
    lines = [counted(case, 10) for case in once] + [counted(c, 10 * c.n // 4, nfe=c.n // 4) for c in reference]
    lines += [counted(case, 10 * passes[case.n], nfe=passes[case.n]) for case in many]
    cases = [*once, *reference, *many]
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "fixed_point")]
    assert (fit.verdict, fit.why) == ("fails", "20 evaluations at N = 64, more than N + 1")


def test_which_methods_go_back() -> None:
    assert {m.name for m in METHODS if m.returning} == {"forecast", "speculative", "rejection"}


def test_a_method_that_goes_back_may_evaluate_twice() -> None:
    fit = iterated({8: 15, 16: 31, 32: 63, 64: 127}, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == (
        "holds",
        "at most 2 N passes, each O(1); 15 to 127 were needed at N = 8 to 64",
    )
    fit = iterated({8: 15, 16: 33, 32: 63, 64: 127}, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == ("fails", "33 evaluations at N = 16, more than 2 N")
    fit = iterated({8: 15, 16: 31, 32: 63, 64: 127}, extra=200, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (2 N) passes' worth at N = 8")


@pytest.mark.parametrize(
    ("one_pass", "grows", "sizes", "claim"),
    [
        (lambda n: 4 * (n - 1).bit_length() + 3, "log N", (8, 12, 16, 24, 32), "<= N log N"),
        (lambda n: 9 * isqrt(n) + 5, "sqrt N", (4, 9, 16, 25, 36), "<= N^2"),
    ],
)
def test_the_bound_is_as_many_passes_of_whatever_one_grows_as(one_pass, grows, sizes, claim):
    """A scan, and rows of a square image, with as many passes as elements."""

    def judged(claim: str) -> Fit:
        once = [key("parallel", n, op="score", claimed_depth=None) for n in sizes]
        many = [key("fixed_point", n, claimed_depth=claim) for n in sizes]
        lines = [counted(case, one_pass(case.n)) for case in once]
        lines += [counted(case, case.n * one_pass(case.n), nfe=case.n) for case in many]
        fits = only(Fit, derive(fabricated(once + many, *proved(*once, *many), *lines)))
        (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "fixed_point")]
        return fit

    assert judged(claim).verdict == "holds"
    assert judged(claim).why.startswith(f"at most N passes, each O({grows}); {sizes[0]} to {sizes[-1]} were")
    assert judged("<= N").verdict == "fails"


def test_growth_beside_the_passes_breaks_a_bound_however_few_they_are():
    """A growing draft or a copying loop costs less than one pass at these sizes, but is quadratic."""
    once, many = ladder("1", "parallel", op="score"), ladder("<= N", "speculative")
    lines = [counted(case, 40) for case in once]
    lines += [counted(case, case.n**2 // 4 + 30, nfe=case.n // 2) for case in many]
    fits = only(Fit, derive(fabricated(once + many, *proved(*once, *many), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "speculative")]
    assert (fit.verdict, fit.fitted) == ("fails", "N^2")
    assert fit.why == "claimed <= N; measured N^2: (1/4)·N² + 30 at all 4 sizes, 8 to 64"


def of_groups(groups: dict[int, int], passes: dict[int, int], claim: str, extra: int = 0) -> Fit:
    """Return the depth fit of an iterative method, beside a reference of one pass per group and a parallel one."""
    once, steps, many = ladder("1", "parallel", op="score"), ladder(None, "naive"), ladder(claim, "blocks")
    steps = [msgspec.structs.replace(case, reference=True) for case in steps]
    lines = [counted(case, 10) for case in once]
    lines += [counted(case, 10 * groups[case.n], nfe=groups[case.n]) for case in steps]
    lines += [counted(case, 10 * passes[case.n] + extra, nfe=passes[case.n]) for case in many]
    cases = once + steps + many
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "blocks")]
    return fit


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ({8: 4, 16: 4, 32: 4, 64: 4}, "1"),
        ({8: 10, 16: 13, 32: 16, 64: 19}, "log N"),
    ],
)
def test_where_there_are_groups_a_pass_a_group_is_the_bound(groups: dict[int, int], name: str) -> None:
    passes = {8: 2, 16: 4, 32: 3, 64: 4}
    fit = of_groups(groups, passes, f"<= {name}")
    assert (fit.verdict, fit.why) == (
        "holds",
        f"at most G passes of G = O({name}) groups, each O(1); 2 to 4 were needed at N = 8 to 64",
    )
    fit = of_groups(groups, {**passes, 64: groups[64] + 2}, f"<= {name}")
    assert fit.verdict == "fails"
    assert fit.why == f"{groups[64] + 2} evaluations at N = 64, more than G + 1"
    fit = of_groups(groups, passes, f"<= {name}", extra=10 * 2 * (groups[8] + 1))
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (G + 1) passes' worth at N = 8")


def test_groups_that_grow_faster_than_claimed_are_seen():
    groups = {8: 8, 16: 16, 32: 32, 64: 64}
    assert of_groups(groups, groups, "<= 1").verdict == "fails"


def test_seconds_are_fitted_from_four_sizes_on():
    cases = ladder()
    lines = [line for case in cases for line in timed(case, *[1e-3 * case.n + 0.01] * 6)]
    fits = only(Fit, derive(fabricated(cases, *proved(*cases), *lines)))
    assert [(fit.metric, fit.fitted, fit.verdict) for fit in fits] == [("seconds", "N", "undecided")]
    assert fits[0].claimed is None
    lines = [line for line in lines if line.case != cases[0].id]
    assert only(Fit, derive(fabricated(cases, *proved(*cases), *lines))) == []


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
def test_above_the_roof(seconds, said):
    case = key()
    samples = timed(case, seconds, seconds)
    results = fabricated([case], *proved(case), counted(case, 9), *samples, limits=ROOM)
    assert above_roof(case, results, samples) == said
    (row,) = only(Case, derive(results))
    assert (row.status, row.error) == (("error", said) if said else ("ok", None))


def test_the_roof_is_the_highest_limit_that_was_measured():
    case = key()
    samples = timed(case, 0.1)
    lines = [*proved(case), counted(case, 9), *samples]
    assert above_roof(case, fabricated([case], *lines, limits=ROOM), samples)
    higher = Limits("2026-01-05T12:00:00+00:00", {"matmul": {"float32": 1e-5}})
    assert above_roof(case, fabricated([case], *lines, higher, limits=ROOM), samples) is None
    lower = Limits("2026-01-05T12:00:00+00:00", {"matmul": {"float32": 1e-9}})
    assert above_roof(case, fabricated([case], *lines, higher, lower, limits=ROOM), samples) is None


@pytest.mark.parametrize("what", ["limit", "count", "flops", "samples"])
def test_there_is_no_roof_over_what_is_not_known(what):
    case = key()
    samples = timed(case, 0.1) if what != "samples" else []
    count = [counted(case, 9)] if what != "count" else []
    if what == "flops":
        count[0].flops = None
    limits = ROOM if what != "limit" else {"matmul": {"float64": 1e-9}}
    assert above_roof(case, fabricated([case], *proved(case), *count, *samples, limits=limits), samples) is None


def test_a_case_with_another_fault_keeps_it_above_the_roof():
    case = key()
    proof = Verification(case.id, "oom", "pointwise", None, "MemoryError")
    results = fabricated([case], proof, counted(case, 9), *timed(case, 1e-3), limits=ROOM)
    (row,) = only(Case, derive(results))
    assert (row.status, row.error) == ("oom", "MemoryError")


@pytest.mark.parametrize(
    ("weights", "fitted", "formula"),
    [(lambda n: 7 * n + 5, "N", (5.0, 7.0)), (lambda n: n * n, "N^2", (0, 1))],
)
def test_growing_parameters_are_fitted_once_a_model(weights, fitted, formula):
    sizes = (4, 8, 16, 32)
    cases = [key(method, n, weights=weights(n)) for method in ("naive", "cached") for n in sizes]
    (fit,) = only(Fit, derive(fabricated(cases)))
    assert (fit.metric, fit.method, fit.fitted, fit.verdict) == ("weights", "naive", fitted, "undecided")
    assert (fit.sizes, fit.values) == (list(sizes), [float(weights(n)) for n in sizes])
    assert (fit.intercept, fit.slope, fit.residual) == (*formula, 0.0)


def test_parameters_that_do_not_grow_are_not_fitted():
    assert only(Fit, derive(fabricated(ladder()))) == []
    assert only(Fit, derive(fabricated([key(n=n, weights=n) for n in (4, 8, 16)]))) == []
