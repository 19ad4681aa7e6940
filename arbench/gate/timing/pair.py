"""A pair of fresh processes, one for each version, in which it is alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from arbench.gate.timing.hosts import Cases, HostError, Process, Wanted, started
from arbench.gate.timing.protocol import Build, Built, Peak, Peaked, Request, Timed, Turn
from arbench.gate.timing.trees import Tree

Reply = TypeVar("Reply")
Two = tuple[float, float]
"""A figure of the old version, and of the new one."""


class Pair:
    """The old version and the new one, each loaded in a process of its own; every method may raise HostError.

    Args:
        trees: the old version and the new one.
        seed: seed of the order in which they take turns.
        last: number of the version to start last; pairs alternate, since the system may give the first process a
            faster core.
        how: arguments of ``Process``.
    """

    def __init__(self, trees: Sequence[Tree], seed: int, last: int, how: Mapping[str, Any]) -> None:
        self._random = random.Random(seed)
        self._processes = started(
            (1 - last, last), lambda side: Process([trees[side].root], seed, python=trees[side].python, **how)
        )

    def ready(self) -> Two:
        """Wait until both are loaded; return the seconds of each import."""
        old, new = (self._charged(side, process.ready).seconds for side, process in enumerate(self._processes))
        return old, new

    def build(self, cases: Cases, check: bool = True) -> tuple[Two, float]:
        """Build a case in both.

        Args:
            cases: the case as each version plans it.
            check: whether to compare the first outcome with the verified one, if the version can.

        Returns:
            The seconds to the first result of each, and those of a warm call of the slower one.
        """
        old, new = (self._ask(side, Build([dict(cases[side])], [0], check), Built) for side in (0, 1))
        return (old.first_s, new.first_s), max(old.seconds, new.seconds)

    def time(self, rounds: int, calls: int) -> tuple[list[float], list[float]]:
        """Time the built case in turns, ``calls`` in a row, ``rounds`` times; return the seconds of each call."""
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for side in self._random.sample((0, 1), 2):
                seconds[side].append(self._ask(side, Turn(0, calls), Timed).seconds[0][0])
        return seconds

    def peaks(self) -> tuple[int | None, int | None]:
        """Return the peak memory of a call of the built case in bytes; None where it is unknown."""
        old, new = (self._ask(side, Peak(0), Peaked).bytes for side in (0, 1))
        return old, new

    def close(self) -> None:
        """Kill both processes."""
        for process in self._processes:
            process.close()

    def _ask(self, side: int, request: Request, wanted: type[Wanted]) -> Wanted:
        return self._charged(side, partial(self._processes[side].request, request, wanted))

    def _charged(self, side: int, call: Callable[[], Reply]) -> Reply:
        """Make a call; an error names the side."""
        try:
            return call()
        except HostError as error:
            raise error.of_side(side) from None
