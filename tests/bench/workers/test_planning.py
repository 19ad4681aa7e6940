"""Planning in a worker: what a model does there is charged to it by name, and what it plans comes back as it is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message, Planned
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import make_plan
from arbench.bench.workers import planning
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure
from arbench.bench.workers.planning import PlanningError, planned, planned_all
from arbench.bench.workers.pool import WorkerPool

FAULTY = """
import os, time


class Hangs(WaveNet):
    def __init__(self, **config):
        time.sleep(1000)


class Vanishes(WaveNet):
    def schedule(self, n):
        os._exit(0)


class Mine(WaveNet):
    def __init__(self, **config):
        print('{"planned": {}}', flush=True)
        super().__init__(**config)
"""
HANGS = "import time\ntime.sleep(1000)\n"


@pytest.fixture
def in_a_process(planned_inside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "WorkerPool", WorkerPool)


def test_a_plan_of_a_worker_is_that_of_this_process_and_imports_nothing_here(in_a_process, model_file) -> None:
    """The plan has every kind of field: a rate, claims, a model that is gone, a print where messages go."""
    spec = model_file(FAULTY, "only_there.py")
    several = [
        Options(models=["wavenet:tiny", "pixelcnn:tiny", "wavenet:tinny"], batch=[1, 2]),
        Options(models=[spec], n=[8], dtype="float64"),
    ]
    gone: list[str] = []
    found = planned_all(several, gone)
    assert "arbench_user_only_there" not in sys.modules
    missing: list[str] = []
    assert found == [make_plan(options, missing) for options in several]
    assert gone == missing == ["model 'wavenet' has no preset 'tinny'; did you mean 'tiny'?"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Hangs", "no answer within 3 s while it was built; choose a smaller model, or a longer --timeout"),
        ("Vanishes", "the worker exited with code 0 while it was planned; correct the model, or choose a smaller one"),
    ],
)
def test_a_model_that_hangs_or_exits_is_named(in_a_process, model_file, name, said) -> None:
    spec = model_file(FAULTY).replace("Mine", name)
    with pytest.raises(PlanError) as refused:
        planned(Options(models=["wavenet:tiny", spec], timeout=3.0))
    assert str(refused.value) == f"model '{spec}': {said}"


class Pretender:
    """Pool whose worker sends given messages; an exception is raised in its place."""

    def __init__(self, *said: Any) -> None:
        self.said = said
        self.jobs: list[Job] = []
        self.closed = False

    def __call__(self) -> Pretender:
        return self

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *_: object) -> None: ...

    def converse(self, job: Job, timeout: float) -> Iterator[Any]:
        self.jobs.append(job)
        try:
            for one in self.said:
                if isinstance(one, BaseException):
                    raise one
                if isinstance(one, threading.Event):
                    assert one.wait(30)
                else:
                    yield one
        finally:
            self.closed = True


@pytest.fixture
def pretend(planned_inside: None, monkeypatch: pytest.MonkeyPatch):
    def put(*said: Any) -> Pretender:
        pool = Pretender(*said)
        monkeypatch.setattr(planning, "WorkerPool", pool)
        return pool

    return put


CASE = CaseKey("a:B", "a", "B", "score", "parallel", "eager", "cpu", "float32", 1, 8, "element", 3, "pointwise")
BEGUN = Message(begin="m:C", step="imported")
KILLED = "the worker was killed by SIGKILL (out of memory?)"


@pytest.mark.parametrize(
    ("messages", "kind", "said"),
    [
        (
            [BEGUN, WorkerFailure("error", KILLED, code=-9)],
            PlanError,
            f"model 'm:C': {KILLED} while it was imported; correct the model, or choose a smaller one",
        ),
        (
            [BEGUN, WorkerFailure("timeout", "no response for 9 s")],
            PlanError,
            "model 'm:C': no answer within 120 s while it was imported; choose a smaller model, or a longer --timeout",
        ),
        (
            [BEGUN, Message(begin="m:C", step="built"), Message(error="MemoryError: no", oom=True)],
            PlanError,
            "model 'm:C': out of memory while it was built (MemoryError: no); choose a smaller one",
        ),
        (
            [BEGUN, Message(error="KeyError: 'a' (b.py:3)")],
            PlanningError,
            "planning m:C failed: KeyError: 'a' (b.py:3)",
        ),
        (
            [WorkerFailure("error", "the worker exited with code 1: no torch", code=1, ready=False)],
            NoWorkerError,
            "no worker process can start: the worker exited with code 1: no torch; free memory, or raise the limits of "
            "the shell (ulimit -a)",
        ),
        ([BEGUN, Message(planned=Planned(refusal="no such method", absent=True))], PlanError, "no such method"),
    ],
)
def test_what_stops_planning_is_one_line(pretend, messages, kind, said) -> None:
    pool = pretend(*messages)
    with pytest.raises(kind) as refused:
        planned(Options(models=["m:C"]))
    assert str(refused.value) == said
    assert getattr(refused.value, "absent", False) is (said == "no such method")
    assert pool.closed
    assert len(pool.jobs) == (2 if KILLED in said or "no torch" in said else 1)  # what is outside may pass


def test_a_worker_that_something_outside_kills_is_replaced_once(pretend) -> None:
    pool = pretend(BEGUN, Message(planned=Planned([CASE])))
    converse = pool.converse
    pool.converse = lambda job, timeout: converse(job, timeout) if pool.jobs else killed(job)

    def killed(job: Job) -> Iterator[Any]:
        pool.jobs.append(job)
        yield WorkerFailure("error", KILLED, code=-15)

    assert planned(Options(models=["m:C"])).cases == [CASE]
    assert len(pool.jobs) == 2


def test_an_interrupt_ends_the_worker(pretend) -> None:
    pool = pretend(BEGUN, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        planned(Options(models=["m:C"]))
    assert pool.closed


@pytest.mark.parametrize("options", [{"n": [0]}, {"device": "tpu"}, {"suite": "none"}, {"models": []}])
def test_what_needs_no_model_is_refused_before_a_process_starts(pretend, options) -> None:
    pool = pretend()
    with pytest.raises(PlanError):
        planned(Options(**options))
    assert pool.jobs == []


def test_an_error_of_a_model_that_ships_says_where(monkeypatch) -> None:
    from arbench.models.wavenet import WaveNet

    monkeypatch.setattr(WaveNet, "schedule", lambda self, n: {}["a"])
    with pytest.raises(
        PlanningError, match=r"^planning wavenet:tiny failed: KeyError: 'a' \(.*test_planning.py:\d+\)$"
    ):
        planned(Options(models=["wavenet:tiny"]))


class Heard:
    """Receiver of progress reports."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self.shown = threading.Event()

    def stage(self, text: str, steps: int, seconds: float) -> None:
        self.said.append(("stage", text, str(steps)))
        self.shown.set()

    def step(self, text: str) -> None:
        self.said.append(("step", text))

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.mark.parametrize(("models", "what"), [(["a:B"], "a:B"), (["a:B", "c:D"], "2 models")])
def test_planning_that_takes_long_is_shown(pretend, monkeypatch, models, what) -> None:
    monkeypatch.setattr(planning, "SILENT_S", 0.01)
    heard = Heard()
    begun = [Message(begin=name, step=did) for name in models for did in ("imported", "built")]
    pretend(begun[0], heard.shown, *begun[1:], Message(planned=Planned()))
    planned(Options(models=models), progress=heard)
    assert heard.said == [
        ("stage", f"importing and building {what}", str(len(models))),
        *(("step", name) for name in models[1:]),
    ]


def test_planning_that_is_quick_shows_nothing(pretend, monkeypatch) -> None:
    monkeypatch.setattr(planning, "SILENT_S", 0.05)
    heard = Heard()
    pretend(BEGUN, Message(planned=Planned([CASE])))
    assert planned(Options(models=["a:B"]), progress=heard).cases == [CASE]
    time.sleep(0.1)
    assert heard.said == []
