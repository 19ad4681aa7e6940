"""The figure of where the time of a call goes: parts that add up, in the order of the table."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex

from arbench.report.figures.palette import LIGHT
from arbench.report.figures.style import PAPER
from arbench.report.models.split import parts, time_split
from arbench.results import Profile

CACHED, NAIVE, PARALLEL = (
    "wavenet:nv/sample/cached/512",
    "wavenet:nv/sample/naive/512",
    "wavenet:nv/score/parallel/512",
)


def line(case: str, outside: str = "python", divided: bool = True) -> Profile:
    known = (0.1, 0.05, 0.04, 0.06) if divided else (None,) * 4
    names = ("fixed_s", "slower_s", "arithmetic_s", "memory_s")
    return Profile(
        case=case,
        seconds=1.0,
        profiled_s=2.0,
        calls=3,
        outside=outside,  # type: ignore[arg-type]
        outside_s=0.75,
        operators=100,
        operators_s=0.25,
        most=[],
        **dict(zip(names, known, strict=True)),
    )


@pytest.mark.parametrize("outside", ["python", "idle", "unseen"])
@pytest.mark.parametrize("divided", [True, False])
def test_the_parts_are_the_call(outside, divided) -> None:
    found = parts(line(CACHED, outside, divided))
    assert sum(found.values()) == pytest.approx(1.0)
    assert len(found) == (5 if divided else 2)
    assert next(iter(found.values())) == 0.75


def test_a_bar_for_each_profiled_case_that_ends_at_the_whole(results, build) -> None:
    profiled = build()
    for one in (line(CACHED), line(NAIVE, "unseen", divided=False), line(PARALLEL)):
        profiled.add(one)
    figure = time_split(profiled, "wavenet:nv", PAPER)
    assert figure is not None
    assert figure.get_figwidth() == PAPER.column
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "scoring: parallel, N = 512",
        "sampling: naive, N = 512",
        "sampling: cached, N = 512",
    ]
    ends = {}
    for bar in axes.patches:
        place = round(bar.get_y() + bar.get_height() / 2)
        ends[place] = max(ends.get(place, 0), bar.get_x() + bar.get_width())
    assert ends == {0: pytest.approx(1), 1: pytest.approx(1), 2: pytest.approx(1)}
    assert [text.get_text() for text in axes.texts] == ["1.0 s"] * 3 or len(axes.texts) == 3
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {
        "Python between operators",
        "Python or code that no trace shows",
        "fixed cost of operators",
        "operators slower than their limit",
        "arithmetic",
        "memory",
        "operators, not divided",
    }
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}
    assert len(looks) == len(legend), "any two parts look different"
    assert not {to_hex(color) for color, _ in looks} & set(LIGHT.values()), "colours are those of methods"
    assert time_split(profiled, "pixelcnn:gated") is None
    assert time_split(results, "wavenet:nv") is None
