"""Profiles of calls of which is known what their time must go to; no time is asserted, only what is more."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import torch

from arbench.meters.profile import Profiled, arranges, profile
from arbench.meters.profile.events import CALL
from arbench.stats.shares import shares

LIMITS = {"copy": [{"bytes": 1 << 20, "gb_per_s": 20.0}], "matmul": {"float32": 50.0}}
ONE, SQUARE, LONG = torch.ones(1), torch.ones(256, 256), torch.ones(1 << 18)


def many_small():
    x = ONE
    for _ in range(100):
        x = torch.nn.functional.linear(x + 1, ONE[None], ONE)
    return x


@pytest.fixture(scope="module")
def small() -> Profiled:
    return profile(many_small, budget_s=0.2)


def test_the_parts_of_small_operators_are_mostly_overhead(small):
    found = shares(small.division.operators, small.division.arranging_s, small.work, LIMITS, small.operator_s)
    assert found is not None
    whole = small.division.outside_s + found.fixed_s + found.slower_s + found.limit_s
    assert whole == pytest.approx(small.division.seconds)
    assert small.division.outside_s + found.fixed_s > found.limit_s
    assert {one.name for one in small.division.operators} == {"aten::add", "aten::addmm"}
    assert all(one.calls == 100 for one in small.division.operators)
    assert small.division.arranging_s > 0  # linear and what transposes its weight
    assert (small.unseen, small.why_unknown, small.on_gpu) == (None, None, False)


def test_the_trace_has_one_call_with_the_shapes_of_what_operators_were_given(small):
    trace = json.loads(gzip.decompress(gzip.compress(small.trace)))
    assert [one["name"] for one in trace["traceEvents"] if one.get("cat") == "user_annotation"] == [CALL]
    shapes = [one["args"]["Input Dims"] for one in trace["traceEvents"] if one["name"] == "aten::addmm"]
    assert shapes[0][0] == [1]


@pytest.mark.parametrize(
    ("call", "operator", "bound"),
    [
        (lambda: SQUARE @ SQUARE, "aten::mm", "arithmetic_s"),
        (lambda: torch.empty_like(LONG).copy_(LONG), "aten::copy_", "memory_s"),
    ],
)
def test_a_large_operator_is_bound_by_what_it_does(call, operator, bound):
    found = profile(call, budget_s=0.1)
    divided = shares(found.division.operators, found.division.arranging_s, found.work, LIMITS, found.operator_s)
    assert divided is not None
    assert found.division.operators[0].name == operator
    assert getattr(divided, bound) == divided.limit_s > 0


def test_what_numpy_computes_is_not_taken_for_python():
    found = profile(lambda: torch.from_numpy(np.tanh(ONE.numpy())) + 1, budget_s=0.1)
    assert found.unseen is not None
    assert found.work == ()


def test_native_code_is_not_counted():
    found = profile(lambda: torch.add(ONE, 1), budget_s=0.1, unseen="it is native")
    assert (found.unseen, found.why_unknown, found.work) == ("it is native", "it is native", ())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"aten::{name}", True) for name in ("linear", "t", "slice", "empty", "to", "reshape", "conv1d", "item")),
        *((f"aten::{name}", False) for name in ("addmm", "cat", "mul", "copy_", "_local_scalar_dense", "embedding")),
        ("detach", True),
        ("aten::no_such_operator", False),
        ("arbench::sample", False),
        ("Torch-Compiled Region: 0/0", False),
    ],
)
def test_which_operators_only_arrange(name, expected):
    assert arranges(name) == expected
