"""Several runs on one page."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.report import render_several
from arbench.results import Case, Fit, Run, read


@pytest.fixture(scope="module")
def written(results, kernels, tmp_path_factory):
    """Return the page of a run of models, of the same run under another name, and of a run of kernels."""
    folder = tmp_path_factory.mktemp("several")
    runs = {"first": (results, folder), "again <b>": (results, folder), "kernels": (kernels, folder)}
    (page,) = render_several(runs, folder / "page")
    return page.read_text(encoding="utf-8")


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(written) -> None:
    body = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)
    ids = re.findall(r'\bid="([^"]+)"', body)
    assert len(set(ids)) == len(ids)
    links = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r'data-case="([^"]+)"', body))
    assert links
    assert links <= set(ids)


def test_the_runs_answers_and_maps_come_before_what_they_share_and_each_run(written) -> None:
    order = ['id="runs"', 'id="run1-answer"', 'id="run2-answer"', 'id="run1-map"', 'id="shared"', 'id="run1-top"']
    places = [written.index(one) for one in [*order, 'id="run2-top"', 'id="run3-kernels"']]
    assert places == sorted(places)


def test_shared_cases_are_compared_with_the_first(written) -> None:
    shared = written[written.index('id="shared"') : written.index('id="run1-top"')]
    assert "again &lt;b&gt; / first" in shared
    assert "Only in kernels" in shared
    assert "none differs" in shared
    assert "<b>" not in shared.replace("<b>?</b>", "")


def test_runs_without_a_common_case_say_so(results, kernels, tmp_path) -> None:
    (page,) = render_several({"a": (results, tmp_path), "b": (kernels, tmp_path)}, tmp_path / "page")
    assert "No case of a is in another run" in page.read_text(encoding="utf-8")


def test_a_method_has_one_switch_for_all_runs(written) -> None:
    names = re.findall(r'<input type="checkbox" checked value="([^"]+)"', written)
    assert len(set(names)) == len(names)
    assert {"cached", "parallel", "torch · eager"} <= set(names)


def test_a_method_of_ones_own_has_one_colour_in_the_figures_of_all_runs(build, models, kernel_table, tmp_path) -> None:
    def named(changed):
        return lambda line: (
            msgspec.structs.replace(line, method=changed.get(line.method, line.method))
            if isinstance(line, Case | Fit)
            else line
        )

    both = dict(models=models[:1], kernels=kernel_table[:1])
    first = build(**both, edit=named({"cached": "novel", "torch": "peer"}))
    second = build(**both, edit=named({"cached": "novel", "naive": "newer", "torch": "peer", "arbench": "another"}))
    (page,) = render_several({"a": (first, tmp_path), "b": (second, tmp_path)}, tmp_path / "page")
    text = page.read_text(encoding="utf-8")
    switched = re.findall(r'<input type="checkbox" checked value="([^"]+)".*?<path style="fill:([^"]+)"', text)
    colors = {name: {color} for name, color in switched}
    assert {"novel", "newer", "peer · eager", "another · numba"} <= colors.keys()
    for method, drawn in re.findall(r'<g id="[^"]+" data-method="([^"]+)"[^>]*>(.*?)</g>', text, flags=re.DOTALL):
        colors[method] |= set(re.findall(r"stroke: (var\(--\w+\))", drawn))
    assert {name: found for name, found in colors.items() if len(found) != 1} == {}


def test_another_machine_is_a_warning(results, build, tmp_path) -> None:
    def elsewhere(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, environment={**line.environment, "threads": {"torch": 7}})
        return line

    other = build(edit=elsewhere)
    (page,) = render_several({"a": (results, tmp_path), "b": (read(tmp_path), tmp_path)}, tmp_path / "page")
    assert other.cases
    assert "b was not measured in the environment of a" in page.read_text(encoding="utf-8")
