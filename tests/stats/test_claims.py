"""Verdicts on claims: true ones hold, false ones fail, and too little evidence decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from arbench.stats import CLASSES, Growth, fit_exact, fit_noisy, judge, judge_counts
from arbench.stats.claims import parse

SIZES = [64, 256, 1024, 4096, 16384]
VALUES = {
    "1": [63] * 5,
    "log N": [3 * (n - 1).bit_length() + 7 for n in SIZES],
    "sqrt N": [3 * math.isqrt(n) + 7 for n in SIZES],
    "N": [3 * n + 7 for n in SIZES],
    "N log N": [3 * n * (n - 1).bit_length() + 7 for n in SIZES],
    "N^2": [3 * n * n + 7 for n in SIZES],
    "N^3": [3 * n**3 + 7 for n in SIZES],
}


@pytest.mark.parametrize("truth", CLASSES)
@pytest.mark.parametrize("claimed", CLASSES)
def test_exact_claims_hold_if_true_and_fail_if_not(truth: str, claimed: str) -> None:
    growth = fit_exact(SIZES, VALUES[truth])
    verdict, why = judge(claimed, growth, exact=True)
    assert verdict == ("holds" if truth == claimed else "fails")
    assert f"measured {truth}" in why
    bound, _ = judge(f"<= {claimed}", growth, exact=True)
    assert bound == ("holds" if CLASSES.index(truth) <= CLASSES.index(claimed) else "fails")


@pytest.mark.parametrize("truth", CLASSES)
@pytest.mark.parametrize("claimed", CLASSES)
def test_noisy_claims(truth: str, claimed: str) -> None:
    rng = np.random.default_rng(0)
    seconds = {
        k: {n: y * float(np.exp(rng.normal(0, 0.01))) for n, y in zip(SIZES, VALUES[truth], strict=True)}
        for k in range(4)
    }
    verdict, _ = judge(claimed, fit_noisy(SIZES, seconds), exact=False)
    if truth == claimed:
        assert verdict == "holds"
    else:
        assert verdict == "fails"


@pytest.mark.parametrize("claimed", ["1", "N", "N^2", "<= N"])
def test_too_few_or_too_close_sizes_decide_nothing(claimed: str) -> None:
    few = fit_exact([64, 256, 1024], [3 * n for n in (64, 256, 1024)])
    assert judge(claimed, few, exact=True) == (
        "undecided",
        "3 sizes measured; a verdict needs 4",
    )
    one = fit_exact([64], [192])
    assert judge(claimed, one, exact=True) == ("undecided", "1 size measured; a verdict needs 4")
    close = fit_exact([100, 200, 300, 399], [3 * n for n in (100, 200, 300, 399)])
    verdict, why = judge(claimed, close, exact=True)
    assert verdict == "undecided"
    assert "span less than 4x" in why


def test_a_wrong_claim_fails_even_without_an_exact_class() -> None:
    values = [3 * n + 7 + (n == 1024) for n in SIZES]
    growth = fit_exact(SIZES, values)
    assert growth.fitted is None
    for wrong in ("1", "sqrt N", "N^2", "<= sqrt N"):
        assert judge(wrong, growth, exact=True)[0] == "fails"
    assert judge("N", growth, exact=True)[0] == "undecided"
    assert judge("<= N^2", growth, exact=True)[0] == "holds"


def test_an_upper_bound_holds_for_what_depends_on_the_data() -> None:
    passes = dict(zip(SIZES, [8.0, 9.0, 9.0, 10.0, 9.0], strict=True))
    growth = fit_noisy(SIZES, {0: passes})
    assert judge("<= N", growth, exact=False)[0] == "holds"
    assert judge("N", growth, exact=False)[0] == "fails"


def test_ties_that_straddle_a_claim_are_undecided() -> None:
    rng = np.random.default_rng(5)
    verdicts = set()
    for _ in range(20):
        seconds = {0: {n: n * float(np.exp(rng.normal(0, 0.2))) for n in SIZES}}
        verdict, why = judge("N", fit_noisy(SIZES, seconds), exact=False)
        verdicts.add(verdict)
        assert why
    assert "undecided" in verdicts


def test_claims_are_parsed() -> None:
    assert parse("N log N") == ("N log N", False)
    assert parse("<= N") == ("N", True)
    for unknown in ("O(N)", "N^4", "", "<= "):
        with pytest.raises(ValueError, match="unknown growth class"):
            parse(unknown)


def test_growth_beyond_every_class_breaks_every_bound() -> None:
    growth = fit_exact(SIZES, [n**4 + 7 for n in SIZES])
    assert growth.fitted is None
    for claimed in CLASSES:
        assert judge(f"<= {claimed}", growth, exact=True)[0] == "fails"


def counted(values: Callable[[int], int], sizes: Sequence[int] = (4, 8, 16, 32, 64, 128)) -> Growth:
    """Fit counts that no class reproduces, as the analysis does."""
    seen = [values(n) for n in sizes]
    assert fit_exact(sizes, seen).fitted is None
    return fit_noisy(list(sizes), {0: {n: float(v) for n, v in zip(sizes, seen, strict=True)}})


def framed(n: int) -> int:
    """A cubic hidden by its lower terms at these sizes, and conditioning in frames of three."""
    return n**3 + 40 * n**2 + 300 * n + 11 * -(-n // 3)


@pytest.mark.parametrize(
    ("claimed", "verdict"), [("<= N^2", "fails"), ("N^3", "undecided"), ("N", "fails"), ("<= N", "fails")]
)
def test_terms_that_fade_confirm_no_bound_and_refute_no_higher_class(claimed: str, verdict: str) -> None:
    assert judge_counts(claimed, counted(framed))[0] == verdict


def test_counts_in_frames_are_judged_by_their_exponent() -> None:
    growth = counted(lambda n: 10_000 * n + 11 * -(-n // 3))
    assert [judge_counts(c, growth)[0] for c in ("N", "<= N", "<= N^2", "1")] == ["holds"] * 3 + ["fails"]
