"""A history: one value per commit, machines apart, steps in words, and figures."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from arbench.report.history import History, document, frame, history, lines, table, write
from arbench.report.history.figures import draw
from arbench.report.markdown import escape
from arbench.results import Case, Results, Run

DAY = "2026-03-{:02}T10:00:00+00:00"


@dataclass(frozen=True)
class Stand:
    """Stand-in for ``arbench.git.Commit``."""

    rank: int
    time: float


def commit(number: int) -> str:
    return f"{number:012x}"


def stored(
    number: int,
    seconds: float | None = 1e-3,
    depth: int | None = 40,
    git: str | None = "",
    day: int | None = None,
    cpu: str = "Chip",
    torch: str = "2.13.0+cpu",
    threads: int = 1,
    method: str = "cached",
    n: int = 16,
    status: str = "ok",
    source: str | None = None,
    device: str = "cpu",
    gpu: str | None = None,
    peak: int | None = None,
    made: int | None = None,
) -> Results:
    environment = {
        "cpu": {"model": cpu},
        "gpu": gpu and {"name": gpu},
        "threads": {"torch": threads},
        "versions": {"torch": torch},
    }
    plan = {"source": source} if source else {"options": {"threads": threads}}
    started = DAY.format(number % 28 + 1 if day is None else day)
    committed = None if made is None else DAY.format(made)
    identity = commit(number) if git == "" else git
    run = Run(1, f"run {number}", started, [], 0, identity, plan, environment, {}, committed)
    results = Results(run)
    results.add(
        Case(
            id=f"wavenet:tiny/sample/{method}/eager/{device}/float32/b1/n{n}",
            model="wavenet",
            preset="tiny",
            op="sample",
            method=method,
            backend="eager",
            device=device,
            dtype="float32",
            batch=1,
            n=n,
            element="audio sample",
            weights=7,
            status=status,
            exactness="pointwise",
            depth=depth,
            median_s=seconds,
            peak_bytes=peak,
        )
    )
    return results


def stepping(count: int = 24, at: int = 12, factor: float = 1.5, **more) -> list[Results]:
    noise = np.exp(np.random.default_rng(2).normal(0, 0.01, count))
    return [stored(i, 1e-3 * e * (factor if i >= at else 1), **more) for i, e in enumerate(noise)]


def only(found: History):
    (one,) = found.series
    return one


def test_a_step_of_time_is_told_with_its_commit_and_in_words() -> None:
    found = history(stepping())
    (row,) = table(found).rows
    assert row[:3] == ["wavenet:tiny sampling cached, N = 16", commit(12), "2026-03-13 10:00"]
    assert [cell.endswith(" ms") and float(cell[:-3]) for cell in row[3:5]] == pytest.approx([1, 1.5], rel=0.02)
    assert re.fullmatch(r"(49|50|51)% slower", row[5])
    assert float(row[6]) <= 0.01
    faster = history(stepping(factor=1 / 1.5))
    assert re.fullmatch(r"3[234]% faster", table(faster).rows[0][5])
    assert table(found).title == "Steps of time over 24 commits, 2026-03-01 to 2026-03-24"


def test_every_change_of_a_counter_is_a_step_on_whatever_machine() -> None:
    files = [stored(i, depth=40 + 3 * (i >= 2) - 2 * (i >= 3), cpu=f"chip {i}") for i in range(4)]
    found = history(files, "depth")
    assert [row[1:] for row in table(found).rows] == [
        [commit(2), "2026-03-03 10:00", "40", "43", "7.5% more"],
        [commit(3), "2026-03-04 10:00", "43", "41", "4.7% less"],
    ]
    assert found.machines == []


def test_peak_memory_has_a_tolerance() -> None:
    peaks = [1000, 1040, 990, 1060]
    found = history([stored(i, peak=peak) for i, peak in enumerate(peaks)], "peak_bytes")
    assert [step.index for step in only(found).steps] == [3]


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": "Other"},
        {"torch": "2.12.1"},
        {"threads": 2},
        {"source": "pytest-benchmark"},
        {"device": "cuda", "gpu": "H200"},
    ],
)
def test_times_of_other_machines_are_other_series(other) -> None:
    before, after = stepping()[:12], stepping(**other)[12:]
    found = history(before + after)
    assert [len(one.points) for one in found.series] == [12, 12]
    assert not any(one.steps for one in found.series)
    if "device" not in other:
        assert len(found.machines) == 2
        assert "Times are compared only within a machine." in lines(table(found))


def test_a_patch_of_torch_and_a_local_build_are_the_same_machine() -> None:
    files = [stored(0, torch="2.13.0+cpu"), stored(1, torch="2.13.1")]
    assert history(files).machines == ["Chip, 1 thread, torch 2.13"]


def test_several_files_of_a_commit_are_one_value_their_median() -> None:
    values = [1e-3, 9e-3, 2e-3]
    found = history([stored(0, second, day=day) for second, day in zip(values, (3, 4, 5), strict=True)])
    (point,) = only(found).points.to_dict("records")
    assert (point["value"], point["low"], point["high"], point["count"]) == (2e-3, 1e-3, 9e-3, 3)
    differing = history([stored(0, depth=40), stored(0, depth=41), stored(1)], "depth")
    assert "In 1 of 1 series the files of a commit disagree: the median is shown." in table(differing).notes


def test_time_orders_where_git_is_not_asked() -> None:
    found = history([stored(5, day=9), stored(6, day=2), stored(7, day=20)])
    assert found.places["commit"].tolist() == [commit(6), commit(5), commit(7)]


def test_commits_measured_from_the_newest_to_the_oldest_keep_their_order() -> None:
    noise = np.exp(np.random.default_rng(2).normal(0, 0.01, 24)).tolist()
    files = [stored(i, 1e-3 * noise[i] * (1.5 if i >= 12 else 1), day=28 - i, made=i + 1) for i in range(24)]
    found = history(files)
    (row,) = table(found).rows
    assert row[1:3] == [commit(12), "2026-03-13 10:00"]
    assert row[5].endswith("% slower")
    tree = stored(0, git=commit(3) + "+", day=28, made=4)
    places = history([*files, tree]).places[["commit", "dirty"]].to_records(index=False).tolist()
    assert places[3:6] == [(commit(3), False), (commit(3), True), (commit(4), False)]


def test_one_clock_orders_all_where_some_files_do_not_know_the_other() -> None:
    files = [stored(1, day=9, made=2), stored(2, day=5, made=4), stored(3, day=7)]
    found = history(files)
    assert found.places["commit"].tolist() == [commit(2), commit(3), commit(1)]
    (note,) = [note for note in table(found).notes if "time of measurement" in note]
    assert note == (
        "Ordered by the time of measurement, since some files do not say when their commit was made; --repo orders by "
        "commit."
    )
    for known in (files[:2], files[2:], [*files[:2], stored(4, git=None, day=3)]):
        assert not history(known).measured
    found = history([*files[:2], stored(4, git=None, day=3)])
    assert found.places["commit"].fillna("").tolist() == [commit(1), "", commit(2)]


def test_what_git_does_not_know_is_placed_by_its_commits_time() -> None:
    commits = {commit(9): Stand(0, pd.Timestamp(DAY.format(9)).timestamp())}
    files = [stored(9, day=20), stored(2, day=22, made=2), stored(12, day=1, made=12), stored(1, day=23, made=1)]
    found = history(files, commits=commits)
    assert found.places["commit"].tolist() == [commit(1), commit(2), commit(9), commit(12)]


def test_git_orders_and_what_it_does_not_know_is_placed_by_time() -> None:
    def at(day: int) -> float:
        return pd.Timestamp(DAY.format(day)).timestamp()

    commits = {commit(1): Stand(10, at(1)), commit(2): Stand(11, at(5)), commit(3): Stand(12, at(9))}
    files = [
        stored(3, day=20),
        stored(2, day=21),
        stored(1, day=22),
        stored(0, git=commit(1) + "+", day=6),
        stored(0, git=None, day=10),
        stored(0, git="feedfeedfeed", day=2),
    ]
    found = history(files, commits=commits)
    assert found.places["commit"].fillna("").tolist() == [
        commit(1),
        "feedfeedfeed",
        commit(2),
        commit(1),
        commit(3),
        "",
    ]
    assert found.places["marked"].tolist() == [False, True, False, True, False, True]
    assert [f"{time:%d}" for time in found.places["time"]] == ["01", "02", "05", "06", "09", "10"]
    assert any(note.startswith("3 placed by time") for note in table(found).notes)


def test_changed_trees_of_one_commit_are_not_one_value() -> None:
    files = [stored(0, git=commit(1) + "+", day=day) for day in (1, 2)] + [stored(1, day=3)]
    found = history(files)
    assert len(only(found).points) == 3
    assert "+: modified tree, with uncommitted changes (2)." in table(found).notes


def test_missing_values_are_no_points() -> None:
    files = stepping()
    files[3] = stored(3, None)
    files[14] = stored(14, 1.0, status="inexact")
    files[15] = stored(15, 0.0)
    one, other = history(files + [stored(i, n=32) for i in range(24)]).series
    assert sorted(set(other.points["place"]) - set(one.points["place"])) == [3, 14, 15]
    assert one.points["place"].iloc[one.steps[0].index] == 12


def test_what_has_no_value_is_named_with_the_reason() -> None:
    lost = [stored(0, None, status="oom"), stored(1, float("nan")), stored(2, None, status="oom")]
    found = history([*lost, stored(3), stored(3, None, n=32, status="over_budget")])
    small, large = (f"wavenet:tiny/sample/cached/eager/cpu/float32/b1/n{n}" for n in (16, 32))
    assert table(found).notes[-1] == (
        f"Passed over: 2 out of memory ({small}); 1 without a finite time above 0 ({small}); 1 over budget ({large})."
    )
    assert document(found)["passed_over"] == [
        {"case": small, "reason": "out of memory", "count": 2},
        {"case": small, "reason": "without a finite time above 0", "count": 1},
        {"case": large, "reason": "over budget", "count": 1},
    ]
    assert not history(stepping(), "depth").passed


def test_too_few_commits_are_said() -> None:
    found = history(stepping(9, 5, 3.0))
    assert only(found).steps == []
    assert lines(table(found))[1] == "Too few commits in 1 of 1 series: telling a step from noise takes at least 10."


def test_one_commit_has_no_figure_and_no_empty_table(tmp_path) -> None:
    found = history(stepping(1, 5, 3.0))
    html, page, *others = write(found, tmp_path)
    assert [file.suffix for file in others] == [".csv", ".json"]
    for text in (html.read_text(), page.read_text()):
        assert "Too few commits in 1 of 1 series" in text
        assert "give all folders to arbench history" in text
    assert "<table" not in html.read_text()
    assert "<svg" not in html.read_text()
    assert draw(history(stepping(2, 5, 3.0))) != []


def test_a_step_in_one_of_many_noisy_cases_must_be_surer() -> None:
    rng = np.random.default_rng(0)
    doubled = [stored(i, e * (2 if i >= 5 else 1)) for i, e in enumerate(np.exp(rng.normal(0, 0.03, 10)))]
    assert only(history(doubled)).steps
    noise = [stored(i, float(np.exp(rng.normal(0, 0.03))), n=n) for i in range(10) for n in range(100, 130)]
    assert not any(one.steps for one in history(doubled + noise).series)


def test_the_files_hold_what_was_found(tmp_path) -> None:
    found = history(stepping())
    html, page, values, data, *figures = write(found, tmp_path / "out")
    assert f"<td>{commit(12)}</td>" in html.read_text()
    text = page.read_text()
    assert f"| {commit(12)} |" in text
    assert all((tmp_path / "out" / image).is_file() for image in re.findall(r"!\[.*\]\((.+)\)", text))
    with values.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert [row["commit"] for row in rows if row["step"]] == [commit(12)]
    assert float(rows[0]["level"]) == pytest.approx(1e-3, rel=0.02)
    assert float(rows[12]["level"]) == pytest.approx(1.5e-3, rel=0.02)
    whole = json.loads(data.read_text())
    assert whole == json.loads(json.dumps(document(found)))
    assert whole["measure"] == whole["metric"] == "seconds"
    (series,) = whole["series"]
    assert (series["steps"][0]["place"], len(series["points"])) == (12, 24)
    assert [path.suffix for path in figures] == [".svg", ".png"]
    assert len(frame(found)) == 24


def test_hostile_names_are_text_in_every_file(tmp_path) -> None:
    files = stepping(cpu="=1+1")
    for case in (case for one in files for case in one.cases.values()):
        case.id = case.model = "=1+1|![x](javascript:y)<b>"
    html, page, values, _, figure, _ = write(history(files), tmp_path)
    assert "x](javascript:y)&lt;b&gt;" in html.read_text()
    text = page.read_text()
    assert "<b>" not in text
    assert re.findall(r"(?<!\\)\]\((.*?)\)", text) == [f"figures/{figure.name}"]
    with values.open(newline="") as file:
        cells = {(row["case"], row["machine"][:5]) for row in csv.DictReader(file)}
    assert cells == {("'=1+1|![x](javascript:y)<b>", "'=1+1")}


def test_a_figure_marks_each_step_and_says_it() -> None:
    (drawing,) = draw(history(stepping() + stepping(n=32, factor=1.0)))
    texts = ["".join(node.itertext()) for node in ET.fromstring(drawing.svg).iter() if node.tag.endswith("}text")]
    assert sum(text.endswith("% slower") for text in texts) == 1
    assert {"cached, N = 16", "cached, N = 32", "wavenet:tiny sampling"} <= set(texts)
    assert commit(0)[:7] in texts


def test_figures_say_what_to_see_in_the_page_and_the_summary(tmp_path) -> None:
    found = history(stepping())
    (drawing,) = draw(found)
    assert "which noise does not explain" in drawing.see
    assert "Hollow" not in drawing.see
    html, markdown, *_ = write(found, tmp_path)
    assert drawing.see in html.read_text()
    assert escape(drawing.see) in markdown.read_text()
    (counted,) = draw(history(stepping(), "depth"))
    assert "noise" not in counted.see
    (marked,) = draw(history([stored(0), stored(1, git=None)]))
    assert marked.see.endswith("Hollow marks are modified trees, or commits that git does not know.")


def test_many_cases_are_several_figures_of_distinct_names() -> None:
    files = [stored(i, n=n) for i in range(3) for n in range(1, 20)]
    drawings = draw(history(files))
    assert [one.name for one in drawings] == ["wavenet-tiny-sampling-seconds" + end for end in ("", "-2", "-3")]
    assert drawings[-1].svg.count("cached, N = ") == 3


def test_one_commit_alone_and_no_dates_are_told_too() -> None:
    alone = stored(0, git=None)
    alone.run.started_at = ""
    found = history([alone])
    assert table(found).title == "Steps of time over 1 commit"
    assert document(found)["commits"] == [{"commit": None, "dirty": False, "time": None, "marked": True}]


def test_a_sure_step_in_one_of_many_cases_is_told() -> None:
    rng = np.random.default_rng(1)
    noise = [stored(i, float(np.exp(rng.normal(0, 0.01))), n=n) for i in range(24) for n in range(100, 220)]
    found = history(stepping() + noise)
    assert [one.label for one in found.series if one.steps] == ["cached, N = 16"]
