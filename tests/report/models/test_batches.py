"""Time per element over the batch size, as a table and a figure."""

from __future__ import annotations

import re

import msgspec

from arbench.report import rows
from arbench.report.drawings import draw
from arbench.report.figures.style import PAPER
from arbench.report.models.batches import batch_figure, batch_table
from arbench.report.page import page
from arbench.report.page.details import anchors
from arbench.report.summary import summary
from arbench.results import Case


def batched(line):
    """Repeat WaveNet's cached sampler at N = 512 in batches: 4 events take as long as 1, and 16 twice as long."""
    if not isinstance(line, Case) or (line.model, line.method, line.n) != ("wavenet", "cached", 512):
        return line
    more = []
    for batch, times in ((1, 1), (4, 1), (16, 2)):
        ends = tuple(end * times for end in line.ci95_s)
        more.append(
            msgspec.structs.replace(
                line, id=f"{line.id}/{batch}", batch=batch, median_s=line.median_s * times, ci95_s=ends
            )
        )
    return more


def test_a_sweep_over_batches_is_a_table_and_a_figure(build, results):
    assert batch_table(results) is None
    assert batch_figure(results) is None
    swept = build(edit=batched)
    table = batch_table(swept)
    assert [column.title for column in table.columns][4:] == [
        "batch 1",
        "batch 4",
        "batch 16",
        "throughput gain",
    ]
    (row,) = table.rows
    assert row[:4] == ["wavenet:nv", "sampling", "cached", "512"]
    assert row[-1] == "8x"
    (drawing,) = (one for one in draw(swept) if one.name == "batches")
    html = page(swept, [drawing])
    assert "Effect of the batch size" in html
    assert html.count("<p>Time per element when several events") == 1
    assert html.count('<svg role="img"') == 1
    assert "Time per element by batch size" in summary(swept)


def test_marks_and_rows_of_a_sweep_lead_to_their_cases(build):
    swept = build(edit=batched)
    cases = [f"wavenet:nv/sample/cached/512/{batch}" for batch in (1, 4, 16)]
    places = anchors(swept)
    (drawing,) = (one for one in draw(swept) if one.name == "batches")
    text = page(swept, [drawing])
    section = text[text.index('id="batches"') : text.index("</section>", text.index('id="batches"'))]
    marks = re.findall(r'<g id="[^"]+" data-method="cached" data-case="([^"]+)"', section)
    assert list(dict.fromkeys(marks)) == [places[case] for case in cases]
    assert re.findall(r'<a class="of" [^>]*href="#([^"]+)"', section) == [places[cases[-1]]]


def test_one_event_at_once_goes_without_saying(build):
    table = rows(build(edit=batched))
    at = [column.title for column in table.columns].index("method")
    methods = [row[at] for row in table.rows]
    assert {"cached", "cached · batch 4", "cached · batch 16"} <= set(methods)
    assert not any("batch 1" in method.split(" · ") for method in methods)


def test_bars_end_inside_the_axes(build):
    def wide(line):
        lines = batched(line)
        if not isinstance(lines, list):
            return lines
        return [msgspec.structs.replace(one, ci95_s=(one.median_s / 9, one.median_s * 9)) for one in lines]

    swept = build(edit=wide)
    cases = [case for case in swept.cases.values() if case.method == "cached" and case.n == 512 and case.ci95_s]
    ends = [end / case.batch / case.n for case in cases if case.model == "wavenet" for end in case.ci95_s]
    low, high = batch_figure(swept).axes[0].get_ylim()
    assert low < min(ends) < max(ends) < high


def test_a_place_without_a_panel_is_empty(build):
    def three(line):
        """Sweep over batches for three samplers, each at an N of its own: three panels in two rows."""
        if not isinstance(line, Case) or line.model != "wavenet" or line.status != "ok" or line.op != "sample":
            return line
        sizes = {"naive": 256, "cached": 512, "fixed_point": 1024}
        if sizes.get(line.method) != line.n:
            return line
        return [msgspec.structs.replace(line, id=f"{line.id}/{batch}", batch=batch) for batch in (1, 4)]

    figure = batch_figure(build(edit=three), PAPER)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == [
        f"wavenet:nv, sampling, N = {n}" for n in ("256", "512", "1,024")
    ]
    assert len(figure.axes) > len(shown)
