"""Traces made by hand, of programs whose times are known: what the profiler adds is taken off again."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import msgspec
import pytest

from arbench.meters.profile.events import CALL, Arguments, Event, TraceError, decoded
from arbench.meters.profile.trace import Division, divided

ARRANGES = {"aten::linear", "aten::t", "aten::expand"}.__contains__
WORKING = {"aten::addmm", "aten::tanh"}


@dataclass
class Op:
    """An operator: the time of its own, and the operators that it calls halfway."""

    name: str
    own: float
    inner: list[Op] = field(default_factory=list)

    @property
    def size(self) -> int:
        return 1 + sum(one.size for one in self.inner)


Program = list[Op | float]
LINEAR = Op(
    "aten::linear", 2.0, [Op("aten::t", 1.0), Op("aten::addmm", 5.0, [Op("aten::expand", 0.5), Op("aten::mv", 3)])]
)
PROGRAM: Program = [4.0, LINEAR, 3.0, Op("aten::tanh", 6.0), 10.0, Op("mine::fused", 8.0, [Op("aten::tanh", 2.0)]), 1.0]
SECONDS = (4 + 3 + 10 + 1 + 2 + 1 + 5.0 + 0.5 + 3 + 6 + 8 + 2) * 1e-6
EVENTS = 8


def traced(program: Program, extra: float = 0.0, at: float = 5e12, tid: int = 7) -> list[Event]:
    """Return the trace of a program of operators, and of Python between them, in microseconds.

    The profiler takes ``extra`` for each operator, half of it before and half of it after.
    """
    events: list[Event] = []
    now, number = at, count(1)

    def run(op: Op) -> None:
        nonlocal now
        now += extra / 2
        begin, mine = now, next(number)
        now += op.own / 2
        for one in op.inner:
            run(one)
        now += op.own / 2
        events.append(Event("X", op.name, "cpu_op", begin, now - begin, tid, Arguments(mine)))
        now += extra / 2

    for step in program:
        if isinstance(step, Op):
            run(step)
        else:
            now += step
    return [Event("X", CALL, "user_annotation", at, now - at, tid), *events]


def parts(found: Division) -> dict[str, float]:
    """Return the time of each operator and of what is outside them, in microseconds."""
    seconds = {one.name: one.seconds for one in found.operators}
    known = {**seconds, "outside": found.outside_s, "arranging": found.arranging_s}
    return {name: round(1e6 * value, 2) for name, value in known.items()}


def total(found: Division) -> float:
    return found.outside_s + found.arranging_s + sum(one.seconds for one in found.operators)


@pytest.mark.parametrize("extra", [0.0, 0.4, 2.0])
def test_each_operator_has_its_own_time_however_long_the_profiler_takes(extra):
    found = divided(traced(PROGRAM, extra), SECONDS, WORKING, ARRANGES)
    assert parts(found) == {"aten::addmm": 8.5, "aten::tanh": 8, "mine::fused": 8, "arranging": 3, "outside": 18}
    assert [(one.name, one.calls) for one in found.operators] == [
        ("aten::addmm", 1),
        ("aten::tanh", 2),
        ("mine::fused", 1),
    ]
    assert found.operators[0].arranging_s == pytest.approx(0.5e-6, rel=0.01)
    assert found.events == EVENTS
    assert found.profiled_s == pytest.approx(SECONDS + EVENTS * extra * 1e-6, rel=1e-3)
    assert total(found) == pytest.approx(SECONDS)


@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_shares_are_those_of_the_trace_where_the_other_calls_were_slower_or_faster(factor):
    """The profiler's time for an operator is known within limits, so it does not explain any difference."""
    truth = parts(divided(traced(PROGRAM), SECONDS, WORKING, ARRANGES))
    found = divided(traced(PROGRAM, 0.2), factor * SECONDS, WORKING, ARRANGES, extra_s=(0.2e-6, 0.2e-6))
    assert parts(found) == pytest.approx({name: factor * us for name, us in truth.items()}, abs=0.02)
    assert total(found) == pytest.approx(factor * SECONDS)


def test_what_disturbs_one_call_counts_in_none():
    def call(number: int) -> list[Event]:
        program: Program = [*PROGRAM]
        program[number] = 900.0 if isinstance(program[number], float) else Op("aten::tanh", 900.0)
        return traced(program, 0.4, at=5e12 + 5000 * number)

    events = [event for number in (0, 2, 3, 4) for event in call(number)]
    assert parts(divided(events, SECONDS, WORKING, ARRANGES)) == parts(
        divided(traced(PROGRAM), SECONDS, WORKING, ARRANGES)
    )


