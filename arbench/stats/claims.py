"""Verdicts on claims: comparison of a measured growth with the claimed one."""

from __future__ import annotations

from typing import Literal

from arbench.stats.classes import CLASSES, FEWEST_SIZES, LEAST_SPAN, Growth, basis
from arbench.stats.noisy import FLAT, NEAR, free_exponent

Verdict = Literal["holds", "fails", "undecided"]

_NOMINAL = {"1": 0.0, "log N": 0.0, "sqrt N": 0.5, "N": 1.0, "N^2": 2.0, "N^3": 3.0}


def parse(claimed: str) -> tuple[str, bool]:
    """Return the class of a claim, and True if it is an upper bound: ``'<= N'`` is ``('N', True)``.

    Raises:
        ValueError: not a class of `CLASSES`, with or without a leading ``<=``.
    """
    name = claimed.removeprefix("<=").strip()
    if name not in CLASSES:
        raise ValueError(f"unknown growth class {claimed!r}; known: {', '.join(CLASSES)}")
    return name, claimed.startswith("<=")


def judge(claimed: str, growth: Growth, exact: bool) -> tuple[Verdict, str]:
    """Return the verdict on a claim, given the measured growth.

    - Fewer than four sizes, or sizes that span less than 4x: ``undecided``.
    - A class was fitted: ``holds`` if the claim covers it and every class that noise makes indistinguishable
      from it; ``fails`` if the claim covers none of them, and for noisy values the claimed exponent lies outside
      the measured interval; ``undecided`` otherwise.
    - No class was fitted: the interval of the free exponent decides. It can refute any claim, and confirm one of
      the form ``<=``.

    Args:
        claimed: '1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2', 'N^3', or one of them after '<= '.
        growth: the measured growth.
        exact: True if ``growth`` comes from integers without noise.

    Returns:
        The verdict, and its reason in plain words.

    Raises:
        ValueError: unknown claim.
    """
    name, at_most = parse(claimed)
    sizes = growth.sizes
    if len(sizes) < FEWEST_SIZES:
        number = "1 size" if len(sizes) == 1 else f"{len(sizes)} sizes"
        return "undecided", f"{number} measured; a verdict needs {FEWEST_SIZES}"
    if sizes[-1] < LEAST_SPAN * sizes[0]:
        span = f"{sizes[0]:,} to {sizes[-1]:,}"
        return "undecided", f"the sizes, {span}, span less than {LEAST_SPAN:g}x"
    if growth.fitted is None:
        return _by_exponent(claimed, growth, exact)
    possible = (growth.fitted, *growth.rivals)
    claimed_ones = [one for one in possible if _within(one, name, at_most)]
    measured = _describe(growth)
    if len(claimed_ones) == len(possible):
        return "holds", measured
    if claimed_ones:
        return "undecided", f"{measured}; noise makes {' and '.join(possible)} indistinguishable"
    if not exact and not _refuted(name, at_most, growth):
        return "undecided", f"claimed {claimed}; {measured}, but its interval allows the claim"
    return "fails", f"claimed {claimed}; {measured}"


def judge_counts(claimed: str, growth: Growth) -> tuple[Verdict, str]:
    """Return the verdict on a claim about counts; it is exact where a class reproduces them.

    Otherwise (conditioning frames, for example, come in steps) the class is that of a fit without noise, but with
    terms that fade as N grows. Such terms hide growth and never add to it. So a claim above the fitted class is
    undecided rather than refuted, and an upper bound is confirmed only if the free exponent lies below it too.
    """
    verdict, why = judge(claimed, growth, exact=growth.formula is not None or growth.fitted is None)
    unnamed = growth.fitted is None and not growth.rivals
    if growth.formula is not None or unnamed or growth.exponent_ci95 is None:
        return verdict, why
    name, at_most = parse(claimed)
    nominal, (low, _) = _exponent(name, growth.sizes), growth.exponent_ci95
    if at_most and verdict == "holds" and (growth.exponent or 0.0) > nominal + NEAR:
        return ("fails" if low > nominal + NEAR else "undecided"), f"{why}, and the claim is {claimed}"
    if not at_most and verdict == "fails" and low < nominal:
        return "undecided", f"{why}; larger sizes would decide"
    return verdict, why


def _within(measured: str, name: str, at_most: bool) -> bool:
    if at_most:
        return CLASSES.index(measured) <= CLASSES.index(name)
    return measured == name


def _by_exponent(claimed: str, growth: Growth, exact: bool) -> tuple[Verdict, str]:
    name, at_most = parse(claimed)
    unfitted = "no class reproduces the values exactly" if exact else "no class fits"
    if growth.exponent is None or growth.exponent_ci95 is None:
        return "undecided", unfitted
    low, high = growth.exponent_ci95
    why = f"{unfitted}; they grow as about N^{growth.exponent:.2f} [{low:.2f}, {high:.2f}]"
    if at_most and high <= _exponent(name, growth.sizes) + NEAR:
        return "holds", why
    if _refuted(name, at_most, growth):
        return "fails", f"claimed {claimed}; {why}"
    return "undecided", why


def _refuted(name: str, at_most: bool, growth: Growth) -> bool:
    """Return True if the measurement refutes the claimed class, by its exponent or by its rise.

    Exponents do not help where a constant is claimed or measured, because a logarithm's exponent is nearly 0.
    """
    if growth.fitted is not None and "1" in (name, growth.fitted):
        rise = growth.predict(growth.sizes[-1]) / growth.predict(growth.sizes[0])
        return rise > 1 + FLAT if name == "1" else not at_most
    nominal = _exponent(name, growth.sizes)
    low, high = growth.exponent_ci95 or (growth.exponent or 0.0, growth.exponent or 0.0)
    return low > nominal + NEAR or (not at_most and high < nominal - NEAR)


def _exponent(name: str, sizes: tuple[int, ...]) -> float:
    """Return the exponent of a free power fitted to the class over these sizes."""
    if name in _NOMINAL:
        return _NOMINAL[name]
    exponent, _ = free_exponent(sizes, [basis(name, n) for n in sizes])
    assert exponent is not None
    return exponent


def _describe(growth: Growth) -> str:
    sizes = growth.sizes
    span = f"{sizes[0]:,} to {sizes[-1]:,}"
    if growth.formula is not None:
        return f"measured {growth.fitted}: {growth.formula} at all {len(sizes)} sizes, {span}"
    text = f"measured {growth.fitted} over {len(sizes)} sizes, {span}"
    if growth.exponent_ci95 is not None:
        low, high = growth.exponent_ci95
        text += f" (N^{growth.exponent:.2f} [{low:.2f}, {high:.2f}])"
    return text
