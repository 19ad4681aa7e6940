"""Tables of cases, as numbers and as words."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from arbench.report import frame, headline, headlines, rows
from arbench.report.cells import ratio_label
from arbench.report.table import HIDDEN, model_tables
from arbench.results import Case, Ratio, Slowdown


def column(table, heading: str) -> list[str]:
    index = [one.title for one in table.columns].index(heading)
    return [row[index] for row in table.rows]


def test_frame_has_a_row_a_case_and_numbers_as_measured(results) -> None:
    table = frame(results).set_index("id")
    assert set(table.index) == set(results.cases)
    case = results.cases["wavenet:nv/sample/cached/1024"]
    row = table.loc[case.id]
    assert row.median_s == case.median_s
    assert (row.low_s, row.high_s, row.interval) == (*case.ci95_s, "ci95")
    assert row.elements_per_s == pytest.approx(1024 / case.median_s)
    assert row.real_time == pytest.approx(1024 / 16_000 / case.median_s)
    assert row.flops_per_element == case.flops / 1024
    ratio = results.ratios[case.id, "wavenet:nv/sample/naive/1024"]
    assert (row.speed_up, row.reference) == (ratio.ratio, ratio.reference)


def test_what_is_not_known_is_missing_and_never_zero(results) -> None:
    row = frame(results).set_index("id").loc["wavenet:nv/sample/naive/16384"]
    for name in ("median_s", "low_s", "elements_per_s", "real_time", "speed_up"):
        assert math.isnan(row[name])
    pixels = frame(results).query("model == 'pixelcnn'")
    assert pixels.real_time.isna().all()


def test_batches_count_in_throughput_but_not_in_real_time(build) -> None:
    def batched(line):
        return msgspec.structs.replace(line, batch=4) if isinstance(line, Case) else line

    results = build(edit=batched)
    case = results.cases["wavenet:nv/score/parallel/256"]
    row = frame(results).set_index("id").loc[case.id]
    assert row.elements_per_s == pytest.approx(4 * 256 / case.median_s)
    assert row.real_time == pytest.approx(256 / 16_000 / case.median_s)
    assert row.flops_per_element == case.flops / (4 * 256)


def test_rows_keep_scoring_first_and_sizes_ascending(results) -> None:
    table = rows(results)
    models, ops = column(table, "model"), column(table, "op")
    assert list(dict.fromkeys(models)) == ["wavenet:nv", "pixelcnn:gated", "parallel_wavenet:paper"]
    assert ops[0] == "score"
    sizes = [int(n.replace(",", "")) for n in column(table, "N")]
    assert sizes[:6] == [256, 512, 1024, 2048, 4096, 16384]


def test_statuses_are_words_and_a_case_without_time_says_so(results) -> None:
    table = rows(results)
    seen = dict(zip(column(table, "status"), column(table, "time"), strict=True))
    assert {"ok", "ok, unstable", "over budget", "timed out", "inexact"} <= seen.keys()
    assert seen["over budget"] == "—"
    assert seen["inexact"] == "—"


def test_intervals_and_ranges_are_told_apart(build) -> None:
    few = rows(build(workers=3))
    shown = {cell[0] for cell in column(few, "[95%] or (range)") if cell != "—"}
    assert shown == {"("}
    assert all("[" not in cell for cell in column(few, "speed-up"))


def test_intervals_of_six_workers_are_in_brackets(results) -> None:
    shown = {cell[0] for cell in column(rows(results), "[95%] or (range)") if cell != "—"}
    assert shown == {"["}


def test_a_single_worker_shows_two_digits_and_no_interval(build) -> None:
    table = rows(build(workers=1))
    assert set(column(table, "[95%] or (range)")) == {"—"}
    for cell in column(table, "time"):
        digits = [c for c in cell if c.isdigit()]
        assert cell == "—" or len("".join(digits).strip("0")) <= 2


@pytest.mark.parametrize("width", [80, 100])
def test_headline_fits_the_terminal(results, width: int) -> None:
    tables = headline(results, width)
    assert [table.title.split(" ·")[0] for table in tables] == [
        "wavenet:nv",
        "pixelcnn:gated",
        "parallel_wavenet:paper",
    ]
    for table in tables:
        assert max(map(len, table.lines(width))) <= width
        assert {"op", "method", "time", "depth"} <= {one.title for one in table.columns}


def test_columns_that_a_narrow_terminal_loses_are_named(results) -> None:
    table, whole = headline(results, 80)[0], headline(results, 240)[0]
    lost = {one.title for one in whole.columns} - {one.title for one in table.columns}
    (note,) = [note for note in table.notes if note.startswith(HIDDEN)]
    assert "speed-up" in lost
    assert all(title in note for title in lost)
    assert not any(note.startswith(HIDDEN) for note in whole.notes)


def test_headline_is_at_one_n_and_says_what_is_not_ok(results) -> None:
    table = headline(results, 200)[0]
    assert table.title.startswith("wavenet:nv · N = 1,024 · ")  # the largest at which naive was timed too
    found = dict(zip(column(table, "method"), column(table, "time"), strict=True))
    case = results.cases["wavenet:nv/sample/cached/1024"]
    assert "time (s)" in [one.heading for one in table.columns]
    low, _, high = found["cached"].split(" [")[1].rstrip("]").partition(", ")
    assert float(low) <= case.ci95_s[0] <= case.ci95_s[1] <= float(high)
    shown = dict(zip(column(table, "method"), column(table, "ok up to N"), strict=True))
    assert shown["parallel"] == "16,384"
    assert shown["naive"] == "1,024"
    (over,) = [note for note in table.notes if note.startswith("over budget: ")]
    assert "; sample naive at N = 2,048, 4,096 and 16,384" in over
    assert "unstable: sample naive at N = 256" in table.notes
    text = "\n".join(table.lines())
    assert all(note in text for note in table.notes)


def test_headline_gives_the_speed_up_where_the_reference_was_timed(results) -> None:
    table = headline(results, 200)[0]
    shown = dict(zip(column(table, "method"), column(table, "speed-up"), strict=True))
    assert shown["cached"].endswith("]")
    assert shown["naive"] == "reference"


def test_a_method_that_never_was_ok_still_has_a_line(build) -> None:
    def broken(line):
        if isinstance(line, Case) and line.method == "cached":
            return msgspec.structs.replace(line, status="error", median_s=None, ci95_s=None, range_s=None)
        return line

    table = headline(build(edit=broken))[0]
    shown = dict(zip(column(table, "method"), column(table, "time"), strict=True))
    assert shown["cached"] == "failed"
    assert any(note.startswith("failed: sample cached at N = 256, ") for note in table.notes)


def scattered(line):
    """Make every time of WaveNet unstable, and fail or stop half of what naive and cached did."""
    if not isinstance(line, Case) or line.model != "wavenet":
        return line
    if (line.method, line.op) in (("naive", "sample"), ("cached", "sample")) and line.n > 512:
        status = "error" if line.method == "cached" else "over_budget"
        return msgspec.structs.replace(line, status=status, median_s=None, ci95_s=None, range_s=None)
    return msgspec.structs.replace(line, unstable=line.status == "ok")


def test_what_is_not_ok_has_one_note_a_kind_with_every_size(build) -> None:
    results = build(edit=scattered)
    table = headline(results, 200)[0]
    kinds = [note.split(":")[0] for note in table.notes if " at N = " in note]
    assert sorted(kinds) == ["failed", "over budget", "unstable"]
    for case in results.cases.values():
        if case.model != "wavenet" or (case.status == "ok" and not case.unstable):
            continue
        kind = "unstable" if case.status == "ok" else {"error": "failed", "over_budget": "over budget"}[case.status]
        (note,) = [note for note in table.notes if note.startswith(f"{kind}: ")]
        (part,) = [part for part in note.split("; ") if f"{case.op} {case.method}" in part]
        assert f"{case.n:,}" in part.replace(" and ", ", ").split("N = ")[1].split(", ")
    (unstable,) = [note for note in table.notes if note.startswith("unstable: ")]
    assert any(" and " in part.split(" at N")[0] for part in unstable.split("; "))


def test_a_caption_counts_what_it_cannot_name(build, results) -> None:
    found = build(edit=scattered)
    own = [case for case in found.cases.values() if case.model == "wavenet"]
    timed = [case for case in own if case.status == "ok"]
    lost = [sum(case.status == status for case in own) for status in ("over_budget", "error")]
    gist = headline(found, 200)[0].gist
    assert f"Times of {len(timed)} of {len(timed)} cases scatter (unstable)" in gist
    assert f"{sum(lost)} of {len(own)} cases have no time ({lost[0]} over budget, {lost[1]} failed)" in gist
    assert "unstable: sample naive at N = 256" in headline(results, 200)[0].gist


def depthless(line):
    """Drop the depth of two methods for one reason and of a third for another; a fourth gives no reason."""
    why = {
        "cached": "it writes through NumPy",
        "naive": "it writes through NumPy",
        "fixed_point": "counting took too long",
        "sequential": None,
    }
    if isinstance(line, Case) and (line.model, line.n) == ("wavenet", 512) and line.method in why:
        return msgspec.structs.replace(line, depth=None, why_unknown=why[line.method])
    if isinstance(line, Case) and (line.method, line.n) == ("cached", 256):
        return msgspec.structs.replace(line, depth=None, why_unknown=why[line.method])
    return line


def test_unknown_depths_are_noted_with_their_reasons(build) -> None:
    results = build(edit=depthless)
    notes = [
        "depth unknown (—): it writes through NumPy: sample naive at N = 512; sample cached at N = 256 and 512",
        "depth unknown (—): counting took too long: sample fixed_point at N = 512",
    ]
    wavenet, *others = headline(results)
    assert wavenet.notes[-2:] == notes
    assert wavenet.lines()[-2:] == notes
    assert not any("depth unknown" in note for table in others for note in table.notes)
    assert rows(results).notes == [note.replace("sample", "wavenet:nv sample") for note in notes]
    assert frame(results).set_index("id").why_unknown["wavenet:nv/sample/cached/512"] == "it writes through NumPy"


@pytest.mark.parametrize("extrapolated", [False, True])
def test_an_extrapolated_depth_is_marked(build, extrapolated: bool) -> None:
    def counted(line):
        source = "extrapolated" if extrapolated and line.method == "cached" else "counted"
        return msgspec.structs.replace(line, count_source=source)

    results = build(edit=lambda line: counted(line) if isinstance(line, Case) else line)
    tables = model_tables(results, 200)
    marked = {cell.endswith("*") for table in tables for cell in column(table, "depth")}
    noted = {any("* extrapolated from counted sizes" in note for note in table.notes) for table in tables}
    assert marked == ({False, True} if extrapolated else {False})
    assert (True in noted) == extrapolated


def test_other_unknown_counters_and_twins_are_noted(build) -> None:
    def edit(line):
        if isinstance(line, Case) and (line.model, line.n, line.method) == ("wavenet", 512, "cached"):
            return msgspec.structs.replace(line, flops=None, why_unknown="no formula", twin="compiled as plain PyTorch")
        if isinstance(line, Case) and (line.model, line.n, line.method) == ("wavenet", 512, "naive"):
            return msgspec.structs.replace(line, peak_bytes=None, why_unknown="a thread")
        return line

    results = build(edit=edit)
    notes = rows(results).notes
    assert "work unknown (—): no formula: wavenet:nv sample cached at N = 512" in notes
    assert "peak memory unknown (—): a thread: wavenet:nv sample naive at N = 512" in notes
    assert "counted in place of the call: compiled as plain PyTorch: wavenet:nv sample cached at N = 512" in notes
    assert sum(text.endswith(", twin") for text in column(rows(results), "counts")) == 1


def test_a_known_depth_needs_no_note(results) -> None:
    assert not any("depth unknown" in note for table in [rows(results), *headline(results)] for note in table.notes)


def test_settings_that_differ_stand_with_the_method(build) -> None:
    def compiled(line):
        if isinstance(line, Case) and line.method == "cached":
            return msgspec.structs.replace(line, backend="compile")
        return line

    table = rows(build(edit=compiled))
    assert "cached · compile" in column(table, "method")
    assert table.title == "cpu · float32 · batch 1"


def test_ratio_label() -> None:
    assert ratio_label(Ratio("a", "b", 12.34, (12.1, 12.56))) == "12.3x [12.1, 12.6]"
    assert ratio_label(Ratio("a", "b", 12.34, None, (12.1, 12.56))) == "12.3x (12.1, 12.6)"
    assert ratio_label(Ratio("a", "b", 12.34, None)) == "12x"


def test_accepted_lengths_stand_beside_nfe(build, results):
    def guessed(line):
        if isinstance(line, Case) and line.method == "fixed_point":
            return msgspec.structs.replace(line, verified={"accepted": 3.46})
        return line

    assert "accepted" not in [column.title for column in rows(results).columns]
    guessing = build(edit=guessed)
    table = rows(guessing)
    titles = [column.title for column in table.columns]
    assert titles.index("accepted") == titles.index("nfe") + 1
    by_method = dict(zip(column(table, "method"), column(table, "accepted"), strict=True))
    assert (by_method["fixed_point"], by_method["cached"]) == ("3.5", "—")
    (heading,) = [one for one in headlines(guessing) if one.model == "wavenet:nv"]
    assert "groups accepted per evaluation at N = 16,384: 3.5 by fixed_point, 9 evaluations" in heading.details
    numbers = frame(guessing)
    assert set(numbers[numbers.method == "fixed_point"].accepted) == {3.46}
    assert numbers[numbers.method == "cached"].accepted.isna().all()


def test_the_frame_has_what_sampling_costs_over_scoring(results) -> None:
    sample, score = "wavenet:nv/sample/cached/1024", "wavenet:nv/score/parallel/1024"
    known = replace(results, slowdowns={sample: Slowdown(sample, score, 21.5, (20.9, 22.1))})
    found = frame(known).set_index("id")[["slowdown", "slowdown_low", "slowdown_high"]]
    assert found.loc[sample].tolist() == [21.5, 20.9, 22.1]
    assert found.drop(sample).isna().all(axis=None)