def test_calls_of_other_operators_are_not_mixed():
    other = traced([20.0, Op("aten::tanh", 1.0)], at=6e12)
    assert parts(divided([*traced(PROGRAM), *other], 21e-6, WORKING, ARRANGES))["aten::tanh"] == 1


def test_operators_of_other_threads_are_in_no_part():
    found = divided([*traced(PROGRAM), *traced([Op("aten::mm", 9.0)] * 3, tid=8)[1:]], SECONDS, WORKING, ARRANGES)
    assert found.elsewhere == 3
    assert "aten::mm" not in parts(found)


def test_what_ran_before_or_after_the_call_is_in_no_part():
    around = [*traced([Op("aten::mm", 9.0)], at=5e12 - 100)[1:], *traced([Op("aten::mm", 9.0)], at=5e12 + 100)[1:]]
    assert parts(divided([*traced(PROGRAM), *around], SECONDS, WORKING, ARRANGES)).keys() == {
        "aten::addmm",
        "aten::tanh",
        "mine::fused",
        "arranging",
        "outside",
    }


def test_a_call_without_operators_is_outside_them():
    found = divided(traced([5.0]), 4e-6, WORKING, ARRANGES)
    assert (found.outside_s, found.operators, found.events) == (4e-6, (), 0)


def kernel(name: str, external: int, start: float, length: float, cat: str = "kernel") -> Event:
    return Event("X", name, cat, 5e12 + start, length, 99, Arguments(external))


def test_on_a_gpu_kernels_belong_to_the_operators_that_launched_them():
    """In order of their begin the operators are linear 1, t 2, addmm 3, expand 4, mv 5, tanh 6, fused 7, tanh 8."""
    kernels = [
        kernel("gemm", 5, 5, 10),
        kernel("bias", 3, 15, 2),
        kernel("tanh", 6, 20, 4),
        kernel("Memcpy", 8, 26, 1, "gpu_memcpy"),
        kernel("fused", 7, 28, 2),
        kernel("triton", 0, 30, 3),
        kernel("of another call", 6, 900, 50),
    ]
    found = divided([*traced(PROGRAM), *kernels], 60e-6, WORKING, ARRANGES, on_gpu=True)
    assert parts(found) == {
        "aten::addmm": 12,
        "aten::tanh": 5,
        "mine::fused": 2,
        "triton": 3,
        "arranging": 0,
        "outside": 38,
    }
    assert {one.name: (one.calls, one.kernels) for one in found.operators} == {
        "aten::addmm": (1, 2),
        "aten::tanh": (2, 2),
        "mine::fused": (1, 1),
        "triton": (1, 1),
    }


def test_kernels_side_by_side_share_the_time_in_which_the_gpu_works():
    kernels = [kernel("gemm", 3, 5, 10), kernel("tanh", 6, 5, 10)]
    assert parts(divided([*traced(PROGRAM), *kernels], 50e-6, WORKING, ARRANGES, on_gpu=True)) == {
        "aten::addmm": 5,
        "aten::tanh": 5,
        "arranging": 0,
        "outside": 40,
    }


@pytest.mark.parametrize(
    ("events", "on_gpu", "why"),
    [
        (traced(PROGRAM)[1:], False, f"the trace has no annotation '{CALL}'"),
        (traced(PROGRAM), True, "the profiler recorded no kernel of the GPU: this process may not trace it"),
    ],
)
def test_a_trace_without_what_is_needed(said, events, on_gpu, why):
    assert said(TraceError, divided, events, SECONDS, WORKING, ARRANGES, on_gpu) == why


def test_a_trace_is_read_as_the_profiler_writes_it():
    written = {
        "schemaVersion": 1,
        "traceEvents": [
            {"ph": "M", "name": "process_name", "ts": 1.5, "pid": 5, "tid": 0, "args": {"name": "python"}},
            {
                "ph": "X",
                "cat": "cpu_op",
                "name": "aten::t",
                "pid": 5,
                "tid": 5,
                "ts": 9,
                "dur": 2,
                "args": {"External id": 3},
            },
        ],
    }
    events = decoded(msgspec.json.encode(written))
    assert (events[1].name, events[1].ts, events[1].dur, events[1].launcher) == ("aten::t", 9.0, 2.0, 3)
    assert events[0].launcher is None


@pytest.mark.parametrize("trace", [b"", b"{}", b'{"traceEvents": 3}', b"\xff"])
def test_what_is_no_trace_is_refused(said, trace):
    assert said(TraceError, decoded, trace).startswith("not a Chrome trace: ")
