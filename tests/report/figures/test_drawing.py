"""Rendering of a figure, its markup and its file name."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from arbench.report.figures.drawing import Drawing
from arbench.report.models.map import growth_map


def test_the_raster_image_has_the_layout_of_the_vector_image(results) -> None:
    first, second = (Drawing("map", "the map", growth_map(results)) for _ in range(2))
    alone = first.png
    assert second.svg
    assert second.png == alone


def test_captions_are_escaped_on_a_page(drawings) -> None:
    hostile = Drawing("name", '"<b>&', drawings["map"].figure)
    assert 'aria-label="&quot;&lt;b&gt;&amp;"' in hostile.markup()


def test_a_file_says_what_it_shows_and_what_to_see_and_a_page_says_it_below(results) -> None:
    one = Drawing("map", "the <map>", growth_map(results), see="Look & see.")
    parts = {node.tag.rpartition("}")[2]: node.text for node in ET.fromstring(one.svg)}
    assert (parts["title"], parts["desc"]) == ("the <map>", "Look & see.")
    assert b"/Subject (Look & see.)" in one.pdf
    shown = one.picture(more="Bars are ranges.")
    assert shown.text == "The <map>. Look & see. Bars are ranges."
    assert shown.name == "the <map>"
    assert "<title>" not in shown.svg, "it would cover what a mark says under the pointer"
    assert "<desc>" not in shown.svg
    assert "<desc>" not in Drawing("map", "the map", growth_map(results)).svg
