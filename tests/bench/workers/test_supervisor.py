"""Deaths of workers, with pretended ones: what is tried again, and what is charged to whom."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from arbench.bench.progress import Quiet
from arbench.bench.recorder import Recorder, new_run
from arbench.bench.runner import run_plan
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure
from arbench.bench.workers.supervisor import Supervisor
from arbench.bench.workers.worker import Message
from arbench.results import CRASHED, Count, Results, Samples, Verification, read

KILLED = WorkerFailure("error", "the worker was killed by SIGKILL (out of memory?)", code=-9)
TERMINATED = WorkerFailure("error", "the worker was killed by SIGTERM", code=-15)
CRASHES = WorkerFailure("error", "the worker was killed by SIGSEGV", code=-11)
EXITED = WorkerFailure("error", "the worker exited with code 1: ImportError", code=1)
UNBORN = WorkerFailure("error", "the worker exited with code 1: MemoryError", code=1, ready=False)


def striking(failure, when, times):
    """Return an ``interfere`` that puts a failure in place of a message, as often as ``times`` says."""
    left = times

    def strike(job, message):
        nonlocal left
        if not left or not when(job, message):
            return message
        left -= 1
        return failure

    return strike


class Told(Quiet):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def steps(victim):
    """Return, by step, a function that tells whether a message is the result of the victim in it."""
    return {
        "verify": lambda job, message: isinstance(message.line, Verification) and message.line.case == victim,
        "count": lambda job, message: isinstance(message.line, Count) and message.line.case == victim,
        "time": lambda job, message: (
            isinstance(message.line, Samples)
            and (message.line.case, message.line.worker, message.line.round) == (victim, 1, 1)
        ),
    }


def sound(results, plan):
    """Assert that every case was verified, counted and timed in every round of every worker, once."""
    assert {row.status for row in results.cases.values()} == {"ok"}
    assert {row.count_source for row in results.cases.values()} == {"counted"}
    every = Counter((case.id, worker, n) for case in plan.cases for worker in (0, 1) for n in (0, 1))
    assert Counter((line.case, line.worker, line.round) for line in results.samples) == every


@pytest.mark.parametrize("failure", [KILLED, TERMINATED, CRASHES], ids=["killed", "terminated", "crashes"])
@pytest.mark.parametrize("step", ["verify", "count", "time"])
def test_one_death_by_a_signal_costs_nothing(step, failure, pretend, plan, tmp_path):
    asked = plan()
    victim = asked.cases[1].id
    pretend(interfere=striking(failure, steps(victim)[step], 1))
    told = Told()
    sound(run_plan(asked, tmp_path, progress=told), asked)
    assert f"trying again in a fresh worker: {victim}: {failure.error}" in told.notes
    facts = read(tmp_path).verifications[victim].verified
    assert facts.get(CRASHED) == (None if failure.outside else failure.error)


@pytest.mark.parametrize("failure", [KILLED, EXITED, UNBORN], ids=["killed", "exited", "not started"])
@pytest.mark.parametrize("stage", ["prove", "time"])
def test_two_deaths_before_any_case_cost_nothing(failure, stage, pretend, plan, tmp_path):
    asked = plan()
    pretend(interfere=striking(failure, lambda job, message: job.stage == stage, 2))
    sound(run_plan(asked, tmp_path), asked)


def test_deaths_before_any_case_that_are_far_apart_are_not_added(pretend, plan, tmp_path):
    asked = plan(workers=6)
    seen = set()

    def first(job, message):
        return job.stage == "time" and job.worker not in seen and not seen.add(job.worker)

    pretend(interfere=striking(KILLED, first, 6))
    assert {row.status for row in run_plan(asked, tmp_path).cases.values()} == {"ok"}


def test_what_workers_warn_of_is_said_once(inside, plan, tmp_path, monkeypatch):
    monkeypatch.setattr("arbench.bench.workers.worker.uncached", lambda: "nothing can be cached")
    told = Told()
    few = {"methods": ["cached"], "n": [8], "workers": 1, "rounds": 1}
    run_plan(plan(models=["wavenet:tiny", "lstm:tiny"], **few), tmp_path, progress=told)
    assert told.notes.count("warning: nothing can be cached") == 1


def test_kills_of_one_case_that_are_far_apart_are_not_added(pretend, plan, tmp_path):
    asked = plan()
    victim, seen = asked.cases[1].id, set()

    def first(job, message):
        mine = isinstance(message.line, Samples) and message.line.case == victim
        return mine and job.worker not in seen and not seen.add(job.worker)

    pretend(interfere=striking(KILLED, first, 2))
    sound(run_plan(asked, tmp_path), asked)
    assert seen == {0, 1}


class DiesCounting:
    """A pool whose workers count the first size again, and die."""

    jobs = 0

    def prepare(self, count):
        pass

    def converse(self, job, timeout):
        self.jobs += 1
        assert self.jobs < 10
        for case in job.cases:
            if case.id not in job.verified:
                yield Message(line=Verification(case.id, "ok", case.exactness, {}))
        first = job.cases[0]
        yield Message(begin=first.id, step="count")
        yield Message(line=Count(first.id, 1, 1, 1, 1, 1, None, "counted"))
        yield KILLED


def test_a_count_that_always_dies_is_given_up(plan):
    """The sizes of a method are counted together: those that are counted each time are no progress."""
    asked, pool = plan(methods=["cached"]), DiesCounting()
    recorder = Recorder(Results(new_run(asked, {}, "2026-01-01T00:00:00+00:00", [], {})))
    Supervisor(asked, asked.cases, recorder, Quiet(), pool).prove()
    assert pool.jobs == 2
    assert [count.count_source for count in recorder.results.counts.values()] == ["counted", "none"]


def test_a_case_that_compiles_in_the_first_process_warms_itself_in_the_others(pretend, plan, tmp_path):
    """Its first call is never in a sample: another size does not compile it."""
    asked = plan()
    victim = asked.cases[1].id

    def slow(job, message):
        line = message.line
        if isinstance(line, Samples) and (line.case, line.worker, line.round) == (victim, 0, 0):
            return replace(message, line=replace(line, cold_s=3.0 + max(line.seconds)))
        return message

    pretender = pretend(interfere=slow)
    run_plan(asked, tmp_path)
    assert [job.compiling for job in pretender.jobs if job.stage == "time"] == [[], [victim]]


def test_a_worker_that_never_begins_costs_the_cases_it_was_given(pretend, plan, tmp_path):
    pretender = pretend(interfere=lambda job, message: EXITED)
    results = run_plan(plan(), tmp_path)
    assert {case.status for case in results.cases.values()} == {"error"}
    assert {case.error for case in results.cases.values()} == {"the worker exited with code 1: ImportError, 3 times"}
    assert len(pretender.jobs) == 3


def test_a_run_without_workers_ends_and_is_continued(pretend, plan, tmp_path):
    asked = plan()
    pretender = pretend(interfere=striking(UNBORN, lambda job, message: job.stage == "time" and job.worker, 9))
    with pytest.raises(NoWorkerError) as ended:
        run_plan(asked, tmp_path)
    assert str(ended.value) == (
        "no worker process can start: the worker exited with code 1: MemoryError; "
        "free memory, or raise the limits of the shell (ulimit -a)"
    )
    assert {row.stopped_by for row in read(tmp_path).cases.values()} == {"interrupted"}
    assert [(job.stage, job.worker) for job in pretender.jobs] == [("prove", 0), ("time", 0), *[("time", 1)] * 3]
    pretend()
    sound(run_plan(asked, tmp_path, resume=True), asked)


@pytest.mark.parametrize("step", ["verify", "count", "time"])
@pytest.mark.parametrize("failure", [KILLED, CRASHES], ids=["killed", "crashes"])
def test_a_resumed_run_tries_again_what_was_killed_from_outside_alone(step, failure, pretend, plan, tmp_path):
    asked = plan()
    victim = asked.cases[1].id
    pretend(interfere=striking(failure, steps(victim)[step], 2))
    told = Told()
    run_plan(asked, tmp_path, progress=told)
    before = read(tmp_path)
    row = before.cases[victim]
    assert (
        (row.count_source == "none")
        if step == "count"
        else (row.status, row.error)
        == (
            "error",
            f"{failure.error}, 2 times",
        )
    )
    others = {case: row.status for case, row in before.cases.items() if case != victim}
    assert set(others.values()) == {"ok"}
    lines = [line for line in told.notes if "--resume" in line]
    assert (
        lines == ["1 case ended because its worker was killed from outside; --resume tries it again"][: failure.outside]
    )
    pretender = pretend()
    after = run_plan(asked, tmp_path, resume=True)
    if failure.outside:
        sound(after, asked)
    else:
        assert after.cases == before.cases
        assert pretender.jobs == []
