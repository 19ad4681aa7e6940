"""A worker process, which verifies, counts or times the cases of one job, or plans, or draws samples.

Its command is ``python -m arbench.bench.workers.worker FD``, with the descriptor of its channel. It reports that it is
ready, receives one job, and sends its messages. Then it waits until its parent ends it.
"""

from __future__ import annotations

import importlib
import math
import random
import time
import traceback
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from arbench.bench.call import Call, Kept
from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job, Message, out_of_memory
from arbench.bench.native import uncached
from arbench.bench.workers.channel import attached, decoded
from arbench.bench.workers.given import take_given
from arbench.own.raised import one_line
from arbench.results import Count, Samples, Verification

if TYPE_CHECKING:
    from arbench.meters import Clock

SHORT_S = 0.05
"""Longest call that is its own warm call; before a longer one the smallest case with the same key is called.

A case that compiles in its first call is its own warm call, however long it takes: another size does not compile it."""
ROUND_SAMPLES_S = 0.01
"""Seconds that the samples of a round should take together: shorter calls are timed several times."""
MOST_SAMPLES = 20


def main() -> None:
    """Run the process."""
    channel = attached()
    import torch

    importlib.import_module("arbench.bench.models.subject")  # before the job arrives: it takes a second or two
    channel.send(Message(ready=True))
    job = decoded(channel.receive(), Job)
    torch.set_grad_enabled(False)
    torch.set_num_threads(job.threads)
    try:
        if job.given is not None:
            take_given(job.given)
        for message in work(job):
            channel.send(message)
        channel.send(Message(done=True))
    except Exception as error:  # a model may raise anything; the case in progress is charged with it
        traceback.print_exc()
        channel.send(Message(error=one_line(error), oom=out_of_memory(error)))
    channel.stay()


def work(job: Job) -> Iterator[Message]:
    """Do a job of any stage; yield each message."""
    if job.stage == "plan":
        from arbench.bench.workers.planning import plan

        yield from plan(job)
    elif job.stage == "check":
        from arbench.bench.workers import checker

        yield from checker.work(job)
    elif job.stage == "draw":
        from arbench.bench.workers.drawing import draw

        yield from draw(job)
    else:
        yield from prove(job) if job.stage == "prove" else measure(job)


def prove(job: Job) -> Iterator[Message]:
    """Verify every case, then count the verified ones; yield each finished line."""
    from arbench.bench.subject import opened

    subject = opened(job)
    sound, warned = set(job.verified), False
    for message in subject.verify(job):
        if isinstance(message.line, Verification) and message.line.status in ("ok", "over_budget"):
            sound.add(message.line.case)
        yield message
        if not warned and (said := uncached()) is not None:
            warned = True
            yield Message(warning=said)
    counted = set(job.counted)
    for _, group in groupby(job.cases, key=lambda case: case.key):
        members = [case for case in group if case.id in sound]
        if all(case.id in counted for case in members):
            continue
        yield Message(begin=members[0].id, step="count")
        try:
            for line in subject.count(members, job.count_budget_s):
                yield Message(line=line)
                counted.add(line.case)
        except InexactError as error:
            yield from _uncounted(members, counted, error)


def _uncounted(cases: list[CaseKey], counted: set[str], error: InexactError) -> Iterator[Message]:
    """Void the case whose counted call is wrong, or all if it is every size's fault; the others have no counts."""
    wrong = error.facts.get("counted_n")
    for case in cases:
        if wrong in (None, case.n):
            yield Message(line=_void(case, error))
        elif case.id not in counted:
            why = str(error)
            yield Message(line=Count(case.id, None, None, None, None, None, None, "none", why_unknown=why))


