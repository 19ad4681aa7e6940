"""The pool of worker processes: prepared ones, failing ones, and a pool that is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from arbench.bench.job import Job, Message
from arbench.bench.kernels import KernelOptions, make_kernel_plan
from arbench.bench.workers.failure import WorkerFailure, exit_reason
from arbench.bench.workers.pool import PoolStoppedError, WorkerPool
from arbench.bench.workers.process import KEEPING, MOST_KEPT, Worker, environment_for


def test_why_a_process_exited():
    assert exit_reason(-signal.SIGSEGV, b"") == "the worker was killed by SIGSEGV"
    assert exit_reason(-signal.SIGKILL, b"x") == "the worker was killed by SIGKILL (out of memory?)"
    assert exit_reason(-(signal.SIGRTMIN + 1), b"") == f"the worker was killed by signal {signal.SIGRTMIN + 1}"
    assert exit_reason(3, b"") == "the worker exited with code 3"
    assert exit_reason(1, b"a\nb: \xff\n") == "the worker exited with code 1: b: \ufffd"


def test_a_worker_that_cannot_start_says_why(plan, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    job = Job("prove", plan().cases, 0, None, None, None)
    with WorkerPool() as pool:
        assert list(pool.converse(job, timeout=5.0)) == [
            WorkerFailure("error", "the worker exited with code 1", code=1, ready=False)
        ]
        monkeypatch.setattr(sys, "executable", "/none/such")
        assert list(pool.converse(job, timeout=5.0)) == [
            WorkerFailure("error", "the system starts no process: No such file or directory", ready=False)
        ]
        pool.prepare(1)
        assert pool.idle == ()


def test_a_worker_that_times_nothing_keeps_freed_memory(plan, monkeypatch):
    job = Job("check", plan().cases, 0, None, None, None)
    found = environment_for(job)
    assert found is not None
    assert {name: found[name] for name in KEEPING} == dict.fromkeys(KEEPING, str(MOST_KEPT))
    monkeypatch.setenv(KEEPING[0], "1")
    assert (environment_for(job) or {})[KEEPING[0]] == "1"
    assert environment_for(Job("time", plan().cases, 0, None, None, None)) is None


def script(text: str) -> partial[Worker]:
    """Return a kind of worker that runs this script, in which ``say`` sends a message."""
    start = (
        "import os, time\n"
        "from arbench.bench.job import Message\n"
        "from arbench.bench.workers.channel import attached\n"
        "channel = attached()\n"
        "def say(**facts):\n    channel.send(Message(**facts))\n"
    )
    return partial(Worker, [sys.executable, "-c", start + text])


SLOW_TO_START = """
time.sleep(1)
say(ready=True)
time.sleep(1)
say(begin={case!r}, step="verify")
time.sleep(100)
"""


def test_starting_may_take_longer_than_a_step(plan, monkeypatch):
    """A worker may take long to import torch and to build its model; after its first message a step may not."""
    job = Job("prove", plan().cases, 0, 1)
    case = job.cases[0].id
    monkeypatch.setattr("arbench.bench.workers.pool.Worker", script(SLOW_TO_START.format(case=case)))
    with WorkerPool() as pool:
        said = list(pool.converse(job, timeout=0.2))
    assert said == [Message(begin=case, step="verify"), WorkerFailure("timeout", "no response for 0.2 s")]


def test_an_idle_worker_that_died_is_replaced_in_silence(plan, monkeypatch):
    monkeypatch.setattr(
        "arbench.bench.workers.pool.Worker", script("say(ready=True)\nchannel.receive()\nsay(error='E')")
    )
    with WorkerPool() as pool:
        pool.prepare(2)
        pool.settle()
        first, second = pool.idle
        for worker in (first, second):
            worker.process.kill()
            worker.process.wait()
        assert [one.error for one in pool.converse(Job("prove", plan().cases, 0, 1), timeout=60.0)] == ["E"]
        pool.prepare(1)
        (third,) = pool.idle
        assert third not in (first, second)
        assert third.alive


def test_prepared_workers_do_the_next_jobs_and_none_is_left_over(plan):
    with WorkerPool() as pool:
        pool.prepare(2)
        pool.prepare(2)  # there are two: no third is started
        prepared = [worker.process for worker in pool.idle]
        assert len(prepared) == 2
        pool.settle()
        assert all(worker.ready for worker in pool.idle)
        job = Job("prove", plan(methods=["parallel"], n=[8]).cases, 0, 1, share_s=10.0)
        said = list(pool.converse(job, timeout=60.0))
        assert [message.line for message in said if message.line][-1].count_source == "counted"
        assert not any(message.ready for message in said)
        assert [worker.process for worker in pool.idle] == prepared[1:]
    assert [one.returncode for one in prepared] == [-signal.SIGKILL] * 2
    assert pool.idle == ()


TELLS_ITS_ENVIRONMENT = """
say(ready=True)
channel.receive()
say(error=os.environ.get("TRITON_INTERPRET", "unset"))
"""


def test_a_variable_of_a_library_is_set_where_the_process_begins(plan, monkeypatch):
    """Kernels are verified in Triton's interpreter on a CPU, and timed without it, whatever this process has."""
    monkeypatch.setattr("arbench.bench.workers.pool.Worker", script(TELLS_ITS_ENVIRONMENT))
    kernels = make_kernel_plan(KernelOptions(kernels=["softmax"])).cases
    models = plan(methods=["parallel"], n=[8]).cases

    def seen(cases, stage):
        return [message.error for message in pool.converse(Job(stage, cases, 0, 1), timeout=60.0)]

    for mine in ("1", None):
        if mine is None:
            monkeypatch.delenv("TRITON_INTERPRET")
        else:
            monkeypatch.setenv("TRITON_INTERPRET", mine)
        with WorkerPool() as pool:
            assert seen(kernels, "prove") == ["1"]
            pool.prepare(1)
            (spare,) = pool.idle
            assert seen(kernels, "prove") == ["1"]
            assert pool.idle == (spare,)
            assert seen(kernels, "time") == ["unset"]
            assert pool.idle == ()
            assert seen(models, "prove") == seen(models, "time") == [mine or "unset"]


