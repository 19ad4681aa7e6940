"""Runs with pretended workers: what they write, charge to a case, resume and measure again."""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from arbench.bench import runner
from arbench.bench.plan import Options, make_plan
from arbench.bench.progress import Quiet
from arbench.bench.runner import Writer, run_plan
from arbench.bench.workers.failure import WorkerFailure
from arbench.bench.workers.worker import Message
from arbench.results import Count, Integrity, ResultsError, Samples, TakenError, WriteError, read

UNKILLED = 16


def triples(results) -> Counter:
    return Counter((line.case, line.worker, line.round) for line in results.samples)


class KilledError(BaseException):
    """Stand-in for a kill of the writing process: nothing is written after it."""


class DyingWriter(Writer):
    """A writer that raises KilledError after ``left`` lines."""

    left = 0

    def write(self, line):
        if type(self).left == 0:
            raise KilledError
        type(self).left -= 1
        super().write(line)


def test_a_run_measures_every_case_in_every_round_of_every_worker(pretend, plan, tmp_path):
    pretender = pretend()
    results = run_plan(plan(), tmp_path)
    cases = [case.id for case in plan().cases]
    assert len(cases) == 4
    assert triples(results) == Counter((c, w, r) for c in cases for w in (0, 1) for r in (0, 1))
    assert [(job.stage, job.worker) for job in pretender.jobs] == [("prove", 0), ("time", 0), ("time", 1)]
    assert set(results.cases) == set(cases)
    assert {case.stopped_by for case in results.cases.values()} == {"rounds"}
    on_disk = read(tmp_path)
    assert msgspec.json.encode(list(on_disk.cases.values())) == msgspec.json.encode(list(results.cases.values()))


def test_every_round_and_the_end_are_sealed(pretend, plan, tmp_path):
    pretend()
    results = run_plan(plan(), tmp_path)
    lines = [msgspec.json.decode(line) for line in (tmp_path / "results.jsonl").read_bytes().splitlines()]
    assert lines[0]["sealed"] is True
    for before, after in pairwise(lines):
        if before["kind"] == "samples" and after["kind"] != "seal":
            assert (after["kind"], after["worker"], after["round"]) == ("samples", before["worker"], before["round"])
    rounds = {(line["worker"], line["round"]) for line in lines if line["kind"] == "samples"}
    assert sum(line["kind"] == "seal" for line in lines) == 1 + len(rounds) + 1  # after proving, each round, at the end
    assert [line["kind"] for line in lines if line.get("end")] == ["seal"]
    assert lines[-1]["end"] is True
    assert read(tmp_path).integrity == results.integrity == Integrity(sealed=True, whole=len(lines), ended=True)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_file_that_is_taken_away_is_said_at_once_and_at_the_end(pretend, plan, tmp_path, interrupted):
    path, said = tmp_path / "results.jsonl", []

    def take(job, message):
        if job.stage == "time" and message.line and job.worker == 1:
            if message.line.round == 0:
                path.unlink(missing_ok=True)
            elif interrupted:
                raise KeyboardInterrupt
        return message

    class Told(Quiet):
        def note(self, text):
            said.append(text)

    pretend(interfere=take)
    with pytest.raises(TakenError) as taken:
        run_plan(plan(), tmp_path, progress=Told())
    message = f"{path} was deleted while it was written; all results are in {path}"
    assert message in said
    assert str(taken.value).startswith(message)
    assert str(taken.value).endswith("; the run was interrupted") is interrupted
    assert read(taken.value.path).cases == taken.value.results.cases
    assert read(taken.value.path).integrity.intact
    assert sum(triples(taken.value.results).values()) >= (9 if interrupted else UNKILLED)


