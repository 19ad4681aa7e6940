"""Several files side by side: what is compared, what is not, and in which words."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from PIL import Image

from arbench.report.compare import (
    CaseNames,
    CompareError,
    NothingSharedError,
    alone,
    answer,
    changed_table,
    compare,
    counted,
    document,
    frame,
    tables,
)
from arbench.report.compare.comparison import Value
from arbench.report.compare.document import markdown, write
from arbench.report.compare.figures import draw
from arbench.report.compare.table import ratio_label, value_cell
from arbench.report.markdown import escape
from arbench.report.metrics import METRICS
from arbench.results import Case, Results, Resume, Run, Samples
from arbench.stats import summarise
from arbench.stats.unpaired import UnpairedRatio

HERE: dict[str, Any] = {
    "cpu": {"model": "Example 1", "usable_cores": 2},
    "gpu": None,
    "threads": {"torch": 1, "variables": {}},
    "versions": {"torch": "2.11", "python": "3.12.1", "arbench": "0.1.0"},
    "load": {"1min": 0.1},
}
BIASES = np.exp(np.random.default_rng(3).normal(0, 0.01, 12))


def case(n: int, method: str = "cached", model: str = "wavenet", **more: Any) -> Case:
    facts: dict[str, Any] = {
        "model": model,
        "preset": "tiny",
        "op": "sample",
        "method": method,
        "backend": "eager",
        "device": "cpu",
        "dtype": "float32",
        "batch": 1,
        "n": n,
        "element": "audio sample",
        "weights": 10,
        "status": "ok",
        "exactness": "pointwise",
        "depth": 10 * n,
        "nfe": n,
        "flops": 100 * n,
        "ops": 12 * n,
        "bytes": 64 * n,
        "peak_bytes": 4096,
        "count_source": "counted",
    }
    return Case(id=f"{model}:tiny/sample/{method}/eager/cpu/float32/b1/n{n}", **{**facts, **more})


def file(
    cases: list[Case],
    factor: float = 1.0,
    workers: int = 6,
    environment: Mapping[str, Any] = HERE,
    shift: int = 0,
    **run: Any,
) -> Results:
    """Return a run in which a case takes ``factor`` milliseconds per element, times the bias of each worker."""
    facts: dict[str, Any] = {"seed": 0, "plan": {}} | run
    results = Results(
        Run(schema=1, run_id="r", started_at="", argv=[], git=None, environment=dict(environment), limits={}, **facts)
    )
    for one in cases:
        seconds = {w: [1e-3 * factor * one.n * BIASES[(w + shift) % 12]] * 3 for w in range(workers)}
        if seconds and one.status == "ok":
            found = summarise(seconds)
            one = replace(one, median_s=found.median_s, ci95_s=found.ci95_s, range_s=found.range_s, workers=workers)
            for worker, values in seconds.items():
                results.add(Samples(one.id, worker, 0, 0.0, values))
        results.add(one)
    return results


def elsewhere(**parts: Any) -> dict[str, Any]:
    return {**HERE, **parts}


LADDER = [case(n) for n in (8, 16, 32)]


def names(*files: Results) -> CaseNames:
    return CaseNames([one for each in files for one in each.cases.values()], files[0])


def text(found: Any, *files: Results, width: int = 200) -> str:
    return "\n".join(line for table in tables(found, names(*files), width) for line in table.lines())


def test_ratios_are_over_the_first_with_workers_as_observations() -> None:
    a, b, c = file(LADDER), file(LADDER, 2.0, shift=6), file(LADDER, 0.5, workers=3)
    found = compare({"a": a, "b": b, "c": c})
    assert [row.case.n for row in found.rows] == [8, 16, 32]
    row = found.rows[1].values
    assert row["a"].ratio is None
    measured = a.cases[LADDER[1].id]
    assert (row["a"].value, row["a"].interval) == (measured.median_s, measured.ci95_s)
    slower, few = row["b"].ratio, row["c"].ratio
    assert slower is not None
    assert few is not None
    differences = [x / y for x in 2 * BIASES[6:12] for y in BIASES[:6]]
    assert slower.ratio == pytest.approx(np.median(differences), rel=1e-4)
    assert slower.ci95 is not None
    assert slower.ci95[0] < 2.0 < slower.ci95[1]
    assert slower.observations == (6, 6)
    assert few.ci95 is not None  # three and six
    assert few.observations == (3, 6)
    assert found.changed == []
    assert found.counted == 3 * 5 * 2
    assert any("arbench check --against" in note and "drift" in note for note in found.notes)


def test_too_few_workers_show_a_range_and_one_process_neither() -> None:
    a, b = file(LADDER, workers=3), file(LADDER, 2.0, workers=3, shift=3)
    shown = text(compare({"a": a, "b": b}), a, b)
    assert "(range): smallest and largest ratio" in shown
    assert "[95%]" not in shown
    ratio = compare({"a": a, "b": b}).rows[0].values["b"].ratio
    assert ratio is not None
    all_ratios = [2 * x / y for x in BIASES[3:6] for y in BIASES[:3]]
    assert ratio.range == pytest.approx((min(all_ratios), max(all_ratios)))
    one, other = (replace_times(file(LADDER, workers=0), seconds) for seconds in (1e-3, 3e-3))
    alone_ = compare({"a": one, "b": other})
    assert alone_.rows[0].values["b"].ratio == UnpairedRatio(pytest.approx(3.0), None, None, (1, 1))  # type: ignore[arg-type]
    assert "one process on each side" in text(alone_, one, other)


def replace_times(results: Results, seconds: float) -> Results:
    """Return results as pytest-benchmark stores them: a median, and no samples."""
    for name, one in results.cases.items():
        results.cases[name] = replace(one, median_s=seconds, workers=1)
    return results


def test_times_of_what_is_not_ok_are_not_compared() -> None:
    broken = [replace(LADDER[0], status="inexact", error="element 3"), *LADDER[1:]]
    a, b = file(LADDER), file(broken)
    b.cases[LADDER[0].id] = replace(b.cases[LADDER[0].id], median_s=1e-3)
    found = compare({"a": a, "b": b})
    value = found.rows[0].values["b"]
    assert (value.value, value.ratio) == (None, None)
    assert "inexact" in text(found, a, b)
    assert [(one.name, one.before, one.after) for one in found.changed] == [("status", "ok", "inexact")]
    assert counted(found).endswith(": 10 values compared, none differs.")  # nor are its counters


def test_other_machines_are_compared_exactly_and_in_time_on_request_only() -> None:
    a, b = file(LADDER), file(LADDER, 2.0, environment=elsewhere(cpu={"model": "Example 2"}))
    changed = [replace(one, ops=one.ops + 1) for one in LADDER]
    c = file(changed)
    found = compare({"a": a, "b": b, "c": c})
    assert found.warnings == ["b was not measured in the environment of a: cpu.model (Example 1, Example 2)"]
    assert all("b" not in row.values for row in found.rows)
    assert "Not compared in time, only in exact counters: b (see --times)." in found.notes
    assert found.counted == 3 * 5 * 2
    assert [(one.label, one.name, one.before, one.after) for one in found.changed] == [
        ("c", "ops", 12 * n, 12 * n + 1) for n in (8, 16, 32)
    ]

    insisted = compare({"a": a, "b": b}, times=True)
    assert insisted.warnings == found.warnings
    assert insisted.rows[0].values["b"].ratio is not None

    assert compare({"a": a, "b": b}).rows == []
    assert compare({"a": a, "b": b}, "ops").rows[0].values["b"].value == 96
    for metric, title in (("seconds", "time"), ("peak_bytes", "peak memory")):
        with pytest.raises(CompareError) as refused:
            compare({"a": a, "b": b}, metric)
        assert str(refused.value) == f"{found.warnings[0]}; add --times to compare {title} anyway"


def test_every_metric_can_be_compared() -> None:
    a = file(LADDER)
    for name in METRICS:
        found = compare({"a": a, "b": file(LADDER, 2.0, shift=6)}, name)
        ratios = [row.values["b"].ratio for row in found.rows]
        assert len(ratios) == 3
        assert all(ratio and (ratio.ratio == 1) == found.metric.exact for ratio in ratios)


def test_cases_of_one_file_alone_are_listed() -> None:
    a, b = file([*LADDER, case(8, "naive")]), file([*LADDER, case(8, "blocks"), case(16, "blocks")])
    found = compare({"a": a, "b": b})
    assert [row.case.method for row in found.rows] == ["cached"] * 3
    assert alone(found) == [
        f"Only in a, 1 case: {case(8, 'naive').id}",
        f"Only in b, 2 cases: {case(8, 'blocks').id}, {case(16, 'blocks').id}",
    ]
    assert alone(found, 1)[1] == f"Only in b, 2 cases: {case(8, 'blocks').id} and 1 more"
    c = file([case(8, "blocks")])
    assert compare({"a": a, "b": b, "c": c}).alone == {
        "a": [case(8, "naive").id],
        "b": [case(16, "blocks").id],
    }


def test_nothing_in_common_is_said() -> None:
    a, b, c = file(LADDER), file([case(8, "naive")]), file([case(8, "blocks")])
    with pytest.raises(NothingSharedError, match=r"^no case of a is in b or c$"):
        compare({"a": a, "b": b, "c": c})
    bare = file([replace(one, ops=None) for one in LADDER])
    with pytest.raises(NothingSharedError, match=r"^no case has tensor operations both in a and in b$"):
        compare({"a": a, "b": bare}, "ops")
    untimed = compare({"a": a, "b": file(LADDER, workers=0)})
    assert untimed.rows == []
    assert "No case has a time in two files." in untimed.notes


def test_notes_say_what_else_sets_files_apart() -> None:
    a = file(LADDER)
    b = file(LADDER, seed=5, plan={"source": "pytest-benchmark"})
    b.add(Resume("r", "", [], {}, {}, changed=[f"fact{i}" for i in range(7)]))
    notes = compare({"a": a, "b": b}).notes
    assert notes[:3] == [
        "b comes from pytest-benchmark: one process, one case after the other.",
        "Seeds differ (0, 5), so counters of methods that depend on values may differ too.",
        "b was resumed after these facts had changed: fact0, fact1, fact2, fact3, fact4 and 2 more.",
    ]


def value(ratio: float, ci95: Any = None, range: Any = None) -> Value:
    return Value(LADDER[0], 1.0, None, UnpairedRatio(ratio, ci95, range, (6, 6)))


@pytest.mark.parametrize(
    ("found", "metric", "said"),
    [
        (value(1.0412, (1.013, 1.068)), "seconds", "1.04x [1.01, 1.07]"),
        (value(1.0412, None, (1.013, 1.068)), "seconds", "1.04x (1.01, 1.07)"),
        (value(2.2, (0.93, 4.1)), "seconds", "2x [0.9, 4.1]"),  # no ratio is 0
        (value(0.5), "seconds", "0.50x"),
        (value(1.0), "ops", "same"),
        (value(4 / 3), "ops", "1.333x"),
        (Value(LADDER[0], 1.0), "seconds", "—"),
        (None, "seconds", "—"),
    ],
)
def test_ratios_have_no_digit_that_their_interval_does_not_support(found: Any, metric: str, said: str) -> None:
    assert ratio_label(found, METRICS[metric]) == said


def test_values_are_told_or_why_there_is_none() -> None:
    times = METRICS["seconds"]
    assert value_cell(Value(LADDER[0], 0.01234, (0.0121, 0.0126)), times).text(-3) == "12.3"
    unstable = replace(LADDER[0], unstable=True)
    assert value_cell(Value(unstable, 0.01234, (0.0121, 0.0126)), times).text(-3) == "12.3 *"
    assert value_cell(Value(LADDER[0], 8320), METRICS["depth"]) == "8,320"
    assert value_cell(Value(replace(LADDER[0], status="oom"), None), METRICS["seconds"]) == "out of memory"
    assert value_cell(Value(LADDER[0], None), METRICS["seconds"]) == value_cell(None, METRICS["seconds"]) == "—"


def test_the_table_has_a_row_a_case_and_is_split_where_it_is_too_wide() -> None:
    files = {"a": file(LADDER), "b": file(LADDER, 2.0, shift=6), "c": file(LADDER, 0.5, shift=3)}
    found = compare(files)
    (whole,) = tables(found, names(*files.values()), 200)
    assert [column.title for column in whole.columns] == ["op", "method", "N", "b / a", "c / a", "a", "b", "c"]
    assert whole.sections == {0: "wavenet:tiny"}
    assert [row[:3] for row in whole.rows] == [["sample", "cached", n] for n in ("8", "16", "32")]
    assert all(row[3].startswith(("2.0", "1.9")) and row[4].startswith(("0.50", "0.49")) for row in whole.rows)
    first, second = tables(found, names(*files.values()), 60)
    assert [column.title for column in first.columns][3:] == ["b / a", "a", "b"]
    assert [column.title for column in second.columns][3:] == ["c / a", "a", "c"]


def test_the_answer_counts_what_differs_and_names_the_most() -> None:
    slow = [replace(one, status="inexact") if one.n == 16 else one for one in LADDER]
    a, b = file(LADDER), file(slow, 2.0, shift=6)
    found = compare({"a": a, "b": b})
    times, statuses = answer(found, names(a, b))
    assert times.startswith("b beside a: 2 of 2 cases with time in both differ: ")
    assert times.count("x [") == times.count("] for wavenet:tiny sample cached at N = ") == 2
    assert statuses == "1 case has another status."
    assert markdown(found, names(a, b)).index(escape(times)) < markdown(found, names(a, b)).index("| op |")
    same = answer(compare({"a": a, "b": file(LADDER, shift=0)}), names(a, b))
    assert same == ["b beside a: none of 3 cases with time in both differs clearly.", "No status changed."]
    counts = answer(compare({"a": a, "b": file([replace(LADDER[0], ops=192), *LADDER[1:]])}, "ops"), names(a, b))
    assert counts[0] == (
        "b beside a: 1 of 3 cases with tensor operations in both differs: "
        "2.000x for wavenet:tiny sample cached at N = 8."
    )
    single = compare({"a": file(LADDER, workers=1), "b": file(LADDER, 3.0, workers=1)})
    assert answer(single, names(a, b))[0].endswith("of one process each: whether they differ is unknown.")


def test_values_of_a_column_have_one_unit() -> None:
    cases = [case(8), case(10_000)]
    a, b = file(cases), file([replace(one, unstable=True) for one in cases], 2.0)
    (table,) = tables(compare({"a": a, "b": b}), names(a, b), 200)
    assert len({one.unit for one in table.columns[-2:]}) == 1
    assert table.columns[-1].unit in ("ms", "s")
    assert all(re.fullmatch(r"[\d.,]+( \*)?", cell) for row in table.rows for cell in row[-2:])


def test_the_page_begins_with_the_answer_and_folds_long_lists(tmp_path: Path) -> None:
    a, b = file([*LADDER, *(case(8, f"own{i}") for i in range(9))]), file([*LADDER, case(8, "other")])
    found = compare({"a": a, "b": b})
    page = write(found, names(a, b), tmp_path)[0].read_text()
    assert page.index(answer(found, names(a, b))[0]) < page.index("<table")
    folded = re.search(r"<details class=\"alone\"><summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    assert folded is not None
    assert folded[1] == "Only in a, 9 cases"
    assert folded[2].count("<li>") == 9
    assert f"Only in b, 1 case: {case(8, 'other').id}" in page


def test_what_changed_exactly_is_a_table_and_a_sentence() -> None:
    changed = [replace(LADDER[0], ops=5376, depth=81), *LADDER[1:]]
    a, b = file(LADDER), file(changed)
    found = compare({"a": a, "b": b})
    table = changed_table(found, names(a, b))
    assert table is not None
    assert [list(row) for row in table.rows] == [
        ["wavenet:tiny", "sample", "cached", "8", "depth", "80", "81"],
        ["wavenet:tiny", "sample", "cached", "8", "ops", "96", "5,376"],
    ]
    assert counted(found) == "depth, nfe, flops, ops and bytes: 15 values compared, 2 differ."
    same = compare({"a": a, "b": a})
    assert changed_table(same, names(a)) is None
    assert counted(same) == "depth, nfe, flops, ops and bytes: 15 values compared, none differs."
    bare = file([replace(one, depth=None, nfe=None, flops=None, ops=None, bytes=None) for one in LADDER])
    assert counted(compare({"a": a, "b": bare})).endswith("no value is known on both sides.")


def foreign(name: str, seconds: float) -> Case:
    return Case(
        id=name,
        model=name,
        preset="",
        op="forward",
        method="",
        backend="",
        device="",
        dtype="",
        batch=1,
        n=1,
        element="",
        weights=0,
        status="ok",
        exactness="pointwise",
        median_s=seconds,
        workers=1,
    )


def test_cases_of_other_suites_keep_their_names() -> None:
    a, b = (file([]) for _ in range(2))
    for results, seconds in ((a, 2e-3), (b, 1e-3)):
        results.add(foreign("tests/test_x.py::test_y", seconds))
    found = compare({"a": a, "b": b})
    (table,) = tables(found, names(a, b), 200)
    assert table.sections == {0: "other suites"}
    assert list(table.rows[0]) == ["", "tests/test_x.py::test_y", "", "0.50x", "2.0", "1.0"]
    assert [one.unit for one in table.columns][-2:] == ["ms", "ms"]
    assert [one.name for one in draw(found, names(a, b))] == ["other-suites-ratios"]


def test_the_frame_has_every_number_as_measured() -> None:
    a, b = file(LADDER), file(LADDER, 2.0, shift=6)
    found = compare({"a": a, "b": b})
    table = frame(found).set_index(["id", "file"])
    assert len(table) == 6
    mine = table.loc[(LADDER[2].id, "b")]
    ratio = found.rows[2].values["b"].ratio
    assert ratio is not None
    assert mine["value"] == b.cases[LADDER[2].id].median_s
    assert (mine["ratio"], mine["ratio_low"], mine["ratio_high"]) == (ratio.ratio, *(ratio.ci95 or ()))
    assert (mine["interval"], mine["observations"], mine["observations_first"]) == ("ci95", 6, 6)
    assert pd.isna(table.loc[(LADDER[2].id, "a")]["ratio"])
    plain = document(found)
    assert (plain["schema"], plain["files"], plain["metric"]) == (1, ["a", "b"], "seconds")
    assert plain["rows"][5]["ratio"] == ratio.ratio
    assert plain["rows"][4]["ratio"] is None


def test_markdown_holds_the_whole_and_hostile_labels_stay_in_their_cells() -> None:
    changed = [replace(one, ops=one.ops + 1) for one in LADDER]
    a, b = file([*LADDER, case(8, "naive")]), file(changed, environment=elsewhere(cpu={"model": "Example 2"}))
    label = "b|<x>\n# c"
    for each in (a, b):
        each.add(foreign("test[y|<x>]", 1e-3))
    found = compare({"a": a, label: b}, times=True)
    said = markdown(found, names(a, b), [("a caption", "figures/x.svg", "See.")])
    rows = [line for line in said.splitlines() if line.startswith("|")]
    assert len(rows) == (2 + 1 + 3 + 1 + 1) + (2 + 3)
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (7, 8) for row in rows)
    assert "<x>" not in said
    assert "\n# c" not in said
    assert "![a caption](figures/x.svg)\n\nSee.\n" in said
    for part in ("> b\\|", "15 values compared, 3 differ", "Only in a, 1 case", "Separate runs drift"):
        assert part in said


def test_hostile_names_are_text_in_every_file(tmp_path: Path) -> None:
    ladder = [case(n, model="=1+1|![x](javascript:y)<b>") for n in (8, 16)]
    a, b = file(ladder), file(ladder, 1.1)
    html, page, values, *figures = write(compare({"a": a, "=b": b}, times=True), names(a, b), tmp_path)
    assert "(javascript:y)<b>" not in html.read_text()
    assert "(javascript:y)&lt;b&gt;" in html.read_text()
    text = page.read_text()
    assert "<b>" not in text
    drawn = [f"figures/{path.name}" for path in figures if path.suffix == ".svg"]
    assert re.findall(r"(?<!\\)\]\((.*?)\)", text) == drawn != []
    with values.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["file"] for row in rows} == {"a", "'=b"}
    assert all(row[name].startswith("'=1+1") for row in rows for name in ("id", "model"))


def test_figures_hold_ratios_and_values_over_n() -> None:
    files = {
        "first": file([*LADDER, case(8, "naive")]),
        "second $x^2$": file([*LADDER, case(8, "naive")], 2.0),
    }
    found = compare(files)
    drawings = draw(found, names(*files.values()))
    assert [one.name for one in drawings] == ["wavenet-tiny-ratios", "wavenet-tiny-seconds"]
    assert drawings[0].see == (
        "A mark to the left of 1 means faster than in first, one to the right slower. A bar that reaches 1 does not "
        "tell the two apart."
    )
    assert "constant factor" in drawings[1].see
    texts = markdown(found, names(*files.values()), [(one.caption, "x.svg", one.see) for one in drawings])
    assert all(escape(one.see) in texts for one in drawings)
    ratios, curves = (one.svg for one in drawings)
    for svg in (ratios, curves):
        ET.fromstring(svg)
        assert "second $x^2$" in svg
    assert ratios.count("sample cached, N = ") == 3
    assert "sample naive, N = 8" in ratios
    assert "sampling, cached" in curves
    assert "naive" not in curves  # it has one N
    for one in drawings:
        image = Image.open(BytesIO(one.png))
        assert image.width > 400
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    assert [one.name for one in draw(compare(files, "ops"), names(*files.values()))] == [
        "wavenet-tiny-ratios",
        "wavenet-tiny-ops",
    ]


def test_a_figure_of_many_cases_is_split_and_names_stay_apart() -> None:
    many = [case(n, f"method{i}") for i in range(30) for n in (8, 16)]
    a, b = file(many, workers=1), file(many, 1.1, workers=1)
    drawings = draw(compare({"a": a, "b": b}), names(a, b))
    assert [one.name for one in drawings] == [
        "wavenet-tiny-ratios",
        "wavenet-tiny-ratios-2",
        "wavenet-tiny-seconds",
    ]
    labels = [[tick.get_text() for tick in one.figure.axes[0].get_yticklabels()] for one in drawings[:2]]
    assert [len(names) for names in labels] == [40, 20]
    assert all(name.startswith("sample method") for name in labels[0] + labels[1])
