"""A model as a worker measures it: warm calls predict, and a state that cannot be copied is the fault of the model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from arbench.bench.job import Job, Message
from arbench.bench.models import subject
from arbench.bench.models.subject import ModelSubject, predict_s
from arbench.bench.models.verify import method as verifying
from arbench.bench.plan import Options, make_plan
from arbench.bench.subject import opened
from arbench.bench.workers import worker
from arbench.methods import Method, Outcome
from arbench.results import Samples, Verification

COMPILE_S = 30.0


class FakeTime:
    """Clock that only a call of a case advances: by its N in milliseconds, and by more where it compiles.

    Args:
        compiles: tells from the earlier calls whether a call of a case compiles.
    """

    def __init__(self, compiles: Any) -> None:
        self.now, self.calls, self._compiles, self._found = 0.0, Counter[str](), compiles, verifying.method_of

    def perf_counter(self) -> float:
        return self.now

    def method_of(self, case: Any, source: Any) -> Method:
        method = self._found(case, source)

        def run(source: Any, task: Any) -> Outcome:
            self.now += 1e-3 * case.n + COMPILE_S * self._compiles(case, self.calls)
            self.calls[case.id] += 1
            return method.run(source, task)

        return replace(method, run=run)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch):
    def put(compiles: Any) -> FakeTime:
        clock = FakeTime(compiles)
        monkeypatch.setattr(verifying, "method_of", clock.method_of)
        monkeypatch.setattr(verifying, "time", clock)
        return clock

    return put


def verified(sizes: list[int], share_s: float, model: str = "wavenet:tiny", method: str = "cached") -> list[Message]:
    cases = make_plan(Options(models=[model], methods=[method], n=sizes)).cases
    job = Job("prove", cases, seed=0, threads=1, share_s=share_s)
    return list(opened(job).verify(job))


def lines(messages: list[Message]) -> list[Verification]:
    return [m.line for m in messages if isinstance(m.line, Verification)]


def every_size(case: Any, calls: Counter[str]) -> bool:
    return calls[case.id] == 0


def first_size(case: Any, calls: Counter[str]) -> bool:
    return not calls


@pytest.mark.parametrize("compiles", [every_size, first_size])
def test_the_time_to_compile_is_not_taken_for_that_of_a_call(fake, compiles) -> None:
    clock = fake(compiles)
    found = lines(verified([8, 16, 32], share_s=1.0))
    assert [line.status for line in found] == ["ok", "ok", "ok"]  # 30 s would predict 120 s
    assert [line.verified["call_s"] for line in found] == pytest.approx([8e-3, 16e-3, 32e-3])
    recorded = [line.verified.get("first_call_s") for line in found]
    assert recorded == [
        pytest.approx(COMPILE_S + 1e-3 * n) if compiles is every_size or n == 8 else None for n in (8, 16, 32)
    ]
    assert list(clock.calls.values()) == ([2, 2, 2] if compiles is every_size else [2, 1, 1])


def test_a_slow_model_is_called_twice_only_at_its_first_size(fake, monkeypatch) -> None:
    clock = fake(lambda case, calls: False)
    found = lines(verified([8, 16, 32], share_s=1.0))
    assert list(clock.calls.values()) == [2, 1, 1]
    assert all("first_call_s" not in line.verified for line in found)


def test_a_call_that_is_long_when_warm_is_still_over_budget(fake) -> None:
    fake(every_size)
    found = lines(verified([8, 32], share_s=0.02))
    assert [line.status for line in found] == ["ok", "over_budget"]
    assert found[1].error == "a call is predicted to take 0.128 s; the budget allows 0.02 s"


def test_the_second_call_has_a_step_of_its_own_and_must_return_the_same(fake, monkeypatch) -> None:
    fake(every_size)
    said = verified([8], share_s=1.0)
    assert [message.step for message in said] == ["probe", "verify", "verify", None]
    clock = fake(every_size)

    def wrong_later(case: Any, source: Any) -> Method:
        right, later = clock.method_of(case, source), clock.calls[case.id] > 0

        def run(source: Any, task: Any) -> Outcome:
            outcome = right.run(source, task)
            if later:
                outcome.x[0, 3] = 1 - outcome.x[0, 3].clamp(0, 1)
            return outcome

        return replace(right, run=run)

    monkeypatch.setattr(verifying, "method_of", wrong_later)
    (line,) = lines(verified([8], share_s=1.0))
    assert line.status == "inexact"
    assert line.error is not None
    assert line.error.startswith("a later call differs from the verified one: element ")


def test_a_case_that_compiles_is_warm_before_every_sample(monkeypatch) -> None:
    """With a long call, the smallest size warms the rest up, unless each size compiles for itself."""
    cases = make_plan(Options(models=["wavenet:tiny"], methods=["cached"], n=[8, 16])).cases
    large = cases[1].id
    ran: list[int] = []

    def build(self: Any) -> Any:
        inner = real(self)

        def call_of(case: Any) -> Any:
            call = inner(case)
            return type(call)(lambda: ran.append(case.n) or call.run(), call.times, call.check)

        return call_of

    real = ModelSubject.build
    monkeypatch.setattr(ModelSubject, "build", build)
    monkeypatch.setattr(worker, "_sampled", lambda clock, call, times, about: [call() or about])
    for compiling, calls in (([large], 5), ([], 2)):  # the first call, then a warm one and a sample in each round
        ran.clear()
        job = Job("time", cases, 0, 1, worker=1, rounds=2, call_s={case.id: 1.0 for case in cases}, compiling=compiling)
        assert sum(isinstance(m.line, Samples) for m in worker.measure(job)) == 4
        assert ran.count(16) == calls


CACHED = """
import torch

class DynamicCache:
    def __init__(self):
        self.layers = []


class Mine(WaveNet):
    def start(self, batch, n, code):
        return {"past": DynamicCache(), "own": super().start(batch, n, code)}

    def extend(self, state, f, g0, g1):
        params, state["own"] = super().extend(state["own"], f, g0, g1)
        return params, state
"""


def test_a_state_that_is_not_copied_fails_the_methods_that_go_back_and_says_what_to_define(measure, model_file) -> None:
    results = measure(model_file(CACHED), n=[8, 12], methods=["cached", "forecast", "blocks"])
    found = {(case.method, case.n): (case.status, case.error) for case in results.cases.values()}
    refused = (
        "error",
        "the state of Mine contains a DynamicCache, which cannot be copied; define its methods mark(state, g) and "
        "rewind(state, mark, f, g), which take the state back to group g",
    )
    for n in (8, 12):
        assert found.pop(("cached", n)) == ("ok", None)
        assert found.pop(("forecast", n)) == refused
        assert found.pop(("blocks", n)) == refused
    assert not found


def test_a_prediction_follows_the_growth_between_the_last_two_sizes() -> None:
    assert predict_s([], 8) == 0.0
    assert predict_s([(8, 2.0)], 16) == 8.0
    assert predict_s([(8, 2.0), (16, 4.0)], 64) == pytest.approx(16.0)
    assert subject.COLD > 1