def test_killed_after_any_line_a_run_is_resumed_without_measuring_twice(pretend, plan, tmp_path, monkeypatch):
    pretend()
    whole = run_plan(plan(), tmp_path / "whole")
    lines = (tmp_path / "whole" / "results.jsonl").read_text().splitlines()
    assert sum(line.startswith('{"kind":"samples"') for line in lines) == UNKILLED
    for after in range(len(lines)):
        folder = tmp_path / f"after-{after}"
        monkeypatch.setattr(runner, "Writer", DyingWriter)
        DyingWriter.left = after
        with pytest.raises(KilledError):
            run_plan(plan(), folder)
        monkeypatch.setattr(runner, "Writer", Writer)
        resumed = run_plan(plan(), folder, resume=after > 0)
        found = read(folder)
        assert triples(found) == triples(resumed) == triples(whole), after
        assert set(triples(found).values()) == {1}
        unfinished = not lines[after].startswith('{"kind":"seal"') or after < len(lines) - 1
        assert len(found.resumes) == (after > 0 and unfinished)  # the last seal alone is no work
        assert found.integrity.intact
        assert found.cases == whole.cases
        assert found.ratios == whole.ratios
        assert found.fits == whole.fits


def test_a_run_of_a_file_that_changed_is_not_resumed(pretend, model_file, tmp_path):
    """Times of two versions would be one row, with the counters of the first."""
    pretend()
    spec = model_file("class Mine(WaveNet):\n    pass\n")
    asked = make_plan(Options(models=[spec], n=(8,), methods=("cached",), rounds=1, workers=1))
    before = run_plan(asked, tmp_path / "out")
    assert run_plan(asked, tmp_path / "out", resume=True).samples == before.samples
    file = Path(spec.partition(":")[0])
    file.write_text(file.read_text() + "    # another version\n")
    with pytest.raises(ResultsError) as refused:
        run_plan(asked, tmp_path / "out", resume=True)
    assert str(refused.value) == (
        f"{tmp_path}/out/results.jsonl contains a run of another version of {file}; "
        "restore that file, or choose another --out"
    )


def test_killed_at_every_line_in_turn_a_run_comes_to_the_same_end(pretend, plan, tmp_path, monkeypatch):
    pretend()
    whole = run_plan(plan(), tmp_path / "whole")
    monkeypatch.setattr(runner, "Writer", DyingWriter)
    for step in range(80):
        DyingWriter.left = 2 + step % 2  # the resume line and one or two more: never the whole run
        try:
            run_plan(plan(), tmp_path / "killed", resume=step > 0)
        except KilledError:
            assert set(triples(read(tmp_path / "killed")).values()) <= {1}
        else:
            break
    assert 10 < step < 79
    found = read(tmp_path / "killed")
    assert triples(found) == triples(whole)
    assert found.cases == whole.cases


@pytest.mark.parametrize("options", [{}, {"rounds": None, "budget": 1e-3}, {"rounds": None, "target_ci": 0.9}])
def test_a_finished_run_measures_nothing_more(pretend, plan, tmp_path, options):
    asked = plan(**{"workers": 6, **options})
    pretender = pretend(call_s=lambda case: 1e-9)
    before = run_plan(asked, tmp_path)
    assert before.samples
    del pretender.jobs[:]
    after = run_plan(asked, tmp_path, resume=True)
    assert [job.stage for job in pretender.jobs] == []
    assert after.samples == before.samples
    assert after.cases == before.cases


def test_a_run_ended_by_its_budget_measures_nothing_more_though_starting_took_most_of_it(pretend, plan, tmp_path):
    """Three workers take 1.5 s to start, and very little to time two cases once."""
    asked = plan(methods=["cached"], rounds=None, budget=2.0, workers=3, target_ci=0.001)

    def once(job, message):
        return Message(done=True) if isinstance(message.line, Samples) and message.line.round else message

    pretend(start_s=0.5, interfere=once)
    before = run_plan(asked, tmp_path)
    assert {case.stopped_by for case in before.cases.values()} == {"budget"}
    pretender = pretend()
    after = run_plan(asked, tmp_path, resume=True)
    assert pretender.jobs == []
    assert after.cases == before.cases


