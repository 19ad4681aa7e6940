from __future__ import annotations

import math
import re
from itertools import combinations

import msgspec
import numpy as np
import pytest

from arbench.report import frame, headline, headlines, kernel_rows, render, rows, sentences
from arbench.report.figures.style import implementation_looks
from arbench.report.gaps import gaps
from arbench.report.kernels.fractions import fractions
from arbench.report.kernels.roofline import ceilings, roofline, spread
from arbench.report.kernels.tables import split_configuration
from arbench.report.page import troubles
from arbench.report.roofs import format_percent, reached
from arbench.results import Case, Limits, Ratio, Run

EAGER = "softmax:rows=16000,width=256/forward/torch/eager"
NUMBA = "softmax:rows=16000,width=256/forward/arbench/numba"
TRITON = "softmax:rows=16000,width=256/forward/arbench/triton"
CONV = "causal_conv1d:batch=8,channels=256,length=4096,width=2,dilation=1,activation=gate,layout=BLD"
KERNEL = [("softmax", "logit", None)]


def column(table, heading: str) -> list[str]:
    index = [one.heading for one in table.columns].index(heading)
    return [row[index] for row in table.rows]


def changed(**values):
    """Every case with other fields; where one is a function it takes the case."""

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


def test_the_roof_is_that_of_the_working_set_that_was_gone_over(build, kernels) -> None:
    cycled = {"verified": lambda case: {"working_set": 2**28}}
    results = build(models=[], kernels=KERNEL, edit=changed(**cycled))
    case = results.cases[EAGER]
    found = reached(case, results)
    assert found is not None
    assert found.fraction == pytest.approx(case.bytes / 11.2e9 / case.median_s)
    assert found.fraction > reached(kernels.cases[EAGER], kernels).fraction * 1.5


@pytest.fixture
def build(build, kernel_table):
    """As elsewhere; kernels may be named without their configurations, a synthetic one's then."""

    def made(kernels=(), **given):
        known = {name: configs for name, _, configs in kernel_table}
        whole = [(name, element, configs or known["softmax"]) for name, element, configs in kernels]
        return build(kernels=whole, **given)

    return made


def test_limits_measured_again_count(kernels) -> None:
    case = kernels.cases[EAGER]
    again = {"copy": [{"bytes": 2**28, "gb_per_s": 500.0}], "matmul": {"float32": 9e9}}
    more = msgspec.structs.replace(kernels.run)
    results = type(kernels)(more, limits=[Limits("later", again)], cases=kernels.cases)
    assert reached(case, results).fraction == pytest.approx(case.bytes / 500e9 / case.median_s)


def test_a_table_says_how_fast_how_near_the_limit_and_what_is_only_checked(kernels) -> None:
    table = headline(kernels, 120)[0]
    assert table.title == "softmax · cpu · float32"
    shown = dict(zip(column(table, "implementation"), column(table, "speed-up"), strict=True))
    assert shown["torch · eager"] == "reference"
    assert shown["arbench · triton"] == "checked, not timed"
    assert re.fullmatch(r"\d\.\d+x \[\d\.\d+, \d\.\d+\]", shown["torch · compile"])
    at = column(table, "implementation").index("arbench · triton")
    assert [column(table, name)[at] for name in ("time", "rate", "of limit")] == ["—"] * 3
    assert all(re.fullmatch(r"\d(\.\d+)?\d* GB/s|—", cell) for cell in column(table, "rate"))
    assert all(re.fullmatch(r"[\d.]+%|—", cell) for cell in column(table, "of limit"))
    conv = next(table for table in headline(kernels, 120) if table.title.startswith("causal_conv1d"))
    assert all("GFLOP/s" in cell or cell == "—" for cell in column(conv, "rate"))
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
        assert {"op", "implementation", "time", "rate", "of limit", "speed-up"} <= {
            one.heading for one in table.columns
        }


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
    assert "GB/s" in column(headline(results, 120)[0], "rate")[0]
    assert fractions(results) is None
    names = [path.name for path in render(results, tmp_path)]
    assert "roofline.svg" in names
    assert "fractions.svg" not in names


def test_nothing_timed_draws_nothing_and_renders(build, tmp_path) -> None:
    paths = render(build(models=[], kernels=KERNEL, edit=untimed), tmp_path)
    assert [path.name for path in paths] == ["report.html", "summary.md"]
    assert "checked, not timed" in paths[0].read_text(encoding="utf-8")


def test_percents() -> None:
    assert format_percent(0.8731, (0.8730, 0.8732)) == "87%"
    assert format_percent(0.8731, (0.80, 0.94)) == "87%"
    assert format_percent(0.8731, (0.60, 1.10)) == "90%"
    assert format_percent(1.042, (1.041, 1.043)) == "104%"
    assert format_percent(0.0546, (0.0545, 0.0547)) == "5.5%"
    assert format_percent(0.0046, None) == "0.46%"


def test_what_configurations_share() -> None:
    shared, own = split_configuration(["rows=4,width=8", "rows=4,width=9"])
    assert (shared, own) == ("rows=4", {"rows=4,width=8": "width=8", "rows=4,width=9": "width=9"})
    assert split_configuration(["rows=4,width=8"]) == ("rows=4, width=8", {"rows=4,width=8": ""})
    shared, own = split_configuration(["a=1,b=2", "a=1,c=2"])
    assert (shared, own["a=1,c=2"]) == ("", "a=1, c=2")
    shared, own = split_configuration(["shape=(3, 4),b=1", "shape=(3, 5),b=1"])
    assert (shared, own["shape=(3, 5),b=1"]) == ("b=1", "shape=(3, 5)")
    assert split_configuration(["small", "large"]) == ("", {"small": "small", "large": "large"})


