"""The page as a reader has it: sorted, filtered, switched, in both themes, on a phone, printed, by keyboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

WIDE, PHONE = (1280, 900), (390, 844)
"""Width and height of a screen, pixels."""

CASES = "#cases table"


def column(page: Any, table: str, title: str) -> list[str]:
    """Return the cells of a table's column, those of visible rows from top to bottom."""
    return page.evaluate(
        """([table, title]) => {
            const found = document.querySelector(table)
            const at = [...found.tHead.rows[0].cells].findIndex((cell) => cell.textContent.startsWith(title))
            return [...found.querySelectorAll('tbody:not(.section) tr')]
                .filter((row) => row.checkVisibility()).map((row) => row.cells[at].textContent)
        }""",
        [table, title],
    )


def sort(page: Any, table: str, title: str) -> str:
    """Click on a heading and return the direction that it then states."""
    heading = page.locator(f"{table} thead th", has_text=title).first
    heading.locator(".sort").click()
    page.wait_for_function("table => document.querySelector(`${table} th[aria-sort]`)", arg=table)
    page.wait_for_timeout(50)
    return heading.get_attribute("aria-sort")


def test_a_heading_sorts_by_value_and_again_the_other_way(visit, report) -> None:
    page = visit(report).page
    before = column(page, CASES, "N")
    assert sort(page, CASES, "N") == "ascending"
    sizes = [int(cell.replace(",", "")) for cell in column(page, CASES, "N")]
    assert sizes == sorted(sizes)
    assert len(sizes) == len(before)
    assert sort(page, CASES, "N") == "descending"
    sizes = [int(cell.replace(",", "")) for cell in column(page, CASES, "N")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 16_384


def test_what_is_unknown_comes_last_in_both_directions(visit, report) -> None:
    page = visit(report).page
    for direction in ("ascending", "descending"):
        assert sort(page, CASES, "time") == direction
        times = column(page, CASES, "time")
        known = [float(cell) for cell in times if cell != "—"]
        assert known == sorted(known, reverse=direction == "descending")
        assert times[len(known) :] == ["—"] * (len(times) - len(known)) != []


def test_help_beside_a_heading_explains_and_does_not_sort(visit, report) -> None:
    page = visit(report).page
    heading = page.locator(f"{CASES} th", has_text="nfe")
    heading.locator(".help").click()
    assert page.locator("#about-term-nfe").is_visible()
    assert heading.get_attribute("aria-sort") is None
    page.keyboard.press("Escape")
    assert not page.locator("#about-term-nfe").is_visible()


def test_the_filter_keeps_rows_with_all_words_and_counts_them(visit, report) -> None:
    page = visit(report).page
    total = len(column(page, CASES, "method"))
    page.locator("#cases input[type=search]").fill("Cached wavenet:nv")
    assert set(column(page, CASES, "method")) == {"cached"}
    assert set(column(page, CASES, "model")) == {"wavenet:nv"}
    left = len(column(page, CASES, "method"))
    assert page.locator("#cases output").inner_text() == f"{left} of {total} rows"
    page.locator("#cases input[type=search]").fill("")
    assert len(column(page, CASES, "method")) == total


def test_a_switch_acts_on_tables_figures_and_the_list_of_cases(visit, report) -> None:
    page = visit(report).page
    parts = page.locator("svg [data-method=cached]")
    assert parts.count() > 10
    seen = "parts => parts.filter((part) => getComputedStyle(part).display !== 'none').length"
    others = page.locator("svg [data-method=naive]").evaluate_all(seen)
    page.locator(".switch input[value=cached]").uncheck()
    assert "cached" not in column(page, CASES, "method")
    assert "cached" not in column(page, "#model-1 table", "method")
    assert parts.evaluate_all(seen) == 0
    assert page.locator("details.case[data-method=cached]").evaluate_all(seen) == 0
    assert page.locator("svg [data-method=naive]").evaluate_all(seen) == others > 0
    assert page.locator("svg [data-key=cached]").evaluate_all(seen) > 0, "the legend stays, paler"
    page.get_by_role("button", name="none", exact=True).click()
    assert column(page, CASES, "method") == []
    page.get_by_role("button", name="all", exact=True).click()
    assert "cached" in column(page, CASES, "method")
    assert parts.evaluate_all(seen) == parts.count()


def test_a_method_has_one_colour_in_switches_figures_and_samples(visit, report) -> None:
    page = visit(report).page
    found = page.evaluate(
        """() => {
            const colors = {}
            const add = (name, color) => { (colors[name] ??= new Set()).add(color) }
            for (const label of document.querySelectorAll('.switch')) {
                add(label.querySelector('input').value, getComputedStyle(label.querySelector('path')).fill)
            }
            for (const part of document.querySelectorAll('svg g[data-method] path')) {
                add(part.closest('[data-method]').dataset.method, getComputedStyle(part).stroke)
            }
            for (const part of document.querySelectorAll('details[data-method] .dots')) {
                add(part.closest('[data-method]').dataset.method, getComputedStyle(part).stroke)
            }
            return Object.fromEntries(Object.entries(colors).map(([name, one]) => [name, [...one]]))
        }"""
    )
    assert len(found) > 5
    assert {name: colors for name, colors in found.items() if len(colors) != 1} == {}


def test_the_pointer_over_a_mark_of_a_figure_shows_its_case(visit, report) -> None:
    page = visit(report).page
    mark = page.locator("#model-1 figure svg g[data-case]").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    text = tip.inner_text()
    for part in ("wavenet:nv score parallel", "95% interval", "samples", "stopped", "arbench run --model wavenet:nv"):
        assert part in text
    page.mouse.move(2, 2)
    tip.wait_for(state="hidden")


def test_a_finger_on_a_method_shows_its_case_and_stays(visit, report) -> None:
    page = visit(report, PHONE, has_touch=True, is_mobile=True).page
    page.locator("#model-1 a.of").first.tap()
    page.locator("#tip").wait_for(state="visible")
    assert "#case" not in page.url
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE[0]


def test_the_page_is_used_by_keyboard_alone(visit, report) -> None:
    page = visit(report).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator(".switch input").first.focus()
    page.keyboard.press("Space")
    assert not page.locator(".switch input").first.is_checked()
    page.keyboard.press("Space")
    page.locator("#answer .term").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#about-term-depth").is_visible()
    page.keyboard.press("Escape")
    heading = page.locator(f"{CASES} th").nth(3)
    heading.locator(".sort").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(50)
    assert heading.get_attribute("aria-sort") == "ascending"
    link = page.locator(f"{CASES} a.of").first
    link.focus()
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    page.keyboard.press("Escape")
    tip.wait_for(state="hidden")
    place = link.get_attribute("data-case")
    page.keyboard.press("Enter")
    page.locator(f"#{place} .about").wait_for(state="visible")
    assert page.url.endswith(f"#{place}")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_chosen_and_is_kept(visit, report, system) -> None:
    page = visit(report, color_scheme=system).page
    papers = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#map svg text')).fill"
    assert page.evaluate(paper) == papers[system]
    other = "dark" if system == "light" else "light"
    before = page.evaluate(ink)
    page.locator(".theme select").select_option(other)
    assert page.evaluate(paper) == papers[other]
    assert page.evaluate(ink) != before, "figures follow the theme"
    page.reload()
    page.locator(".theme select").wait_for(state="visible")
    assert page.evaluate(paper) == papers[other]
    page.locator(".theme select").select_option("auto")
    assert page.evaluate(paper) == papers[system]


@pytest.mark.parametrize("name", ["report", "kernel_report", "several_report"])
@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["390px", "1280px"])
def test_nothing_hangs_over_the_edge_and_wide_tables_and_figures_say_so(visit, name, size, request) -> None:
    page = visit(request.getfixturevalue(name), size).page
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    silent = page.evaluate(
        """() => [...document.querySelectorAll('.grid, figure[x-data]')].filter((grid) => {
            const frame = grid.querySelector('.scroll')
            return (frame.scrollWidth > frame.clientWidth + 1) !== grid.querySelector('.more').checkVisibility()
        }).length"""
    )
    assert silent == 0
    assert page.locator(".grid .more:visible").count() > 0
    assert (page.locator("figure .more:visible").count() > 0) == (size == PHONE)


