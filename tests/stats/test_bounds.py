"""Verdicts on upper bounds: what depends on the data refutes one only beside what is known."""

from __future__ import annotations

import pytest

from arbench.stats import Growth, fit_exact, fit_noisy, judge_bound, judge_counts

SIZES = (4, 9, 16, 25, 64)
PASSES = dict(zip(SIZES, (4, 3, 3, 3, 4), strict=True))
FOUR = dict.fromkeys(SIZES, 4)


def framed(n: int) -> int:
    """Return the cost of a pass that comes in steps of three elements, which no class reproduces."""
    return 250 * n + -(-n // 3)


def growth(values: list[int]) -> Growth:
    found = fit_exact(SIZES, values)
    return found if found.fitted else fit_noisy(SIZES, {0: dict(zip(SIZES, map(float, values), strict=True))})


ONE = growth([framed(n) for n in SIZES])
MANY = growth([framed(n) * PASSES[n] for n in SIZES])


def test_the_example_grows_faster_than_its_class() -> None:
    assert (ONE.formula, MANY.formula) == (None, None)
    assert ONE.fitted == "N"
    assert MANY.exponent_ci95 is not None
    assert MANY.exponent_ci95[0] > 1.05


def test_a_pass_that_may_cost_more_confirms_nothing() -> None:
    doubtful = Growth(**{**vars(ONE), "rivals": ("N log N",)})
    assert judge_bound("<= N", MANY, PASSES, doubtful, FOUR)[0] == "undecided"
    assert judge_bound("<= N log N", MANY, PASSES, doubtful, FOUR)[0] == "holds"


def test_a_product_below_the_claim_is_enough() -> None:
    for claim in ("<= N", "<= N log N", "<= N^3"):
        verdict, why = judge_bound(claim, MANY, PASSES, ONE, FOUR)
        assert verdict == "holds"
        assert why.startswith("at most G passes of G = O(1) groups, each O(N); 4 were needed at N = 4 and at N = 64")
    assert judge_bound("<= sqrt N", MANY, PASSES, ONE, FOUR)[0] == "fails"


def test_growth_of_a_pass_that_may_be_slower_refutes_nothing() -> None:
    doubtful = Growth(**{**vars(ONE), "fitted": "N log N"})
    assert judge_bound("<= N", MANY, PASSES, doubtful, FOUR)[0] == "fails"
    doubtful = Growth(**{**vars(doubtful), "rivals": ("N",)})
    verdict, why = judge_bound("<= N", MANY, PASSES, doubtful, FOUR)
    assert verdict == "undecided"
    assert why.startswith("passes that depend on the data prove nothing, and the growth of one pass is uncertain; ")


def test_passes_that_an_exact_fit_gives_need_no_groups() -> None:
    many = growth([framed(n) * n for n in SIZES])
    exactly = {n: n for n in SIZES}
    assert judge_bound("<= N", many, exactly, ONE)[0] == "fails"
    assert judge_bound("<= N", many, {**exactly, 16: None}, ONE)[0] == "undecided"
    assert judge_bound("<= N", many, {**exactly, 16: 15}, ONE)[0] == "undecided"


def test_groups_without_a_class_are_unknown() -> None:
    odd = dict(zip(SIZES, (4, 8, 5, 9, 4), strict=True))
    verdict, why = judge_bound("<= N", MANY, PASSES, ONE, odd)
    assert verdict == "undecided"
    assert "prove nothing, and no class reproduces the number of groups, counted at N = 4 to 64; " in why
    for groups, where in (({}, "no size"), ({4: 4}, "N = 4 alone"), ({4: 4, 9: 4}, "N = 4 and 9 alone")):
        verdict, why = judge_bound("<= N", MANY, PASSES, ONE, groups)
        assert verdict == "undecided"
        assert f"the number of groups was counted at {where}, where 4 sizes are needed: give a longer" in why


def test_scattered_passes_confirm_nothing_either() -> None:
    few = [growth([10 * n * count for n, count in passes.items()]) for passes in (PASSES, dict.fromkeys(SIZES, 3))]
    one = growth([10 * n for n in SIZES])
    assert [many.formula for many in few] == [None, "30·N"]
    assert [judge_counts("<= N log N", many)[0] for many in few] == ["holds", "holds"]
    assert judge_bound("<= N log N", few[0], PASSES, one)[0] == "undecided"
    assert judge_bound("<= N log N", few[1], dict.fromkeys(SIZES, 3), one)[0] == "holds"


@pytest.mark.parametrize(("steps", "bound", "verdict"), [("log N", "log N", "fails"), ("log N", "sqrt N", "undecided")])
def test_a_product_without_a_class_exceeds_its_factors(steps: str, bound: str, verdict: str) -> None:
    """Groups and a scan of log N each: their product lies between log N and sqrt N, or above, depending on N."""
    sizes = (4, 8, 16, 32, 64, 128)
    logs = {n: (n - 1).bit_length() for n in sizes}
    many = fit_exact(sizes, [10 * logs[n] ** 2 + (n == 32) for n in sizes])
    assert many.formula is None
    one = fit_exact(sizes, [10 * logs[n] for n in sizes])
    scattering = {**logs, 128: 6}
    found, _ = judge_bound(f"<= {bound}", many, scattering, one, logs)
    assert found == verdict
