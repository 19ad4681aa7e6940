"""The figures of a report: which there are, and what their text is."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import msgspec
import pytest
from matplotlib.text import Text

from arbench.report.drawings import draw
from arbench.report.figures.drawing import save
from arbench.report.figures.style import PAPER
from arbench.report.markdown import escape
from arbench.report.page import page
from arbench.report.page.run import BARS
from arbench.report.summary import summary
from arbench.results import Case, Fit

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_map_and_two_figures_per_model(drawings, tmp_path) -> None:
    assert list(drawings) == [
        "map",
        "wavenet-nv-seconds",
        "wavenet-nv-depth",
        "pixelcnn-gated-seconds",
        "pixelcnn-gated-depth",
        "parallel-wavenet-paper-seconds",
        "parallel-wavenet-paper-depth",
    ]
    paths = save([drawings["map"], drawings["wavenet-nv-seconds"]], tmp_path / "figures")
    assert [path.name for path in paths] == ["map.svg", "map.png", "wavenet-nv-seconds.svg", "wavenet-nv-seconds.png"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_drawing_leaves_no_global_state(results) -> None:
    before = dict(mpl.rcParams)
    overview = draw(results)[0]
    assert overview.svg
    assert overview.png
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_ticks_are_words(drawings) -> None:
    shown = texts(drawings["wavenet-nv-seconds"].svg)
    assert {"10 ms", "100 ms", "1 s", "16,384"} <= set(shown)
    assert not any("$" in text for text in shown)


def test_names_are_text_and_never_markup(build) -> None:
    nasty = "<b>&$x^2$</b>"

    def rename(line):
        if isinstance(line, Case | Fit) and line.model == "wavenet":
            return msgspec.structs.replace(line, model=nasty)
        return line

    drawings = draw(build(edit=rename))
    assert any(nasty in text for text in texts(drawings[0].svg))
    assert all(one.name.replace("-", "").isalnum() for one in drawings)


def test_models_with_alike_names_get_files_of_their_own(build, models) -> None:
    alike = [("a b", *models[0][1:]), ("a-b", *models[0][1:])]
    names = [one.name for one in draw(build(models=alike))]
    assert len(set(names)) == len(names) == 5


@pytest.mark.parametrize("which", ["results", "kernels"])
def test_figures_of_a_paper_fit_its_columns_and_have_their_fonts_inside(which: str, request) -> None:
    for one in draw(request.getfixturevalue(which), PAPER):
        width = one.figure.get_figwidth()
        assert width == PAPER.column or PAPER.column < width <= PAPER.page, one.name
        sizes = {text.get_fontsize() for text in one.figure.findobj(Text) if text.get_text()}
        assert sizes
        assert (5 if one.name == "map" else 6) <= min(sizes) <= max(sizes) <= 9, one.name
        assert b"/Type3" not in one.pdf, "which publishers refuse"
        assert b"/FontFile2" in one.pdf, "TrueType"
        assert texts(one.svg) == [], "outlines"
        box = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+) ([0-9.]+) \]", one.pdf)
        assert box is not None
        assert float(box[1]) == pytest.approx(72 * width)
        assert one.see.endswith(".")


def test_nothing_to_draw(build) -> None:
    assert draw(build(edit=lambda line: None if isinstance(line, Case | Fit) else line)) == []


def test_every_figure_of_a_page_and_a_summary_says_what_to_see(both) -> None:
    found = draw(both)
    assert all(len(one.see) > 40 for one in found)
    below = re.findall(r"<figcaption>(.*?)</figcaption>", page(both, found))
    assert sorted(html.unescape(one).removesuffix(BARS).strip() for one in below) == sorted(one.text for one in found)
    assert sum(BARS in one for one in below) == sum(one.name.endswith(("-seconds", "fractions")) for one in found) == 2
    markdown = summary(both, found)
    shown = re.findall(r"^!\[.*\]\(figures/(.*)\.svg\)\n\n(.*)$", markdown, flags=re.MULTILINE)
    assert {"map", "wavenet-nv-seconds", "fractions", "roofline"} <= {name for name, _ in shown}
    for name, text in shown:
        assert text == escape(next(one.see for one in found if one.name == name))
    assert "![" not in summary(both)
