"""Profiles of a run: which cases have one, what is written, and what a failure costs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import arbench
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job, Message
from arbench.bench.models import profile
from arbench.bench.models.profile import line_of
from arbench.bench.plan import Options, make_plan
from arbench.bench.runner import run_plan
from arbench.bench.workers import profiling
from arbench.bench.workers.exchange import Exchange
from arbench.bench.workers.failure import BrokenMessageError
from arbench.bench.workers.profiling import MOST_OPERATIONS, MOST_S, UNCOUNTED_S, wished
from arbench.meters.profile import Division, Operator, Profiled, Work
from arbench.results import Case, Results, read

LIMITS = {"copy": [{"bytes": 1 << 10, "gb_per_s": 10.0}], "matmul": {"float32": 50.0}}


class Notes:
    """A receiver of progress that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, text: str, steps: int, seconds: float) -> None: ...

    def step(self, text: str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def chosen(made) -> Callable[..., list[str]]:
    """Return a function from cases, each with seconds and operations, to those that are profiled, and the notes."""

    def choose(*known: tuple[Any, float, int | None], notes: Notes | None = None, **more: Any) -> list[str]:
        results = made.fabricated([case for case, _, _ in known])
        for case, seconds, ops in known:
            facts = {f: getattr(case, f) for f in case.__struct_fields__ if f in Case.__struct_fields__}
            results.add(Case(**{**facts, "id": case.id, "status": "ok", "median_s": seconds, "ops": ops, **more}))
        found = wished([case for case, _, _ in known], results, notes or Notes())
        return [f"{case.model} {case.method} {case.batch} {case.n}" for case in found]

    return choose


def test_each_method_is_profiled_at_its_largest_quick_n(chosen, made):
    assert chosen(
        *((made.key("cached", n), n * 1e-3, n * 100) for n in (8, 16, 32)),
        (made.key("naive", 8), 1.0, 9),
        (made.key("naive", 16), MOST_S * 1.01, 9),
        (made.key("blocks", 8), 1.0, MOST_OPERATIONS),
        (made.key("blocks", 16), 1.0, MOST_OPERATIONS + 1),
        (made.key("mine", 8), UNCOUNTED_S, None),
        (made.key("mine", 16), UNCOUNTED_S * 1.01, None),
    ) == ["m cached 1 32", "m naive 1 8", "m blocks 1 8", "m mine 1 8"]


def test_the_smallest_batch_is_profiled(chosen, made):
    assert chosen(*((made.key("cached", 8, batch=batch), 1e-3, 9) for batch in (4, 2, 16))) == ["m cached 2 8"]


def test_models_are_profiled_at_an_n_that_they_share(chosen, made):
    a, b = (
        [made.key("cached", n, model=model) for n in sizes] for model, sizes in (("a", (8, 16, 32)), ("b", (8, 16)))
    )
    assert chosen(*((one, 1e-3, 9) for one in (*a, *b))) == ["a cached 1 16", "b cached 1 16"]
    alone = made.key("cached", 64, model="c")
    assert chosen(*((one, 1e-3, 9) for one in (*a, alone))) == ["a cached 1 32", "c cached 1 64"]


def test_a_case_that_failed_has_no_profile(chosen, made):
    assert chosen((made.key("cached", 8), 1e-3, 9), status="error") == []


def test_a_method_without_a_quick_case_costs_a_note(chosen, made):
    notes = Notes()
    assert chosen((made.key("naive", 8), 9.0, 9), notes=notes) == []
    assert notes.notes == [
        "no profile of m:tiny sample naive: every call takes more than 2 s (0.25 s where its operations are not "
        "counted) or 50,000 operations; add a smaller N"
    ]


DIVISION = Division(10e-6, 15e-6, 9, 4e-6, 1e-6, (Operator("aten::mm", 2, 5e-6),), 0)
WORK = (Work("aten::mm", 50_000, "float32", ((1000, 1 << 10),)),) * 2


def found(division: Division = DIVISION, work: tuple[Work, ...] = WORK, **more: Any) -> Profiled:
    facts = {"unseen": None, "why_unknown": None, "on_gpu": False, "operator_s": 1e-6, "calls": 3, "trace": b"", **more}
    return Profiled(division, work, **facts)


def test_what_a_profile_found_is_held_against_the_limits():
    line = line_of("case", found(), LIMITS)
    assert line.outside == "python"
    parts = (line.outside_s, line.fixed_s, line.slower_s, line.arithmetic_s, line.memory_s, line.most[0].limit_s)
    assert parts == pytest.approx((4e-6, 3e-6, 1e-6, 2e-6, 0.0, 2e-6))
    assert line.why_unknown is None


def test_a_call_that_does_the_work_of_its_case_several_times():
    line, twice = line_of("case", found(), LIMITS), line_of("case", found(), LIMITS, times=2)
    assert twice.seconds == line.seconds / 2
    (one,) = twice.most
    assert (one.calls, one.seconds, one.limit_s) == (1, 2.5e-6, pytest.approx(1e-6))


@pytest.mark.parametrize(
    ("profiled", "limits", "outside", "why"),
    [
        (found(unseen="native", why_unknown="native", work=()), LIMITS, "unseen", "native"),
        (found(why_unknown="compiled", work=()), LIMITS, "python", "compiled"),
        (found(), {}, "python", "the bandwidth of this machine was not measured"),
        (found(work=()), LIMITS, "python", "no operator was counted"),
        (
            found(replace(DIVISION, elsewhere=3)),
            LIMITS,
            "unseen",
            "3 operators ran in other threads at the same time",
        ),
    ],
)
def test_what_cannot_be_known_is_none_with_its_reason(profiled, limits, outside, why):
    line = line_of("case", profiled, limits)
    assert (line.outside, line.why_unknown) == (outside, why)
    assert [line.fixed_s, line.slower_s, line.arithmetic_s, line.memory_s] == [None] * 4
    assert line.operators_s == pytest.approx(6e-6)


def test_on_a_gpu_it_waits():
    assert line_of("case", found(on_gpu=True), LIMITS).outside == "idle"


ASKED: dict[str, Any] = {"methods": ["parallel", "cached"], "n": [8, 16]}


@pytest.fixture
def finished(inside, tmp_path: Path) -> tuple[Path, Results]:
    """Return a run without profiles, and its folder."""
    out = tmp_path / "run"
    return out, arbench.measure("wavenet:tiny", out=out, workers=1, rounds=1, **ASKED)


def resumed(out: Path) -> Results:
    arbench.measure("wavenet:tiny", out=out, workers=1, rounds=1, resume=True, profile=True, **ASKED)
    return read(out)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profile with few calls."""
    made = profile.profile
    monkeypatch.setattr(profile, "profile", lambda *args, **more: made(*args, budget_s=0.01, **more))


def test_a_run_that_is_done_is_profiled_once(finished):
    out, before = finished
    assert before.profiles == {}
    after = resumed(out)
    assert after.cases == before.cases
    ids = [f"wavenet:tiny/{what}/eager/cpu/float32/b1/n16" for what in ("score/parallel", "sample/cached")]
    assert list(after.profiles) == ids
    for line in after.profiles.values():
        trace = json.loads(gzip.decompress((out / str(line.file)).read_bytes()))
        names = {one["name"] for one in trace["traceEvents"]}
        assert {one.name for one in line.most} <= names
    assert after.integrity.intact
    written = (out / "results.jsonl").read_bytes()
    assert resumed(out).profiles == after.profiles
    assert (out / "results.jsonl").read_bytes() == written


def test_a_profile_whose_trace_is_gone_is_made_again(finished):
    out, _ = finished
    lines = resumed(out).profiles
    first = next(iter(lines.values()))
    (out / str(first.file)).unlink()
    again = resumed(out).profiles
    assert (out / str(first.file)).exists()
    assert again[first.case] != first
    assert {case: line for case, line in again.items() if case != first.case} == {
        case: line for case, line in lines.items() if case != first.case
    }


def again(out: Path) -> tuple[Results, list[str]]:
    """Profile a run that is done; return what is in its file, and the notes."""
    notes = Notes()
    plan = make_plan(Options(models=["wavenet:tiny"], workers=1, rounds=1, **ASKED))
    run_plan(plan, out, resume=True, progress=notes, profile=True)
    return read(out), notes.notes


def test_what_cannot_be_profiled_costs_a_note_and_no_row(finished, monkeypatch):
    out, before = finished
    real = profile.profile_of

    def failing(case, *args):
        if case.op == "score":
            raise InexactError("another outcome")
        return real(case, *args)

    monkeypatch.setattr(profile, "profile_of", failing)
    after, notes = again(out)
    assert after.cases == before.cases
    assert [line.case.split("/")[1] for line in after.profiles.values()] == ["sample"]
    assert notes == ["no profile of wavenet:tiny/score/parallel/eager/cpu/float32/b1/n16: another outcome"]


def test_a_model_that_cannot_be_built_again_costs_one_note(finished, monkeypatch):
    out, _ = finished

    def gone(job):
        raise OSError("the file is gone")

    monkeypatch.setattr(profiling, "profiled", gone)
    after, notes = again(out)
    assert after.profiles == {}
    assert [note.partition(" (")[0] for note in notes] == ["no profile of wavenet:tiny: OSError: the file is gone"]


def test_what_was_profiled_before_an_interrupt_stays(finished, monkeypatch):
    out, before = finished
    real = profile.profile_of

    def interrupting(case, *args):
        if case.op == "sample":
            raise KeyboardInterrupt
        return real(case, *args)

    monkeypatch.setattr(profile, "profile_of", interrupting)
    with pytest.raises(KeyboardInterrupt):
        again(out)
    after = read(out)
    assert (after.cases, len(after.profiles), after.integrity.intact) == (before.cases, 1, True)
    monkeypatch.setattr(profile, "profile_of", real)
    assert len(again(out)[0].profiles) == 2


def test_a_worker_sends_only_profiles_that_were_asked_for(made):
    case, other = made.key("cached", 8), made.key("cached", 16)
    line = line_of(case.id, found(), LIMITS)
    asked = Exchange(Job("profile", [case], 0, 1))
    with pytest.raises(BrokenMessageError, match="without a result of"):
        asked.check(Message(done=True))
    asked.check(Message(line=line))
    asked.check(Message(done=True))
    for job in (Job("profile", [other], 0, 1), Job("time", [case], 0, 1)):
        with pytest.raises(BrokenMessageError, match=f"it profiles {case.id}"):
            Exchange(job).check(Message(line=line))
