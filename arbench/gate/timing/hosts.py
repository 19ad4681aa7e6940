"""Hosts of the versions of a check: one process for all of them, or a process for each."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from arbench.bench.workers.failure import BrokenMessageError, StartError, WorkerFailure
from arbench.bench.workers.process import STARTUP_S, Worker
from arbench.gate.timing.protocol import (
    Build,
    Built,
    CaseLists,
    Failed,
    ListCases,
    Load,
    Loaded,
    Reply,
    Request,
    Timed,
    Turn,
    Turns,
    Verified,
    Verify,
)
from arbench.gate.timing.trees import Tree

Cases = Sequence[Mapping[str, Any]]
"""One case as each side plans it."""
Wanted = TypeVar("Wanted", bound=msgspec.Struct)
HERE = str(Path(__file__).parents[3])


class HostError(Exception):
    """Failure of a version or of its process; the message is one line.

    Args:
        what: the message.
        side: number of the side at fault, where known.
        apart: whether the versions could be loaded in a process each.
        gone: whether the process is dead or hung, so that it needs a replacement.
        death: how the process died; None if it did not.
    """

    def __init__(
        self,
        what: str,
        side: int | None = None,
        apart: bool = False,
        gone: bool = False,
        death: WorkerFailure | None = None,
    ) -> None:
        super().__init__(what)
        self.side = side
        self.apart = apart
        self.gone = gone or death is not None
        self.death = death

    def of_side(self, side: int) -> HostError:
        """Return the same failure, charged to a side."""
        return HostError(str(self), side, self.apart, self.gone, self.death)


class Host(Protocol):
    """Loaded sides that take turns; every method may raise HostError.

    Attributes:
        environment: facts about the process, as ``arbench.meters.environment`` returns them; empty until ``ready``.
    """

    environment: dict[str, Any]

    def ready(self) -> None:
        """Wait until all sides are loaded."""

    def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
        """Return the cases that each side plans for its own options."""

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified:
        """Return the result of a side's own verification."""

    def build(self, cases: Cases, sides: Sequence[int]) -> float:
        """Build a fresh instance of a case on each of these sides; return the seconds of a call."""

    def turns(self, rounds: int, calls: int) -> Timed:
        """Time the built sides in turns: ``calls`` in a row, ``rounds`` times."""

    def close(self) -> None:
        """Kill the processes."""


