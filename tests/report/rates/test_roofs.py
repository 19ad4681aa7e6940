"""Fractions of the machine's limit that kernels reach."""

from __future__ import annotations

import math

import msgspec
import pytest

from arbench.report import frame
from arbench.report.rates.roofs import format_percent, reached
from arbench.results import Case, Limits

EAGER = "softmax:rows=16000,width=256/forward/torch/eager"
TRITON = "softmax:rows=16000,width=256/forward/arbench/triton"
CONV = "causal_conv1d:batch=8,channels=256,length=4096,width=2,dilation=1,activation=gate,layout=BLD"


def test_frame_has_rates_and_the_fraction_of_the_limit(kernels) -> None:
    table = frame(kernels).set_index("id")
    case, row = kernels.cases[EAGER], table.loc[EAGER]
    assert row.gb_per_s == pytest.approx(case.bytes / case.median_s / 1e9)
    assert row.gflop_per_s == pytest.approx(case.flops / case.median_s / 1e9)
    assert row.bound == "memory"
    between = math.log(case.bytes / 2**21) / math.log(2**28 / 2**21)
    rate = 61.5 + between * (11.2 - 61.5)
    assert row.fraction_of_limit == pytest.approx(case.bytes / (rate * 1e9) / case.median_s)
    assert row.fraction_low < row.fraction_of_limit < row.fraction_high
    assert row.fraction_low == pytest.approx(row.fraction_of_limit * case.median_s / case.ci95_s[1])
    conv = table.loc[f"{CONV}/forward/torch/eager"]
    assert conv.bound == "compute"
    assert conv.fraction_of_limit == pytest.approx(conv.gflop_per_s / 147.3)


def test_what_was_not_timed_has_no_rate(kernels) -> None:
    row = frame(kernels).set_index("id").loc[TRITON]
    for name in ("gb_per_s", "gflop_per_s", "fraction_of_limit", "fraction_low", "bound"):
        assert row[name] is None or math.isnan(row[name])


def test_a_model_has_no_roof(both) -> None:
    models = frame(both).query("model == 'wavenet'")
    assert models.fraction_of_limit.isna().all()
    assert models.bound.isna().all()
    assert models.gflop_per_s.notna().any()


@pytest.mark.parametrize("flops", [10**6, 10**9])
def test_each_thread_of_a_native_loop_reads_its_share_of_the_weights(both, flops: int) -> None:
    limits = {"read": [{"bytes": 2**20, "gb_per_s": 100.0}, {"bytes": 2**21, "gb_per_s": 50.0}]}
    limits["matmul"] = {"float32": 200.0}
    some = next(case for case in both.cases.values() if case.model == "wavenet" and case.median_s)
    facts = dict(n=64, flops=flops, verified={"step_bytes": 2**21}, dtype="float32", status="ok")
    one = msgspec.structs.replace(some, threads=1, **facts)
    two = msgspec.structs.replace(some, threads=2, **facts)
    run = msgspec.structs.replace(both.run, limits=limits, plan={"options": {"threads": 1}})
    results = type(both)(run, cases={})
    read = 64 * 2**21 / 50e9, 64 * 2**20 / 100e9
    done = flops / 200e9, flops / 400e9
    for case, moving, computing in zip((one, two), read, done, strict=True):
        found = reached(case, results)
        assert found is not None
        assert found.fraction == pytest.approx(max(moving, computing) / case.median_s)
        assert found.bound == ("memory" if moving > computing else "compute")


@pytest.mark.parametrize(
    ("run", "stated", "exchanges", "known"),
    [
        (2, None, 22, True),
        (2, 2, 22, True),
        (2, None, 0, False),
        (2, 1, 0, False),
        (8, None, 22, False),
        (1, 2, 22, True),
    ],
)
def test_a_loop_with_fewer_threads_than_the_limits_were_measured_with_has_no_roof(
    both, run: int, stated: int | None, exchanges: int, known: bool
) -> None:
    limits = {"read": [{"bytes": 2**20, "gb_per_s": 100.0}], "matmul": {"float32": 200.0}}
    some = next(case for case in both.cases.values() if case.model == "wavenet" and case.median_s)
    facts = dict(n=64, flops=10**6, verified={"step_bytes": 2**21, "exchanges": exchanges}, dtype="float32")
    case = msgspec.structs.replace(some, threads=stated, status="ok", **facts)
    line = msgspec.structs.replace(both.run, limits=limits, plan={"options": {"threads": run}})
    assert (reached(case, type(both)(line, cases={})) is not None) == known


def test_the_roof_is_that_of_the_working_set_that_was_gone_over(build, kernels, kernel_table) -> None:
    def cycled(line):
        return msgspec.structs.replace(line, verified={"working_set": 2**28}) if isinstance(line, Case) else line

    results = build(models=[], kernels=kernel_table[:1], edit=cycled)
    case = results.cases[EAGER]
    found = reached(case, results)
    assert found is not None
    assert found.fraction == pytest.approx(case.bytes / 11.2e9 / case.median_s)
    assert found.fraction > reached(kernels.cases[EAGER], kernels).fraction * 1.5


def test_limits_measured_again_count(kernels) -> None:
    case = kernels.cases[EAGER]
    again = {"copy": [{"bytes": 2**28, "gb_per_s": 500.0}], "matmul": {"float32": 9e9}}
    more = msgspec.structs.replace(kernels.run)
    results = type(kernels)(more, limits=[Limits("later", again)], cases=kernels.cases)
    assert reached(case, results).fraction == pytest.approx(case.bytes / 500e9 / case.median_s)


def test_percents() -> None:
    assert format_percent(0.8731, (0.8730, 0.8732)) == "87%"
    assert format_percent(0.8731, (0.80, 0.94)) == "87%"
    assert format_percent(0.8731, (0.60, 1.10)) == "90%"
    assert format_percent(1.042, (1.041, 1.043)) == "104%"
    assert format_percent(0.0546, (0.0545, 0.0547)) == "5.5%"
    assert format_percent(0.0046, None) == "0.46%"