def test_time_that_was_spent_is_not_had_again(pretend, plan, tmp_path, unseal):
    """The samples of a killed run span 3 x 2 s of a budget of 6 s."""
    asked = plan(rounds=None, budget=6.0, workers=3, target_ci=0.001)
    pretend()
    run_plan(asked, tmp_path)
    kept = [
        line
        for line in unseal(tmp_path / "results.jsonl")
        if not line.startswith((b'{"kind":"case"', b'{"kind":"fit"', b'{"kind":"ratio"'))
        and not (line.startswith(b'{"kind":"samples"') and msgspec.json.decode(line)["worker"] > 2)
    ]
    (tmp_path / "results.jsonl").write_bytes(b"".join(kept))
    pretender = pretend()
    resumed = run_plan(asked, tmp_path, resume=True)
    assert pretender.jobs == []
    assert {case.stopped_by for case in resumed.cases.values()} == {"budget"}


def test_a_folder_that_holds_a_run_is_refused(pretend, plan, tmp_path):
    pretend()
    run_plan(plan(), tmp_path)
    before = (tmp_path / "results.jsonl").read_bytes()
    path = tmp_path / "results.jsonl"
    with pytest.raises(ResultsError) as refused:
        run_plan(plan(), tmp_path)
    assert str(refused.value) == f"{path} already contains a run; continue it with --resume, or choose another --out"
    with pytest.raises(ResultsError) as refused:
        run_plan(plan(seed=1), tmp_path, resume=True)
    assert str(refused.value) == f"{path} contains a run with other options; resume it without changing them"
    assert path.read_bytes() == before


def test_a_changed_environment_is_said_and_recorded(pretend, plan, tmp_path, unseal):
    pretend()
    run_plan(plan(), tmp_path)
    path = tmp_path / "results.jsonl"
    first, *rest = unseal(path)
    run = msgspec.json.decode(first)
    run["environment"]["versions"]["torch"] = "0.0"
    run["environment"]["load"] = {"per_cpu": 99}  # always changes, so it is not reported
    path.write_bytes(msgspec.json.encode(run) + b"\n" + b"".join(rest[:-1]))
    said = []

    class Told(Quiet):
        def note(self, text):
            said.append(text)

    results = run_plan(plan(), tmp_path, resume=True, progress=Told())
    assert said == ["the environment changed since the run began: versions.torch"]
    assert results.resumes[0].changed == ["versions.torch"]
    assert read(tmp_path).resumes[0].changed == ["versions.torch"]


def test_an_interrupt_leaves_the_rows_of_what_was_measured(pretend, plan, tmp_path):
    def interrupt(job, message):
        if job.stage == "time" and message.line and (job.worker, message.line.round) == (1, 1):
            raise KeyboardInterrupt
        return message

    pretend(interfere=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan(), tmp_path)
    results = read(tmp_path)
    assert len(results.samples) == 12
    assert {case.stopped_by for case in results.cases.values()} == {"interrupted"}
    assert {(case.samples, case.workers) for case in results.cases.values()} == {(3, 2)}
    pretend()
    run_plan(plan(), tmp_path, resume=True)
    results = read(tmp_path)
    assert set(triples(results).values()) == {1}
    assert len(results.samples) == UNKILLED
    assert {case.stopped_by for case in results.cases.values()} == {"rounds"}