class Process:
    """One worker process with its requests and replies.

    Args:
        roots: source trees of the sides to load.
        seed: seed of the order in which they are loaded and take turns.
        threads: threads within an operation.
        facts: fields of ``arbench.bench.job.Job`` beside the cases. Each build of a case tells the process its
            ``outcomes``, which may have grown meanwhile.
        timeout: seconds a reply may take.
        python: interpreter to run; by default this one.

    Raises:
        HostError: the system does not start the process.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        seed: int,
        threads: int,
        facts: Mapping[str, Any],
        timeout: float,
        python: str | None = None,
    ) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self.worker = Worker([python or sys.executable, "-P", "-m", "arbench.gate.timing.worker"], environment)
        except StartError as error:
            raise HostError(str(error)) from None
        self.timeout = timeout
        self._outcomes: Mapping[str, str] = facts.get("outcomes", {})
        self.worker.send(Load([str(root) for root in roots], seed, threads, dict(facts)))

    def ready(self) -> Loaded:
        """Wait until the sides are loaded. Raises HostError."""
        return self._reply(Loaded, max(self.timeout, STARTUP_S))

    def request(self, request: Request, wanted: type[Wanted]) -> Wanted:
        """Send a request and return its reply. Raises HostError."""
        self.worker.send(request)
        return self._reply(wanted, self.timeout)

    def build(self, cases: Cases, sides: Sequence[int]) -> Built:
        """Build a fresh instance of a case on each of these sides. Raises HostError."""
        known = dict(self._outcomes)
        return self.request(Build([dict(case) for case in cases], list(sides), outcomes=known), Built)

    def _reply(self, wanted: type[Wanted], patience: float) -> Wanted:
        try:
            reply = self.worker.receive(Reply, patience)
        except TimeoutError:
            raise HostError(f"no response for {patience:g} s", gone=True) from None
        except BrokenMessageError as error:
            raise HostError(str(error), gone=True) from None
        if reply is None:
            raise self._death()
        if isinstance(reply, Failed):
            raise HostError(reply.error, reply.side, reply.apart)
        if not isinstance(reply, wanted):
            raise HostError(f"the worker sent a message that was not asked for: {type(reply).__name__}", gone=True)
        return reply

    def _death(self) -> HostError:
        try:
            code = self.worker.process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            return HostError(f"closed its channel but did not exit within {self.timeout:g} s", gone=True)
        why = self.worker.exit_reason(code)
        return HostError(why, death=WorkerFailure("error", why, code))

    def close(self) -> None:
        """Kill the process."""
        self.worker.kill()


def started(order: Sequence[int], start: Callable[[int], Process]) -> list[Process]:
    """Start the process of each side in this order, all or none; return them by side. Raises HostError."""
    found: dict[int, Process] = {}
    try:
        for side in order:
            found[side] = start(side)
    except HostError:
        for process in found.values():
            process.close()
        raise
    return [found[side] for side in range(len(order))]


class Together:
    """All sides in one process: a disturbance affects the calls of all of them alike."""

    def __init__(self, trees: Sequence[Tree], seed: int, **how: Any) -> None:
        self._process = Process([tree.root for tree in trees], seed, **how)
        self.environment: dict[str, Any] = {}

    def ready(self) -> None:
        """Wait until all sides are loaded."""
        self.environment = self._process.ready().environment

    def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
        """Return the cases that each side plans for its own options."""
        return self._process.request(ListCases(options, kernels), CaseLists)

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified:
        """Return the result of a side's own verification."""
        return self._process.request(Verify(side, dict(case)), Verified)

    def build(self, cases: Cases, sides: Sequence[int]) -> float:
        """Build a fresh instance on each of these sides; return the seconds of a call."""
        return self._process.build(cases, sides).seconds

    def turns(self, rounds: int, calls: int) -> Timed:
        """Time the built sides in turns."""
        return self._process.request(Turns(rounds, calls), Timed)

    def close(self) -> None:
        """Kill the process."""
        self._process.close()


class Apart:
    """A process for each side, in turns call by call; each process has a bias of its own, some percent."""

    def __init__(self, trees: Sequence[Tree], seed: int, **how: Any) -> None:
        self._random = random.Random(seed)
        self._built: Sequence[int] = ()
        order = self._random.sample(range(len(trees)), len(trees))  # the first may get a faster core
        self._processes = started(
            order, lambda side: Process([trees[side].root], seed + side, python=trees[side].python, **how)
        )
        self.environment: dict[str, Any] = {}

    def ready(self) -> None:
        """Wait until all sides are loaded."""
        found = [self._charged(side, "ready") for side in range(len(self._processes))]
        self.environment = found[1].environment

    def _charged(self, side: int, do: str, *words: Any) -> Any:
        """Call a method of a side's process; an error names the side."""
        try:
            return getattr(self._processes[side], do)(*words)
        except HostError as error:
            raise error.of_side(side) from None

    def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
        """Return the cases that each side plans for its own options."""
        replies = [
            self._charged(side, "request", ListCases([one], kernels), CaseLists) for side, one in enumerate(options)
        ]
        return CaseLists([reply.sides[0] for reply in replies])

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified:
        """Return the result of a side's own verification."""
        found: Verified = self._charged(side, "request", Verify(0, dict(case)), Verified)
        return found

    def build(self, cases: Cases, sides: Sequence[int]) -> float:
        """Build a fresh instance on each of these sides; return the seconds of a call."""
        self._built = sides
        built = [self._charged(side, "build", [case], [0]) for side, case in zip(sides, cases, strict=True)]
        return float(built[0].seconds)

    def turns(self, rounds: int, calls: int) -> Timed:
        """Time the built sides in turns."""
        seconds: list[list[float]] = [[] for _ in self._built]
        for _ in range(rounds):
            for place in self._random.sample(range(len(seconds)), len(seconds)):
                timed = self._charged(self._built[place], "request", Turn(0, calls), Timed)
                seconds[place].append(timed.seconds[0][0])
        return Timed(seconds)

    def close(self) -> None:
        """Kill the processes."""
        for process in self._processes:
            process.close()
