"""The growth classes, and the result of a fit to one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CLASSES = ("1", "log N", "sqrt N", "N", "N log N", "N^2", "N^3")
"""Classes from the slowest growth to the fastest. Logarithms are base 2."""

BASIS: Mapping[str, Callable[[float], float]] = {
    "1": lambda n: 1.0,
    "log N": lambda n: math.log2(n),
    "sqrt N": lambda n: math.sqrt(n),
    "N": lambda n: float(n),
    "N log N": lambda n: n * math.log2(n),
    "N^2": lambda n: float(n) ** 2,
    "N^3": lambda n: float(n) ** 3,
}

FEWEST_SIZES = 4
"""Number of sizes below which no class is named."""
LEAST_SPAN = 4.0
"""Ratio of largest to smallest size below which noisy values name no class and no claim is judged."""


@dataclass(frozen=True)
class Growth:
    """Growth of a quantity over N: ``intercept + slope * g(N)``, and lower terms in exact fits."""

    fitted: str | None
    """A class of `CLASSES`; None where no class may be named."""
    exponent: float | None
    """The p of ``a + b N^p``, the part that grows after the intercept; 0 for a constant."""
    exponent_ci95: tuple[float, float] | None
    """95% interval of a noisy exponent; None for an exact one and for a constant."""
    intercept: float | None
    slope: float | None
    residual: float | None
    """Root mean square relative error of the fit; 0 for an exact fit."""
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    lower: tuple[tuple[str, float], ...] = ()
    """Terms between the intercept and the leading one: (class, coefficient)."""
    rivals: tuple[str, ...] = ()
    """Classes that noise makes indistinguishable from ``fitted``; without one, those that the exponent denies."""
    formula: str | None = None
    """An exact fit written out, such as ``221·N + 3``."""

    def predict(self, n: int) -> float:
        """Return the value of the fit at ``n``.

        Raises:
            ValueError: no class was fitted, or ``n`` below 1.
        """
        if self.fitted is None or self.intercept is None or self.slope is None:
            raise ValueError("nothing was fitted")
        if n < 1:
            raise ValueError(f"n must be at least 1, not {n}")
        growing = [*self.lower, (self.fitted, self.slope)] if self.fitted != "1" else []
        exact = self.formula is not None
        return self.intercept + sum(factor * basis(name, n, exact) for name, factor in growing)


def basis(name: str, n: float, exact: bool = False) -> float:
    """Return g(n) of a class. In exact fits a logarithm is ceil(log2 n), the depth of a scan."""
    if exact and name == "log N":
        return float(ceil_log2(int(n)))
    if exact and name == "N log N":
        return float(n * ceil_log2(int(n)))
    return BASIS[name](n)


def ceil_log2(n: int) -> int:
    """Return ceil(log2 n) of a positive integer."""
    return (n - 1).bit_length()


def by_size(sizes: Sequence[int], values: Sequence[float]) -> list[tuple[int, float]]:
    """Return (size, value) pairs in order of size.

    Raises:
        ValueError: lengths that differ, no sizes, a duplicate size, or a size below 1.
    """
    if len(sizes) != len(values):
        raise ValueError(f"{len(sizes)} sizes but {len(values)} values")
    if not sizes:
        raise ValueError("no sizes")
    if len(set(sizes)) != len(sizes):
        raise ValueError("a size is given twice")
    if min(sizes) < 1:
        raise ValueError("sizes must be at least 1")
    return sorted(zip(sizes, values, strict=True))