def test_a_full_disk_passes_on_and_keeps_what_there_is(pretend, plan, tmp_path, monkeypatch):
    pretend()
    written = 0
    real = os.pwrite

    def full(fd, raw, at):
        nonlocal written
        written += 1
        if written > 12:
            real(fd, raw[:5], at)
            raise OSError(28, "No space left on device")
        return real(fd, raw, at)

    monkeypatch.setattr(os, "pwrite", full)
    said = f"cannot write {tmp_path}/results.jsonl: No space left on device; the earlier lines are intact"
    with pytest.raises(WriteError, match=f"^{re.escape(said)}$"):
        run_plan(plan(), tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == 12
    assert read(tmp_path).cases == {}


FAULTS = [
    (WorkerFailure("error", "the worker was killed by SIGKILL", code=-9), "error", ", 2 times"),
    (WorkerFailure("error", "the worker exited with code 3", code=3), "error", ""),
    (WorkerFailure("timeout", "no response for 9 s"), "timeout", ""),
    (Message(error="MemoryError: all gone", oom=True), "oom", ""),
    (Message(error="ValueError: no"), "error", ""),
]
"""A fault, the status that it gives a case, and what its error says beside."""


@pytest.mark.parametrize(("fault", "status", "more"), FAULTS)
@pytest.mark.parametrize("step", ["verify", "time"])
def test_a_fault_costs_the_case_that_was_running(pretend, plan, tmp_path, fault, status, more, step):
    victim = plan().cases[2].id

    def strike(job, message):
        return fault if struck(message) else message

    def struck(message):
        nonlocal begun
        begun = message.begin or begun
        return message.line is not None and begun == victim and message.line.case == victim and running(message)

    def running(message):
        return isinstance(message.line, Samples) == (step == "time") and (step == "verify" or message.line.worker == 1)

    begun = None
    pretend(interfere=strike)
    results = run_plan(plan(), tmp_path)
    row = results.cases.pop(victim)
    assert (row.status, row.error) == (status, fault.error + more)
    assert row.samples == (2 if step == "time" else 0)  # the first worker's samples are kept
    assert [case.status for case in results.cases.values()] == ["ok"] * 3
    assert [case.samples for case in results.cases.values()] == [4] * 3
    assert set(triples(results).values()) == {1}


@pytest.mark.parametrize(("fault", "status", "more"), FAULTS)
def test_a_fault_in_counting_costs_the_counts_of_its_method(pretend, plan, tmp_path, fault, status, more):
    victim = plan().cases[3]

    def strike(job, message):
        return fault if isinstance(message.line, Count) and message.line.case == victim.id else message

    said = []

    class Told(Quiet):
        def note(self, text):
            said.append(text)

    pretender = pretend(interfere=strike)
    results = run_plan(plan(), tmp_path, progress=Told())
    assert {case.status for case in results.cases.values()} == {"ok"}
    row = results.cases[victim.id]
    assert (row.depth, row.flops, row.count_source) == (None, None, "none")
    assert [line for line in said if line.startswith("not counted")] == [
        f"not counted: {victim.id}: {fault.error}{more}"
    ]
    assert row.samples == 4
    others = [case for key, case in results.cases.items() if key != victim.id]
    assert {case.count_source for case in others} == {"counted"}
    del pretender.jobs[:]
    run_plan(plan(), tmp_path, resume=True)
    tried_again = isinstance(fault, WorkerFailure) and fault.outside
    assert [job.stage for job in pretender.jobs] == ["prove"] * (2 if tried_again else 0)  # no other is repeated


def test_the_longest_cases_are_set_aside_until_a_round_fits(pretend, plan, tmp_path):
    """A worker's share is 3 s, which 0.8 + 0.8 + 1.6 exceeds; every case gets a row."""
    pretend(call_s=lambda case: 0.1 * case.n)
    results = run_plan(plan(rounds=None, budget=6.0), tmp_path)
    status = {(case.n, case.method): case.status for case in results.cases.values()}
    assert sorted(status.values()) == ["ok", "ok", "over_budget", "over_budget"]
    assert {n for (n, _), found in status.items() if found == "ok"} == {8}
    assert {case.error for case in results.cases.values() if case.status == "over_budget"} == {
        "a call takes 1.6 s; a round with it exceeds the budget"
    }


class Announced(Quiet):
    """The stages of a run: their text, steps announced and steps done."""

    def __init__(self):
        self.stages = []

    def stage(self, text, steps, seconds):
        self.stages.append([text, steps, 0])

    def step(self, text):
        self.stages[-1][2] += 1


@pytest.mark.parametrize("more", [{}, {"rounds": None, "budget": 6.0, "target_ci": 1e-9}])
def test_no_stage_does_more_steps_than_it_announced(pretend, plan, tmp_path, more):
    """A budget allows several rounds a process, and more processes than the least."""
    pretend()
    said = Announced()
    results = run_plan(plan(**more), tmp_path, progress=said)
    assert [(steps, done) for _, steps, done in said.stages[:1]] == [(4, 4)]
    assert all(0 < done <= steps for _, steps, done in said.stages), said.stages
    workers = {line.worker for line in results.samples}
    assert len(said.stages) == 2 + len(workers) - 2
    resumed = Announced()
    run_plan(plan(**more), tmp_path, resume=True, progress=resumed)
    assert all(done <= steps for _, steps, done in resumed.stages)


def test_the_smallest_size_is_the_last_to_be_set_aside(pretend, plan, tmp_path):
    """At N = 8 cached takes 2 s of a share of 3 s; parallel at 16 takes 1.4 s, which does not fit beside it."""
    pretend(call_s=lambda case: 2.0 if (case.method, case.n) == ("cached", 8) else 0.09 * case.n)
    results = run_plan(plan(rounds=None, budget=6.0), tmp_path)
    status = {(case.n, case.method): case.status for case in results.cases.values()}
    assert {n for (n, _), found in status.items() if found == "ok"} == {8}


def test_one_case_that_is_too_long_does_not_take_the_others_with_it(pretend, plan, tmp_path):
    pretend(call_s=lambda case: 50.0 if (case.method, case.n) == ("cached", 8) else 0.01)
    results = run_plan(plan(rounds=None, budget=6.0), tmp_path)
    status = {(case.n, case.method): case.status for case in results.cases.values()}
    assert [place for place, found in status.items() if found != "ok"] == [(8, "cached")]


def test_workers_go_on_until_the_interval_is_narrow(pretend, plan, tmp_path):
    pretend()
    results = run_plan(plan(rounds=None, workers=6, budget=60.0, target_ci=0.06), tmp_path)
    assert {case.stopped_by for case in results.cases.values()} == {"target"}
    assert {case.workers for case in results.cases.values()} == {6}
    for case in results.cases.values():
        assert case.ci95_s is not None
        assert case.ci95_s[1] - case.ci95_s[0] <= 0.06 * case.median_s


def measured_again(pretend, plan, folder, monkeypatch, rates):
    answers = iter(rates)
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: {"matmul": {"float32": next(answers)}})
    return run_plan(plan(methods=["parallel"], n=[8]), folder)


