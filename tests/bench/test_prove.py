"""Proof of a plan without timing: several models at once, every size counted directly."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from arbench.bench import prove
from arbench.bench.job import Job, Message
from arbench.bench.models import counting
from arbench.bench.models.counting import Counter
from arbench.bench.plan import Options, make_plan
from arbench.bench.prove import prove_plan
from arbench.bench.recorder import Recorder
from arbench.bench.workers.pool import PoolStoppedError, WorkerPool
from arbench.meters import CountBudgetExceeded
from arbench.results import Verification


def proved(**options):
    plan = make_plan(Options(**options))
    results = prove_plan(plan)
    assert results.cases.keys() == {case.id for case in plan.cases}
    return results


def test_every_size_is_counted_with_its_memory_and_nothing_is_timed(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = proved(models=["wavenet:tiny", "lstm:tiny"], methods=["parallel", "naive"], n=[9, 12])
    for row in results.cases.values():
        assert (row.status, row.count_source, row.median_s) == ("ok", "counted", None)
        assert row.peak_bytes
        assert row.depth
    assert {count.case for count in results.counts.values()} == results.cases.keys()  # no size of a ladder
    assert (results.samples, results.run.limits) == ([], {})
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_takes_too_long_is_extrapolated(inside, model_file, monkeypatch):
    direct = Counter.direct

    def limited(self, case, budget_s):
        if case.n == 400:
            raise CountBudgetExceeded
        return direct(self, case, 60.0)

    monkeypatch.setattr(Counter, "direct", limited)
    monkeypatch.setattr(counting, "DIRECT_S", 0.0)
    body = "class Mine(WaveNet):\n    count_ladder = (4, 8, 12, 16)\n"
    results = proved(models=[model_file(body)], methods=["cached"], n=[9, 10, 400])
    rows = {row.n: row for row in results.cases.values()}
    assert [rows[n].count_source for n in (9, 10, 400)] == ["counted", "counted", "extrapolated"]
    for name in ("depth", "ops", "nfe"):
        a, b, c = (getattr(rows[n], name) for n in (9, 10, 400))
        assert c == a + 391 * (b - a)


def test_a_model_that_fails_costs_its_own_cases(inside, model_file):
    spec = model_file(
        "class Mine(WaveNet):\n"
        "    def extend(self, state, f, g0, g1):\n"
        "        if f.shape[1] == 10:\n"
        "            raise ValueError('broken')\n"
        "        return super().extend(state, f, g0, g1)\n"
    )
    results = proved(models=[spec, "wavenet:tiny"], methods=["cached"], n=[9, 10])
    rows = {(row.model, row.n): row for row in results.cases.values()}
    assert {where for where, row in rows.items() if row.status == "ok"} == rows.keys() - {("mine.Mine", 10)}
    where = "extend failed at its first step, extend(state, f, 0, 1), with the state that start returned"
    assert rows["mine.Mine", 10].error == f"{where}: ValueError: broken (mine.py:6)"


class Waiting(WorkerPool):
    """Pool in which WaveNet is verified, and every other model works until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = Event()

    def stop(self) -> None:
        self.stopped.set()

    def converse(self, job: Job, timeout: float) -> Iterator[Message]:
        (case,) = job.cases
        if case.model != "wavenet":
            assert self.stopped.wait(60)
            raise PoolStoppedError
        yield Message(line=Verification(case.id, "ok", "pointwise", {}))


def test_what_failed_is_told_and_not_that_the_others_were_stopped(model_file, monkeypatch):
    """The first model still works when the result of the second cannot be stored."""
    monkeypatch.setattr(prove, "WorkerPool", Waiting)
    plan = make_plan(
        Options(models=[model_file("class Mine(WaveNet): ..."), "wavenet:tiny"], methods=["cached"], n=[9])
    )

    def full(self, line):
        raise MemoryError("full")

    monkeypatch.setattr(Recorder, "write", full)
    with pytest.raises(MemoryError, match="full"):
        prove_plan(plan, at_once=2)
