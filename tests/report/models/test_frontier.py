"""Quality beside speed: which models no other beats in both, and who taught whom."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.report import frontier_table
from arbench.report.drawings import draw
from arbench.report.figures.palette import LIGHT
from arbench.report.models.frontier import entries, frontier, teacher_of, tied
from arbench.report.models.frontier_figure import lines
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Decoded, Model, Trained

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


def test_a_model_whose_times_may_be_equal_is_named(build) -> None:
    def wide(line):
        """The bad weights are as fast as the fast ones, within their interval."""
        made = each(line)
        for at, one in enumerate(made if isinstance(made, list) else []):
            if one.median_s:
                ends = (one.median_s * (0.1 if one.preset == "nv@bad" else 0.99), one.median_s * 1.01)
                made[at] = msgspec.structs.replace(one, range_s=ends)
        return made

    results = build(edit=wide, described=described())
    (group,) = entries(results)
    assert [one.label for one in tied(group, "sample")] == ["wavenet:nv@bad"]
    notes = frontier_table(results).notes
    assert "May be on the frontier of sampling too, as intervals overlap: wavenet:nv@bad" in notes


def test_no_model_is_said_to_be_as_fast_as_one_that_is_clearly_faster(results) -> None:
    assert not any(note.startswith("May be on") for note in frontier_table(results).notes)


def test_marks_and_names_lead_to_the_cases_that_they_show(results) -> None:
    (group,) = entries(results)
    (drawing,) = (one for one in draw(results) if one.name == "frontier")
    shown = re.findall(r'<g id="[^"]+" data-method="[^"]+" data-case="([^"]+)"', drawing.markup(lambda case: case))
    expected = [one.best[op].id for one in group for op in ("sample", "score")]
    assert sorted(shown) == sorted(2 * expected), "each a mark and a name"
    ids = re.findall(r'\bid="([^"]+)"', drawing.markup())
    assert len(set(ids)) == len(ids)
    assert not set(LIGHT.values()) & set(re.findall(r"#[0-9a-f]{6}", drawing.svg)), "colours are those of methods"


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


def test_times_are_compared_at_one_size(build) -> None:
    def edit(line):
        """The good weights were not timed beyond N = 1024, and the bad ones only at sizes that no others have."""
        kept = []
        for one in made if isinstance(made := each(line), list) else [made]:
            preset = getattr(one, "preset", "") if isinstance(one, Case) else ""
            if preset == "nv@good" and one.n > 1024:
                continue
            if preset == "nv@bad":
                one = msgspec.structs.replace(one, n=one.n + 1, id=f"{one.id}1")
            kept.append(one)
        return kept

    results = build(edit=edit, described=described())
    (group,) = entries(results)
    compared = {one.label: {op: one.best[op].n for op in one.compared} for one in group}
    assert compared.pop("wavenet:nv@bad") == {}
    assert list(compared.values()) == [{"score": 1024, "sample": 1024}] * 3
    assert "wavenet:nv@bad" not in [one.label for one in frontier(group, "sample")]
    table = frontier_table(results)
    assert [row[-1] for row in table.rows if row[0] == "wavenet:nv@bad"] == ["—"]
    note = "wavenet:nv@bad was not timed as the others were: the frontier leaves out its scoring and sampling"
    assert table.notes.count(note) == 1


@pytest.mark.parametrize(("verified", "fastest"), [({"rounded_weights": "bfloat16"}, "cached"), ({}, "fixed_point")])
def test_rounded_weights_do_not_have_the_bits_of_the_others(build, verified, fastest) -> None:
    def edit(line):
        made = each(line)
        if not isinstance(line, Case) or (line.model, line.method) != ("wavenet", "fixed_point"):
            return made
        return [msgspec.structs.replace(one, verified=verified) for one in made]

    (group,) = entries(build(edit=edit, described=described()))
    assert {one.best["sample"].method for one in group} == {fastest}


def test_a_teacher_is_one_by_its_weights(build) -> None:
    models = described()
    models[3] = msgspec.structs.replace(models[3], trained=weights("nv@student", teacher="wavenet:nv@another"))
    (group,) = entries(build(edit=each, described=models))
    assert {teacher_of(one, group) for one in group} == {None}


def test_bits_of_other_elements_are_not_compared(build) -> None:
    models = described(elements=1000)
    models[1] = msgspec.structs.replace(models[1], trained=weights("nv@fast", elements=999))
    found = entries(build(edit=each, described=models))
    assert ["wavenet:nv@fast"] in [[one.label for one in group] for group in found]


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


EQUAL = {
    "nv@good": [Decoded("greedy", 1000, 990)],
    "nv@student": [Decoded("argmax", 1000, 900), Decoded("noisy parallel", 1000, 980)],
    "nv@fast": [Decoded("greedy", 1000, 995)],
}
"""Translations: bits of the student are of more than the translation, and those of the third of another part."""


def translating(**more):
    models = []
    for one in described():
        facts = {"translations": EQUAL.get(one.preset, []), **more.get(one.preset.removeprefix("nv@"), {})}
        if one.preset == "nv@student":
            facts["unit"] = "bits per symbol or fertility"
        models.append(msgspec.structs.replace(one, trained=msgspec.structs.replace(one.trained, **facts)))
    return models


def test_models_that_translate_are_compared_by_their_translations(build):
    results = build(edit=each, described=translating())
    translated, bits = entries(results)
    assert [(one.label, one.cost) for one in translated] == [
        ("wavenet:nv@fast", pytest.approx(0.5)),
        ("wavenet:nv@good", pytest.approx(1.0)),
        ("wavenet:nv@student", pytest.approx(10.0)),
    ]
    assert [one.label for one in bits] == ["wavenet:nv@good", "wavenet:nv@fast", "wavenet:nv@bad"]
    assert [one.label for one in frontier(translated, "sample")] == ["wavenet:nv@fast"]  # it is the fastest too
    student = translated[-1]
    assert teacher_of(student, translated).label == "wavenet:nv@good"
    table = frontier_table(results)
    assert table.columns[1].heading == "held out"
    assert [row[:2] for row in table.rows if "student" in row[0]] == [["wavenet:nv@student", "10.00 %"]]
    assert "3.000 bits" in [row[1] for row in table.rows]
    notes = "\n".join(table.notes)
    assert "wavenet:nv@student was distilled from wavenet:nv@good" in notes
    assert "wavenet:nv@student: exact 90.00% by argmax decoding (95%: 87.98% to 91.71%), 98.00% by noisy" in notes
    assert "% of held-out translations that differ from the reference, of 1,000 pairs, held-out part of speech" in notes
    html = page(results, draw(results))
    assert "translations that differ, %" in html
    assert html.count("Models that translate are compared by the translations") == 1


def test_translations_of_other_pairs_are_not_compared(build):
    more = {"translations": [Decoded("greedy", 999, 990)]}
    found = entries(build(edit=each, described=translating(good=more, fast={"data_sha256": "2" * 64})))
    kinds = [(one[0].measure.pairs, [entry.label for entry in one]) for one in found]
    assert sorted(kinds, key=str) == [
        (1000, ["wavenet:nv@fast"]),
        (1000, ["wavenet:nv@student"]),
        (999, ["wavenet:nv@good"]),
        (None, ["wavenet:nv@good", "wavenet:nv@bad"]),
    ]


def test_a_table_of_percentages_alone_says_so_once(build):
    alone = [one for one in translating() if one.preset == "nv@student"]
    table = frontier_table(build(edit=each, described=alone))
    assert (table.columns[1].heading, [row[1] for row in table.rows]) == ("held out (%)", ["10.00"])


def test_page_summary_and_figure_show_it(results) -> None:
    drawings = draw(results)
    assert "frontier" in {one.name for one in drawings}
    html = page(results, drawings)
    assert 'id="frontier"' in html
    assert "Models that translate" not in html
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


def test_a_symbol_of_a_translation_may_be_two_elements(build):
    results = build(edit=each, described=translating(student={"per_symbol": 2}))
    translated = entries(results)[0]
    sizes = {one.label: (one.best["sample"].n, one.size(one.best["sample"])) for one in translated}
    assert sizes == {
        "wavenet:nv@fast": (2048, 2048),
        "wavenet:nv@good": (2048, 2048),
        "wavenet:nv@student": (4096, 2048),
    }
    student = translated[-1]
    assert student.compared == {"score", "sample"}
    assert student.seconds("sample") == student.best["sample"].median_s / 2048
    table = frontier_table(results)
    assert "Of translations an element is a symbol; fertilities are no elements of their own here" in table.notes
    (row,) = [row for row in table.rows if row[0] == student.label]
    (other,) = [row for row in table.rows if row[:2] == ["wavenet:nv@fast", "0.50 %"]]
    assert float(row[3]) == pytest.approx(2 * float(other[3]) * SPEED["nv@student"] / SPEED["nv@fast"], rel=0.2)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("transformer:small@help", "transformer:small@help"),
        ("wavenet:unconditional@speech", "wavenet:\nunconditional@speech"),
        ("grouped_pixelcnn:digits_sequential@digits", "grouped_pixelcnn:\ndigits_sequential@digits"),
        (f"lstm:tiny,{'width=64,' * 9}layers=2@lstm-1a2b3c4d", "lstm:\ntiny,width=64,…2@lstm-1a2b3c4d"),
    ],
)
def test_names_in_the_figure_are_whole_on_two_lines(label, said) -> None:
    assert lines(label) == said
