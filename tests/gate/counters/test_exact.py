"""Findings of the counter check on synthetic sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from arbench.bench.options import Options
from arbench.gate.counters.baseline import Baseline
from arbench.gate.counters.causes import Causes
from arbench.gate.counters.exact import compare

OTHER_TORCH = {"versions": {"torch": "2.11.0+cpu"}}
PATCH = {"versions": {"torch": "2.13.1"}}
OTHER_CPU = {"cpu": {"model": "Another", "capability": "AVX512"}}
WHO = "cached sampling of wavenet:nv"
AT = "N = 8, 16, 32"


@pytest.fixture
def synthetic(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).parents[1] / "synthetic.py")


@pytest.fixture
def side(synthetic: ModuleType):
    """Return the function that makes one side of a comparison."""
    return synthetic.side


@pytest.fixture
def options(synthetic: ModuleType):
    """Return the options of both sides."""
    return synthetic.OPTIONS


@pytest.fixture
def found(options, tmp_path):
    """Return a function that compares two sides and returns (metric, outcome, text) of every change."""

    def run(before, after, all_of_them=False, asked=None, keep=lambda row: True):
        (old, _), (new, keys) = before, after
        causes = Causes(old.run.environment, new.run.environment, options, asked or options)
        findings = list(compare(Baseline(tmp_path, old.run, old.cases, options), new, keys, causes, selected=keep))
        assert {f.model for f in findings} <= {"wavenet:nv"}
        return [(f.metric, f.outcome, f.text) for f in findings if all_of_them or f.outcome != "same"]

    return run


def test_equal_sides_are_the_same_case_by_case(side, found):
    assert found(side(), side(), all_of_them=True) == [
        ("counters", "same", f"{WHO} at N = {n} has the same counters") for n in (8, 16, 32)
    ]


@pytest.mark.parametrize(
    ("metric", "rule", "text"),
    [
        ("ops", lambda n: 84 * n + 5, f"{WHO} launches 84 operations a step, 63 before"),
        ("ops", lambda n: 63 * n + 6, f"{WHO} launches 510, 1,014, 2,022 operations at {AT}; it was 509, 1,013, 2,021"),
        (
            "ops",
            lambda n: 64 * n + 5 + (n > 8),
            f"{WHO} launches 517, 1,030, 2,054 operations at {AT}; it was 509, 1,013, 2,021",
        ),
        ("depth", lambda n: 8 * n + 3, f"depth of {WHO} is 8 a step, 7 before"),
        (
            "flops",
            lambda n: 1000 * n + n * n,
            f"{WHO} computes 8,064, 16,256, 33,024 FLOPs at {AT}; it was 8,000, 16,000, 32,000",
        ),
        (
            "flops",
            lambda n: 1000 * n * n,
            f"{WHO} computes 64,000, 256,000, 1,024,000 FLOPs at {AT}; it was 8,000, 16,000, 32,000: it grows "
            "faster with N now",
        ),
        ("nfe", lambda n: n + 1, f"{WHO} evaluates the network 9, 17, 33 times at {AT}; it was 8, 16, 32"),
        ("bytes", lambda n: 6000 * n + 100, f"{WHO} reads and writes 6,000 bytes a step, 4,000 before"),
        (
            "peak_bytes",
            lambda n: 200_000 * n,
            f"peak memory of {WHO} doubled: 1.60 MB, 3.20 MB, 6.4 MB at {AT}; it was 0.80 MB, 1.60 MB, 3.20 MB",
        ),
        (
            "peak_bytes",
            lambda n: 110_000 * n,
            f"peak memory of {WHO} grew by 10%: 0.88 MB, 1.76 MB, 3.52 MB at {AT}; it was 0.80 MB, 1.60 MB, 3.20 MB",
        ),
    ],
)
def test_more_of_a_counter_is_one_regression_with_its_cause(side, found, metric, rule, text):
    assert found(side(), side(**{metric: rule})) == [(metric, "regression", text)]
    (finding,) = found(side(**{metric: rule}), side())
    assert finding[:2] == (metric, "improvement")


def test_one_more_of_a_counter_at_one_size_is_found(side, found):
    after = side(flops=lambda n: 1000 * n + (n == 16))
    text = f"{WHO} computes 16,001 FLOPs at N = 16, 16,000 before"
    assert found(side(), after) == [("flops", "regression", text)]
    assert [one for one in found(side(), after, True) if one[1] == "same"] == [
        ("counters", "same", f"{WHO} at N = {n} has the same counters") for n in (8, 32)
    ]


def test_a_growth_is_named_where_sizes_suffice(side, found):
    flat, steep = {"depth": lambda n: 34}, {"depth": lambda n: 2 * n + 8}
    said = "depth of cached sampling of wavenet:nv is"
    assert found(side(16, 32, 64, **flat), side(16, 32, 64, **steep)) == [
        (
            "depth",
            "regression",
            f"{said} 40, 72, 136 at N = 16, 32, 64; it was 34 at each: it grows with N now",
        )
    ]
    sizes = (16, 32, 64, 128)
    assert found(side(*sizes, **flat), side(*sizes, **steep)) == [
        (
            "depth",
            "regression",
            f"{said} 40, 72, 136, 264 at N = 16, 32, 64, 128; it was 34 at each: it grows as O(N) now, as O(1) before",
        )
    ]
    (back,) = found(side(16, 32, 64, **steep), side(16, 32, 64, **flat))
    assert back[2] == f"{said} 34 at N = 16, 32, 64; it was 40, 72, 136: it no longer grows with N"


def test_peak_memory_has_a_tolerance_and_nothing_else_has(side, found):
    assert found(side(), side(peak_bytes=lambda n: 105_000 * n)) == []
    assert [one[:2] for one in found(side(), side(peak_bytes=lambda n: 105_001 * n))] == [("peak_bytes", "regression")]


@pytest.mark.parametrize("status", ["inexact", "error", "oom", "timeout"])
def test_a_case_that_no_longer_passes_verification(side, found, status):
    after = side(row={"status": status, "error": "element 5 differs", "depth": None})
    what = (
        "lost exactness at N = 8, 16, 32" if status == "inexact" else (f"fails at N = 8, 16, 32 ({status}; ok before)")
    )
    assert found(side(), after) == [("verification", "regression", f"{WHO} {what}: element 5 differs")]
    assert found(after, side())[0] == (
        "verification",
        "improvement",
        f"{WHO} is verified at N = 8, 16, 32; it was '{status}' before",
    )


def test_what_failed_before_and_fails_now(side, found):
    def outcomes(before, after):
        return {one[:2] for one in found(side(row={"status": before}), side(row={"status": after}), True)}

    assert outcomes("inexact", "inexact") == {("verification", "same")}
    assert outcomes("error", "error") == {("verification", "unmeasured")}
    assert outcomes("error", "oom") == {("verification", "undecided")}
    assert outcomes("ok", "over_budget") == {("verification", "unmeasured")}
    assert outcomes("over_budget", "ok") == {("counters", "same")}


def test_what_takes_too_long_to_verify_is_counted_all_the_same(side, found):
    """Otherwise a method that launches a thousand times as many operations would pass."""
    after = side(row={"status": "over_budget"}, ops=lambda n: 84 * n + 5)
    assert [one[:2] for one in found(side(), after)] == [("verification", "unmeasured"), ("ops", "regression")]


def test_a_weaker_exactness_is_a_regression(side, found):
    weak = side(row={"exactness": "distribution"})
    assert found(side(), weak) == [
        (
            "exactness",
            "regression",
            f"exactness of {WHO} is 'distribution' at N = 8, 16, 32; it was 'pointwise'",
        )
    ]
    assert [one[:2] for one in found(weak, side())] == [("exactness", "improvement")]


def test_a_depth_that_can_no_longer_be_followed_does_not_pass(side, found):
    gone = {"depth": lambda n: None}
    text = f"the depth of {WHO} can no longer be measured at N = 8, 16, 32; it was 59, 115, 227"
    assert found(side(), side(**gone)) == [("depth", "regression", text)]
    why = side(row={"why_unknown": "tolist() reads values on the host"}, **gone)
    assert found(side(), why)[0][2] == f"{text} (tolist() reads values on the host)"
    (other,) = found(side(), side(environment=OTHER_TORCH, **gone))
    assert other == ("depth", "undecided", f"{text}; possible cause: torch 2.13 before, 2.11 now")
    assert found(side(**gone), side()) == []


def test_what_was_not_counted_this_time_is_undecided(side, found):
    nothing = dict.fromkeys(("depth", "nfe", "flops", "ops", "bytes", "peak_bytes"), lambda n: None)
    after = side(row={"count_source": "none"}, **nothing)
    text = f"{WHO} could not be counted at N = 8, 16, 32; it was before"
    assert found(side(), after) == [("depth", "undecided", text)]
    assert [one[:2] for one in found(after, side())] == [("ops", "undecided")]
    (memory,) = found(side(), side(peak_bytes=lambda n: None))
    assert memory[:2] == ("peak_bytes", "undecided")


def test_another_torch_leaves_a_counter_undecided_but_not_the_evaluations(side, found):
    more = {"ops": lambda n: 84 * n + 5}
    text = f"{WHO} launches 84 operations a step, 63 before"
    assert found(side(), side(environment=OTHER_TORCH, **more)) == [
        ("ops", "undecided", f"{text}; possible cause: torch 2.13 before, 2.11 now")
    ]
    assert found(side(), side(environment=PATCH, **more)) == [("ops", "regression", text)]
    assert [one[:2] for one in found(side(), side(environment=OTHER_TORCH, nfe=lambda n: n + 1))] == [
        ("nfe", "regression")
    ]
    assert found(side(), side(environment=OTHER_TORCH)) == []


def test_another_cpu_matters_where_the_path_depends_on_values(side, found):
    more = {"nfe": lambda n: n + 1}
    assert [one[1] for one in found(side(), side(environment=OTHER_CPU, **more))] == ["regression"]
    case = {"method": "fixed_point", "data_dependent": True}
    before, after = side(case=case), side(case=case, environment=OTHER_CPU, **more)
    (one,) = found(before, after)
    assert one[1] == "undecided"
    assert one[2].endswith("; possible cause: CPU Example before, Another now")
    assert [one[1] for one in found(before, side(case=case, **more))] == ["regression"]


def test_another_seed_matters_where_the_path_depends_on_values(side, found, options):
    case, more = {"method": "fixed_point", "data_dependent": True}, {"nfe": lambda n: n + 1}
    (one,) = found(side(case=case), side(case=case, **more), asked=replace(options, seed=1))
    assert one[1] == "undecided"
    assert one[2].endswith("; possible cause: different seed")
    assert found(side(), side(**more), asked=Options(seed=1))[0][1] == "regression"


def test_another_gpu_matters_for_memory(side, found):
    case = {"device": "cuda"}
    before = side(case=case, environment={"gpu": {"name": "A"}})
    after = side(case=case, environment={"gpu": {"name": "B"}}, peak_bytes=lambda n: 200_000 * n)
    (one,) = found(before, after)
    assert one[1] == "undecided"
    assert one[2].endswith("; possible cause: GPU A before, B now")


def test_cases_of_one_side_are_reported_and_are_no_regression(side, found):
    assert found(side(8, 16, 32), side(16, 64, 128)) == [
        ("case", "removed", f"{WHO} is only in the baseline: N = 8, 32"),
        ("case", "added", f"{WHO} is new: N = 64, 128"),
    ]
    bad = side(64, row={"status": "error"})
    assert found(side(64, case={"method": "naive"}), bad)[1][2] == f"{WHO} is new and 'error': N = 64"
    assert found(side(8, 16), side(16), keep=lambda row: row.n == 16) == []


def test_a_case_that_was_planned_and_left_no_row_is_reported(side, found):
    results, keys = side()
    row = results.cases.popitem()[1]
    assert found(side(), (results, keys)) == [
        ("verification", "unmeasured", f"{WHO} could not be verified at N = {row.n} (not reached)")
    ]


def test_settings_that_tell_families_apart_are_named(side, found):
    results, keys = side(8)
    for more in ({"batch": 4}, {"batch": 4, "dtype": "float64"}):
        other, others = side(8, case=more, ops=lambda n: 2)
        results.cases.update(other.cases)
        keys |= others
    texts = [one[2] for one in found(side(8), (results, keys))]
    assert texts == [f"{WHO} (float32, batch 4) is new: N = 8", f"{WHO} (float64, batch 4) is new: N = 8"]


def test_a_crash_that_did_not_repeat_is_undecided(side, found):
    why = "the worker was killed by SIGSEGV"
    once = side(row={"verified": {"crashed": why}})
    assert found(side(), once) == [
        ("verification", "undecided", f"{WHO} crashes at {AT}, but not when tried again: {why}")
    ]
    slower = side(row={"verified": {"crashed": why}}, ops=lambda n: 84 * n + 5)
    assert [outcome for _, outcome, _ in found(side(), slower)] == ["undecided", "regression"]
