"""Processes of a time check that die, with fake hosts: a death is tried again before a version is charged with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arbench.bench.workers.failure import WorkerFailure
from arbench.findings import Check, Finding
from arbench.gate.timing.check import Gate, GateError
from arbench.gate.timing.hosts import HostError, Process
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.protocol import Built, CaseLists, Timed, Verified
from arbench.gate.timing.trees import Tree

NAME, OTHER = (f"wavenet:tiny/{what}/eager/cpu/float32/b1/n16" for what in ("sample/cached", "score/parallel"))
HERE, THERE = (Tree(name, Path("/") / name, Path("/") / name) for name in ("old", "new"))
SECONDS = 1e-3


def death(signal: int = 9) -> HostError:
    why = f"the worker was killed by signal {signal}"
    return HostError(why, death=WorkerFailure("error", why, code=-signal))


OUTSIDE, CRASH = 9, 11


class Mortal:
    """Host that dies at given calls of given methods, by a signal; ``alone`` are the sides that die in their own."""

    environment: dict[str, Any] = {"cpu": {"model": "fake"}}

    def __init__(self, plan: dict[tuple[str, int], int], alone: tuple[int, ...] = ()) -> None:
        self.plan, self.alone = plan, alone
        self.calls: dict[str, int] = {}
        self.started = 0

    def _count(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        if (signal := self.plan.get((method, self.calls[method]))) is not None:
            raise death(signal)

    def ready(self) -> None:
        self._count("ready")

    def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
        self._count("list")
        facts = {"model": "wavenet", "preset": "tiny", "n": 16}
        one = {NAME: {"id": NAME, "op": "sample", "method": "cached", **facts}}
        return CaseLists([{**one, OTHER: {"id": OTHER, "op": "score", "method": "parallel", **facts}}] * 3)

    def verify(self, side: int, case: Any) -> Verified:
        if case["id"] == NAME:
            self._count(f"verify {side}")
        return Verified("ok", None)

    def build(self, cases: Sequence[Any], sides: Sequence[int]) -> float:
        self.mine = cases[0]["id"] == NAME
        if self.mine:
            self._count("build")
        return SECONDS

    def turns(self, rounds: int, calls: int) -> Timed:
        if self.mine:
            self._count("turns")
        return Timed([[SECONDS] * rounds] * 3)

    def close(self) -> None: ...


class Alone(Mortal):
    """Host with a process for each side, in which some sides die in their calls."""

    def turns(self, rounds: int, calls: int) -> Timed:
        for side in self.alone:
            raise death().of_side(side)
        return Timed([[SECONDS]] * 3)


def checked(plan: dict[tuple[str, int], int], alone: tuple[int, ...] = ()) -> dict[str, Finding]:
    """Run a check in which every host is the same mortal one; return the findings by case."""
    gate = Gate(HERE, THERE, [{"models": ["wavenet:tiny"], "n": [16]}], alone=False)
    host = Mortal(plan, alone)

    def start(apart: bool | None = None) -> Any:
        gate.pool.started += 1
        return Alone({}, alone) if apart else host

    gate.pool.start = start  # type: ignore[method-assign]
    gate.run()
    return {finding.case: finding for finding in gate.findings}


def outcome(findings: dict[str, Finding]) -> str:
    assert findings.keys() == {NAME, OTHER}
    assert findings[OTHER].outcome == "same"
    return findings[NAME].outcome


@pytest.mark.parametrize("where", ["ready", "list", "verify 1", "build", "turns"])
def test_one_kill_from_outside_costs_nothing(where: str) -> None:
    assert outcome(checked({(where, 1): OUTSIDE})) == "same"


@pytest.mark.parametrize("where", ["verify 1", "build", "turns"])
def test_a_crash_that_does_not_repeat_is_undecided(where: str) -> None:
    findings = checked({(where, 1): CRASH})
    assert outcome(findings) == "undecided"
    assert findings[NAME].text == (
        "cached sampling of wavenet:tiny (N = 16) is undecided: "
        "it crashed once, but not when tried again: the worker was killed by signal 11"
    )
    check = Check("old", "new", findings=[*findings.values()])
    assert (check.exit_code(), check.exit_code(strict=True)) == (0, 4)


@pytest.mark.parametrize(
    ("plan", "alone", "expected"),
    [
        ({("verify 1", 1): 9, ("verify 1", 2): 9}, (), "regression"),
        ({("verify 1", 1): 9, ("verify 1", 2): 9, ("verify 0", 1): 9, ("verify 0", 2): 9}, (), "unmeasured"),
        ({("verify 1", 1): 9, ("verify 1", 2): 9, ("verify 0", 1): 9}, (), "regression"),
        ({("turns", 1): 9, ("turns", 2): 9}, (), "undecided"),
        ({("turns", n): 9 for n in (1, 2, 3)}, (1,), "regression"),
        ({("turns", n): 9 for n in (1, 2, 3)}, (0,), "unmeasured"),
    ],
)
def test_a_death_that_repeats_in_the_new_version_alone_is_a_regression(
    plan: dict[tuple[str, int], int], alone: tuple[int, ...], expected: str
) -> None:
    assert outcome(checked(plan, alone)) == expected


def test_a_process_that_cannot_be_started_leaves_no_other_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []

    def process(roots: list[Path], *_: Any, **__: Any) -> Any:
        if roots == [THERE.root]:
            raise HostError("the system starts no process: Cannot allocate memory")
        made = object.__new__(Process)
        monkeypatch.setattr(made, "close", lambda: closed.append(roots), raising=False)
        return made

    monkeypatch.setattr("arbench.gate.timing.hosts.Process", process)
    monkeypatch.setattr("arbench.gate.timing.pair.Process", process)
    pool = HostPool(HERE, THERE, 0, 1, {}, 1.0)
    for start in (lambda: pool.start(apart=True), pool.pair, pool.pair):
        with pytest.raises(HostError, match="Cannot allocate memory"):
            start()
    assert closed
    assert {one for (one,) in closed} == {HERE.root}


def fresh(make: Callable[[], Any]) -> Gate:
    """Return a check whose hosts are made by a function."""
    gate = Gate(HERE, THERE, [{"models": ["wavenet:tiny"], "n": [16]}], alone=False)
    gate.pool.start = lambda apart=None: make()  # type: ignore[method-assign]
    return gate


def test_processes_started_ahead_are_closed_where_nothing_is_timed() -> None:
    closed: list[Any] = []

    class Closing(Mortal):
        def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
            return CaseLists([{}] * 3)

        def close(self) -> None:
            closed.append(self)

    gate = fresh(lambda: Closing({}))
    with pytest.raises(GateError, match="neither version has a case"):
        gate.run()
    assert len(set(closed)) == 1 + gate.effort(1).processes


def test_processes_that_cannot_be_started_ahead_are_started_when_they_are_needed() -> None:
    starts = iter([True, False])

    def start() -> Any:
        if not next(starts, True):
            raise HostError("the system starts no process: Cannot allocate memory")
        return Mortal({})

    gate = fresh(start)
    gate.run()
    assert {one.outcome for one in gate.findings} == {"same"}
    assert next(starts, None) is None


def test_a_process_started_ahead_learns_the_verified_outcomes_with_its_next_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []

    class Worker:
        def __init__(self, *_: Any) -> None: ...

        def send(self, message: Any) -> None:
            sent.append(message)

        def receive(self, kind: Any, timeout: float) -> Any:
            return Built(SECONDS, SECONDS)

    monkeypatch.setattr("arbench.gate.timing.hosts.Worker", Worker)
    for apart, sides in ((False, 1), (True, 3)):
        pool, cases = HostPool(HERE, THERE, 0, 1, {}, 1.0), [{"id": NAME}] * 3
        host = pool.start(apart)
        pool.learn(NAME, "digest")
        sent.clear()
        host.build(cases, range(3))
        assert [one.outcomes for one in sent] == [{NAME: "digest"}] * sides


@contextmanager
def answering(reply: Any) -> Iterator[Process]:
    """Yield a process whose worker answers with this, or raises it."""

    class Worker:
        def send(self, message: Any) -> None: ...

        def receive(self, kind: Any, timeout: float) -> Any:
            return reply

    process = object.__new__(Process)
    process.worker, process.timeout = Worker(), 1.0  # type: ignore[assignment]
    yield process


def test_a_reply_to_another_question_is_refused() -> None:
    with answering(Verified("ok", None)) as process, pytest.raises(HostError) as refused:
        process.ready()
    assert str(refused.value) == "the worker sent a message that was not asked for: Verified"
    assert (refused.value.gone, refused.value.death) == (True, None)
