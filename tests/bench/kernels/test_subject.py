"""Timed calls of kernels are compared with the verified ones, those that change their inputs too."""

from __future__ import annotations

from typing import Any

import pytest

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job
from arbench.bench.kernels import verify
from arbench.bench.kernels.plan import KernelOptions, make_kernel_plan
from arbench.bench.kernels.subject import CHANGES, KernelSubject, interpret


@pytest.fixture(scope="module")
def case() -> CaseKey:
    """Return a step of a causal convolution, which moves its state, in plain PyTorch."""
    cases = make_kernel_plan(KernelOptions(kernels=["causal_conv1d_update"], compiled=0)).cases
    return min((one for one in cases if not interpret(one)), key=lambda one: one.n * one.batch)


@pytest.fixture(scope="module")
def verified(case: CaseKey) -> str:
    """Return the outcome that verification states for it."""
    job = Job("prove", [case], seed=0, threads=1)
    (line,) = (message.line for message in KernelSubject(job).verify(job) if message.line is not None)
    assert line.status == "ok"
    return str(line.verified["outcome"])  # type: ignore[union-attr,index]


def test_the_outcome_of_a_call_that_changes_its_inputs_is_known(verified: str) -> None:
    assert verified.startswith(CHANGES)
    assert len(verified) > len(CHANGES)


def test_a_right_call_is_recognised_after_many_calls(
    case: CaseKey, verified: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inputs are restored; nothing is computed in float64."""
    monkeypatch.setattr(verify, "expected", None)
    call = KernelSubject(Job("time", [case], seed=0, threads=1, outcomes={case.id: verified})).build()(case)
    for _ in range(3):
        result = call.run()
    call.check(result)
    call.check(call.run())


def result_doubled(inputs: dict[str, Any], result: Any) -> Any:
    return result * 2


def state_moved(inputs: dict[str, Any], result: Any) -> Any:
    (state,) = (value for name, value in inputs.items() if name.endswith("state"))
    state.mul_(2)
    return result


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("wrong", [result_doubled, state_moved])
def test_a_call_that_is_wrong_later_is_found(case: CaseKey, verified: str, known: bool, wrong: Any) -> None:
    """Either in its result, or in the state that it leaves."""
    outcomes = {case.id: verified} if known else {}
    subject = KernelSubject(Job("time", [case], seed=0, threads=1, outcomes=outcomes))
    function, calls = subject.function(case), []

    def later(inputs: dict[str, Any]) -> Any:
        calls.append(1)
        result = function(inputs)
        return result if len(calls) < 3 else wrong(inputs, result)

    subject._functions[case.id] = later
    call = subject.build()(case)
    call.check(call.run())
    with pytest.raises(InexactError, match="a call that is timed differs"):
        call.check(call.run())
