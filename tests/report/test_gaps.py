"""Sentences on what a results file lacks."""

from __future__ import annotations

import msgspec

from arbench.report.gaps import gaps
from arbench.report.summary import summary
from arbench.results import Case, Fit, Resume, Verification


def test_the_summary_counts_unstable_cases_once(results) -> None:
    text = summary(results)
    assert "1 case is unstable" not in text
    assert text.count("Unstable: 1 of ") == 1


def test_gaps_of_a_whole_run_are_only_its_unstable_cases(results) -> None:
    assert gaps(results) == ["1 case is unstable: samples scatter more than they should."]


def test_gaps_of_broken_runs(build) -> None:
    def broken(line):
        if isinstance(line, Case):
            return msgspec.structs.replace(line, status="error", stopped_by="interrupted")
        return None if isinstance(line, Fit) else line

    results = build(edit=broken)
    results.add(Verification("another", "ok", "pointwise", None))
    results.add(Resume("r", "later", [], {}, {}, ["cpu.name"]))
    said = " ".join(gaps(results))
    assert "No case is ok" in said
    assert "1 case is verified but without a row" in said
    assert f"{len(results.cases)} cases are interrupted" in said
    assert "No growth over N was fitted" in said
    assert "Resumed at later; the environment had changed: cpu.name." in said


def test_gaps_of_one_size(build) -> None:
    def one_size(line):
        return None if getattr(line, "n", 256) not in (256, 192) else line

    said = " ".join(gaps(build(edit=one_size)))
    assert "Timed at fewer than four sizes" in said
