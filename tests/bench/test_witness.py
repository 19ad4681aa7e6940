"""Calls that are timed or counted return what was verified: those that do not void their case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from arbench.bench.models import setup, witness
from arbench.bench.models.outcome import digest
from arbench.bench.models.verify import method as verifying
from arbench.bench.plan import Options, make_plan
from arbench.bench.prove import prove_plan
from arbench.methods import CACHED, METHODS, Outcome, Task
from arbench.models import Source

SPEC = "wavenet:tiny"
DIFFERS = "a later call differs from the verified one: "


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Outcome]], None]:
    """Return a function that replaces the algorithm of ``cached``."""

    def put(run: Callable[[Source, Task], Outcome]) -> None:
        methods = tuple(replace(m, run=run) if m is CACHED else m for m in METHODS)
        monkeypatch.setattr(setup, "METHODS", methods)

    return put


def half(source: Source, task: Task) -> Outcome:
    """Draw half of the elements, and give the rest the first one's value."""
    found = CACHED.run(source, replace(task, n=task.n // 2, noise=task.noise[:, : task.n // 2]))
    x = torch.cat([found.x, found.x[:, :1].expand(-1, task.n - task.n // 2)], dim=1)
    return Outcome(x, x)


def less_unrecorded(source: Source, task: Task) -> Outcome:
    return CACHED.run(source, task) if task.record else half(source, task)


def rows(results: Any) -> dict[tuple[str, int], Any]:
    return {(row.method, row.n): row for row in results.cases.values()}


def void(row: Any) -> bool:
    """Return whether a row is void, and says that it differs."""
    return (row.status, row.median_s, row.samples) == ("inexact", None, 0) and row.error.startswith(DIFFERS)


def test_a_method_that_does_less_when_nobody_records_is_void(measure, cached):
    cached(less_unrecorded)
    found = rows(measure(SPEC, n=[16, 24], methods=["parallel", "cached"]))
    assert void(found["cached", 16])
    assert void(found["cached", 24])
    assert found["cached", 16].error.startswith(DIFFERS + "element ")
    assert found["parallel", 16].status == found["parallel", 24].status == "ok"


def test_a_gate_of_counters_sees_it_too(inside, cached):
    cached(less_unrecorded)
    found = rows(prove_plan(make_plan(Options(models=[SPEC], n=[16], methods=["parallel", "cached"]))))
    assert void(found["cached", 16])
    assert found["cached", 16].ops is None
    assert found["parallel", 16].ops


REUSED = """
class Mine(WaveNet):
    def start(self, batch, n, code):
        kept = self.__dict__.setdefault("_kept", {})
        return kept.setdefault((batch, n), super().start(batch, n, code))
"""


def test_a_state_that_is_left_from_the_draw_before_is_seen(measure, model_file):
    results = measure(model_file(REUSED), n=[16, 32], methods=["parallel", "cached"])
    found = rows(results)
    assert found["cached", 16].status == found["cached", 32].status == "inexact"
    said = "start returns a state that earlier calls have changed; make a new one in each call"
    assert found["cached", 16].error == found["cached", 32].error == said
    assert found["parallel", 16].status == found["parallel", 32].status == "ok"
    assert not [line for line in results.samples if "cached" in line.case]


@pytest.mark.parametrize(
    ("model", "call"),
    [(1, 1), (1, 2), (1, 3), (2, 1), (4, 1)],
    ids=["the first call", "the warm call", "a timed call", "a later round", "a later worker"],
)
def test_a_call_that_is_wrong_later_voids_what_was_timed(measure, cached, monkeypatch, model, call):
    """Counting is left out, so that only timed calls can be seen; every round builds the model again."""
    monkeypatch.setattr("arbench.bench.models.subject.ModelSubject.count", lambda *_: iter(()))
    calls: dict[Source, int] = {}

    def later(source: Source, task: Task) -> Outcome:
        calls[source] = calls.get(source, -1 if task.record else 0) + 1
        wrong = len(calls) > model and calls[source] >= call
        return half(source, task) if wrong else CACHED.run(source, task)

    cached(later)
    results = measure(SPEC, n=[16], methods=["parallel", "cached"], rounds=3, workers=2)
    found = rows(results)
    assert void(found["cached", 16])
    assert found["parallel", 16].status == "ok"
    assert {(line.worker, line.round) for line in results.samples if "cached" in line.case} < {
        (worker, number) for worker in (0, 1) for number in (0, 1, 2)
    }
    assert not [ratio for ratio in results.ratios.values() if "cached" in ratio.case]


def test_a_sound_run_is_compared_bit_for_bit_and_judged_once(measure, monkeypatch):
    judged: list[str] = []
    verify_outcome = verifying.verify_outcome

    def watched(setup: Any, source: Any, twin: Any, case: Any, *more: Any) -> Any:
        judged.append(case.id)
        return verify_outcome(setup, source, twin, case, *more)

    for room in (verifying, witness):
        monkeypatch.setattr(room, "verify_outcome", watched)
    monkeypatch.setattr("arbench.bench.models.subject.ModelSubject.count", lambda *_: iter(()))
    results = measure(SPEC, n=[16], methods=["parallel", "cached", "naive"], rounds=2, workers=2)
    assert {row.status for row in results.cases.values()} == {"ok"}
    assert sorted(judged) == sorted(results.cases)
    assert len({row.verified["outcome"] for row in results.cases.values() if row.op == "sample"}) == 1


def test_every_part_of_an_outcome_is_in_its_digest():
    x, f, log_prob = torch.arange(6).view(2, 3), torch.zeros(2, 3), torch.zeros(2, 3)
    outcomes = [
        Outcome(x, f, log_prob=log_prob),
        Outcome(x.flip(1), f, log_prob=log_prob),
        Outcome(x, f + 1, log_prob=log_prob),
        Outcome(x, f, log_prob=-log_prob),
        Outcome(x, f),
        Outcome(x.int(), f, log_prob=log_prob),
        Outcome(x.view(3, 2), f, log_prob=log_prob),
    ]
    assert len({digest(one) for one in outcomes}) == len(outcomes)
    assert digest(replace(outcomes[0], params=x, x=x.clone())) == digest(outcomes[0])


@pytest.mark.parametrize("wrong", ["rows", "type"])
def test_an_outcome_of_another_shape_or_type_is_void(measure, cached, wrong):
    def odd(source: Source, task: Task) -> Any:
        found = CACHED.run(source, task)
        if task.record:
            return found
        return found.x if wrong == "type" else Outcome(found.x[:, :-1], found.f[:, :-1])

    cached(odd)
    row = rows(measure(SPEC, n=[16], methods=["parallel", "cached"]))["cached", 16]
    assert row.status == "inexact"
    assert (
        row.error
        == DIFFERS
        + {
            "type": "returned Tensor, expected an Outcome",
            "rows": "returned events of shape (1, 15), expected (1, 16)",
        }[wrong]
    )
