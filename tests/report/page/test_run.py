"""The report as a page and in brief: well-formed, complete, escaped, and the same each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from arbench.report import answers, render, rows
from arbench.report.drawings import draw
from arbench.report.html import all_scripts
from arbench.report.html.terms import term_of
from arbench.report.kernels.tables import kernel_rows, kernel_tables
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Fit, Ratio, Run, Samples, Slowdown

NASTY = "<script>alert('x')</script>|`*_"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Outline(HTMLParser):
    """Parser that asserts balanced tags and collects tags, ids, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "src", "xlink:href"):
                self.links.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words += data


def html(paths) -> str:
    return paths[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(results, drawings) -> str:
    """Return the page of ``results``."""
    return page(results, list(drawings.values()))


def test_what_is_written(rendered_both) -> None:
    names = [path.name for path in rendered_both]
    assert names[:4] == ["report.html", "summary.md", "map.svg", "map.png"]
    assert all(path.is_file() for path in rendered_both)
    assert "](figures/map.svg)" in rendered_both[1].read_text(encoding="utf-8")


def test_page_is_well_formed_and_its_ids_are_unique(whole) -> None:
    outline = Outline(whole)
    assert whole.count('<svg role="img"') == 7
    assert len(set(outline.ids)) == len(outline.ids)
    for link in outline.links:
        assert link.startswith("#")
        assert link[1:] in outline.ids


def test_page_fetches_nothing(whole) -> None:
    text = re.sub(r"<script>.*?</script>", "", whole, flags=re.DOTALL)  # those are judged by their digests
    assert not re.search(r"@import|<(link|iframe|img|script)\b|\bsrc\s*=|url\((?!#)", text)
    assert not re.search(r'href\s*=\s*"(?!#)', text)


def test_page_says_what_a_reader_came_for(whole, results) -> None:
    words = " ".join(Outline(whole).words.split())
    sentences = [sentence for answer in answers(results) for sentence in answer.sentences[:-1]]
    assert sentences
    assert re.search(r"scoring depth\s*O\(1\) parallel\s*sampling depth\s*O\(N\) cached", words)
    assert [sentence for sentence in sentences if sentence not in words] == []
    for expected in (
        "13 hold",
        "1 fails",
        "depth grows as O(N), as claimed: 148·N + 3",
        "claimed depth O(1), measured O(N)",
        "no answer in 60 s",
        "element 431 differs",
        "predicted to take longer than the budget",
        "order-statistic",
        "Example 4-core, 2.4 GHz",
        "147 GFLOP/s",
        "61.5 GB/s",
        "seed 0",
        "git 0123abc",
        "arbench run --model wavenet --data 'my voice.wav'",
    ):
        assert expected in words


def test_no_figure_is_blown_up_to_the_page(build, models, whole) -> None:
    def scoring(line):
        return line if getattr(line, "op", "score") == "score" else None

    results = build(models=models[:1], edit=scoring)
    wide = [int(found) for found in re.findall(r"--wide: (\d+)px", page(results, draw(results)))]
    assert len(wide) == 2
    assert all(width < 800 for width in wide)
    assert max(int(found) for found in re.findall(r"--wide: (\d+)px", whole)) > 900


def test_a_link_to_a_case_says_what_it_opens_and_its_name_and_time_are_apart(whole) -> None:
    links = re.findall(r'<a class="of"[^>]*>', whole)
    assert len(links) > 50
    assert all('aria-describedby="opens"' in one for one in links)
    assert whole.count('id="opens" hidden>Enter opens the case') == 1
    named = re.findall(r"<summary>(.*?)</summary>", whole)
    said = [re.sub("<[^>]+>", "", one) for one in named]
    assert any(re.fullmatch(r"wavenet:nv sample cached, N = 256, [\d.]+ ms\b.*", one) for one in said), said[:3]


def test_figures_take_the_colours_of_the_page(whole) -> None:
    text = whole
    svg = text[text.index('<svg role="img"') : text.index("<footer>")]
    assert "var(--ink)" in svg
    assert "#1f2328" not in svg


def test_names_are_escaped_in_page_figures_and_summary(build, models, tmp_path) -> None:
    def rename(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, argv=["arbench", "run", NASTY], run_id=NASTY)
        changed = {"error": NASTY} if getattr(line, "error", None) else {}
        if isinstance(line, Case):
            changed |= {"element": NASTY}
        if isinstance(line, Case | Fit):
            return msgspec.structs.replace(line, model=NASTY, method=NASTY + line.method, **changed)
        return line

    paths = render(build(models=models[:1], edit=rename), tmp_path)
    outline = Outline(html(paths))
    assert outline.tags.count("script") == len(all_scripts())
    assert NASTY in outline.words
    markdown = (tmp_path / "summary.md").read_text(encoding="utf-8")
    body = markdown[: markdown.index("Repeat it")]
    assert "<script>" not in body.replace("\\<script\\>", "")
    for path in paths:
        assert path.parent in (tmp_path, tmp_path / "figures")
        assert re.fullmatch(r"[\w.-]+", path.name)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((Run,), "No case has finished"),
        ((Run, Samples), "No case has finished"),
        ((Run, Case), "No growth over N was fitted"),
        ((Run, Case, Ratio), "No growth over N was fitted"),
        ((Run, Fit), "No case has finished"),
    ],
)
def test_whatever_is_there_renders_and_says_what_is_missing(build, models, tmp_path, kept, said) -> None:
    results = build(models=models[:1], edit=lambda line: line if isinstance(line, kept) else None)
    paths = render(results, tmp_path / "report")
    assert said in Outline(html(paths)).words
    assert said in (tmp_path / "report" / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("status", ["error", "oom", "inexact", "over_budget", "timeout"])
def test_a_run_without_any_ok_case_renders(build, tmp_path, status: str) -> None:
    def spoil(line):
        if isinstance(line, Case):
            return msgspec.structs.replace(
                line, status=status, median_s=None, ci95_s=None, range_s=None, depth=None, flops=None
            )
        return None if isinstance(line, Fit | Ratio) else line

    words = Outline(html(render(build(edit=spoil), tmp_path))).words
    assert "No case is ok" in words


def test_one_size_and_one_worker_render(build, models, tmp_path) -> None:
    def smallest(line):
        return line if getattr(line, "n", 256) == 256 and not isinstance(line, Fit) else None

    words = Outline(html(render(build(models=models[:1], workers=1, edit=smallest), tmp_path))).words
    assert "Timed at fewer than four sizes" in words


def test_empty_environment_renders(build) -> None:
    def bare(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, environment={}, limits={}, argv=[], git=None)
        return line

    assert "None recorded." in Outline(page(build(edit=bare), [])).words


def test_page_and_summary_say_why_a_depth_is_unknown(build, models) -> None:
    def depthless(line):
        if isinstance(line, Case) and (line.method, line.n) == ("cached", 512):
            return msgspec.structs.replace(line, depth=None, why_unknown="a <b>reason</b>")
        return line

    results = build(models=models[:1], edit=depthless)
    words = " ".join(Outline(page(results, [])).words.split())
    assert "depth unknown (—): a <b>reason</b>: sample cached at N = 512" in words
    assert "depth unknown (—): a <b>reason</b>: wavenet:nv sample cached at N = 512" in words
    assert "- depth unknown (—): a &lt;b&gt;reason&lt;/b&gt;: sample cached at N = 512" in summary(results)


def test_rendering_twice_writes_the_same(both, rendered_both, tmp_path) -> None:
    again = render(both, tmp_path)
    assert [path.name for path in again] == [path.name for path in rendered_both]
    assert {"map.svg", "wavenet-nv-depth.png", "fractions.svg", "roofline.png"} <= {path.name for path in again}
    for one, other in zip(rendered_both, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_summary_is_brief_and_has_the_verdicts(results, drawings) -> None:
    markdown = summary(results, list(drawings.values()))
    assert "**wavenet:nv**\n\n- At N = 1,024 fixed\\_point samples " in markdown
    assert " as fast as naive.\n- Scoring depth O(1) (parallel), sampling depth O(N) (cached).\n" in markdown
    assert "- FAILS: pixelcnn:gated scoring (sequential)" in markdown
    assert "![" in markdown
    assert "](figures/map.svg)" in markdown
    tables = re.findall(r"^\|.*\|$", markdown, flags=re.MULTILINE)
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables[:3]}
    assert len(widths) == 1
    assert len(markdown.splitlines()) < 125


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
    assert page.count('<svg role="img"') == 2
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
    assert page.count('<svg role="img"') == 5
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


PLAIN = {"model", "op", "method", "time", "kernel", "configuration", "implementation"}
"""Columns that need no word."""


def test_the_page_explains_every_column_that_it_shows(build, models, results) -> None:
    native = {"step_bytes": 4096, "exchanges": 0, "first_call_s": 3.0, "accepted": 2.5}
    chunks = dict(chunk=256, first_s=0.012, gap_median_s=0.01, gap_p99_s=0.02, gap_worst_s=0.02, gaps=500, noise_s=1e-3)

    def edit(line):
        if isinstance(line, Case) and (line.method, line.op) == ("cached", "sample"):
            line = msgspec.structs.replace(line, verified=native, **chunks)
            score = line.id.replace("sample/cached", "score/parallel")
            return [line, Slowdown(line.id, score, 30.0, None)]
        return line

    whole = build(models=models[:1], edit=edit)
    whole.run.limits["read"] = whole.run.limits["copy"]
    titles = {column.title for column in rows(whole).columns}
    assert {"of limit", "compiling call", "over scoring", "streams (worst gap)"} <= titles
    text = page(whole, [])
    assert [one for one in titles if one not in PLAIN and term_of(one) is None] == []
    for anchor in (term_of(one).anchor for one in titles if one not in PLAIN):
        assert f'popovertarget="about-{anchor}"' in text
        assert f'popover class="tip" id="about-{anchor}"' in text
        assert f'<div id="{anchor}"><dt>' in text
    plain = page(results, [])
    assert "term-of-limit" not in plain
    assert "term-compiling-call" not in plain


def test_every_column_of_kernels_is_explained(kernels) -> None:
    titles = {
        column.title for table in (kernel_rows(kernels), *kernel_tables(kernels, 1000)) for column in table.columns
    }
    assert {"of limit", "bound by", "rate"} <= titles
    assert [one for one in titles if one not in PLAIN and term_of(one) is None] == []


def test_the_comma_behind_a_method_stays_on_its_line(results) -> None:
    named = page(results, []).partition("Methods:")[2].partition("</p>")[0].strip().splitlines()
    assert len(named) > 1
    assert all(line.startswith('<span class="whole">') for line in named)
    assert [line[-8:] for line in named] == [",</span>"] * (len(named) - 1) + [".</span>"]
    assert ".whole { white-space: nowrap; }" in page(results, [])