def test_a_row_above_the_roof_is_measured_again_and_then_called_wrong(pretend, plan, tmp_path, monkeypatch):
    """80 FLOPs in 8 ms are 1e-5 GFLOP/s."""
    pretender = pretend()
    results = measured_again(pretend, plan, tmp_path, monkeypatch, [1e-6, 2e-6])
    assert [job.worker for job in pretender.jobs] == [0, 0, 1, 2]
    assert [line.limits for line in results.limits] == [{"matmul": {"float32": 2e-6}}]
    (row,) = results.cases.values()
    assert row.status == "error"
    assert row.error.startswith("an error of the harness: ")
    assert row.error.endswith(" times the measured limit of float32")
    assert row.workers == 3
    del pretender.jobs[:]
    resumed = run_plan(plan(methods=["parallel"], n=[8]), tmp_path, resume=True)
    assert pretender.jobs == []
    assert resumed.cases == results.cases


def test_a_limit_that_was_measured_too_low_is_forgiven(pretend, plan, tmp_path, monkeypatch):
    pretender = pretend()
    results = measured_again(pretend, plan, tmp_path, monkeypatch, [1e-6, 1.0])
    (row,) = results.cases.values()
    assert (row.status, row.error) == ("ok", None)
    assert len(results.limits) == 1
    assert len(pretender.jobs) == 3  # the new limit explains the row: no case is timed again


def test_a_run_that_fails_leaves_no_worker_behind(pretend, plan, tmp_path):
    def broken(job, message):
        raise WriteError("the disk is full")

    pretender = pretend(interfere=broken)
    with pytest.raises(WriteError):
        run_plan(plan(), tmp_path)
    assert pretender.closed
