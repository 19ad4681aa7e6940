"""Models that die, hang, run out of memory or are wrong: only the case at fault fails."""

from __future__ import annotations

import re

from arbench.bench import runner

FAULTY = """
import os, pathlib, signal, sys, time
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


FIRST = pathlib.Path(__file__).with_name("first")


def stage():
    if any(type(mode).__module__.startswith("arbench.meters") for mode in _get_current_dispatch_mode_stack()):
        return "count"
    return "verify" if "arbench.bench.models.verify.model" in sys.modules else "time"


class Mine(WaveNet):
    count_ladder = (4, 8, 16)

    def extend(self, state, f, g0, g1):
        os.write(1, b'{"done":true}\\n\\xff')
        params, state = super().extend(state, f, g0, g1)
        if self.embedding.dtype == torch.float32 and g0 == 2:
            match f.shape[1], stage():
                case 10, "verify" if not FIRST.exists():
                    FIRST.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                case 15, "verify":
                    for fd in range(3, 200):
                        try:
                            os.write(fd, b'{"done":true}\\n')
                        except OSError:
                            pass
                case 11, "verify":
                    time.sleep(1000)
                case 12, "time":
                    sys.exit(3)
                case 13, "time":
                    time.sleep(1000)
                case 14, "time":
                    raise MemoryError("no room for it")
                case 18, "count":
                    os.kill(os.getpid(), signal.SIGKILL)
        return params, state

    def forward(self, f, code):
        if f.shape[1] == 17 and stage() == "count":
            time.sleep(1000)
        return super().forward(f, code)


from beside_isolation import FOUND
"""
KILLED = r"the worker was killed by SIGKILL \(out of memory\?\), 2 times"
HUNG = r"no response for 6 s"
EXPECTED = {
    11: ("timeout", HUNG),
    12: ("error", r"the worker exited with code 3.*"),
    13: ("timeout", HUNG),
    15: ("error", r"other code wrote to the channel of the worker"),
    14: ("oom", r"MemoryError: no room for it \(mine\.py:42\)"),
}
"""Status and error of sampling, by N. With pretended workers ``test_runner`` tests every fault in every step."""
UNCOUNTED = {("cached", 18): KILLED, ("parallel", 17): HUNG, ("parallel", 18): HUNG}
"""Why counts are unknown, by method and N: a size that cannot be counted takes the larger ones with it."""
SOUND = (9, 10, 16, 17, 18)
"""Sizes that are measured; at 10 the first worker is killed once."""


def test_each_fault_costs_its_own_case(measure_in_processes, model_file, tmp_path):
    (tmp_path / "beside_isolation.py").write_text("FOUND = True\n")  # workers find what is beside the model's file
    sizes = sorted([*EXPECTED, *SOUND])
    results = measure_in_processes(model_file(FAULTY), n=sizes, methods=["parallel", "cached"], timeout=6.0)
    rows = {(case.method, case.n): case for case in results.cases.values()}
    assert rows.keys() == {(method, n) for method in ("parallel", "cached") for n in sizes}
    for n, (status, error) in EXPECTED.items():
        row = rows.pop(("cached", n))
        assert (row.status, row.samples) == (status, 0), row.error
        assert re.fullmatch(error, row.error or "")
    for row in rows.values():
        assert (row.status, row.error) == ("ok", None)
        assert row.samples > 0
        assert row.median_s
    for case, why in UNCOUNTED.items():
        uncounted = rows.pop(case)
        assert (uncounted.count_source, uncounted.depth) == ("none", None)
        assert re.fullmatch(why, uncounted.why_unknown or "")
    assert {row.count_source for row in rows.values()} == {"counted"}
    assert (
        len({(s.case, s.worker, s.round) for s in results.samples})
        == len(results.samples)
        == len(rows) + len(UNCOUNTED)
    )


RAISES = """
import torch


class Mine(WaveNet):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        if self.embedding.dtype == torch.float32 and g0 == 2:
            match f.shape[1]:
                case 10:
                    raise ValueError("a bad day\\nfor elements")
                case 11:
                    raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
                case 12:
                    params = params + params.roll(1, -1)
        return params, state
"""


def test_what_a_model_raises_costs_its_own_case(measure, model_file):
    results = measure(model_file(RAISES), n=[9, 10, 11, 12], methods=["parallel", "cached"])
    found = {(case.method, case.n): (case.status, case.error) for case in results.cases.values()}
    assert found.pop(("cached", 10)) == ("error", "ValueError: a bad day for elements (mine.py:13)")
    assert found.pop(("cached", 11)) == (
        "oom",
        "RuntimeError: DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes (mine.py:15)",
    )
    status, error = found.pop(("cached", 12))
    assert status == "inexact"
    assert error.startswith("log-probabilities differ ")
    assert set(found) == {("cached", 9), *(("parallel", n) for n in (9, 10, 11, 12))}
    assert set(found.values()) == {("ok", None)}


def test_what_a_model_raises_for_every_method_ends_no_worker(measure, model_file, monkeypatch):
    """The other sizes are verified by the same one, and the error is charged to every method of its size."""
    body = """
class Mine(WaveNet):
    def forward(self, f, code):
        if f.shape[1] > 10:
            raise IndexError(f"no position {f.shape[1] - 1}")
        return super().forward(f, code)
"""
    starts = []
    pool = runner.WorkerPool
    monkeypatch.setattr(
        pool, "converse", lambda self, job, s, go=pool.converse: starts.append(job.stage) or go(self, job, s)
    )
    results = measure(model_file(body), n=[9, 12, 15], methods=["parallel", "cached", "naive"])
    found = {(case.n, case.status, case.error) for case in results.cases.values()}
    errors = {(n, "error", f"IndexError: no position {n - 1} (mine.py:7)") for n in (12, 15)}
    assert found == {(9, "ok", None), *errors}
    assert starts == ["plan", "prove", "time"]


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