def measure(job: Job) -> Iterator[Message]:
    """Time the cases in shuffled rounds, with everything built in fresh memory in each; yield each finished line.

    What ``torch.compile`` takes in first calls is no part of the share.
    """
    from arbench.backends.compiling import graphs
    from arbench.bench.subject import opened
    from arbench.meters import Clock

    clock = Clock(job.cases[0].device)
    clock.overhead_s()
    subject = opened(job)
    done = set(job.done)
    smallest: dict[tuple[Any, ...], CaseKey] = {}
    for case in sorted(job.cases, key=lambda case: -case.n):
        smallest[case.key] = case
    cold: set[str] = {case for case, _ in done}
    void: set[str] = set()
    started = time.monotonic()
    longest = compiled_s = 0.0
    number = 0
    while True:
        todo = [case for case in job.cases if (case.id, number) not in done and case.id not in void]
        random.Random(f"{job.seed}/{job.worker}/{number}").shuffle(todo)
        began, once_s = time.monotonic(), 0.0
        call_of = subject.build()
        for case in todo:
            yield Message(begin=case.id, step="time")
            starts = time.monotonic()
            call = call_of(case)
            kept = Kept(call.run, call.check)
            about = job.call_s.get(case.id, 0.0)
            alone = about <= SHORT_S or case.id in job.compiling
            first = None
            try:
                before = graphs()
                if case.id not in cold and (alone or job.worker == 0 or case.compiled):
                    first = clock.time(kept)
                    kept.check()
                made = graphs() > before
                if case.id not in cold:
                    once_s += time.monotonic() - starts
                cold.add(case.id)
                if alone:
                    warm = clock.time(kept) / call.times
                    about = min(about or warm, warm)  # a model that is built anew may compile anew
                    kept.check()
                else:
                    call_of(smallest[case.key]).run()
                before = graphs()
                line = _measured(case, job.worker, number, call, kept, clock, about)
                kept.check()
                if graphs() > before:  # a sample compiled
                    line = _measured(case, job.worker, number, call, kept, clock, about)
                    kept.check()
            except InexactError as error:
                void.add(case.id)
                yield Message(line=_void(case, error))
                continue
            line.cold_s = first and first / call.times
            if first and made:
                compiled_s += first - min(line.seconds) * call.times
            yield Message(line=line)
        if len(void) == len(job.cases):
            return
        number += 1
        longest = max(longest, time.monotonic() - began - once_s)  # the extra time of first calls does not recur
        if job.rounds is not None:
            if number >= job.rounds:
                return
        elif time.monotonic() - started - compiled_s + longest > job.share_s:
            return


def _measured(case: CaseKey, worker: int, number: int, call: Call, kept: Kept, clock: Clock, about: float) -> Samples:
    """Return the samples of a case in a round, with those of its chunks if it draws in chunks."""
    at = time.time()
    if call.laps is not None:
        call.laps.clear()
    line = Samples(case.id, worker, number, at, _sampled(clock, kept, call.times, about))
    if call.laps is not None:
        line.chunks, line.noise_s = call.laps.calls, call.laps.within
    return line


def _void(case: CaseKey, error: InexactError) -> Verification:
    """Return the line that voids a case: a call made later differs from the verified one."""
    return Verification(case.id, "inexact", case.exactness, error.facts, str(error))


def _sampled(clock: Clock, call: Callable[[], Any], times: int, about: float) -> list[float]:
    """Return the seconds of a round: several samples if a call is short.

    Each sample covers so many calls that the clock's own overhead is at most 1% of it.

    Args:
        clock: clock of the device.
        call: the call to time.
        times: number of times that one call does the work of its case.
        about: predicted seconds of the work of a case.
    """
    takes = max(about * times, 1e-6)
    repeats = max(1, min(MOST_SAMPLES, math.ceil(ROUND_SAMPLES_S / takes)))
    inner = max(1, math.ceil(clock.shortest_s() / takes))
    timed = _repeated(inner, call)
    return [clock.time(timed) / (inner * times) for _ in range(repeats)]


def _repeated(times: int, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that makes a call this many times."""
    if times == 1:
        return call

    def loop() -> None:
        for _ in range(times):
            call()

    return loop


if __name__ == "__main__":
    main()
