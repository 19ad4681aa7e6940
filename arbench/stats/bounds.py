"""Verdicts on the upper bounds of iterative methods, whose number of passes depends on the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from arbench.stats.claims import Verdict, judge_counts, parse
from arbench.stats.classes import CLASSES, FEWEST_SIZES, LEAST_SPAN, Growth
from arbench.stats.exact import fit_exact

PROVES_NOTHING = "passes that depend on the data prove nothing"
_TIMES = {
    ("log N", "N"): "N log N",
    ("sqrt N", "sqrt N"): "N",
    ("N", "log N"): "N log N",
    ("sqrt N", "N"): "N^2",  # no class lies between
    ("N", "sqrt N"): "N^2",
    ("N", "N"): "N^2",
    ("N", "N^2"): "N^3",
}


def judge_bound(
    claimed: str,
    growth: Growth,
    passes: Mapping[int, int | None],
    one_pass: Growth | None,
    groups: Mapping[int, int] = MappingProxyType({}),
    returning: bool = False,
) -> tuple[Verdict, str]:
    """Judge the "at most" claim of an iterative method from the number of groups and the cost of one pass.

    With G groups of elements the method evaluates the network at most G + 1 times (``returning``: 2 G), so its cost
    grows at most as G times the cost of one pass. G is never more than N. The claim holds if that product lies within
    the claimed class and every counted size costs less than twice as many passes.

    How many passes were needed depends on the data, so a fit with a residual shows how these data grow, and refutes no
    bound. The claim fails only if a size needed more evaluations or cost more than G allows there, if an exact fit of
    the values grows faster, or if they grow faster and the product of a known number of passes and the cost of one
    does: G where an exact fit gives it, or as many as were needed where an exact fit gives those.

    Args:
        claimed: growth class after '<= '.
        growth: growth of the whole method.
        passes: how often the method evaluated the network, by N; None where that is unknown.
        one_pass: growth of a method that evaluates the network once; None if unknown.
        groups: G by N. At other sizes it is what fits these exactly, as of every count at least four of them; else
            its growth is unknown.
        returning: whether the method may go back to earlier elements.

    Returns:
        The verdict and its reason.

    Raises:
        ValueError: unknown claim.
    """
    bound, _ = parse(claimed)
    sizes, values = growth.sizes, growth.values
    verdict, why = judge_counts(claimed, growth)
    if len(sizes) < FEWEST_SIZES or sizes[-1] < LEAST_SPAN * sizes[0]:
        return verdict, why
    if one_pass is None or one_pass.fitted is None:
        if verdict == "fails" and growth.formula is None:
            return "undecided", f"what one pass costs is unknown, and {PROVES_NOTHING}; {why}"
        return verdict, why
    grown = _exact(groups)
    single = grown is not None and grown.fitted == "N"
    for n, value in zip(sizes, values, strict=True):
        known = groups.get(n) or (round(grown.predict(n)) if grown else None)
        most = _most("N" if known is None or single else "G", returning)
        limit = 2 * (known or n) if returning else (known or n) + 1
        needed = passes.get(n)
        if needed is not None and needed > limit:
            return "fails", f"{needed} evaluations at N = {n}, more than {most}"
        if value > 2 * limit * one_pass.predict(n):
            return "fails", f"more than 2 ({most}) passes' worth at N = {n}"
    if growth.formula is not None and CLASSES.index(growth.fitted or "1") > CLASSES.index(bound):
        return verdict, why  # cost outside the passes counts too
    steps = (grown.fitted if grown else None) or "N"
    if all(_within(steps, one, bound) for one in (one_pass.fitted, *one_pass.rivals)):
        name = "N" if steps == "N" else "G"
        what = "" if steps == "N" else f" of G = O({steps}) groups"
        first, last = passes.get(sizes[0]), passes.get(sizes[-1])
        seen = f"{first} to {last} were needed at N = {sizes[0]} to {sizes[-1]}"
        if first is None or last is None:
            seen = "how many were needed is unknown"
        elif first == last:
            seen = f"{first} were needed at N = {sizes[0]} and at N = {sizes[-1]}"
        return (
            "holds",
            f"at most {_most(name, True) if returning else name} passes{what}, each O({one_pass.fitted}); {seen}",
        )
    if growth.formula is not None or (verdict == "fails" and any(_refuting(grown, passes, one_pass, bound))):
        return verdict, why
    if grown is None:
        return "undecided", f"{PROVES_NOTHING}, and {_unknown(groups)}; {why}"
    if verdict == "fails":
        return "undecided", f"{PROVES_NOTHING}, and the growth of one pass is uncertain; {why}"
    return verdict, why


def _refuting(grown: Growth | None, passes: Mapping[int, int | None], one_pass: Growth, bound: str) -> Iterator[bool]:
    """Yield for each exact growth of a number of passes whether it exceeds the bound, whatever one pass grows as."""
    needed = {n: count for n, count in passes.items() if count is not None}
    for steps in (grown, _exact(needed) if len(needed) == len(passes) else None):
        if steps is not None and steps.fitted is not None and one_pass.fitted is not None:
            possible = (one_pass.fitted, *one_pass.rivals)
            yield all(_beyond(steps.fitted, one, bound) for one in possible)


def _exact(counts: Mapping[int, int]) -> Growth | None:
    """Return the exact fit of a number of passes; None if there is none."""
    found = fit_exact(list(counts), list(counts.values())) if len(counts) >= FEWEST_SIZES else None
    return found if found is not None and found.fitted is not None else None


def _most(name: str, returning: bool) -> str:
    return f"2 {name}" if returning else f"{name} + 1"


def _times(steps: str, one: str) -> str | None:
    """Return the class of the product of a number of passes and the cost of one, or None if no class fits."""
    return one if steps == "1" else steps if one == "1" else _TIMES.get((steps, one))


def _within(steps: str, one: str, bound: str) -> bool:
    product = _times(steps, one)
    return product is not None and CLASSES.index(product) <= CLASSES.index(bound)


def _beyond(steps: str, one: str, bound: str) -> bool:
    """Return whether the product surely exceeds the bound; without a class of its own it exceeds both factors."""
    product = _times(steps, one)
    if product is not None:
        return CLASSES.index(product) > CLASSES.index(bound)
    return max(CLASSES.index(steps), CLASSES.index(one)) >= CLASSES.index(bound)


def _unknown(groups: Mapping[int, int]) -> str:
    """Return why the growth of G is unknown, and what to do."""
    if len(groups) >= FEWEST_SIZES:
        return f"no class reproduces the number of groups, counted at N = {min(groups)} to {max(groups)}"
    *others, last = map(str, sorted(groups)) if groups else ("no size",)
    where = f"N = {', '.join(others)} and {last} alone" if others else f"N = {last} alone" if groups else last
    return (
        f"the number of groups was counted at {where}, where {FEWEST_SIZES} sizes are needed: "
        "give a longer --count-budget, which counts the reference at more"
    )
