"""Growth fitted to fabricated counts and seconds, and claims judged by it; every number is computed by hand."""

from __future__ import annotations

from math import isqrt
from types import ModuleType

import msgspec
import pytest

from arbench.bench.analyse import derive
from arbench.bench.case import CaseKey
from arbench.methods import METHODS
from arbench.report import sentences
from arbench.results import Case, Count, Fit


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [("N", "holds"), ("1", "fails"), ("N^2", "fails"), ("<= N^2", "holds"), (None, "undecided")],
)
def test_depth_is_fitted_and_judged(made: ModuleType, claim, verdict):
    cases = made.ladder(claim)
    lines = [made.counted(case, 3 * case.n + 1) for case in cases]
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if fit.metric == "depth"]
    assert (fit.fitted, fit.slope, fit.intercept, fit.residual) == ("N", 3.0, 1.0, 0.0)
    assert (fit.sizes, fit.values) == ([8, 16, 32, 64], [25.0, 49.0, 97.0, 193.0])
    assert (fit.claimed, fit.verdict) == (claim, verdict), fit.why
    assert fit.key == cases[0].key


def test_work_of_nothing_at_one_size_has_no_class_and_ends_no_run(made: ModuleType):
    """Fits of noisy values take logarithms; counts that no exact fit reproduces are fitted so, unless one is 0."""
    cases = [msgspec.structs.replace(case, claimed_work="N") for case in made.ladder()]
    counts = [made.counted(case, 3 * case.n) for case in cases]
    counts[0] = msgspec.structs.replace(counts[0], flops=0)
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *counts)))
    (work,) = (fit for fit in fits if fit.metric == "work")
    assert (work.fitted, work.exponent, work.verdict) == (None, None, "undecided")
    assert work.values[0] == 0


def linked(made: ModuleType, case: CaseKey, **links: int) -> Count:
    named = {f"aten::{name}": many for name, many in links.items()}
    return msgspec.structs.replace(made.counted(case, sum(links.values())), links=named)


def test_a_claim_that_fails_names_the_operators_that_grow(made: ModuleType):
    """Depth is 2 + 5 + ceil(log2 N): a scan grows, the products and the masks do not."""
    cases = made.ladder("1")
    lines = [linked(made, case, mm=5, cumsum=case.n.bit_length() - 1, where=2) for case in cases]
    (fit,) = [
        fit
        for fit in made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
        if fit.metric == "depth"
    ]
    assert (fit.verdict, fit.fitted, fit.grows_by) == ("fails", "log N", "cumsum (aten::cumsum counts ⌈log₂ N⌉)")
    said = [one.statement for one in sentences(made.fabricated([], *[fit])) if one.verdict == "fails"]
    assert [one.partition("; ")[2] for one in said] == ["grows by: cumsum (aten::cumsum counts ⌈log₂ N⌉)"]


def test_many_growing_operators_are_the_largest_three_and_a_number(made: ModuleType):
    cases = made.ladder("1")
    lines = [linked(made, c, mm=3 * c.n, add=2 * c.n, exp=c.n + c.n % 7, tanh=c.n // 8, neg=4) for c in cases]
    (fit,) = [
        fit
        for fit in made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
        if fit.metric == "depth"
    ]
    sizes = [case.n for case in cases]
    first, last = sizes[0], sizes[-1]
    assert fit.grows_by == (
        "mm (aten::mm counts 3·N), add (aten::add counts 2·N), "
        f"exp (aten::exp counts {first + first % 7} at N = {first} and {last + last % 7} at N = {last}) and 1 more"
    )


def test_a_claim_that_holds_or_counts_without_links_name_nothing(made: ModuleType):
    cases = made.ladder("N")
    for lines in ([linked(made, c, mm=c.n) for c in cases], [made.counted(c, c.n * c.n) for c in cases]):
        fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
        assert {fit.grows_by for fit in fits} == {None}


def test_only_counted_lines_are_fitted(made: ModuleType):
    cases = made.ladder()
    lines = [
        made.counted(case, 3 * case.n + 1 if case.n < 64 else 1, "counted" if case.n < 64 else "extrapolated")
        for case in cases
    ]
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if fit.metric == "depth"]
    assert (fit.sizes, fit.verdict) == ([8, 16, 32], "undecided")
    lines = [
        made.counted(case, 9, source)
        for case, source in zip(cases[:3], ("formula", "none", "extrapolated"), strict=True)
    ]
    assert made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines))) == []


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "by id"])
def test_sizes_of_the_counting_ladder_are_fitted_too(made: ModuleType, carried: bool):
    """In files from before ``Count.ladder_of`` only the id contains the size."""
    (case,) = cases = [made.key(n=1000, claimed_depth="N")]
    lines = [made.counted(made.key(n=n), 3 * n + 1) for n in (4, 8, 12, 16)]
    if carried:
        lines = [
            msgspec.structs.replace(line, case=f"size {n}", n=n, ladder_of=case.id)
            for line, n in zip(lines, (4, 8, 12, 16), strict=True)
        ]
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(case), *lines)))
    assert [(fit.sizes, fit.verdict) for fit in fits if fit.metric == "depth"] == [([4, 8, 12, 16], "holds")]


