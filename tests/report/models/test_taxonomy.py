"""The taxonomy with measured values, for a terminal, page and summary."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report import brief, taxonomy
from arbench.report.models.jobs import families, job
from arbench.report.models.taxonomy import LEGEND
from arbench.report.models.verdicts import best
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Fit, Model

SEQUENTIAL, FLOW = (
    "fully sequential, parallel over positions in training",
    "distilled, inverse autoregressive flow",
)
REMARK = "Scoring outside data needs an inversion."
DESCRIBED = (
    Model("pixelcnn", "gated", SEQUENTIAL, "sub-pixel", "arXiv:1606.05328"),
    Model("wavenet", "nv", SEQUENTIAL, "audio sample", "arXiv:1609.03499"),
    Model("parallel_wavenet", "paper", FLOW, "audio sample", "arXiv:1711.10433", f"{REMARK}\n"),
)
NAMES = ["wavenet:nv", "pixelcnn:gated", "parallel_wavenet:paper"]


@pytest.fixture(scope="module")
def write(load):
    from pathlib import Path

    return load(Path(__file__).parents[1] / "conftest.py").write


@pytest.fixture(scope="module")
def described(write, tmp_path_factory):
    return write(tmp_path_factory.mktemp("described") / "results.jsonl", described=DESCRIBED)


def worked(line):
    """Add fits of work: N for the cached sampler, as claimed, and N squared for the naive one, against the claim."""
    if not isinstance(line, Fit) or line.metric != "depth" or line.op != "sample":
        return line
    fitted = "N^2" if line.method == "naive" else "N"
    work = msgspec.structs.replace(
        line,
        metric="work",
        claimed="N",
        fitted=fitted,
        exponent=2.0 if fitted == "N^2" else 1.0,
        verdict="holds" if fitted == "N" else "fails",
    )
    return [line, work]


def column(table, title: str) -> list[str]:
    (at,) = [i for i, one in enumerate(table.columns) if one.title == title]
    return [row[at] for row in table.rows]


def test_models_stand_by_family_in_the_order_of_the_file(described):
    assert families(described) == {
        SEQUENTIAL: ["pixelcnn:gated", "wavenet:nv"],
        FLOW: ["parallel_wavenet:paper"],
    }
    table = taxonomy(described)
    assert table.sections == {0: SEQUENTIAL, 4: FLOW}
    assert column(table, "model") == [
        name for name in ("pixelcnn:gated", "wavenet:nv", "parallel_wavenet:paper¹") for _ in ("scoring", "sampling")
    ]
    assert table.notes == ["¹ " + REMARK]
    short = brief(described, 110)
    assert short.sections == {0: SEQUENTIAL, 2: FLOW}
    assert short.notes == [LEGEND, "¹ " + REMARK]  # the terminal breaks them into lines, once


def test_one_family_or_none_makes_no_taxonomy(results, write, tmp_path):
    assert taxonomy(results) is None  # from a file without lines on models
    assert brief(results, 110) is None
    assert families(results) == {"of no family": NAMES}
    alone = write(tmp_path / "results.jsonl", described=DESCRIBED[:2])
    assert families(alone)["of no family"] == ["parallel_wavenet:paper"]
    assert taxonomy(alone) is None


def test_depth_is_claimed_measured_and_a_formula(described):
    table = taxonomy(described)
    wavenet = slice(2, 4)
    assert column(table, "by")[wavenet] == ["parallel", "cached"]
    assert column(table, "claimed")[wavenet] == ["O(1)", "O(N)"]
    assert column(table, "measured")[wavenet] == ["O(1)", "O(N)"]
    assert column(table, "depth")[wavenet] == ["106", "148·N + 3"]
    assert column(table, "reference")[wavenet] == ["sequential: O(1), 131", "naive: O(N), 106·N"]
    assert column(table, "nfe")[wavenet] == ["1", "16,384"]
    (line,) = [row for row in brief(described, 140).rows if row[0] == "wavenet:nv"]
    assert line[:5] == ["wavenet:nv", "256-16,384", "O(1) 106", "O(N) 148·N + 3", "16,384"]


def test_the_sampler_that_keeps_what_it_knows_is_shown_though_naive_was_faster(write, tmp_path):
    def faster(line):
        if not isinstance(line, Case) or line.model != "wavenet":
            return line
        if line.method == "naive" and line.median_s:
            return msgspec.structs.replace(line, median_s=1e-6, ci95_s=(1e-6, 1e-6))
        return None if line.n > 1024 else line  # where naive was not timed

    results = write(tmp_path / "results.jsonl", described=DESCRIBED, edit=faster)
    assert best(results, "wavenet:nv", "sample").method == "naive"
    table = taxonomy(results)
    assert column(table, "by")[2:4] == ["parallel", "cached"]


def test_a_claim_that_fails_is_told(write, tmp_path):
    def wrong(line):
        if isinstance(line, Fit) and (line.model, line.method, line.metric) == ("wavenet", "cached", "depth"):
            return msgspec.structs.replace(line, claimed="1", verdict="fails")
        return line

    results = write(tmp_path / "results.jsonl", described=DESCRIBED, edit=wrong)
    (line,) = [row for row in brief(results, 110).rows if row[0] == "wavenet:nv"]
    assert line[3] == "O(1) claimed, O(N)"
    assert line[-1] == "4 hold, 1 FAILS"
    assert "4 hold, 1 FAILS" in column(taxonomy(results), "claims")


def test_work_of_an_element_says_whether_it_grows(write, tmp_path):
    results = write(tmp_path / "results.jsonl", described=DESCRIBED, edit=worked)
    table = taxonomy(results)
    assert column(table, "as N grows")[2:4] == ["—", "constant"]
    assert "work/element (MFLOP)" in [one.heading for one in table.columns]
    assert column(table, "work/element")[3] == "0.9388"  # 2 x 469,376, at every N
    assert [row[5] for row in brief(results, 110).rows if row[0] == "wavenet:nv"] == ["0.9388 ="]
    naive = msgspec.structs.replace(job(results, "wavenet:nv", "sample").fit, method="naive")
    assert results.fits[*naive.key, "work"].fitted == "N^2"

    def attention(line):
        found = worked(line)
        for one in found if isinstance(found, list) else []:
            if one.metric == "work":
                one.fitted = "N^2"
        return found

    grown = write(tmp_path / "grown.jsonl", described=DESCRIBED, edit=attention)
    assert column(taxonomy(grown), "as N grows")[3] == "grows with N"
    assert [row[5] for row in brief(grown, 110).rows if row[0] == "wavenet:nv"] == ["0.9388 ↑"]


def test_a_terminal_gets_no_line_longer_than_it_is(described):
    for width in (112, 120, 140):
        assert max(map(len, brief(described, width).lines(width))) <= width
    assert [row[3] for row in brief(described, 112).rows] == ["O(N)", "O(N)", "O(1)"]
    assert [row[3] for row in brief(described, 140).rows] == [
        "O(N) 173·N + 40·√(N/3) + 12",
        "O(N) 148·N + 3",
        "O(1) 249",
    ]


def test_page_and_summary_hold_the_taxonomy_with_its_footnotes(described):
    html = page(described, [])
    assert f'colspan="16">{SEQUENTIAL}</th>' in html
    assert html.index(SEQUENTIAL) < html.index(FLOW) < html.index("¹ " + REMARK)
    markdown = summary(described)
    assert f"| **{SEQUENTIAL}** |" in markdown
    assert f"- ¹ {REMARK}" in markdown
    lines = markdown.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith(f"| **{FLOW}**")]
    assert lines[at].count("|") == lines[at + 1].count("|") == 17
