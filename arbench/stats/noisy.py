"""Fits of durations and other noisy values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from arbench.stats.classes import CLASSES, FEWEST_SIZES, LEAST_SPAN, Growth, basis, by_size

LEAST_NOISE = 0.01
"""Smallest relative standard error assumed for a median, however well its workers agree."""
TIES = 2.0
"""Factor of the best leave-one-out error within which a class is indistinguishable from the best."""
NOTHING_FITS = 0.5
"""Leave-one-out error of the best class above which no class is named."""
FLAT = 0.10
"""Leave-one-out error up to which a constant that ties is reported as a constant."""
_POWERS = np.arange(0.01, 4.0001, 0.01)


def fit_noisy(
    sizes: Sequence[int],
    seconds: Mapping[int, Mapping[int, float]] | Sequence[Sequence[float]],
) -> Growth:
    """Fit the class that predicts left-out sizes best, and the exponent of a free power.

    Every class is fitted to the medians as ``a + b g(N)``, with a and b not negative, by least squares on relative
    errors. The class with the smallest leave-one-out error is ``fitted``; classes within twice that error, or
    within the noise of the medians, are its ``rivals``. A constant that ties wins, because the data do not support
    the slope that the others add.

    The exponent is the p of ``a + b N^p``. Its 95% interval is the profile of the squared relative error (F with 1
    and n - 3 degrees of freedom); the variance is the larger of the lack of fit and the scatter of the workers. So
    the interval also covers growth that is not a power law.

    Args:
        sizes: distinct N.
        seconds: worker to {N: median seconds}, with each size in at least one worker; or the samples of each size
            of ``sizes``.

    Returns:
        The growth. ``fitted`` is None below four sizes or a span of 4x, or where no class predicts a left-out size
        within 50%.

    Raises:
        ValueError: no sizes, a duplicate size, a size without values, or a value that is not positive and finite.
    """
    medians, noise = _medians(sizes, seconds)
    pairs = by_size(sizes, medians)
    ns, ys = tuple(n for n, _ in pairs), tuple(y for _, y in pairs)
    exponent, ci95 = free_exponent(ns, ys, noise)
    nothing = Growth(None, exponent, ci95, None, None, None, ns, ys)
    if len(ns) < FEWEST_SIZES or ns[-1] < LEAST_SPAN * ns[0]:
        return nothing
    errors = {name: _leave_one_out(name, ns, ys) for name in CLASSES}
    least = min(errors.values())
    if least > NOTHING_FITS:
        return nothing
    ties = [name for name in CLASSES if errors[name] <= max(TIES * least, noise)]
    fitted = "1" if "1" in ties else min(ties, key=errors.__getitem__)
    rivals = tuple(name for name in ties if name != fitted)
    if fitted == "1" and errors["1"] <= FLAT:
        exponent, ci95, rivals = 0.0, None, ()
    (intercept, slope), residual = _fit(_basis(fitted, ns), np.array(ys))
    return Growth(fitted, exponent, ci95, intercept, slope, residual, ns, ys, rivals=rivals)


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
