"""The versions of a check, held in one process side by side, or each in a process of its own."""

from __future__ import annotations

import os
import queue
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from arbench.bench.process import STARTUP_S, Worker
from arbench.gate.timing.protocol import (
    Answer,
    Brief,
    Failed,
    Held,
    Hold,
    Plan,
    Planned,
    Question,
    Ready,
    Timed,
    Turn,
    Turns,
    Verified,
    Verify,
)
from arbench.gate.timing.trees import Tree

Cases = Sequence[Mapping[str, Any]]
"""The same case as each side plans it."""
Wanted = TypeVar("Wanted", bound=msgspec.Struct)
HERE = str(Path(__file__).parents[3])


class HoldingError(Exception):
    """A version that cannot be loaded, or fails; the message is one line.

    Args:
        side: whose fault it is, if that is known.
        apart: whether each in a process of its own could be held.
        gone: whether its process ended or fell silent, and cannot be asked any more.
    """

    def __init__(self, what: str, side: int | None = None, apart: bool = False, gone: bool = False) -> None:
        super().__init__(what)
        self.side = side
        self.apart = apart
        self.gone = gone


class Holding(Protocol):
    """Sides that are loaded and take turns."""

    environment: dict[str, Any]

    def plan(self, options: list[dict[str, Any]], kernels: bool) -> Planned: ...

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified: ...

    def hold(self, cases: Cases, sides: Sequence[int]) -> float:
        """Builds sides anew, each with its case; returns the seconds of a call."""

    def turns(self, rounds: int, calls: int) -> Timed:
        """Times those that are held in turns."""

    def close(self) -> None: ...


class Process:
    """One worker that answers questions.

    Args:
        roots: of the sides it holds.
        python: its interpreter.
        facts: fields of ``Job`` beside the cases.
        timeout: seconds an answer may take.
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
        self.worker = Worker([python or sys.executable, "-P", "-m", "arbench.gate.timing.worker"], environment)
        self.timeout = timeout
        self.worker.send(Brief([str(root) for root in roots], seed, threads, dict(facts)))

    def ready(self) -> dict[str, Any]:
        """Waits until its sides are loaded; returns its environment."""
        return self._hear(Ready, max(self.timeout, STARTUP_S)).environment

    def ask(self, question: Question, wanted: type[Wanted]) -> Wanted:
        """The answer to a question. Raises HoldingError."""
        self.worker.send(question)
        return self._hear(wanted, self.timeout)

    def _hear(self, wanted: type[Wanted], patience: float) -> Wanted:
        try:
            raw = self.worker.replies.get(timeout=patience)
        except queue.Empty:
            raise HoldingError(f"no answer within {patience:g} s", gone=True) from None
        if raw is None:
            raise HoldingError(self.worker.exit_reason(self.worker.process.wait()), gone=True)
        answer = msgspec.json.decode(raw, type=Answer)
        if isinstance(answer, Failed):
            raise HoldingError(answer.error, answer.side, answer.apart)
        assert isinstance(answer, wanted)
        return answer

    def close(self) -> None:
        self.worker.kill()


class Together:
    """All sides in one process: what disturbs one call disturbs the others' alike."""

    def __init__(self, trees: Sequence[Tree], seed: int, **how: Any) -> None:
        self._process = Process([tree.root for tree in trees], seed, **how)
        self.environment: dict[str, Any] = {}

    def ready(self) -> None:
        """Waits until all is loaded. Raises HoldingError."""
        self.environment = self._process.ready()

    def plan(self, options: list[dict[str, Any]], kernels: bool) -> Planned:
        return self._process.ask(Plan(options, kernels), Planned)

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified:
        return self._process.ask(Verify(side, dict(case)), Verified)

    def hold(self, cases: Cases, sides: Sequence[int]) -> float:
        return self._process.ask(Hold([dict(case) for case in cases], list(sides)), Held).seconds

    def turns(self, rounds: int, calls: int) -> Timed:
        return self._process.ask(Turns(rounds, calls), Timed)

    def close(self) -> None:
        self._process.close()


class Apart:
    """A process for each side, taking turns call by call. Each has a bias of its own, of a few percent."""

    def __init__(self, trees: Sequence[Tree], seed: int, **how: Any) -> None:
        self._random = random.Random(seed)
        self._held: Sequence[int] = ()
        self._processes = [
            Process([tree.root], seed + number, python=tree.python, **how) for number, tree in enumerate(trees)
        ]
        self.environment: dict[str, Any] = {}

    def ready(self) -> None:
        """Waits until all is loaded. Raises HoldingError."""
        found = [self._charged(side, "ready") for side in range(len(self._processes))]
        self.environment = found[1]

    def _charged(self, side: int, do: str, *words: Any) -> Any:
        try:
            return getattr(self._processes[side], do)(*words)
        except HoldingError as error:
            raise HoldingError(str(error), side, gone=error.gone) from None

    def plan(self, options: list[dict[str, Any]], kernels: bool) -> Planned:
        asked = enumerate(options)
        return Planned([self._charged(side, "ask", Plan([one], kernels), Planned).sides[0] for side, one in asked])

    def verify(self, side: int, case: Mapping[str, Any]) -> Verified:
        found: Verified = self._charged(side, "ask", Verify(0, dict(case)), Verified)
        return found

    def hold(self, cases: Cases, sides: Sequence[int]) -> float:
        self._held = sides
        held = [
            self._charged(side, "ask", Hold([dict(case)], [0]), Held) for side, case in zip(sides, cases, strict=True)
        ]
        return float(held[0].seconds)

    def turns(self, rounds: int, calls: int) -> Timed:
        seconds: list[list[float]] = [[] for _ in self._held]
        for _ in range(rounds):
            for place in self._random.sample(range(len(seconds)), len(seconds)):
                timed = self._charged(self._held[place], "ask", Turn(0, calls), Timed)
                seconds[place].append(timed.seconds[0][0])
        return Timed(seconds)

    def close(self) -> None:
        for process in self._processes:
            process.close()
