"""Kernels in words: tables, notes, and what is said where there is no time."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.report import headline, headlines, kernel_rows, render, rows, sentences
from arbench.report.gaps import gaps
from arbench.report.kernels.fractions import fractions
from arbench.report.kernels.tables import split_configuration
from arbench.report.page.run import troubles
from arbench.results import Case, Ratio, Run

EAGER = "softmax:rows=16000,width=256/forward/torch/eager"
TRITON = "softmax:rows=16000,width=256/forward/arbench/triton"
CONV = "causal_conv1d:batch=8,channels=256,length=4096,width=2,dilation=1,activation=gate,layout=BLD"
KERNEL = [("softmax", "logit", None)]


def column(table, heading: str) -> list[str]:
    index = [one.title for one in table.columns].index(heading)
    return [row[index] for row in table.rows]


def changed(**values):
    """Return an edit that changes fields of every case; a value that is a function is called with the case."""

    def edit(line):
        if not isinstance(line, Case):
            return line
        new = {name: value(line) if callable(value) else value for name, value in values.items()}
        return msgspec.structs.replace(line, **new)

    return edit


def untimed(line):
    if isinstance(line, Case):
        return msgspec.structs.replace(line, status="checked", median_s=None, ci95_s=None, range_s=None)
    return None if isinstance(line, Ratio) else line


def test_a_table_says_how_fast_how_near_the_limit_and_what_is_only_checked(kernels) -> None:
    table = headline(kernels, 120)[0]
    assert table.title == "softmax · cpu · float32"
    shown = dict(zip(column(table, "implementation"), column(table, "speed-up"), strict=True))
    assert shown["torch · eager"] == "reference"
    assert shown["arbench · triton"] == "checked, not timed"
    assert re.fullmatch(r"\d\.\d+x \[\d\.\d+, \d\.\d+\]", shown["torch · compile"])
    at = column(table, "implementation").index("arbench · triton")
    assert [column(table, name)[at] for name in ("time", "rate", "of limit")] == ["—"] * 3
    assert all(re.fullmatch(r"\d(\.\d+)?\d*|—", cell) for cell in column(table, "rate"))
    assert "rate (GB/s)" in [one.heading for one in table.columns]
    assert all(re.fullmatch(r"[\d.]+%|—", cell) for cell in column(table, "of limit"))
    conv = next(table for table in headline(kernels, 120) if table.title.startswith("causal_conv1d"))
    assert "rate (GFLOP/s)" in [one.heading for one in conv.columns]
    assert "channels=256" in conv.title
    assert set(column(conv, "configuration")) == {"dilation=1", "dilation=512"}


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit_the_terminal(kernels, width: int) -> None:
    tables = headline(kernels, width)
    lines = [line for table in tables for line in table.lines()]
    assert max(map(len, lines)) <= width
    said = sum(len(table.rows) for table in tables)
    assert said == len(kernels.cases)
    for table in tables:
        shown = {one.title for one in table.columns}
        assert {"op", "implementation", "time", "of limit", "speed-up"} <= shown
        assert width == 80 or "rate" in shown


def test_long_names_are_cut_and_the_rate_spared(build) -> None:
    long = changed(method=lambda case: "flash-linear-attention" * 2 if case.method == "torch" else case.method)
    for table in headline(build(models=[], kernels=KERNEL, edit=long), 80):
        assert max(map(len, table.lines())) <= 80
        assert "rate" not in [one.heading for one in table.columns]
        assert any("…" in cell for cell in column(table, "implementation"))
        assert "of limit" in [one.heading for one in table.columns]


def test_small_configurations_that_are_only_checked_are_a_note(build) -> None:
    def apart(line):
        if isinstance(line, Case) and line.status == "checked":
            return msgspec.structs.replace(line, preset=f"rows={len(line.preset)},width=3")
        return line

    table = headline(build(models=[], kernels=KERNEL, edit=apart), 120)[0]
    assert table.notes == ["arbench · triton: checked, not timed in 4 more cases"]
    assert "arbench · triton" not in column(table, "implementation")


def test_other_statuses_stand_where_the_speed_up_would(build) -> None:
    def broken(line):
        if isinstance(line, Case) and line.backend == "numba":
            return msgspec.structs.replace(line, status="inexact", error="[3, 7] differs", median_s=None)
        return line

    results = build(models=[], kernels=KERNEL, edit=broken)
    shown = dict(zip(*(column(headline(results, 120)[0], n) for n in ("implementation", "speed-up")), strict=True))
    assert shown["arbench · numba"] == "inexact"
    [(status, _, listed)] = troubles(results)
    assert status == "inexact"
    assert listed[0] == ("softmax:rows=16000,width=256 forward arbench · numba, N = 256", "[3, 7] differs")


def test_unstable_cases_are_noted(build) -> None:
    unstable = changed(unstable=lambda case: case.backend == "eager" and "8192" in case.preset)
    table = headline(build(models=[], kernels=KERNEL, edit=unstable), 120)[0]
    assert table.notes == [
        "forward torch · eager: unstable in 1 of 2 cases",
        "backward torch · eager: unstable in 1 of 2 cases",
    ]


def test_settings_that_differ_stand_with_the_implementation(build) -> None:
    halves = changed(dtype=lambda case: "float16" if case.backend == "compile" else "float32")
    table = headline(build(models=[], kernels=KERNEL, edit=halves), 140)[0]
    assert table.title == "softmax · cpu"
    assert "torch · compile · float16" in column(table, "implementation")


def test_all_cases_of_both_kinds_have_a_table(both) -> None:
    models, of_kernels = rows(both), kernel_rows(both)
    assert len(models.rows) + len(of_kernels.rows) == len(both.cases)
    assert "softmax" not in "".join(column(models, "model"))
    assert set(column(of_kernels, "bound by")) == {"memory"}
    assert models.title == "cpu · float32 · eager · batch 1"
    status = dict(zip(column(of_kernels, "status"), column(of_kernels, "speed-up"), strict=True))
    assert status["checked, not timed"] == "—"
    assert set(column(of_kernels, "configuration")[:7]) == {"rows=16000, width=256"}


def test_verdicts_are_of_models_only(kernels, both) -> None:
    assert headlines(kernels) == []
    assert sentences(kernels) == []
    assert [one.model for one in headlines(both)] == ["wavenet:nv"]


def test_checked_is_neither_trouble_nor_gap(kernels, both, build) -> None:
    assert troubles(kernels) == []
    assert gaps(kernels) == []
    assert gaps(both) == ["1 case is unstable: samples scatter more than they should."]
    alone = build(models=[], kernels=KERNEL, edit=untimed)
    assert gaps(alone) == ["Every case was checked and none was timed: times in Triton's interpreter mean nothing."]
    assert troubles(alone) == []


def test_missing_limits_are_said_and_cost_no_more_than_fractions(build, tmp_path) -> None:
    def bare(line):
        return msgspec.structs.replace(line, limits={}) if isinstance(line, Run) else line

    results = build(models=[], kernels=KERNEL, edit=bare)
    assert any("cannot be compared with the machine's limit" in gap for gap in gaps(results))
    assert set(column(headline(results, 120)[0], "of limit")) == {"—"}
    assert "rate (GB/s)" in [one.heading for one in headline(results, 120)[0].columns]
    assert fractions(results) is None
    names = [path.name for path in render(results, tmp_path)]
    assert "roofline.svg" in names
    assert "fractions.svg" not in names


def test_nothing_timed_draws_nothing_and_renders(build, tmp_path) -> None:
    paths = render(build(models=[], kernels=KERNEL, edit=untimed), tmp_path)
    assert [path.name for path in paths] == ["report.html", "summary.md"]
    assert "checked, not timed" in paths[0].read_text(encoding="utf-8")


def test_what_configurations_share() -> None:
    shared, own = split_configuration(["rows=4,width=8", "rows=4,width=9"])
    assert (shared, own) == ("rows=4", {"rows=4,width=8": "width=8", "rows=4,width=9": "width=9"})
    assert split_configuration(["rows=4,width=8"]) == ("rows=4, width=8", {"rows=4,width=8": ""})
    shared, own = split_configuration(["a=1,b=2", "a=1,c=2"])
    assert (shared, own["a=1,c=2"]) == ("", "a=1, c=2")
    shared, own = split_configuration(["shape=(3, 4),b=1", "shape=(3, 5),b=1"])
    assert (shared, own["shape=(3, 5),b=1"]) == ("b=1", "shape=(3, 5)")
    assert split_configuration(["small", "large"]) == ("", {"small": "small", "large": "large"})
