"""The decision to stop sampling, and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

SHORTEST_HISTORY = 12
"""Number of rounds with an interval before a plateau can be distinguished from chance."""
STILL_SHRINKING = 0.9
"""Fraction of the width kept while the history doubled, above which the width no longer shrinks."""


def reason_to_stop(
    widths: Sequence[float | None], target: float, elapsed: float, budget: float
) -> Literal["target", "plateau", "budget"] | None:
    """Return the reason to stop now, or None to continue.

    - ``target``: the latest width is within ``target``;
    - ``plateau``: the width no longer shrinks. Independent noise would shrink it to 0.65 from the second quarter of
      the history to the last. A width that keeps more than 0.9 (medians of the two quarters) does not shrink with
      more samples of the same kind;
    - ``budget``: ``elapsed`` has reached ``budget``.

    Args:
        widths: width of the interval relative to the median, after each round; None where there was no interval yet.
        target: relative width to reach.
        elapsed: seconds spent.
        budget: seconds allowed.
    """
    known = [width for width in widths if width is not None]
    if widths and widths[-1] is not None and widths[-1] <= target:
        return "target"
    if len(known) >= SHORTEST_HISTORY:
        quarter = len(known) // 4
        earlier, latest = known[quarter : 2 * quarter], known[-quarter:]
        if median(latest) > STILL_SHRINKING * median(earlier):
            return "plateau"
    return "budget" if elapsed >= budget else None
