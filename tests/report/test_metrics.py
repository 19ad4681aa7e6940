"""The rule on which values of a case are known and can be trusted."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report.metrics import METRICS
from arbench.results import Case


@pytest.fixture
def case(results) -> Case:
    return results.cases["wavenet:nv/sample/cached/1024"]


def test_every_metric_is_a_field_of_a_case(case) -> None:
    assert all(name == metric.name and hasattr(case, metric.field) for name, metric in METRICS.items())
    assert METRICS["seconds"].value(case) == case.median_s
    assert METRICS["depth"].value(case) == case.depth
    assert METRICS["bytes"].value(case) is None  # not counted


@pytest.mark.parametrize(
    ("status", "timed", "counted"),
    [
        ("ok", True, True),
        ("checked", False, True),
        ("inexact", False, False),
        ("oom", False, True),
        ("timeout", False, True),
        ("error", False, True),
        ("over_budget", False, True),
    ],
)
def test_times_need_an_ok_case_and_counters_one_that_is_not_inexact(case, status, timed, counted) -> None:
    changed = msgspec.structs.replace(case, status=status)
    assert (METRICS["seconds"].value(changed) is not None) == timed
    for name in ("depth", "nfe", "flops", "ops", "peak_bytes", "weights"):
        assert (METRICS[name].value(changed) is not None) == counted


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_is_positive_and_finite(case, seconds: float) -> None:
    assert METRICS["seconds"].value(msgspec.structs.replace(case, median_s=seconds)) is None


def test_a_case_of_a_foreign_suite_has_a_time_and_no_counters(case) -> None:
    foreign = msgspec.structs.replace(case, backend="")
    assert METRICS["seconds"].value(foreign) == case.median_s
    assert METRICS["weights"].value(foreign) is None
