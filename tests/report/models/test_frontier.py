"""Quality beside speed: which models no other beats in both, and who taught whom."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report import frontier_table
from arbench.report.drawings import draw
from arbench.report.models.frontier import entries, frontier, teacher_of
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Model, Trained

BITS = {"nv@good": 3.0, "nv@fast": 3.5, "nv@bad": 3.6, "nv@student": 3.2}
SPEED = {"nv@good": 1.0, "nv@fast": 0.1, "nv@bad": 0.5, "nv@student": 0.2}


def weights(preset: str, **more: object) -> Trained:
    said = Trained("speech", BITS[preset], "bits per sample", True, 0, 9, "0" * 64, None, "1" * 64)
    return msgspec.structs.replace(said, **more)


def described(**more: object) -> list[Model]:
    student = {"nv@student": {"teacher": "wavenet:nv@good"}}
    return [
        Model("wavenet", preset, "", "audio sample", trained=weights(preset, **{**student.get(preset, {}), **more}))
        for preset in BITS
    ]


def each(line):
    """Return an edit that makes four trained models of one, of other speeds."""
    if not isinstance(line, Case) or line.model != "wavenet":
        return line
    made = []
    for preset, factor in SPEED.items():
        facts = {"median_s": line.median_s * factor} if line.median_s else {}
        case = msgspec.structs.replace(line, preset=preset, id=line.id.replace(":nv", f":{preset}"), **facts)
        made.append(msgspec.structs.replace(case, ci95_s=None) if case.ci95_s else case)
    return made


@pytest.fixture
def results(build):
    return build(edit=each, described=described())


def test_the_frontier_is_what_no_other_beats_in_bits_and_seconds(results) -> None:
    (group,) = entries(results)
    assert [one.label for one in group] == [f"wavenet:{p}" for p in sorted(BITS, key=BITS.__getitem__)]
    assert [one.label for one in frontier(group, "sample")] == [
        "wavenet:nv@fast",
        "wavenet:nv@student",
        "wavenet:nv@good",
    ]


def test_times_are_of_the_fastest_method_at_the_largest_size(results) -> None:
    (group,) = entries(results)
    for one in group:
        for op, case in one.best.items():
            known = [
                c
                for c in results.cases.values()
                if (f"wavenet:{c.preset}", c.op, c.status) == (one.label, op, "ok") and c.median_s
            ]
            largest = max(c.n for c in known)
            assert case.n == largest
            assert case.median_s == min(c.median_s for c in known if c.n == largest)
            assert one.seconds(op) == case.median_s / case.n


def test_a_student_is_joined_to_its_teacher(results) -> None:
    (group,) = entries(results)
    taught = {one.label: teacher_of(one, group) for one in group}
    assert taught.pop("wavenet:nv@student").label == "wavenet:nv@good"
    assert set(taught.values()) == {None}
    notes = frontier_table(results).notes
    assert "wavenet:nv@student was distilled from wavenet:nv@good" in notes


def test_other_data_and_other_units_are_not_compared(build) -> None:
    models = described()
    models[1] = msgspec.structs.replace(models[1], trained=weights("nv@fast", data_sha256="2" * 64))
    models[2] = msgspec.structs.replace(models[2], trained=weights("nv@bad", unit="bits per pixel"))
    found = entries(build(edit=each, described=models))
    assert [[one.label for one in group] for group in found] == [
        ["wavenet:nv@good", "wavenet:nv@student"],
        ["wavenet:nv@fast"],
        ["wavenet:nv@bad"],
    ]


def test_bits_of_the_training_data_are_no_quality(build) -> None:
    results = build(edit=each, described=described(held_out=False))
    assert entries(results) == []
    assert frontier_table(results) is None


def test_random_weights_have_no_frontier(build) -> None:
    results = build()
    assert frontier_table(results) is None
    assert "frontier" not in {one.name for one in draw(results)}
    assert "Quality beside speed" not in page(results, [])


def test_page_summary_and_figure_show_it(results) -> None:
    drawings = draw(results)
    assert "frontier" in {one.name for one in drawings}
    html = page(results, drawings)
    assert 'id="frontier"' in html
    assert html.count("wavenet:nv@student was distilled from wavenet:nv@good") == 1
    rows = [line for line in summary(results).splitlines() if line.startswith("| wavenet:nv&#64;good | 3.000 |")]
    assert [line.rpartition("| ")[2] for line in rows] == ["scoring and sampling |"]
    table = frontier_table(results)
    assert [row[-1] for row in table.rows] == [
        "scoring and sampling",
        "scoring and sampling",
        "scoring and sampling",
        "no",
    ]
