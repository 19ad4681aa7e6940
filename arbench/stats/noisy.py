"""Fits of durations and other noisy values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from arbench.stats.classes import CLASSES, FEWEST_SIZES, LEAST_SPAN, Growth, basis, by_size

LEAST_NOISE = 0.01
"""Smallest relative standard error assumed for a median, however well its workers agree."""
TIES = 2.0
"""Factor of the best leave-one-out error within which a class is indistinguishable from the best."""
NOTHING_FITS = 0.5
"""Leave-one-out error of a class above which it is not named."""
VAGUE = 2.0
"""Width of the interval of the exponent above which no class that grows is named."""
FLAT = 0.10
"""Leave-one-out error up to which a constant that ties is reported as a constant."""
NEAR = 0.05
"""Largest difference of exponents that count as equal; at useful N a constant and a logarithm differ by more."""
APART = 0.1
"""Difference of exponents from which a floor and an overhead say different things."""
TIED, BETTER = 9.0, 9.0
"""Variances of a value within which sums of squares are equal, and beyond which the smaller is better."""
_POWERS = np.arange(0.01, 4.0001, 0.01)


def fit_noisy(
    sizes: Sequence[int],
    seconds: Mapping[int, Mapping[int, float]] | Sequence[Sequence[float]],
) -> Growth:
    """Fit the class that predicts left-out sizes best, and the exponent of a free power.

    Every class is fitted to the medians as ``a + b g(N)``, with a and b not negative, by least squares on relative
    errors. The class with the smallest leave-one-out error is ``fitted``; classes within twice that error, or
    within the noise of the medians, are its ``rivals``. A constant that ties wins, because the data do not support
    the slope that the others add. A class whose own exponent over these sizes lies outside the interval of the
    measured one, by more than ``NEAR``, is not named, although it predicts best: ``N log N`` over 4 to 256 is about
    N^1.3. The interval given contains the exponent of the class named.

    The exponent is the p of ``a + b N^p``. Its 95% interval is the profile of the squared relative error (F with 1
    and n - 3 degrees of freedom); the variance is the larger of the lack of fit and the scatter of the workers. So
    the interval also covers growth that is not a power law.

    Values that are flat and then grow, as those of a device that is not full yet, follow neither a class nor a
    power. Where ``floored`` says that they may be such, neither is named.

    A knee that is smooth, such as ``(1 + (N / k)^3)^(1/3)``, is between a floor and an overhead: of 270 such series, 50
    were named N^2, although no local exponent exceeds 1.

    Rates at noise of 1 to 5% in three workers, five to seven sizes: of 2,100 series of the classes at 2%, 2,095 get
    their own class; of 3,240 that are flat and then linear, 18 get a class that grows faster than N. Tests simulate
    both.

    Args:
        sizes: distinct N.
        seconds: worker to {N: median seconds}, with each size in at least one worker; or the samples of each size
            of ``sizes``.

    Returns:
        The growth. ``fitted`` is None below four sizes or a span of 4x, where no class predicts a left-out size
        within 50%, where the exponent denies every class that fits, and above a floor; there ``exponent`` is None too.

    Raises:
        ValueError: no sizes, a duplicate size, a size without values, or a value that is not positive and finite.
    """
    medians, noise = _medians(sizes, seconds)
    return _likeliest(tuple(by_size(sizes, medians)), noise)


@lru_cache(1024)  # where work has no exact fit, it is fitted once as what one pass costs and once for its own row
def _likeliest(pairs: tuple[tuple[int, float], ...], noise: float) -> Growth:
    ns, ys = tuple(n for n, _ in pairs), tuple(y for _, y in pairs)
    exponent, ci95 = free_exponent(ns, ys, noise)
    nothing = Growth(None, exponent, ci95, None, None, None, ns, ys)
    if len(ns) < FEWEST_SIZES or ns[-1] < LEAST_SPAN * ns[0]:
        return nothing
    errors = {name: _leave_one_out(name, ns, ys) for name in CLASSES}
    least = min(errors.values())
    ties = [name for name in CLASSES if errors[name] <= max(TIES * least, noise)]
    if "1" in ties and errors["1"] <= FLAT:
        (intercept, slope), residual = _fit(_basis("1", ns), np.array(ys))
        return Growth("1", 0.0, None, intercept, slope, residual, ns, ys)
    named = nothing
    if least <= NOTHING_FITS:
        named = _named(ns, ys, ties, errors, exponent, ci95)
    if named.fitted != "1" and floored(ns, ys, _own_exponent(named), noise):
        return Growth(None, None, None, None, None, None, ns, ys)
    return named


def _named(
    ns: tuple[int, ...],
    ys: tuple[float, ...],
    ties: list[str],
    errors: Mapping[str, float],
    exponent: float | None,
    ci95: tuple[float, float] | None,
) -> Growth:
    """Return the growth in the best class that the measured exponent does not deny; a constant comes first."""
    vague = ci95 is not None and ci95[1] - ci95[0] > VAGUE
    for fitted in sorted(ties, key=lambda name: (name != "1", errors[name])):
        if errors[fitted] > NOTHING_FITS or (vague and fitted != "1"):
            continue
        (intercept, slope), residual = _fit(_basis(fitted, ns), np.array(ys))
        rivals = tuple(name for name in ties if name != fitted)
        growth = Growth(fitted, exponent, ci95, intercept, slope, residual, ns, ys, rivals=rivals)
        if ci95 is None:
            return growth
        own = [p for p in (_own_exponent(growth), _bare_exponent(fitted, ns)) if p is not None]
        if all(ci95[0] - NEAR <= p <= ci95[1] + NEAR for p in own):
            return replace(growth, exponent_ci95=(min(ci95[0], *own), max(ci95[1], *own)))
    return Growth(None, exponent, ci95, None, None, None, ns, ys, rivals=tuple(ties))


def _own_exponent(growth: Growth) -> float | None:
    """Return the exponent of a free power fitted to the class that was named; the measured one without a class."""
    if growth.fitted is None:
        return growth.exponent
    if growth.fitted == "1":
        return 0.0
    return free_exponent(growth.sizes, [growth.predict(n) for n in growth.sizes])[0]


def _bare_exponent(name: str, ns: tuple[int, ...]) -> float | None:
    """Return the exponent of ``N log N`` itself over these sizes; above an intercept its own comes out lower."""
    return free_exponent(ns, _basis(name, ns).tolist())[0] if name == "N log N" else None


def free_exponent(
    sizes: Sequence[int], values: Sequence[float], noise: float = LEAST_NOISE
) -> tuple[float | None, tuple[float, float] | None]:
    """Fit the p of ``a + b N^p`` between 0 and 4, with its 95% profile interval.

    Args:
        sizes: distinct N, ascending.
        values: positive values, one per size.
        noise: lower bound of the relative standard error of each value.

    Returns:
        (p, (low, high)); (0, None) for equal values; (None, None) below four sizes.
    """
    if len(sizes) < FEWEST_SIZES:
        return None, None
    from scipy import optimize, special

    y = np.asarray(values, dtype=np.float64)
    if np.ptp(y) == 0:
        return 0.0, None
    scaled = np.asarray(sizes, dtype=np.float64) / max(sizes)

    def squares(p: np.ndarray | float) -> np.ndarray:
        return _fits(scaled ** np.atleast_1d(p)[:, None], y)[2] ** 2 * y.size

    profile = squares(_POWERS)
    start = float(_POWERS[profile.argmin()])
    found = optimize.minimize_scalar(
        lambda p: float(squares(p)[0]), bounds=(max(1e-3, start - 0.01), start + 0.01), method="bounded"
    )
    best, least = (float(found.x), float(found.fun))
    if profile.min() < least:
        best, least = start, float(profile.min())
    freedom = y.size - 3
    variance = max(least / freedom, noise**2)
    inside = _POWERS[profile <= least + special.fdtri(1, freedom, 0.95) * variance]
    low, high = (min(best, inside.min()), max(best, inside.max())) if inside.size else (best, best)
    return best, (0.0 if low <= _POWERS[0] else float(low), float(high))


def floored(sizes: Sequence[int], values: Sequence[float], exponent: float | None, noise: float = LEAST_NOISE) -> bool:
    """Return True if the values may be flat and then grow with another exponent than the given one.

    The floor is ``b max(h, N)^p``, the overhead ``a + b N^p``; both have three parameters. A floor denies the
    exponent if its own p differs by more than ``APART`` and either two sizes or more lie on the floor, and it explains
    them as well as an overhead does, up to ``TIED`` variances; or it explains them better by ``BETTER`` variances, with
    less than a third of the squares.

    Args:
        sizes: distinct N, ascending.
        values: positive values, one per size.
        exponent: the exponent to deny; None to deny nothing.
        noise: relative standard error of each value.
    """
    if len(sizes) < FEWEST_SIZES or exponent is None or np.ptp(values) == 0:
        return False
    y, n = np.asarray(values, dtype=np.float64), np.log(np.asarray(sizes, dtype=np.float64) / max(sizes))
    overhead = float((_fits(np.exp(n * _POWERS[:, None]), y)[2] ** 2).min()) * y.size
    hinges = np.union1d(np.linspace(n[0], n[-1], 32 * len(sizes) + 1), n)[1:]
    others = _POWERS[np.abs(_POWERS - exponent) > APART][::2]
    grown = np.exp(others[:, None, None] * np.maximum(hinges[:, None], n)) / y  # (powers, hinges, sizes)
    scale = grown.sum(-1) / (grown**2).sum(-1)
    squares = ((scale[..., None] * grown - 1) ** 2).sum(-1)
    visible = float(squares[:, hinges >= n[1] - 1e-9].min())
    if visible <= overhead + TIED * noise**2:
        return True
    best = float(squares.min())
    return best + BETTER * noise**2 < overhead and 3 * best < overhead


def _medians(
    sizes: Sequence[int], seconds: Mapping[int, Mapping[int, float]] | Sequence[Sequence[float]]
) -> tuple[list[float], float]:
    """Return the median at each size, and the relative standard error pooled over the sizes."""
    if isinstance(seconds, Mapping):
        columns = [[worker[n] for worker in seconds.values() if n in worker] for n in sizes]
    else:
        columns = [list(samples) for samples in seconds]
    for n, column in zip(sizes, columns, strict=True):
        if not column:
            raise ValueError(f"no values at size {n}")
        if not all(np.isfinite(value) and value > 0 for value in column):
            raise ValueError(f"values at size {n} must be positive and finite")
    logs = _levelled(sizes, seconds) if isinstance(seconds, Mapping) else map(np.log, columns)
    variances = [float(np.var(column, ddof=1)) / len(column) for column in logs if len(column) > 1]
    noise = float(np.sqrt(np.mean(variances))) if variances else 0.0
    return [float(np.median(column)) for column in columns], max(noise, LEAST_NOISE)


def _levelled(sizes: Sequence[int], seconds: Mapping[int, Mapping[int, float]]) -> list[list[float]]:
    """Return logarithms by size minus each worker's mean, so that a worker slow at every N adds no noise."""
    columns: list[list[float]] = [[] for _ in sizes]
    for worker in seconds.values():
        logs = {i: float(np.log(worker[n])) for i, n in enumerate(sizes) if n in worker}
        for i, value in logs.items():
            columns[i].append(value - sum(logs.values()) / len(logs))
    return columns


