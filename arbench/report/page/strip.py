"""Samples of a case as a small picture: a row for each worker, a dot for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from arbench.stats.digits import Interval

_WIDE, _HIGH, _EDGE = 240, 9, 6
"""Width of the picture, height of a worker's row, and room at the sides, in pixels."""


def strip(workers: Mapping[int, Sequence[float]], middle: float, interval: Interval | None, color: str) -> Markup:
    """Return the samples as SVG, from the fastest on the left to the slowest on the right.

    A line marks the median and a band its interval. Samples within a pixel of each other share a dot.

    Args:
        workers: seconds by worker; none may be empty.
        middle: the median, seconds.
        interval: its interval or range.
        color: a CSS colour.
    """
    known = [value for values in workers.values() for value in values]
    low = min(*known, *(interval or (middle,)))
    high = max(*known, *(interval or (middle,)))

    def x(value: float) -> int:
        return _EDGE + (round((value - low) / (high - low) * (_WIDE - 2 * _EDGE)) if high > low else _WIDE // 2 - _EDGE)

    height = _HIGH * len(workers)
    parts = [f'<svg class="strip" aria-hidden="true" viewBox="0 0 {_WIDE} {height}" width="{_WIDE}" height="{height}">']
    if interval is not None:
        left, right = map(x, interval)
        parts.append(f'<rect x="{left}" width="{max(right - left, 1)}" height="{height}"/>')
    parts.append(f'<path class="middle" d="M{x(middle)} 0v{height}"/>')
    dots = "".join(
        f"M{place} {_HIGH * row + _HIGH // 2}h0"
        for row, values in enumerate(workers.values())
        for place in sorted(set(map(x, values)))
    )
    parts.append(f'<path class="dots" style="stroke:{color}" d="{dots}"/></svg>')
    return Markup("".join(parts))
