"""Pool of hosts: fresh processes with the versions of a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from arbench.gate.timing.hosts import Apart, Host, HostError, Together
from arbench.gate.timing.pair import Pair
from arbench.gate.timing.trees import Tree

MORE_ROOM = "free memory, or use fewer processes (--processes 2)"
"""Advice where no further process can be had."""


class HostPool:
    """Source of fresh hosts.

    Args:
        before: the old version.
        after: the new version.
        seed: first of the seeds that the hosts get.
        threads: threads within an operation.
        facts: fields of ``arbench.bench.job.Job`` beside the cases.
        timeout: seconds a reply may take.

    Attributes:
        trees: the version of each side: old, new, and the old one again, as equal code.
        apart: whether each side gets a process of its own.
        started: number of hosts started so far.
    """

    def __init__(
        self, before: Tree, after: Tree, seed: int, threads: int, facts: Mapping[str, Any], timeout: float
    ) -> None:
        self.before, self.after = before, after
        self.trees = (before, after, before)
        self.apart = any(tree.python for tree in self.trees)
        self.started = 0
        self._ahead: list[Host] = []
        self._seed = seed
        self._outcomes: dict[str, str] = dict(facts.get("outcomes", {}))
        known = {**facts, "outcomes": self._outcomes}
        self._how: dict[str, Any] = {"threads": threads, "facts": known, "timeout": timeout}

    def start(self, apart: bool | None = None) -> Host:
        """Start a host; it is still loading.

        Args:
            apart: whether each side gets a process of its own; by default as in ``self.apart``.
        """
        kind = Apart if (self.apart if apart is None else apart) else Together
        return kind(self.trees, self._next_seed(), **self._how)

    def start_ahead(self, count: int) -> None:
        """Start hosts that load while something else goes on, as far as the system can; ``opened`` takes them first."""
        with suppress(HostError):
            for _ in range(count):
                self._ahead.append(self.start())

    def drop_ahead(self) -> None:
        """Close the hosts that were started ahead and not taken yet."""
        while self._ahead:
            self._ahead.pop().close()

    def learn(self, case: str, outcome: str) -> None:
        """Tell all processes the digest of a case's verified outcome, when they start or next build a case.

        A call with another outcome is not wrong for that: its version judges it by itself, which takes longer.
        """
        self._outcomes[case] = outcome

    def pair(self) -> Pair:
        """Start both versions in a process of their own; they are still loading."""
        seed = self._next_seed()
        return Pair((self.before, self.after), seed, self.started % 2, self._how)

    def failure(self, error: HostError) -> str:
        """Return what an error says, with the version at fault where that is known, else with what to do."""
        if error.side is not None:
            return f"{self.trees[error.side].label} fails: {error}"
        return f"{error}; {MORE_ROOM}" if error.death is not None else str(error)

    def _next_seed(self) -> int:
        self.started += 1
        return (1000 * self._seed + 10 * self.started) % 2**63

    def replace(self, hosts: list[Host], place: int) -> None:
        """Replace a dead or hung host by a fresh one, so that stale replies are discarded. Raises HostError."""
        hosts[place].close()
        hosts[place] = self.start()
        self._ready(hosts, place)

    def _ready(self, hosts: list[Host], place: int) -> None:
        """Wait until a host is loaded; one that dies meanwhile is replaced once. Raises HostError."""
        try:
            hosts[place].ready()
        except HostError as error:
            if error.death is None:
                raise
            hosts[place].close()
            hosts[place] = self.start()
            hosts[place].ready()

    @contextmanager
    def opened(self, count: int) -> Iterator[list[Host]]:
        """Yield ``count`` fresh hosts with all sides loaded, and close them at the end. Raises HostError."""
        hosts: list[Host] = []
        try:
            for _ in range(count):
                hosts.append(self._ahead.pop(0) if self._ahead else self.start())
            for place in range(count):
                self._ready(hosts, place)
            yield hosts
        finally:
            for host in hosts:
                host.close()
