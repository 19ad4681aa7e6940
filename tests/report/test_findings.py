"""Findings of a check for a terminal, as markdown and as JUnit XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from arbench.findings import Check, Finding
from arbench.report.findings import junit, lines, markdown, measured, verdict

CASE = "wavenet:nv/sample/cached/eager/cpu/float32/b1/n64"
OPS = Finding(
    "exact",
    CASE,
    "ops",
    "regression",
    "sampling of wavenet:nv launches 84 operations a step, 63 before",
    4032,
    5376,
    1 / 3,
    model="wavenet:nv",
)
SLOWER = Finding(
    "time",
    CASE,
    "seconds",
    "regression",
    "cached sampling of wavenet:nv is slower",
    0.0112,
    0.0114,
    0.018,
    (0.0152, 0.0218),
    0.005,
    "wavenet:nv",
)
FASTER = Finding(
    "time",
    "made:tiny/score/parallel/eager/cpu/float32/b1/n8",
    "seconds",
    "improvement",
    "scoring is faster",
    0.2,
    0.1,
    -0.04,
    (-0.052, -0.031),
    0.01,
)
UNDECIDED = Finding("time", "maf:tiny/score/x/n1", "seconds", "undecided", "equal code differs", 1.0, 1.0, 0.0)
ADDED = Finding("exact", "iaf:tiny/sample/parallel/n1", "case", "added", "iaf is new")
REMOVED = Finding("exact", "old:tiny/sample/parallel/n1", "case", "removed", "old is gone")
UNMEASURED = Finding("time", "big:nv/sample/naive/n1", "seconds", "unmeasured", "out of memory")
SAME = [Finding("exact", f"lstm:tiny/score/parallel/n{n}", "counters", "same", "as it was") for n in range(37)]
ALL = [*SAME, REMOVED, ADDED, FASTER, UNMEASURED, UNDECIDED, OPS, SLOWER]


def check(*findings: Finding, **more) -> Check:
    return Check("main (0123abc)", "the working tree", findings=list(findings), **more)


def marks(said: list[str]) -> str:
    return "".join(line[2] for line in said if re.match(r"  [✓✗?+=-] ", line))


def test_what_matters_most_comes_first_and_the_verdict_last() -> None:
    said = lines(check(*ALL), 100)
    assert marks(said) == "✗✗?✓+-?"
    assert " ".join(said[-2:]) == (
        "the working tree against main (0123abc): 2 regressions, 1 undecided, 1 improvement, 1 added, "
        "1 removed, 1 not measured, 37 unchanged"
    )
    assert "as it was" not in " ".join(said)


def test_times_that_are_the_same_are_shown_with_their_interval() -> None:
    same = Finding("time", CASE, "seconds", "same", "takes the same time", 1.0, 1.0, 0.001, (-0.002, 0.004), 0.005)
    said = lines(check(*SAME, same), 100)
    assert marks(said) == "="
    assert said[:2] == ["  = takes the same time", f"    {CASE}: 0.1% slower [-0.2, 0.4], threshold 0.5%"]
    page = markdown(check(*SAME, same))
    assert "takes the same time" in page
    assert "<summary>37 unchanged</summary>" in page


def test_a_finding_is_its_text_then_its_case_and_numbers() -> None:
    said = lines(check(OPS, SLOWER), 100)
    assert said[:4] == [
        f"  ✗ {OPS.text}",
        f"    {CASE}: ops 4,032 before, 5,376 now",
        f"  ✗ {SLOWER.text}",
        f"    {CASE}: 1.8% slower [1.5, 2.2], threshold 0.5%",
    ]


@pytest.mark.parametrize(
    ("change", "interval", "threshold", "said"),
    [
        (0.018, (0.0152, 0.0218), 0.005, "1.8% slower [1.5, 2.2], threshold 0.5%"),
        (-0.04, (-0.048, -0.031), 0.01, "4.0% faster [3.1, 4.8], threshold 1%"),
        (0.0712, (0.04, 0.11), 0.02, "7% slower [4, 11], threshold 2%"),
        (0.001, (-0.012, 0.014), 0.02, "0% [-2, 2], threshold 2%"),
        (-0.003, (-0.004, 0.001), None, "0.3% faster [-0.1, 0.4]"),
        (0.5, None, None, "50% slower"),
        (0.5, (0.1, float("inf")), None, "50% slower"),
        (0.02, (0.02, 0.02), None, "2.00% slower [2.00, 2.00]"),
    ],
)
def test_times_have_no_digit_that_their_interval_does_not_support(change, interval, threshold, said) -> None:
    finding = Finding("time", CASE, "seconds", "same", "", 1.0, 1.0, change, interval, threshold)
    assert measured(finding) == said


def test_other_values_are_told_before_and_now() -> None:
    assert measured(Finding("exact", CASE, "exactness", "regression", "", "pointwise", "approximate")) == (
        "exactness pointwise before, approximate now"
    )
    assert measured(Finding("exact", CASE, "depth", "undecided", "", 7, None)) == "depth 7 before, none now"
    peak = Finding("exact", CASE, "peak_bytes", "regression", "", 1000, 2000, 1.0, None, 0.05)
    assert measured(peak) == "peak_bytes 1,000 before, 2,000 now, threshold 5%"
    assert measured(ADDED) == ""


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([OPS, FASTER, FASTER, *SAME], "1 regression, 2 improvements, 37 unchanged"),
        ([*SAME], "no regression, 37 unchanged"),
        ([UNDECIDED], "no regression, 1 undecided"),
        ([ADDED, REMOVED], "nothing could be compared, 1 added, 1 removed"),
        ([UNMEASURED], "nothing could be compared, 1 not measured"),
        ([], "nothing could be compared"),
    ],
)
def test_the_verdict_in_words(findings, said) -> None:
    assert verdict(check(*findings)) == said
    assert " ".join(lines(check(*findings), 200)[-1:]).endswith(f": {said}")
    assert markdown(check(*findings)).startswith(f"### arbench check: {said}\n")


def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it() -> None:
    long = Finding("exact", "a/b", "ops", "regression", "word " * 60 + "\x1b[2Jend\n\nlast")
    said = lines(check(long, notes=["note " * 40]), 80)
    assert max(map(len, said)) <= 80
    assert "\x1b" not in "".join(said)
    assert all(line.startswith("    ") for line in said[1:4])
    assert sum(line.count("word") for line in said) == 60
    assert sum(line.count("note") for line in said) == 40


def test_markdown_has_what_changed_in_a_table_and_folds_the_rest() -> None:
    said = markdown(check(*ALL, environment={"cpu": {"model": "Example"}}, notes=["a <note>"]))
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 7
    assert table[2].startswith("| ✗ regression | sampling of wavenet:nv launches 84")
    assert table[3].split(" | ")[2] == r"1.8% slower \[1.5, 2.2\], threshold 0.5%"
    assert said.count("<details>") == said.count("</details>") == 2
    folded = said[said.index("<details>") :]
    assert "<summary>37 unchanged</summary>" in folded
    assert "- lstm:tiny/score/parallel/n36: counters" in folded
    assert "- cpu.model: Example" in folded
    assert r"- a &lt;note&gt;" in said[: said.index("<details>")]


def test_markdown_of_nothing_that_changed_has_no_table_and_hostile_text_stays_in_its_cell() -> None:
    assert "|" not in markdown(check(*SAME))
    bad = Finding("exact", "a|b", "ops", "regression", "x | y\n<script>\n\n# head", "`1|", 2)
    (row,) = [line for line in markdown(check(bad)).splitlines() if line.startswith("| ✗")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "<script>" not in row


def test_junit_has_a_testcase_a_finding() -> None:
    found = check(*ALL, seconds=12.5, environment={"cpu": {"model": "Example", "flags": None}}, notes=["a note"])
    root = ET.fromstring(junit(found))
    assert root.tag == "testsuites"
    (suite,) = root
    for element in (root, suite):
        totals = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
        assert totals == {
            "tests": "44",
            "failures": "2",
            "errors": "0",
            "skipped": "4",
            "time": "12.500",
        }
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 44, "system-out"]
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties == {
        "before": "main (0123abc)",
        "after": "the working tree",
        "cpu.model": "Example",
    }
    cases = list(suite.iter("testcase"))
    tags = [[child.tag for child in case] for case in cases[37:]]
    assert tags == [["skipped"], ["skipped"], ["system-out"], ["skipped"], ["skipped"], *[["failure"]] * 2]
    assert (cases[-1].get("classname"), cases[-1].get("name")) == ("time.wavenet:nv", f"{CASE} seconds")
    assert (cases[-2].get("classname"), cases[-2].get("name")) == ("exact.wavenet:nv", f"{CASE} ops")
    assert cases[0].get("classname") == "exact", "a finding without a model"
    failure = cases[-1].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == (SLOWER.text, "seconds")
    assert failure.text == "1.8% slower [1.5, 2.2], threshold 0.5%"
    skipped = cases[37].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "old is gone"
    assert suite.findtext("system-out") == "a note"


def test_junit_holds_quotes_markup_and_what_xml_cannot() -> None:
    text = 'it\'s "5" < 6 & ]]> \x1b[31mred\x00 \ud800 ü 漢 🎵\ntwo'
    bad = Finding("exact", 'a"<&\x07/b', "o\x01ps", "regression", text, text, None, model='a"<&\x07')
    root = ET.fromstring(junit(check(bad, notes=[text], environment={"k\x02": text})))
    shown = 'it\'s "5" < 6 & ]]> \\u001b[31mred\\u0000 \\ud800 ü 漢 🎵\ntwo'
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name")) == ('exact.a"<&\\u0007', 'a"<&\\u0007/b o\\u0001ps')
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == shown
    assert root.findtext("testsuite/system-out") == shown
    assert {one.get("value") for one in root.iter("property")} >= {shown}
