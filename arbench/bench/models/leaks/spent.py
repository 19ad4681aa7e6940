"""Seconds that a probe has spent, by which it decides how much it tries."""

from __future__ import annotations

import time

ALONE = 2.0
"""How many times as long by the clock it may take: a thread may wait for a GPU, or for a processor."""


class Spent:
    """Seconds since it was made in which this thread computed, so that a busy machine tries hardly fewer symbols."""

    def __init__(self) -> None:
        self._began = time.thread_time(), time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds; half of those by the clock where these are more."""
        computed, clock = self._began
        return max(time.thread_time() - computed, (time.perf_counter() - clock) / ALONE)
