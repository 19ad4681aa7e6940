"""Process that loads versions of the package side by side and times their calls.

Started as ``python -m arbench.gate.timing.worker FD``, with the descriptor of its channel. It receives a ``Load``
request, replies once the versions are loaded, then replies to one request after the other until its parent ends it.
"""

from __future__ import annotations

import gc
import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from arbench.bench.call import Kept
from arbench.bench.workers.channel import attached, decoded
from arbench.gate.timing.protocol import (
    Build,
    Built,
    CaseLists,
    Failed,
    ListCases,
    Load,
    Loaded,
    Peak,
    Peaked,
    Refusal,
    Reply,
    Request,
    Timed,
    Turn,
    Turns,
    Verified,
    Verify,
)
from arbench.own.raised import one_line

Thunk = Callable[[], Any]
BALLAST = 1 << 20
"""Most bytes allocated before a side is built, so that instances differ in their place in memory."""


class SideError(Exception):
    """Error that a version raised, with the number of its side."""

    def __init__(self, error: BaseException, side: int) -> None:
        super().__init__(one_line(error))
        self.side = side


def main() -> None:
    """Run the process: load the versions, then reply to requests."""
    channel = attached()
    load = decoded(channel.receive(), Load)
    try:
        _import_torch()
        server = Server(load)
        gc.collect()
        gc.freeze()  # so that later collections take no time over what is loaded
        channel.send(Loaded(_environment(), server.import_s))
    except Exception as error:
        channel.send(_failed(error))
        channel.stay()
    while True:
        request = decoded(channel.receive(), Request)
        try:
            channel.send(server.reply(request))
        except Exception as error:  # a version may raise anything; the case is charged with it
            traceback.print_exc()
            channel.send(_failed(error))


def _import_torch() -> None:
    """Import PyTorch with garbage collection off, which makes it some 8% faster, and keep its objects out of it."""
    gc.disable()
    import torch  # noqa: F401

    gc.freeze()
    gc.enable()


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


