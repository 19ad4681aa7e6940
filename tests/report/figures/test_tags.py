"""Tags of a figure's parts become attributes of a page."""

from __future__ import annotations

import re

from arbench.report.figures.drawing import Drawing
from arbench.report.figures.style import new_figure
from arbench.report.figures.tags import tag, tag_legend

NASTY = 'a"b&<c>:d %20é'


def drawn() -> Drawing:
    figure = new_figure(3, 2)
    axes = figure.subplots()
    tag(axes.errorbar([1], [1], yerr=[[0.1], [0.2]], label="one", capsize=3), NASTY, f"case/{NASTY}")
    tag(axes.plot([1, 2], [1, 2], label="two"), "plain")
    tag_legend(axes.legend(), [NASTY, "plain"])
    return Drawing("name", "caption", figure)


def test_methods_and_cases_are_attributes_and_ids_stay_unique() -> None:
    asked = []
    markup = drawn().markup(lambda case: asked.append(case) or "case-1")
    escaped = "a&quot;b&amp;&lt;c&gt;:d %20é"
    assert set(asked) == {f"case/{NASTY}"}
    assert set(re.findall(r'data-method="([^"]*)"', markup)) == {escaped, "plain"}
    assert set(re.findall(r'data-key="([^"]*)"', markup)) == {escaped, "plain"}
    assert len(re.findall(f'data-method="{escaped}" data-case="case-1"', markup)) == 4  # a mark, two caps and a bar
    ids = re.findall(r'\bid="([^"]*)"', markup)
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("name-") for one in ids)


def test_a_case_that_the_page_does_not_explain_has_no_attribute() -> None:
    assert "data-case" not in drawn().markup()
    assert "data-method" in drawn().markup()