def _basis(name: str, sizes: Sequence[int]) -> np.ndarray:
    return np.array([basis(name, n) for n in sizes])


def _fit(g: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], float]:
    """Return the non-negative (a, b) of ``y = a + b g``, and the root mean square relative error."""
    if np.ptp(g) == 0:
        a = float(np.sum(1 / y) / np.sum(1 / y**2))
        return (a, 0.0), float(np.sqrt(np.mean((a / y - 1) ** 2)))
    scale = g.max()
    (a,), (b,), (error,) = _fits(g[None] / scale, y)
    return (float(a), float(b / scale)), float(error)


def _fits(gs: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Apply ``_fit`` to each row of ``gs`` (fits, sizes), none of them constant; return a, b and errors (fits,).

    The least squares of two terms are solved without the sign constraint. A term that comes out negative is 0 at
    the constrained optimum, because the problem is convex; both cannot be negative, because all data are positive.
    """
    constant, grown = 1 / y, gs / y
    cc, cg, gg = constant @ constant, grown @ constant, (grown**2).sum(-1)
    c, g = constant.sum(), grown.sum(-1)
    room = cc * gg - cg**2
    room = np.where(room > 0, room, np.inf)  # rounding left nothing to tell the terms apart: neither is fitted
    a, b = (c * gg - g * cg) / room, (cc * g - cg * c) / room
    a, b = np.where(b < 0, c / cc, a), np.where(a < 0, g / gg, b)
    a, b = a.clip(0), b.clip(0)
    errors = a[:, None] * constant + b[:, None] * grown - 1
    return a, b, np.sqrt((errors**2).mean(-1))


def _leave_one_out(name: str, sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the root mean square relative error of predicting each size from the others."""
    g, y = _basis(name, sizes), np.array(values)
    errors = []
    for i in range(y.size):
        (a, b), _ = _fit(np.delete(g, i), np.delete(y, i))
        errors.append((a + b * g[i]) / y[i] - 1)
    return float(np.sqrt(np.mean(np.square(errors))))