def test_a_stopped_pool_kills_its_workers_and_takes_no_job(plan):
    job = Job("prove", plan(methods=["parallel"], n=[8]).cases, 0, 1, share_s=10.0)
    with WorkerPool() as pool:
        messages = pool.converse(job, timeout=60.0)
        assert next(messages).begin == job.cases[0].id
        pool.stop()
        with pytest.raises(PoolStoppedError):
            list(messages)
        with pytest.raises(PoolStoppedError):
            next(pool.converse(job, timeout=60.0))
        assert pool.idle == ()


ASLEEP = """
import time


class Mine(WaveNet):
    def extend(self, *args):
        time.sleep(1000)
"""


def test_a_stop_from_another_thread_ends_a_job_in_which_the_worker_sleeps(plan, model_file):
    (case,) = plan(models=[model_file(ASLEEP)], ops=["sample"], methods=["cached"], n=[8]).cases
    begun, outcomes = threading.Event(), []

    def attend() -> None:
        try:
            for message in pool.converse(Job("prove", [case], 0, 1, share_s=10.0), timeout=600.0):
                outcomes.append(message)
                begun.set()
        except PoolStoppedError:
            outcomes.append("stopped")

    with WorkerPool() as pool:
        pool.prepare(1)
        process = pool._idle[0].process
        thread = threading.Thread(target=attend)
        thread.start()
        assert begun.wait(120)
        pool.stop()
        thread.join(60)
        assert not thread.is_alive()
    assert [outcomes[0].begin, *outcomes[1:]] == [case.id, "stopped"]
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("hangs", [False, True], ids=["exits", "hangs"])
def test_a_stop_while_a_worker_exits_is_no_failure_of_the_worker(hangs, plan, monkeypatch):
    wait = subprocess.Popen.wait

    def stopped(process: subprocess.Popen, timeout: float | None = None) -> int:
        if timeout is not None:
            pool.stop()
            if hangs:
                raise subprocess.TimeoutExpired("worker", timeout)
        return wait(process, timeout)

    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(subprocess.Popen, "wait", stopped)
    with WorkerPool() as pool, pytest.raises(PoolStoppedError):
        list(pool.converse(Job("prove", plan().cases, 0, None, None, None), timeout=5.0))
