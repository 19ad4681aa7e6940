"""Fixtures for runs: with jobs in this process, with real workers, or with pretended ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import arbench
from arbench.bench import prove, runner
from arbench.bench.plan import Options, Plan, make_plan
from arbench.bench.workers.worker import Job, Message
from arbench.results import Count, Results, Samples, Verification

LIMITS = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}


@pytest.fixture(scope="session")
def made(load: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module beside this file that fabricates plans and lines."""
    return load(Path(__file__).with_name("lines.py"))


@pytest.fixture
def known_limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the measurement of this machine's limits, which takes seconds, by constants."""
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: LIMITS)
    return LIMITS


@pytest.fixture
def model_file(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a user's model with the preset ``tiny``, and returns its name for ``--model``."""

    def write(body: str, name: str = "mine.py") -> str:
        text = "from arbench.models import Claim\nfrom arbench.models.wavenet import WaveNet\n"
        (tmp_path / name).write_text(text + body)
        return f"{tmp_path / name}:Mine:tiny"

    return write


@pytest.fixture
def inside(known_limits: dict[str, Any], load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs of workers in this process."""
    pool = load(Path(__file__).parents[1] / "workers.py").Inside
    for room in (runner, prove):
        monkeypatch.setattr(room, "WorkerPool", pool)


@pytest.fixture
def measure(inside: None, measure_in_processes: Callable[..., Results]) -> Callable[..., Results]:
    """Return ``arbench.measure`` with as few workers as possible, inside this process."""
    return measure_in_processes


@pytest.fixture
def measure_in_processes(known_limits: dict[str, Any]) -> Callable[..., Results]:
    """Return ``arbench.measure`` with real workers, as few as possible."""

    def run(*models: str, **options: Any) -> Results:
        return arbench.measure(models, **{"workers": 1, "rounds": 1, **options})

    return run


@dataclass
class Pretender:
    """Stand-in for ``runner.WorkerPool``: yields at once the messages that a worker would have sent.

    Args:
        call_s: returns the seconds of a call of a case.
        start_s: seconds that a worker takes to start.
        interfere: receives each job and message; its return value replaces the message, and its exception is raised.
    """

    call_s: Callable[[Any], float] = lambda case: 1e-3 * case.n
    start_s: float = 0.0
    interfere: Callable[[Job, Message], Any] = lambda job, message: message
    jobs: list[Job] = field(default_factory=list)
    closed: bool = False

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, count: int) -> None: ...

    def settle(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def converse(self, job: Job, timeout: float) -> Iterator[Any]:
        self.jobs.append(job)
        time.sleep(self.start_s)
        for message in self._prove(job) if job.stage == "prove" else self._time(job):
            said = self.interfere(job, message)
            yield said
            if said is not message:
                return

    def _prove(self, job: Job) -> Iterator[Message]:
        for case in job.cases:
            if case.id not in job.verified:
                yield Message(begin=case.id, step="verify")
                facts = {"call_s": self.call_s(case), "nfe": case.n}
                yield Message(line=Verification(case.id, "ok", "pointwise", facts))
        for case in job.cases:
            if case.id not in job.counted:
                yield Message(begin=case.id, step="count")
                depth = 7 if case.op == "score" else 3 * case.n + 1
                yield Message(line=Count(case.id, depth, case.n, 10 * case.n, 9, 9, 9, "counted"))

    def _time(self, job: Job) -> Iterator[Message]:
        for number in range(job.rounds or 3):
            for case in job.cases:
                if (case.id, number) not in job.done:
                    yield Message(begin=case.id, step="time")
                    at = 4e9 + 1000 * job.worker + number
                    seconds = self.call_s(case) * (1 + 0.01 * job.worker)
                    yield Message(line=Samples(case.id, job.worker, number, at, [seconds]))


@pytest.fixture
def pretend(known_limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pretender]:
    """Return a function that replaces worker processes by a pretender, and returns it."""

    def put(**more: Any) -> Pretender:
        pretender = Pretender(**more)
        monkeypatch.setattr(runner, "WorkerPool", lambda: pretender)
        return pretender

    return put


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Return a function that makes a plan: WaveNet, scored and sampled at two sizes."""

    def make(**options: Any) -> Plan:
        asked = {
            "models": ["wavenet:tiny"],
            "methods": ["parallel", "cached"],
            "n": [8, 16],
            "workers": 2,
            "rounds": 2,
            **options,
        }
        return make_plan(Options(**asked))

    return make