def test_tables_have_the_width_of_the_window(visit, report) -> None:
    page = visit(report, WIDE).page
    assert page.locator("#cases .scroll").first.bounding_box()["width"] > WIDE[0] - 110


def test_print_shows_all_but_closed_cases_on_white_without_controls(visit, report) -> None:
    page = visit(report, color_scheme="dark").page
    page.emulate_media(media="print")
    for gone in (".switches", ".tools", ".theme", "nav", ".help"):
        assert page.locator(gone).first.is_hidden(), gone
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # A4 without its margins is 186 mm wide, and 277 mm across, at 96 pixels an inch
    for width, inside in ((703, "section:not(.broad)"), (1047, "section.broad")):
        page.set_viewport_size({"width": width, "height": 1000})
        wide = page.evaluate(
            """(inside) => [...document.querySelectorAll(`${inside} table, ${inside} svg, ${inside} pre`)]
                .filter((part) => part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 1)
                .map((part) => `${part.closest('section').id}: ${part.getBoundingClientRect().right}`)""",
            inside,
        )
        assert wide == []
    pdf = page.pdf(prefer_css_page_size=True)
    count = max(map(int, re.findall(rb"/Type\s*/Pages\b[^>]*?/Count\s+(\d+)", pdf)))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == count > 5, "/Pages is the list of them"
    closed = page.locator("details.case:not([open])")
    assert closed.count() > 10
    assert closed.locator("summary").first.is_visible()
    assert closed.locator(".about").first.is_hidden(), "a reader opens those that he wants to print"


def test_without_scripts_everything_can_still_be_read(visit, report) -> None:
    page = visit(report, java_script_enabled=False).page
    assert page.locator(".switches").is_hidden()
    assert page.locator(".tools").first.is_hidden()
    assert page.locator("#cases table tbody tr").first.is_visible()
    assert page.locator("#terms dd").first.is_visible()
    page.locator("details.case summary").first.click()
    assert page.locator("details.case .about").first.is_visible()
    page.locator("#answer .term").first.click()
    assert page.locator("#about-term-depth").is_visible()


def test_no_element_has_a_handler_of_its_own_and_the_policy_stops_one(visit, report, tmp_path: Path) -> None:
    page = visit(report).page
    handlers = (
        "[...document.querySelectorAll('*')].flatMap((one) => [...one.attributes]).filter((a) => /^on/.test(a.name))"
    )
    assert page.evaluate(f"{handlers}.length") == 0
    changed = tmp_path / "report.html"
    planted = '<img src="http://127.0.0.1:9/x.png"><script>document.title = "planted"</script>'
    changed.write_text(report.read_text(encoding="utf-8").replace("<main", planted + "<main", 1), encoding="utf-8")
    stopped = visit(changed)
    assert stopped.page.title() != "planted"
    assert sum("Content Security Policy" in line for line in stopped.said) == 2
    stopped.said.clear()
    assert stopped.asked.pop() == "http://127.0.0.1:9/x.png", "asked for, and stopped by the policy"


def test_a_page_is_small(report, several_report) -> None:
    assert report.stat().st_size < 1_000_000
    assert several_report.stat().st_size < 2_000_000
