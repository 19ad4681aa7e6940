"""Sentences and columns on language models, from made-up cases."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from arbench.report import answers, rows
from arbench.report.models.language import HINT, TITLE, language_table
from arbench.report.page import page
from arbench.report.page.details import anchors
from arbench.report.quantities import NONE
from arbench.report.summary import summary
from arbench.report.table import model_tables
from arbench.results import Case, Results, Run


def drawn(method: str = "generate,chunk=1", batch: int = 1, n: int = 64, **more: Any) -> Case:
    """Return a case of 64 tokens after a prompt of 128, one each 10 ms."""
    pace: dict[str, Any] = {}
    if "chunk=1" in method:
        pace = dict(chunk=1, first_s=0.05, gap_median_s=0.01, gap_worst_s=0.02, gaps=63, noise_s=0.001)
    facts = dict(prompt=128, state_bytes=14_155_776, token_bytes=73_728, median_s=0.64, workers=1, samples=8)
    where = dict(id=f"{method}, batch {batch}, N = {n}", preset="tiny,prompt=128")
    return Case(
        model="hf",
        op="sample",
        method=method,
        backend="eager",
        device="cpu",
        dtype="float32",
        batch=batch,
        n=n,
        element="token",
        weights=7,
        status="ok",
        exactness="pointwise",
        **{**facts, **pace, **where, **more},
    )


def measured(*cases: Case) -> Results:
    results = Results(Run(1, "r", "2026-01-05T12:00:00+00:00", [], 0, None, {"options": {}}, {}, {}))
    for case in cases:
        results.add(case)
    return results


def said(*cases: Case) -> tuple[str, ...]:
    (answer,) = answers(measured(*cases))
    assert answer.sentences[-1] == "Sampling depth unknown."
    return answer.sentences[:-1]


CACHE = "The cache takes 73,728 bytes a token and event in float32: 14.2 MB for 192 tokens."


def test_first_token_further_tokens_and_throughput_over_batches() -> None:
    four = drawn(batch=4, first_s=0.1, gap_median_s=0.02, gap_worst_s=0.04, median_s=1.28)
    assert said(drawn(), four) == (
        "After a prompt of 128 tokens generate,chunk=1 has a time to first token of 50 ms and an inter-token latency "
        "of 10.0 ms (median, worst 20 ms) at batch 1; a time to first token of 100 ms and an inter-token latency of 20 "
        "ms (median, worst 40 ms) at batch 4.",
        "Tokens a second at N = 64 after a prompt of 128, whose pass is included: 100 by generate,chunk=1 at batch 1; "
        "200 by generate,chunk=1 at batch 4.",
        CACHE,
    )


def test_acceptance_and_what_would_measure_the_first_token() -> None:
    assisted = drawn("assisted", verified={"accepted": 3.24})
    assert said(drawn("cached", median_s=0.32), assisted) == (
        "Tokens a second at N = 64 after a prompt of 128, whose pass is included: 200 by cached.",
        f"{HINT}.",
        CACHE,
        "Acceptance, tokens for each evaluation of the model: 3.2 by assisted.",
    )


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"token_bytes": 0}, "The state of an event takes 14.2 MB in float32, and a further token adds nothing."),
        ({"token_bytes": None}, "The cache of an event takes 14.2 MB for 192 tokens."),
    ],
)
def test_states_that_do_not_grow(facts: dict[str, Any], line: str) -> None:
    assert said(drawn(**facts))[-1] == line


def test_a_table_by_prompt_and_batch_at_the_largest_n() -> None:
    longer = drawn(prompt=512, preset="tiny,prompt=512", id="longer", first_s=0.2)
    guessing = drawn("assisted", batch=2, verified={"accepted": 3.24})
    results = measured(
        drawn(n=32), drawn(), guessing, longer, drawn("stream,chunk=8", chunk=8, id="coarse", first_s=1.0)
    )
    table = language_table(results)
    assert table is not None
    titles = [column.title for column in table.columns]
    shown = [dict(zip(titles, row, strict=True)) for row in table.rows]
    assert [(row["prompt"], row["batch"], row["N"], row["TTFT"], row["acceptance"]) for row in shown] == [
        ("128", "1", "64", "50", NONE),
        ("128", "2", "64", NONE, "3.2"),
        ("128", "1", "64", NONE, NONE),
        ("512", "1", "64", "200", NONE),
    ]
    assert language_table(measured(drawn(prompt=None))) is None
    assert TITLE in summary(results)
    text = page(results, [])
    section = text[text.index('id="language"') : text.index("</section>", text.index('id="language"'))]
    assert "Each exact sampler at its largest N" in section
    cases = ["generate,chunk=1, batch 1, N = 64", "assisted, batch 2, N = 64", "coarse", "longer"]
    places = anchors(results)
    assert re.findall(r'<a class="of" [^>]*href="#([^"]+)"', section) == [places[case] for case in cases]


def test_columns_have_the_words_of_the_field_where_all_cases_are_of_it() -> None:
    results = measured(drawn(), drawn("assisted", verified={"accepted": 3.24}))
    titles = [column.title for column in rows(results).columns]
    assert {"tokens", "TTFT", "ITL", "worst ITL", "acceptance", "cache/token"} <= set(titles)
    assert "TTFT" in [column.title for column in model_tables(results, 1000)[0].columns]
    other = msgspec.structs.replace(drawn("cached"), id="other", model="mine", prompt=None, token_bytes=None)
    mixed = [column.title for column in rows(measured(drawn(), other)).columns]
    assert {"elements", "first chunk", "gap", "cache/token"} <= set(mixed)
    chunks = [column.title for column in rows(measured(drawn("stream,chunk=1", chunk=8))).columns]
    assert {"tokens", "first chunk"} <= set(chunks)
