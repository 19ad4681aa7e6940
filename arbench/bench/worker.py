"""A fresh process that verifies, counts or times the cases of one setting.

Started as ``python -m arbench.bench.worker``.
It reads one job from its standard input, writes one message a line to its standard output, and ends when
the job is done, or when its standard input closes because whoever started it died.
"""

from __future__ import annotations

import math
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TextIO

import msgspec

from arbench.bench.case import CaseKey
from arbench.results import Count, Samples, Verification

SHORT_S = 0.05
"""A call longer than this is warmed by the smallest case of its family instead of by itself."""
SAMPLE_S = 0.01
"""Calls shorter than this are timed several times a round, to fill about as much."""
MOST_SAMPLES = 20


class Job(msgspec.Struct):
    """What a worker is to do."""

    stage: str
    """'prove' (verify and count) or 'time'."""
    cases: list[CaseKey]
    seed: int
    weights: str | None
    data: str | None
    threads: int
    worker: int = 0
    rounds: int | None = None
    """Rounds to end with; None: as many as fit ``share_s``, one at least."""
    share_s: float = 0.0
    """Of timing: seconds it may take. Of proving: the longest call that could still be timed."""
    count_budget_s: float = 1.0
    call_s: dict[str, float] = {}
    """How long a call of each case takes, as proving saw it."""
    verified: list[str] = []
    counted: list[str] = []
    done: list[tuple[str, int]] = []
    """(case, round) that an earlier process of this worker finished."""


class Message(msgspec.Struct):
    """What a worker says: that a step begins, a finished line, or that it is done."""

    begin: str | None = None
    """Id of the case that every failure from here on is charged to."""
    step: str | None = None
    line: Verification | Count | Samples | None = None
    done: bool = False
    error: str | None = None
    """What ended this process early, on one line."""
    oom: bool = False


def main() -> None:
    """Entry point of the process."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, a user's model perhaps, does not corrupt the messages
    job = msgspec.json.decode(sys.stdin.readline(), type=Job)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import torch

    torch.set_grad_enabled(False)
    torch.set_num_threads(job.threads)
    try:
        for message in prove(job) if job.stage == "prove" else measure(job):
            send(out, message)
    except Exception as error:  # a model may raise anything; the case in progress is charged with it
        traceback.print_exc()
        send(out, Message(error=one_line(error), oom=out_of_memory(error)))
        sys.exit(1)
    send(out, Message(done=True))


def send(out: TextIO, message: Message) -> None:
    """Writes one message."""
    out.write(msgspec.json.encode(message).decode() + "\n")
    out.flush()


def _die_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _setting(job: Job) -> Any:
    from arbench.bench.settings import Setting

    case = job.cases[0]
    return Setting(case.spec, case.dtype, case.device, job.seed, job.weights, job.data)


def prove(job: Job) -> Iterator[Message]:
    """Verifies every case, then counts those that keep their promise; sizes ascending, so that a long case is
    foreseen."""
    from arbench.bench.counting import counter_for

    setting = _setting(job)
    source = setting.build()
    twin = setting.twin(source)
    sound = set(job.verified)
    for message in _verify(job, setting, source, twin):
        if isinstance(message.line, Verification) and message.line.status in ("ok", "over_budget"):
            sound.add(message.line.case)
        yield message
    counted = set(job.counted)
    for _, group in groupby(job.cases, key=lambda case: case.family):
        members = [case for case in group if case.id in sound]
        if all(case.id in counted for case in members):
            continue
        yield Message(begin=members[0].id, step="count")
        counter = counter_for(setting, source, twin, members[0], job.count_budget_s)
        for line in counter.family(members):
            yield Message(line=line)
            yield Message(begin=line.case, step="count")


def _verify(job: Job, setting: Any, source: Any, twin: Any) -> Iterator[Message]:
    from arbench.bench.verify import InexactError, verify_model

    probed: dict[tuple[int, int], str | dict[str, Any]] = {}
    spent: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
    for case in sorted(job.cases, key=lambda case: (case.n, case.batch)):
        history = spent.setdefault(case.family, [])
        if case.id in job.call_s:
            history.append((case.n, job.call_s[case.id]))
        if case.id in job.verified:
            continue
        predicted = predict_s(history, case.n)
        if predicted > job.share_s:
            why = f"a call is predicted to take {predicted:.3g} s; the budget allows {job.share_s:.3g} s"
            yield Message(line=Verification(case.id, "over_budget", case.exactness, None, why))
            continue
        yield Message(begin=case.id, step="verify")
        where = (case.n, case.batch)
        if where not in probed:
            try:
                probed[where] = verify_model(setting, source, twin, case)
            except InexactError as error:
                probed[where] = str(error)
        model = probed[where]
        if isinstance(model, str):
            facts = {"how": "probes of the model itself"}
            yield Message(line=Verification(case.id, "inexact", case.exactness, facts, model))
            continue
        line = _verification(setting, source, twin, case, model)
        if line.verified and "call_s" in line.verified:
            history.append((case.n, line.verified["call_s"]))
        yield Message(line=line)


def predict_s(history: list[tuple[int, float]], n: int) -> float:
    """How long a call at ``n`` elements may take, from those at smaller sizes: at least quadratic growth is
    assumed after one size, and as much as the last two showed after more."""
    if not history:
        return 0.0
    n1, t1 = history[-1]
    power = 2.0
    if len(history) > 1 and history[-2][0] < n1:
        n0, t0 = history[-2]
        power = min(max(math.log(t1 / t0) / math.log(n1 / n0), 0.0), 3.0)
    return t1 * (n / n1) ** power


def _verification(setting: Any, source: Any, twin: Any, case: CaseKey, model: dict[str, Any]) -> Verification:
    from arbench.bench.counting import evaluations
    from arbench.bench.verify import InexactError, verify_case

    try:
        with evaluations(source) as calls:
            facts, seconds, evaluated = verify_case(setting, source, twin, case, calls)
    except InexactError as error:
        return Verification(case.id, "inexact", case.exactness, error.facts, str(error))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return Verification(case.id, "oom", case.exactness, None, one_line(error))
    facts |= {"call_s": seconds, "nfe": evaluated, **model}
    return Verification(case.id, "ok", case.exactness, facts)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the host or on a device."""
    import torch

    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "not enough memory" in text or "can't allocate memory" in text
    )