class Server:
    """Sides of one process, and the replies to requests about them.

    Raises:
        SideError: a side cannot be imported, or not beside the others.
    """

    def __init__(self, load: Load) -> None:
        import torch

        from arbench.bench.call import keep_float32_exact
        from arbench.gate.timing.shared import Watch
        from arbench.gate.timing.sides import Side

        torch.set_grad_enabled(False)
        torch.set_num_threads(load.threads)
        keep_float32_exact()  # every version sets it
        self.watch = Watch() if len(load.roots) > 1 else None
        self.facts = {"seed": 0, "threads": load.threads, **load.facts}
        self.random = random.Random(load.seed)
        self.sides = [Side(Path(root), alone=len(load.roots) == 1) for root in load.roots]
        self.builders: list[dict[str, Callable[[], Kept]]] = [{} for _ in self.sides]
        self.built: list[int] = []
        self.calls: dict[int, Kept] = {}
        self.ballast: list[Any] = []
        self.device = "cpu"
        self.import_s = 0.0
        for number in self._shuffled(len(self.sides)):
            started = time.perf_counter()
            with self._on(number):
                self.sides[number].load()
                self.sides[number].load("arbench.bench.subject")
            self.import_s += time.perf_counter() - started
            self._look(number)

    def reply(self, request: Request) -> Reply:
        """Carry out a request and return its reply."""
        match request:
            case ListCases():
                pairs = enumerate(request.options)
                return CaseLists([self._cases(side, options, request.kernels) for side, options in pairs])
            case Verify():
                return self._verify(request.side, request.case)
            case Build():
                self.facts = {**self.facts, "outcomes": {**self.facts.get("outcomes", {}), **request.outcomes}}
                return self._build(request.cases, request.sides, request.check)
            case Turn():
                seconds = self._time(request.side, request.calls)
                self._check(request.side)
                return Timed([[seconds]])
            case Turns():
                return self._turns(request.rounds, request.calls)
            case Peak():
                return self._peak(request.side)

    def _shuffled(self, many: int) -> list[int]:
        order = list(range(many))
        self.random.shuffle(order)
        return order

    @contextmanager
    def _on(self, number: int) -> Iterator[None]:
        """Activate a side; errors inside are charged to it."""
        side = self.sides[number]
        with side.active():
            try:
                yield
            except BaseException as error:  # SystemExit too
                cause = side.refused or error
                raise SideError(cause, number) from cause
            if side.refused is not None:  # the version may have caught the error
                raise SideError(side.refused, number) from side.refused

    def _look(self, number: int, deep: bool = True) -> None:
        """Look whether a side changed what all sides share.

        Args:
            number: the side that did something.
            deep: whether to look at the functions of other packages too, which takes longer.

        Raises:
            SideError: it did, so that it cannot share a process.
        """
        from arbench.gate.timing.sides import SharedError

        if self.watch is None:
            return
        changed = self.watch.changed()
        what = f"changes {changed}" if changed else None
        if what is None and deep and (replaced := self.watch.replaced()):
            what = f"replaces {replaced}"
        if what is not None:
            cause = SharedError(f"one of them {what} for the whole process")
            raise SideError(cause, number) from cause

    def _cases(self, side: int, options: dict[str, Any], kernels: bool) -> dict[str, dict[str, Any]] | Refusal:
        from arbench.gate.timing import version

        with self._on(side):
            try:
                return version.cases(options, kernels)
            except Exception as error:
                if (refusal := version.refusal(error)) is not None:
                    return refusal
                raise

    def _verify(self, side: int, case: dict[str, Any]) -> Verified:
        from arbench.gate.timing import version

        with self._on(side):
            found = version.verified(case, **self.facts)
        self._look(side)
        return found

    def _build(self, cases: list[dict[str, Any]], sides: list[int], check: bool) -> Built:
        import torch

        from arbench.gate.timing import version
        from arbench.meters import Clock

        self.built, self.calls, self.ballast = sides, {}, []
        gc.collect()
        self.device = cases[0]["device"]
        self.clock = Clock(self.device)
        first_s = [0.0] * len(sides)
        for place in self._shuffled(len(sides)):
            case, side = cases[place], sides[place]
            key = msgspec.json.encode(case).decode()
            size = self.random.randrange(BALLAST)
            self.ballast.append(torch.empty(size, dtype=torch.uint8, device=self.device))
            first = key not in self.builders[side]
            started = time.perf_counter()
            with self._on(side):
                if first:
                    self.builders[side][key] = version.opened(case, **self.facts)
                self.calls[place] = self.builders[side][key]()
                self.clock.time(self.calls[place])
                first_s[place] = time.perf_counter() - started
                if check:
                    self.calls[place].check()
            self._look(side, deep=first)
        return Built(min(self._time(0, 1) for _ in range(2)), first_s[0])

    def _time(self, place: int, calls: int) -> float:
        """Return the seconds of one call, out of ``calls`` in a row."""
        call = self.calls[place]
        with self._on(self.built[place]):
            return self.clock.time(call if calls == 1 else _repeated(call, calls)) / calls

    def _check(self, place: int) -> None:
        """Compare what a side's last call returned with what its version verified."""
        with self._on(self.built[place]):
            self.calls[place].check()

    def _peak(self, place: int) -> Peaked:
        """Measure the peak memory of one call."""
        from arbench.meters import peak_bytes

        gc.unfreeze()  # meters look for tensors among the objects that collections see
        with self._on(self.built[place]):
            peak = peak_bytes(self.calls[place], self.device)
            self.calls[place].check()
        return Peaked(peak)

    def _turns(self, rounds: int, calls: int) -> Timed:
        seconds: list[list[float]] = [[] for _ in self.built]
        gc.collect()
        for _ in range(rounds):
            for place in self._shuffled(len(seconds)):
                seconds[place].append(self._time(place, calls))
        for place, side in enumerate(self.built):
            self._check(place)
            self._look(side, deep=False)
        return Timed(seconds, _clock_mhz(self.device))


def _repeated(call: Thunk, times: int) -> Thunk:
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