def boxes(figure):
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = [[text.get_window_extent(renderer) for text in axes.texts if text.get_text()] for axes in figure.axes]
    return found, [axes.get_window_extent(renderer) for axes in figure.axes]


@pytest.fixture
def crowd(build):
    """Fourteen kernels of nearly the same intensity, by eight implementations."""

    def peers(line):
        if isinstance(line, Case) and line.backend == "compile" and "8192" in line.preset:
            return msgspec.structs.replace(line, method=f"peer{hash_of(line.model)}")
        return line

    many = [(f"kernel_{i}_with_a_long_name", "logit", None) for i in range(14)]
    return build(models=[], kernels=many, edit=peers)


def hash_of(name: str) -> int:
    return int(re.sub(r"\D", "", name)) % 7


@pytest.mark.parametrize("which", ["kernels", "crowd"])
def test_no_name_on_the_roofline_covers_another_or_a_mark(which: str, request) -> None:
    figure = roofline(request.getfixturevalue(which))
    assert figure is not None
    texts, panels = boxes(figure)
    for found, panel, axes in zip(texts, panels, figure.axes, strict=True):
        assert len(found) >= 5
        for here, there in combinations(found, 2):
            assert not here.overlaps(there)
        marks = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]
        assert all(panel.contains(*mark) for mark in marks)
        assert min(mark[1] for mark in marks) > max(box.y1 for box in found)
        assert all(panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 for box in found)


def test_the_roofline_has_every_timed_case_below_its_roof(kernels) -> None:
    figure = roofline(kernels)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["forward", "backward"]
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1
    drawn = sum(len(line.get_xydata()) == 1 for axes in figure.axes for line in axes.lines)
    assert drawn == sum(case.status == "ok" for case in kernels.cases.values())
    tops = ceilings(kernels, ["float32"])
    assert [one.label for one in tops] == [
        "memory, 268 MB: 11.2 GB/s",
        "cache, 65.5 kB: 92.1 GB/s",
        "matrix product, float32: 147 GFLOP/s",
    ]
    case = kernels.cases[NUMBA]
    assert tops[0].over(np.array([0.5]))[0] == pytest.approx(5.6e9)
    assert case.flops / case.median_s < tops[0].over(np.array([case.flops / case.bytes]))[0]


def test_spread_keeps_order_distance_and_place() -> None:
    assert spread([0.5], 0.1) == [0.5]
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.0], 0.1) == pytest.approx([0.05, 0.15])
    assert spread([0.99, 1.0], 0.1) == pytest.approx([0.85, 0.95])
    assert np.diff(spread([0.3, 0.31, 0.32, 0.6], 0.1)) == pytest.approx([0.1, 0.1, 0.19], abs=1e-9)
    assert np.diff(spread([0.5] * 20, 0.1)) == pytest.approx(0.05)


def test_fractions_have_a_mark_for_each_timed_case_and_labels_apart(kernels, crowd) -> None:
    for results in (kernels, crowd):
        figure = fractions(results)
        assert figure is not None
        drawn = sum(len(axes.containers) for axes in figure.axes)
        assert drawn == sum(case.status == "ok" for case in results.cases.values())
        found, _ = boxes(figure)
        renderer = figure.canvas.get_renderer()
        labels = [text.get_window_extent(renderer) for text in figure.axes[0].get_yticklabels()]
        for here, there in combinations([*found[0], *labels], 2):
            assert not here.overlaps(there)
        left, right = figure.axes[0].get_xlim()
        assert left == 0
        assert right >= 1


def test_an_implementation_looks_the_same_everywhere() -> None:
    alone = implementation_looks([("torch", "eager", "torch · eager")])
    peers = [("torch", "eager", "torch · eager"), ("a", "triton", "a · triton"), ("b", "cuda", "b · cuda")]
    among = implementation_looks(peers)
    assert alone["torch · eager"] == among["torch · eager"]
    assert len({look[:2] for look in among.values()}) == 3
    halves = implementation_looks([("torch", "eager", "f32"), ("torch", "eager", "f16")])
    assert "none" not in {look[2] for look in halves.values()}, "hollow is unstable"
    assert len({look[:2] for look in halves.values()}) == 1
    assert len({look[2] for look in halves.values()}) == 2


def test_page_and_summary_of_kernels_alone(kernels, tmp_path) -> None:
    paths = render(kernels, tmp_path)
    assert [path.name for path in paths] == [
        "report.html",
        "summary.md",
        "fractions.svg",
        "fractions.png",
        "roofline.svg",
        "roofline.png",
    ]
    page = paths[0].read_text(encoding="utf-8")
    assert "Kernels against the machine" in page
    assert "Scoring against sampling" not in page
    assert 'id="models"' not in page
    assert "multiply-add" not in page
    assert page.count("<svg") == 2
    for word in ("each input read once", "checked, not timed", "rows=16000, width=256", "float64 reference"):
        assert word in page
    markdown = paths[1].read_text(encoding="utf-8")
    assert "](figures/fractions.svg)" in markdown
    assert "## Claims" not in markdown
    assert "| forward | arbench · triton | — | — | — | checked, not timed |" in markdown
    assert "Real time" not in markdown


def test_page_of_both(rendered_both) -> None:
    page = rendered_both[0].read_text(encoding="utf-8")
    assert page.index('id="model-1"') < page.index('id="kernels"') < page.index('id="cases"')
    assert page.count("<svg") == 5
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