def one_line(error: BaseException) -> str:
    """An error's type and text on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def measure(job: Job) -> Iterator[Message]:
    """Times the cases in shuffled rounds, the model built anew in fresh memory in each."""
    from arbench.bench.settings import run
    from arbench.meters import Clock

    clock = Clock(job.cases[0].device)
    clock.overhead_s()
    setting = _setting(job)
    done = set(job.done)
    smallest: dict[tuple[Any, ...], CaseKey] = {}
    for case in sorted(job.cases, key=lambda case: -case.n):
        smallest[case.family] = case
    cold: set[str] = {case for case, _ in done}
    started = time.monotonic()
    longest = 0.0
    number = 0
    while True:
        todo = [case for case in job.cases if (case.id, number) not in done]
        random.Random(f"{job.seed}/{job.worker}/{number}").shuffle(todo)
        began = time.monotonic()
        source = setting.build()
        for case in todo:
            yield Message(begin=case.id, step="time")
            task = setting.task(source, case)
            about = job.call_s.get(case.id, 0.0)
            call = partial(run, source, case, task)
            first = None
            if case.id not in cold and (about <= SHORT_S or job.worker == 0):
                first = clock.time(call)
            cold.add(case.id)
            if about <= SHORT_S:
                about = clock.time(call)  # the warm call; proving timed a cold one
            else:
                _warm(setting, source, smallest[case.family])
            at = time.time()
            repeats = max(1, min(MOST_SAMPLES, math.ceil(SAMPLE_S / max(about, 1e-6))))
            inner = max(1, math.ceil(clock.shortest_s() / max(about, 1e-6)))
            timed = _repeated(inner, call)
            seconds = [clock.time(timed) / inner for _ in range(repeats)]
            yield Message(line=Samples(case.id, job.worker, number, at, seconds, first))
        number += 1
        longest = max(longest, time.monotonic() - began)
        if job.rounds is not None:
            if number >= job.rounds:
                return
        elif time.monotonic() - started + longest > job.share_s:
            return


def _warm(setting: Any, source: Any, case: CaseKey) -> None:
    from arbench.bench.settings import run

    run(source, case, setting.task(source, case))


def _repeated(times: int, call: Callable[[], Any]) -> Callable[[], Any]:
    """``call`` as often as it takes for the clock's own cost to be at most 1% of a timed call."""
    if times == 1:
        return call

    def loop() -> None:
        for _ in range(times):
            call()

    return loop


if __name__ == "__main__":
    main()
