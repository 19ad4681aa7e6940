"""Proof of a plan without timing: by real workers, several models at once, every size counted directly."""

from __future__ import annotations

import pytest

from arbench.bench.plan import Options, make_plan
from arbench.bench.prove import prove_plan
from arbench.bench.recorder import Recorder


def proved(**options):
    plan = make_plan(Options(**options))
    results = prove_plan(plan)
    assert results.cases.keys() == {case.id for case in plan.cases}
    return results


def test_every_size_is_counted_with_its_memory_and_nothing_is_timed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = proved(models=["wavenet:tiny", "lstm:tiny"], methods=["parallel", "naive"], n=[9, 12])
    for row in results.cases.values():
        assert (row.status, row.count_source, row.median_s) == ("ok", "counted", None)
        assert row.peak_bytes
        assert row.depth
    assert {count.case for count in results.counts.values()} == results.cases.keys()  # no size of a ladder
    assert (results.samples, results.run.limits) == ([], {})
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_takes_too_long_is_extrapolated(model_file):
    body = "class Mine(WaveNet):\n    count_ladder = (4, 8, 12, 16)\n"
    results = proved(models=[model_file(body)], methods=["cached"], n=[9, 10, 400], count_budget=0.4)
    rows = {row.n: row for row in results.cases.values()}
    assert [rows[n].count_source for n in (9, 10, 400)] == ["counted", "counted", "extrapolated"]
    for name in ("depth", "ops", "nfe"):
        a, b, c = (getattr(rows[n], name) for n in (9, 10, 400))
        assert c == a + 391 * (b - a)


def test_a_model_that_dies_costs_its_own_cases(model_file):
    spec = model_file(
        "import os, signal\n"
        "class Mine(WaveNet):\n"
        "    def extend(self, state, f, g0, g1):\n"
        "        if f.shape[1] == 10:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().extend(state, f, g0, g1)\n"
    )
    results = proved(models=[spec, "wavenet:tiny"], methods=["cached"], n=[9, 10])
    rows = {(row.model, row.n): row for row in results.cases.values()}
    assert {where for where, row in rows.items() if row.status == "ok"} == rows.keys() - {("mine.Mine", 10)}
    assert rows["mine.Mine", 10].error == "the worker was killed by SIGKILL (out of memory?)"


def test_what_failed_is_told_and_not_that_the_others_were_stopped(model_file, monkeypatch):
    """The first model sleeps while the result of the second cannot be stored."""
    waits = "import time\nclass Mine(WaveNet):\n    def start(self, *args):\n        time.sleep(100)\n"
    plan = make_plan(Options(models=[model_file(waits), "wavenet:tiny"], methods=["cached"], n=[9]))

    def full(self, line):
        raise MemoryError("full")

    monkeypatch.setattr(Recorder, "write", full)
    with pytest.raises(MemoryError, match="full"):
        prove_plan(plan, at_once=2)