@pytest.mark.parametrize("other", ["another method", "longer", "nonsense"])
def test_a_count_of_another_plan_is_skipped(made: ModuleType, other: str):
    other = {"another method": made.key("naive").id, "longer": f"{made.key().id}x"}.get(other, other)
    cases = made.ladder()
    lines = [*made.proved(*cases), *[made.counted(case, 3 * case.n) for case in cases]]
    foreign = msgspec.structs.replace(made.counted(cases[0], 9), case=other)
    assert derive(made.fabricated(cases, *lines, foreign)) == derive(made.fabricated(cases, *lines))


def test_a_depth_that_is_not_known_is_not_fitted(made: ModuleType):
    cases = made.ladder()
    fits = made.only(
        Fit, derive(made.fabricated(cases, *made.proved(*cases), *[made.counted(case, None) for case in cases]))
    )
    assert [fit.metric for fit in fits] == ["work"]


def iterated(
    made: ModuleType,
    passes: dict[int, int],
    claim: str = "<= N",
    extra: int = 0,
    method: str = "fixed_point",
    returning: bool = False,
) -> Fit:
    """Return the depth fit of an iterative method that costs 10 per pass, beside a parallel one of a single pass."""
    once = made.ladder("1", "parallel", op="score")
    many = [msgspec.structs.replace(case, returning=returning) for case in made.ladder(claim, method)]
    lines = [made.counted(case, 10) for case in once]
    lines += [made.counted(case, 10 * passes[case.n] + extra, nfe=passes[case.n]) for case in many]
    fits = made.only(Fit, derive(made.fabricated(once + many, *made.proved(*once, *many), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", method)]
    return fit


def test_a_method_that_iterates_is_held_against_its_passes(made: ModuleType):
    fit = iterated(made, {8: 5, 16: 9, 32: 7, 64: 8})
    assert (fit.verdict, fit.why) == (
        "holds",
        "at most N passes, each O(1); 5 to 8 were needed at N = 8 to 64",
    )
    fit = iterated(made, {8: 5, 16: 9, 32: 34, 64: 8})
    assert (fit.verdict, fit.why) == ("fails", "34 evaluations at N = 32, more than N + 1")
    fit = iterated(made, {8: 5, 16: 9, 32: 7, 64: 8}, extra=200)
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (N + 1) passes' worth at N = 8")


@pytest.mark.parametrize("beside", [False, True])
def test_without_the_cost_of_a_pass_scattered_counts_refute_nothing(made: ModuleType, beside: bool):
    """Depths of a method that guesses, which look like N^1.23 over these sizes; a pass has depth 105."""
    depths = {4: 107, 8: 213, 12: 403, 16: 571, 24: 889, 32: 1205, 64: 3197, 128: 6611}
    many = [made.key("fixed_point", n, claimed_depth="<= N") for n in depths]
    lines = [made.counted(case, depths[case.n], nfe=depths[case.n] // 105) for case in many]
    once = made.ladder("1", "parallel", op="score") if beside else []
    lines += [made.counted(case, 105) for case in once]
    results = made.fabricated(many, *made.proved(*many), *lines)
    results.run.plan["needed"] = {case.id: msgspec.to_builtins(case) for case in once}
    rows = derive(results)
    (fit,) = [fit for fit in made.only(Fit, rows) if fit.metric == "depth"]
    assert {row.method for row in made.only(Case, rows)} == {fit.method} == {"fixed_point"}
    assert fit.verdict == ("holds" if beside else "undecided")
    assert ("what one pass costs is unknown" in fit.why) != beside


def test_an_exact_count_refutes_a_bound_by_itself(made: ModuleType):
    many = made.ladder("<= 1", "fixed_point")
    (fit,) = made.only(
        Fit, derive(made.fabricated(many, *made.proved(*many), *[made.counted(case, 3 * case.n) for case in many]))
    )[:1]
    assert (fit.metric, fit.verdict) == ("depth", "fails")


def test_groups_are_predicted_where_the_reference_was_not_counted(made: ModuleType):
    """The reference makes N / 4 passes and was counted up to 32: 20 passes of 16 groups at 64 are too many."""
    once = made.ladder("1", "parallel", op="score")
    reference = [made.key("naive", n) for n in (8, 16, 24, 32)]
    many = made.ladder("<= N", "fixed_point")
    passes = {8: 2, 16: 4, 32: 8, 64: 20}
    lines = [made.counted(case, 10) for case in once] + [
        made.counted(c, 10 * c.n // 4, nfe=c.n // 4) for c in reference
    ]
    lines += [made.counted(case, 10 * passes[case.n], nfe=passes[case.n]) for case in many]
    cases = [*once, *reference, *many]
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "fixed_point")]
    assert (fit.verdict, fit.why) == ("fails", "20 evaluations at N = 64, more than N + 1")


def test_which_methods_go_back() -> None:
    assert {m.name for m in METHODS if m.returning} == {"forecast", "speculative", "rejection"}


def test_a_method_that_goes_back_may_evaluate_twice(made: ModuleType) -> None:
    fit = iterated(made, {8: 15, 16: 31, 32: 63, 64: 127}, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == (
        "holds",
        "at most 2 N passes, each O(1); 15 to 127 were needed at N = 8 to 64",
    )
    fit = iterated(made, {8: 15, 16: 33, 32: 63, 64: 127}, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == ("fails", "33 evaluations at N = 16, more than 2 N")
    fit = iterated(made, {8: 15, 16: 31, 32: 63, 64: 127}, extra=200, method="forecast", returning=True)
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (2 N) passes' worth at N = 8")


@pytest.mark.parametrize(
    ("one_pass", "grows", "sizes", "claim"),
    [
        (lambda n: 4 * (n - 1).bit_length() + 3, "log N", (8, 12, 16, 24, 32), "<= N log N"),
        (lambda n: 9 * isqrt(n) + 5, "sqrt N", (4, 9, 16, 25, 36), "<= N^2"),
    ],
)
def test_the_bound_is_as_many_passes_of_whatever_one_grows_as(made: ModuleType, one_pass, grows, sizes, claim):
    """A scan, and rows of a square image, with as many passes as elements."""

    def judged(claim: str) -> Fit:
        once = [made.key("parallel", n, op="score", claimed_depth=None) for n in sizes]
        many = [made.key("fixed_point", n, claimed_depth=claim) for n in sizes]
        lines = [made.counted(case, one_pass(case.n)) for case in once]
        lines += [made.counted(case, case.n * one_pass(case.n), nfe=case.n) for case in many]
        fits = made.only(Fit, derive(made.fabricated(once + many, *made.proved(*once, *many), *lines)))
        (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "fixed_point")]
        return fit

    assert judged(claim).verdict == "holds"
    assert judged(claim).why.startswith(f"at most N passes, each O({grows}); {sizes[0]} to {sizes[-1]} were")
    assert judged("<= N").verdict == "fails"


def test_growth_beside_the_passes_breaks_a_bound_however_few_they_are(made: ModuleType):
    """A growing draft or a copying loop costs less than one pass at these sizes, but is quadratic."""
    once, many = made.ladder("1", "parallel", op="score"), made.ladder("<= N", "speculative")
    lines = [made.counted(case, 40) for case in once]
    lines += [made.counted(case, case.n**2 // 4 + 30, nfe=case.n // 2) for case in many]
    fits = made.only(Fit, derive(made.fabricated(once + many, *made.proved(*once, *many), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "speculative")]
    assert (fit.verdict, fit.fitted) == ("fails", "N^2")
    assert fit.why == "claimed <= N; measured N^2: (1/4)·N² + 30 at all 4 sizes, 8 to 64"


def of_groups(made: ModuleType, groups: dict[int, int], passes: dict[int, int], claim: str, extra: int = 0) -> Fit:
    """Return the depth fit of an iterative method, beside a reference of one pass per group and a parallel one."""
    once, steps, many = (
        made.ladder("1", "parallel", op="score"),
        made.ladder(None, "naive"),
        made.ladder(claim, "blocks"),
    )
    steps = [msgspec.structs.replace(case, reference=True) for case in steps]
    lines = [made.counted(case, 10) for case in once]
    lines += [made.counted(case, 10 * groups[case.n], nfe=groups[case.n]) for case in steps]
    lines += [made.counted(case, 10 * passes[case.n] + extra, nfe=passes[case.n]) for case in many]
    cases = once + steps + many
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("depth", "blocks")]
    return fit


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ({8: 4, 16: 4, 32: 4, 64: 4}, "1"),
        ({8: 10, 16: 13, 32: 16, 64: 19}, "log N"),
    ],
)
def test_where_there_are_groups_a_pass_a_group_is_the_bound(
    made: ModuleType, groups: dict[int, int], name: str
) -> None:
    passes = {8: 2, 16: 4, 32: 3, 64: 4}
    fit = of_groups(made, groups, passes, f"<= {name}")
    assert (fit.verdict, fit.why) == (
        "holds",
        f"at most G passes of G = O({name}) groups, each O(1); 2 to 4 were needed at N = 8 to 64",
    )
    fit = of_groups(made, groups, {**passes, 64: groups[64] + 2}, f"<= {name}")
    assert fit.verdict == "fails"
    assert fit.why == f"{groups[64] + 2} evaluations at N = 64, more than G + 1"
    fit = of_groups(made, groups, passes, f"<= {name}", extra=10 * 2 * (groups[8] + 1))
    assert (fit.verdict, fit.why) == ("fails", "more than 2 (G + 1) passes' worth at N = 8")


def test_groups_that_grow_faster_than_claimed_are_seen(made: ModuleType):
    groups = {8: 8, 16: 16, 32: 32, 64: 64}
    assert of_groups(made, groups, groups, "<= 1").verdict == "fails"


SCATTERED = {4: 4, 9: 3, 16: 3, 25: 3, 64: 4}
"""Passes that a grouped PixelCNN of four groups needed: its work looks like N^1.38 [1.21, 1.54], and is O(N)."""


def scattered(made: ModuleType, reference: dict[str, dict[int, int]], passes: dict[int, int], claim: str) -> Fit:
    """Return the fit of the work of an iterative method with passes of 25 N.

    Args:
        made: fabricates.
        reference: evaluations of the reference, by N, by specification of the model.
        passes: those of the method, by N.
        claim: of its work.
    """

    def count(case: CaseKey, nfe: int) -> Count:
        return msgspec.structs.replace(made.counted(case, 10 * nfe, nfe=nfe), flops=25 * case.n * nfe)

    once = {made.key("parallel", n, op="score"): 1 for n in passes}
    many = {made.key("blocks", n, claimed_work=claim): nfe for n, nfe in passes.items()}
    steps = {
        made.key("naive", n, spec=spec, preset=spec.partition(":")[2]): nfe
        for spec, counts in reference.items()
        for n, nfe in counts.items()
    }
    counted = {**once, **steps, **many}
    lines = [count(case, nfe) for case, nfe in counted.items()]
    cases = list(counted)
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    (fit,) = [fit for fit in fits if (fit.metric, fit.method) == ("work", "blocks")]
    return fit


def test_scattered_passes_refute_nothing_where_the_number_of_groups_is_unknown(made: ModuleType):
    assert [scattered(made, {}, SCATTERED, f"<= {name}").verdict for name in ("N", "N^2")] == ["undecided", "holds"]
    fit = scattered(made, {"m:tiny": {4: 4, 9: 4, 16: 4}}, SCATTERED, "<= N")
    assert (fit.verdict, fit.fitted) == ("undecided", "N log N")
    assert fit.why.startswith(
        "passes that depend on the data prove nothing, and the number of groups was counted at N = 4, 9 and 16 alone, "
        "where 4 sizes are needed: give a longer --count-budget, which counts the reference at more; claimed <= N; "
    )
    fit = scattered(made, {"m:tiny": {4: 4, 9: 4, 16: 4}}, {**SCATTERED, 9: 6}, "<= N")
    assert (fit.verdict, fit.why) == ("fails", "6 evaluations at N = 9, more than G + 1")


def test_groups_counted_with_other_weights_are_the_same(made: ModuleType):
    few = {"m:tiny": {4: 4, 9: 4, 16: 4}}
    known = scattered(made, {**few, "m:tiny@digits": {4: 4, 64: 4}}, SCATTERED, "<= N")
    assert (known.verdict, known.why) == (
        "holds",
        "at most G passes of G = O(1) groups, each O(N); 4 were needed at N = 4 and at N = 64",
    )
    assert scattered(made, {**few, "m:other@digits": {64: 4}}, SCATTERED, "<= N").verdict == "undecided"
    assert scattered(made, {**few, "m:tiny@digits": {16: 5, 64: 4}}, SCATTERED, "<= N").verdict == "undecided"


def test_a_known_number_of_groups_refutes_what_grows_faster_than_claimed(made: ModuleType):
    """As many groups as elements, and passes that scatter but grow: no exact fit says so."""
    sizes = (4, 8, 16, 32, 64)
    passes = dict(zip(sizes, (3, 5, 11, 20, 39), strict=True))
    few = {"m:tiny": {n: n for n in sizes[:3]}}
    assert scattered(made, few, passes, "<= N").verdict == "undecided"
    fit = scattered(made, {"m:tiny": {n: n for n in sizes}}, passes, "<= N")
    assert fit.verdict == "fails"
    assert fit.why.startswith("claimed <= N; measured N^2 over 5 sizes")


def test_seconds_are_fitted_from_four_sizes_on(made: ModuleType):
    cases = made.ladder()
    lines = [line for case in cases for line in made.timed(case, *[1e-3 * case.n + 0.01] * 6)]
    fits = made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    assert [(fit.metric, fit.fitted, fit.verdict) for fit in fits] == [("seconds", "N", "undecided")]
    assert fits[0].claimed is None
    lines = [line for line in lines if line.case != cases[0].id]
    assert made.only(Fit, derive(made.fabricated(cases, *made.proved(*cases), *lines))) == []


@pytest.mark.parametrize(
    ("weights", "fitted", "formula"),
    [(lambda n: 7 * n + 5, "N", (5.0, 7.0)), (lambda n: n * n, "N^2", (0, 1))],
)
def test_growing_parameters_are_fitted_once_a_model(made: ModuleType, weights, fitted, formula):
    sizes = (4, 8, 16, 32)
    cases = [made.key(method, n, weights=weights(n)) for method in ("naive", "cached") for n in sizes]
    (fit,) = made.only(Fit, derive(made.fabricated(cases)))
    assert (fit.metric, fit.method, fit.fitted, fit.verdict) == ("weights", "naive", fitted, "undecided")
    assert (fit.sizes, fit.values) == (list(sizes), [float(weights(n)) for n in sizes])
    assert (fit.intercept, fit.slope, fit.residual) == (*formula, 0.0)


def test_parameters_that_do_not_grow_are_not_fitted(made: ModuleType):
    assert made.only(Fit, derive(made.fabricated(made.ladder()))) == []
    assert made.only(Fit, derive(made.fabricated([made.key(n=n, weights=n) for n in (4, 8, 16)]))) == []
