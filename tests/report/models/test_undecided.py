"""Undecided claims of one cause are one line, and no claim is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from arbench.report import sentences
from arbench.report.models.undecided import doubtful
from arbench.report.page.run import page
from arbench.report.summary import summary
from arbench.results import Fit, Results, Run


@pytest.fixture
def short(build: Callable[..., Results]) -> Callable[..., Results]:
    """Return a function that builds a run whose claims on depth have these sizes, one model's or all models'."""

    def built(sizes: list[int], model: str = "", many: int = 1000, options: dict[str, Any] | None = None) -> Results:
        left = iter(range(many))

        def edit(line: Any) -> Any:
            if isinstance(line, Run) and options is not None:
                return msgspec.structs.replace(line, plan={**line.plan, "options": options})
            chosen = isinstance(line, Fit) and line.metric == "depth" and line.model.startswith(model)
            if not chosen or next(left, None) is None:
                return line
            why = f"{len(sizes)} sizes measured; a verdict needs 4"
            gone = dict(verdict="undecided", fitted=None, residual=None, why=why)
            return msgspec.structs.replace(line, **gone, sizes=sizes, values=[9.0] * len(sizes))

        return build(edit=edit)

    return built


def test_claims_with_too_few_sizes_are_one_line(short: Callable[..., Results]) -> None:
    results = short([4, 8, 16], options={"count_budget": 1.5})
    claims = [one for one in sentences(results) if one.verdict == "undecided"]
    (several,) = doubtful(results).gathered
    assert several.line == (
        f"undecided: {len(claims)} claims of 3 models: fewer than 4 sizes of N were counted, too few for a verdict; "
        "give a longer --count-budget (it was 1.5 s), or more sizes with --n"
    )
    assert several.claims == claims
    assert doubtful(results).told == []


def test_claims_whose_sizes_lie_close_are_one_line(short: Callable[..., Results]) -> None:
    results = short([64, 81, 100, 144], "wavenet", options={})
    found = doubtful(results)
    assert [several.line for several in found.gathered] == [
        "undecided: 5 claims of wavenet:nv: the sizes of N that were counted span less than 4x, too little for a "
        "verdict; give a longer --count-budget, or sizes further apart with --n"
    ]
    assert [one.verdict for one in found.told] == ["fails"]


@pytest.mark.parametrize("many", [1, 2, 3])
def test_one_or_two_claims_are_told_in_full(many: int, short: Callable[..., Results]) -> None:
    found = doubtful(short([8], "wavenet", many))
    assert [len(several.claims) for several in found.gathered] == ([3] if many == 3 else [])
    assert sum(one.verdict == "undecided" for one in found.told) == (0 if many == 3 else many)


def test_claims_undecided_for_other_reasons_are_told_in_full(short: Callable[..., Results]) -> None:
    results = short([4, 8, 16, 32])
    assert len(doubtful(results).told) > 3
    assert doubtful(results).gathered == []


def test_summary_and_page_keep_every_claim(short: Callable[..., Results]) -> None:
    results = short([4, 8, 16])
    (several,) = doubtful(results).gathered
    text, html = summary(results), page(results, [])
    shown, _, folded = text.partition(f"<details><summary>{several.title}</summary>")
    assert shown.count("undecided: ") == 1
    listed, _, _ = folded.partition("</details>")
    assert listed.count("\n- undecided: ") == len(several.claims)
    assert html.count("sizes measured; a verdict needs 4") == len(several.claims)
