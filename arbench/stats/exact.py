"""Fits of integers (depth, operations, FLOPs) without residual, in rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

import numpy as np

from arbench.stats.classes import CLASSES, FEWEST_SIZES, Growth, by_size, ceil_log2
from arbench.stats.noisy import floored, free_exponent

HELD_OUT = 2
"""Number of sizes that a fit must reproduce beyond the number of its terms."""
_MOST_TERMS = 4
_EXPONENTS = {"1": 0.0, "sqrt N": 0.5, "N": 1.0, "N^2": 2.0, "N^3": 3.0}
_EXTRAPOLATED = ("log N", "sqrt N", "N", "N log N", "N^2", "N^3")


@dataclass(frozen=True)
class _Fit:
    terms: tuple[str, ...]
    """Classes from the slowest to the fastest; the first is always '1'."""
    factors: tuple[Fraction, ...]
    root: int
    """Square-free r such that the sizes are r m^2; the term 'sqrt N' is m = sqrt(N / r)."""

    def at(self, n: int) -> Fraction | None:
        """Return the exact value at ``n``; None where sqrt(n / root) is needed and is not an integer."""
        row = _row(self.terms, n, self.root)
        return None if row is None else sum(map(Fraction.__mul__, self.factors, row), Fraction(0))


def fit_exact(sizes: Sequence[int], values: Sequence[int]) -> Growth:
    """Fit the simplest sum of classes that reproduces every value without residual.

    The terms always include an intercept. A fit with fewer terms wins, and among equals the one whose leading term
    grows more slowly. At least four sizes must be reproduced, and at least two more than there are terms, so that
    a coincidence cannot pass. Lower terms are allowed because they occur: a raster-scan image model has depth
    a N + b sqrt(N) + c. A logarithm is ceil(log2 N), the count of a prefix scan. sqrt N is tried where all sizes
    share their square-free part, which makes it rational up to a constant.

    Args:
        sizes: distinct N, in any order.
        values: the integer measured at each size.

    Returns:
        The growth, with ``residual`` 0. If no such sum exists or there are too few sizes, ``fitted`` is None; with
        four sizes or more it still has the exponent of a free power, unless the values may be flat and then grow.

    Raises:
        ValueError: lengths that differ, no sizes, a duplicate size, a size below 1, or a value that is not an
            integer.
    """
    return _simplest(tuple((n, _integer(value)) for n, value in by_size(sizes, values)))


@lru_cache(1024)  # a report fits the same counts for its table, its sentences and its claims
def _simplest(pairs: tuple[tuple[int, int], ...]) -> Growth:
    ns, ys = tuple(n for n, _ in pairs), tuple(float(y) for _, y in pairs)
    fit = next(_fits(pairs, CLASSES[1:], HELD_OUT), None) if len(ns) >= FEWEST_SIZES else None
    if fit is None:
        exponent, ci95 = free_exponent(ns, ys) if min(ys) > 0 else (None, None)
        if floored(ns, ys, exponent):
            exponent, ci95 = None, None
        return Growth(None, exponent, ci95, None, None, None, ns, ys)
    scaled = [
        float(factor) / (math.sqrt(fit.root) if term == "sqrt N" else 1.0)
        for term, factor in zip(fit.terms, fit.factors, strict=True)
    ]
    return Growth(
        fitted=fit.terms[-1],
        exponent=_exponent(fit, ns, ys),
        exponent_ci95=None,
        intercept=scaled[0],
        slope=scaled[-1] if len(fit.terms) > 1 else 0.0,
        residual=0.0,
        sizes=ns,
        values=ys,
        lower=tuple(zip(fit.terms[1:-1], scaled[1:-1], strict=True)),
        formula=_formula(fit),
    )


def extrapolator(sizes: Sequence[int], values: Sequence[int], held_out: tuple[int, int]) -> Callable[[int], int] | None:
    """Return a sum of classes that predicts ``held_out`` exactly, as a function of N.

    Args:
        sizes: distinct N, at least one more than the sum has terms.
        values: the integer counted at each size; the sum reproduces all of them without residual.
        held_out: (N, value) that is not used in the fit.

    Returns:
        A function from N to the value. It raises ValueError where the sum is not an integer, or where sqrt N is not
        rational for the square-free part of ``sizes``. None if no sum predicts the held-out value.

    Raises:
        ValueError: as `fit_exact`, or the held-out size is among ``sizes``.
    """
    pairs = [(n, _integer(value)) for n, value in by_size(sizes, values)]
    n, value = held_out
    if n in sizes:
        raise ValueError(f"the held-out size {n} is among the sizes of the fit")
    for fit in _fits(pairs, _EXTRAPOLATED, 1):
        if fit.at(n) == value:
            return lambda n: _whole(fit.at(n), n)
    return None


def _whole(value: Fraction | None, n: int) -> int:
    if value is None or value.denominator != 1:
        raise ValueError(f"the exact fit has no integer value at n = {n}")
    return value.numerator


def _integer(value: float) -> int:
    if int(value) != value:
        raise ValueError(f"{value} is not an integer")
    return int(value)


def _fits(pairs: Sequence[tuple[int, int]], names: Sequence[str], spare: int) -> Iterator[_Fit]:
    """Yield exact fits with at least ``spare`` more sizes than terms, fewest terms first."""
    root = _square_free(pairs[0][0])
    growing = [name for name in names if all(_row((name,), n, root) for n, _ in pairs)]
    for count in range(min(_MOST_TERMS, len(pairs) - spare)):
        for chosen in sorted(combinations(growing, count), key=lambda c: list(map(CLASSES.index, c[::-1]))):
            terms = ("1", *chosen)
            rows = [(*(_row(terms, n, root) or ()), Fraction(y)) for n, y in pairs]
            factors = _solve(rows)
            if factors and (not chosen or factors[-1] > 0):
                yield _Fit(terms, factors, root)


def _row(terms: Sequence[str], n: int, root: int) -> tuple[Fraction, ...] | None:
    row = []
    for term in terms:
        if term == "sqrt N":
            square, rest = divmod(n, root)
            if rest or math.isqrt(square) ** 2 != square:
                return None
            row.append(math.isqrt(square))
        else:
            log = ceil_log2(n)
            known = {"1": 1, "log N": log, "N": n, "N log N": n * log, "N^2": n**2, "N^3": n**3}
            row.append(known[term])
    return tuple(map(Fraction, row))


def _solve(rows: Sequence[Sequence[Fraction]]) -> tuple[Fraction, ...] | None:
    """Return the unique solution of the overdetermined system [A | y]; None if there is none, or several."""
    matrix = [list(row) for row in rows]
    unknowns = len(matrix[0]) - 1
    for column in range(unknowns):
        pivot = next((i for i in range(column, len(matrix)) if matrix[i][column]), None)
        if pivot is None:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        head = matrix[column] = [entry / matrix[column][column] for entry in matrix[column]]
        for i, row in enumerate(matrix):
            if i != column and row[column]:
                matrix[i] = [a - row[column] * b for a, b in zip(row, head, strict=True)]
    if any(row[-1] for row in matrix[unknowns:]):
        return None
    return tuple(row[-1] for row in matrix[:unknowns])


def _square_free(n: int) -> int:
    rest, divisor = n, 2
    while divisor * divisor <= rest:
        while rest % (divisor * divisor) == 0:
            rest //= divisor * divisor
        divisor += 1
    return rest


def _exponent(fit: _Fit, sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the nominal exponent of a single power, or else the log-log slope of the part above the intercept."""
    leading = fit.terms[-1]
    if len(fit.terms) <= 2 and leading in _EXPONENTS:
        return _EXPONENTS[leading]
    above = [(n, y - float(fit.factors[0])) for n, y in zip(sizes, values, strict=True)]
    grown = np.log([(n, rise) for n, rise in above if rise > 0]).reshape(-1, 2)
    if len(grown) < 2:
        return _EXPONENTS.get(leading, 1.0)
    return float(np.polyfit(grown[:, 0], grown[:, 1], 1)[0])


def _formula(fit: _Fit) -> str:
    names = {"log N": "⌈log₂ N⌉", "N log N": "N·⌈log₂ N⌉", "N^3": "N³", "N^2": "N²", "N": "N"}
    names["sqrt N"] = "√N" if fit.root == 1 else f"√(N/{fit.root})"
    text = ""
    for term, factor in reversed(list(zip(fit.terms, fit.factors, strict=True))):
        if term == "1" and not factor and text:
            continue
        size = f"{abs(factor.numerator):,}" if factor.denominator == 1 else f"({abs(factor)})"
        sign = " - " if factor < 0 else " + " if text else ""
        if term == "1":
            text += f"{sign}{size}"
        else:
            text += sign + (names[term] if abs(factor) == 1 else f"{size}·{names[term]}")
    return text.strip()
