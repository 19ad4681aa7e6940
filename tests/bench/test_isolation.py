"""Real workers on models that die, hang or run out of memory: only the case at fault fails."""

from __future__ import annotations

import re

import pytest

FAULTY = """
import os, signal, sys, time
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode


def stage():
    if _get_current_dispatch_mode() is not None:
        return "count"
    return "verify" if "arbench.bench.models.verify_method" in sys.modules else "time"


class Mine(WaveNet):
    count_ladder = (4, 8, 16)

    def extend(self, state, f, g0, g1):
        print('{"done": true}', flush=True)
        n = f.shape[1]
        if self.embedding.dtype == torch.float32 and stage() == STAGE and g0 == 1:
            if n == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            if n == 11:
                raise MemoryError("no room for it")
            if n == 12:
                raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
            if n == 13:
                raise ValueError("a bad day\\nfor elements")
            if n == 14:
                time.sleep(1000)
            if n == 15:
                sys.exit(3)
        return super().extend(state, f, g0, g1)
"""
EXPECTED = {
    10: ("error", r"the worker was killed by SIGKILL \(out of memory\?\)"),
    11: ("oom", r"MemoryError: no room for it"),
    12: ("oom", r"RuntimeError: DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    13: ("error", r"ValueError: a bad day for elements"),
    14: ("timeout", r"no response for 5 s"),
    15: ("error", r"the worker exited with code 3.*"),
}
SOUND = (9, 16)


@pytest.mark.parametrize("stage", ["verify", "time"])
def test_each_fault_costs_its_own_case(measure, model_file, stage):
    spec = model_file(FAULTY.replace("STAGE", repr(stage)))
    sizes = sorted([*EXPECTED, *SOUND])
    results = measure(spec, n=sizes, methods=["parallel", "cached"], timeout=5.0)
    rows = {(case.method, case.n): case for case in results.cases.values()}
    assert rows.keys() == {(method, n) for method in ("parallel", "cached") for n in sizes}
    for n, (status, error) in EXPECTED.items():
        row = rows.pop(("cached", n))
        assert row.status == status, row.error
        assert re.fullmatch(error, row.error or "")
        assert row.samples == 0
    for row in rows.values():
        assert (row.status, row.error) == ("ok", None)
        assert row.samples > 0
        assert row.median_s
        assert row.count_source == "counted"
    assert len({(s.case, s.worker, s.round) for s in results.samples}) == len(results.samples) == len(rows)


@pytest.mark.parametrize("n", [10, 14])
def test_a_fault_in_counting_costs_only_counts(measure, model_file, n):
    spec = model_file(FAULTY.replace("STAGE", "'count'"))
    results = measure(spec, n=[9, n], methods=["parallel", "cached"], timeout=5.0)
    assert {(case.status, case.error) for case in results.cases.values()} == {("ok", None)}
    assert all(case.samples for case in results.cases.values())
    sources = {(case.method, case.n): (case.count_source, case.depth) for case in results.cases.values()}
    assert sources["cached", n] == ("none", None)
    assert {sources[key][0] for key in sources if key != ("cached", n)} == {"counted"}


def test_a_forward_that_leaks_is_inexact_and_is_not_timed(measure, model_file):
    spec = model_file(
        "class Mine(WaveNet):\n"
        "    def forward(self, f, code):\n"
        "        later = f.to(self.out.dtype).mean(1)[:, None, None]\n"
        "        return super().forward(f, code) + 1e-3 * later\n"
    )
    results = measure(spec, n=[8, 12], methods=["parallel", "cached"])
    assert len(results.cases) == 4
    for row in results.cases.values():
        assert row.status == "inexact"
        assert row.error == "forward leaks: parameters of element 0 change with elements from 0 on"
        assert row.verified is not None
        assert row.verified["how"] == "probes of the model itself"
    assert results.samples == []
    assert (results.counts, results.fits) == ({}, {})  # without counts its claims get no verdict


def test_a_wrong_claim_fails(measure, model_file):
    spec = model_file(
        "class Mine(WaveNet):\n"
        "    claims = {('score', 'parallel'): Claim('1', 'N'), ('sample', 'cached'): Claim('1', 'N')}\n"
    )
    results = measure(spec, n=[8], methods=["parallel", "cached"])
    verdicts = {(fit.op, fit.metric): fit.verdict for fit in results.fits.values()}
    assert verdicts["score", "depth"] == "holds"
    assert verdicts["sample", "depth"] == "fails"
    (fit,) = [f for f in results.fits.values() if (f.op, f.metric) == ("sample", "depth")]
    assert fit.why.startswith("claimed 1; measured N: ")


def test_a_tiny_budget_leaves_a_reason_for_each_case(measure):
    sizes = [8, 64, 2048]
    results = measure("wavenet:tiny", n=sizes, methods=["parallel", "cached"], rounds=None, budget=0.05)
    assert {(case.method, case.n) for case in results.cases.values()} == {
        (method, n) for method in ("parallel", "cached") for n in sizes
    }
    assert {case.status for case in results.cases.values()} <= {"ok", "over_budget"}
    over = [case for case in results.cases.values() if case.status == "over_budget"]
    assert ("cached", 2048) in {(case.method, case.n) for case in over}
    for case in over:
        assert re.fullmatch(
            r"a call is predicted to take \S+ s; the budget allows \S+ s"
            r"|a call takes \S+ s; a round with it exceeds the budget",
            case.error or "",
        )
        assert case.samples == 0
    assert all(case.samples for case in results.cases.values() if case.status == "ok")
