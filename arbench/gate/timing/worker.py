"""A fresh process that holds versions of the package side by side and times what each does.

Started as ``python -m arbench.gate.timing.worker``. It reads a ``Brief``, says when it is ready, then answers a
question a line, and ends when its standard input closes: also because whoever started it died.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from arbench.bench.job import one_line
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
    Refusal,
    Timed,
    Turn,
    Turns,
    Verified,
    Verify,
)

Call = Callable[[], Any]
BALLAST = 1 << 20
"""Bytes, at most, taken before a side is built, so that no two instances lie alike in memory."""


class SideError(Exception):
    """What a version raised, with the number of its side."""

    def __init__(self, error: BaseException, side: int) -> None:
        super().__init__(one_line(error))
        self.side = side


def main() -> None:
    """Entry point of the process."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a version prints does not corrupt the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    brief = msgspec.json.decode(lines.get(), type=Brief)
    holder: Holder | None = None
    try:
        holder = Holder(brief)
        _send(out, Ready(_environment()))
    except Exception as error:
        _send(out, _failed(error))
    while holder is not None:
        question = msgspec.json.decode(lines.get(), type=Question)
        try:
            _send(out, holder.answer(question))
        except Exception as error:  # a version may raise anything; the case is charged with it
            traceback.print_exc()
            _send(out, _failed(error))


def _listen(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _send(out: Any, answer: Answer) -> None:
    out.write(msgspec.json.encode(answer).decode() + "\n")
    out.flush()


def _failed(error: Exception) -> Failed:
    from arbench.gate.timing.sides import SharedError

    if isinstance(error, SharedError):
        return Failed(str(error), apart=True)
    if isinstance(error, SideError):
        shared = isinstance(error.__cause__, SharedError)
        return Failed(str(error.__cause__) if shared else str(error), apart=shared, side=error.side)
    return Failed(one_line(error))


def _environment() -> dict[str, Any]:
    from arbench.meters import environment

    return environment("cpu")


class Holder:
    """The sides of one process.

    Raises:
        SideError: a side cannot be imported, or not beside the others.
    """

    def __init__(self, brief: Brief) -> None:
        import torch

        from arbench.gate.timing.sides import Side

        torch.set_grad_enabled(False)
        torch.set_num_threads(brief.threads)
        self.brief = brief
        self.random = random.Random(brief.seed)
        self.sides = [Side(Path(root), alone=len(brief.roots) == 1) for root in brief.roots]
        self.builders: list[dict[str, Callable[[], Call]]] = [{} for _ in self.sides]
        self.held: list[int] = []
        self.calls: dict[int, Call] = {}
        self.ballast: list[Any] = []
        self.device = "cpu"
        for number in self._shuffled(len(self.sides)):
            with self._on(number):
                self.sides[number].load()
                self.sides[number].load("arbench.bench.subject")

    def answer(self, question: Question) -> Answer:
        """Does what is asked."""
        match question:
            case Plan():
                pairs = enumerate(question.options)
                return Planned([self._planned(side, asked, question.kernels) for side, asked in pairs])
            case Verify():
                return self._verified(question.side, question.case)
            case Hold():
                return self._held(question.cases, question.sides)
            case Turn():
                return Timed([[self._timed(question.side, question.calls)]])
            case Turns():
                return self._turns(question.rounds, question.calls)

    def _shuffled(self, many: int) -> list[int]:
        order = list(range(many))
        self.random.shuffle(order)
        return order

    @contextmanager
    def _on(self, number: int) -> Iterator[None]:
        """Within, the side is the active one, and what goes wrong is charged to it."""
        side = self.sides[number]
        with side.active():
            try:
                yield
            except BaseException as error:  # also one that exits
                cause = side.refused or error
                raise SideError(cause, number) from cause
            if side.refused is not None:  # a version may have caught it
                raise SideError(side.refused, number) from side.refused

    def _planned(self, side: int, options: dict[str, Any], kernels: bool) -> dict[str, dict[str, Any]] | Refusal:
        from arbench.gate.timing import version

        with self._on(side):
            try:
                return version.cases(options, kernels)
            except Exception as error:
                if (refusal := version.refusal(error)) is not None:
                    return refusal
                raise

    def _verified(self, side: int, case: dict[str, Any]) -> Verified:
        from arbench.gate.timing import version

        with self._on(side):
            status, error = version.verified(case, seed=0, threads=self.brief.threads, **self.brief.facts)
        return Verified(status, error)

    def _held(self, cases: list[dict[str, Any]], sides: list[int]) -> Held:
        import torch

        from arbench.gate.timing import version
        from arbench.meters import Clock

        self.held, self.calls, self.ballast = sides, {}, []
        gc.collect()
        self.device = cases[0]["device"]
        self.clock = Clock(self.device)
        for place in self._shuffled(len(sides)):
            case, side = cases[place], sides[place]
            key = msgspec.json.encode(case).decode()
            size = self.random.randrange(BALLAST)
            self.ballast.append(torch.empty(size, dtype=torch.uint8, device=self.device))
            with self._on(side):
                if key not in self.builders[side]:
                    self.builders[side] = {
                        key: version.opened(case, seed=0, threads=self.brief.threads, **self.brief.facts)
                    }
                self.calls[place] = self.builders[side][key]()
                self.calls[place]()
        return Held(min(self._timed(0, 1) for _ in range(2)))

    def _timed(self, place: int, calls: int) -> float:
        """Seconds of one call, of so many on end."""
        call = self.calls[place]
        with self._on(self.held[place]):
            return self.clock.time(call if calls == 1 else _repeated(call, calls)) / calls

    def _turns(self, rounds: int, calls: int) -> Timed:
        seconds: list[list[float]] = [[] for _ in self.held]
        gc.collect()
        for _ in range(rounds):
            for place in self._shuffled(len(seconds)):
                seconds[place].append(self._timed(place, calls))
        return Timed(seconds, _clock_mhz(self.device))


def _repeated(call: Call, times: int) -> Call:
    def loop() -> None:
        for _ in range(times):
            call()

    return loop


def _clock_mhz(device: str) -> float | None:
    if device == "cpu":
        return None
    from arbench.meters import gpu_clock_mhz

    return gpu_clock_mhz(device)


if __name__ == "__main__":
    main()
