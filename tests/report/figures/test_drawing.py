"""Rendering of a figure, its markup and its file name."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from arbench.report.figures.drawing import Drawing
from arbench.report.models.map import growth_map


def test_the_raster_image_has_the_layout_of_the_vector_image(results) -> None:
    first, second = (Drawing("map", "the map", growth_map(results)) for _ in range(2))
    alone = first.png
    assert second.svg
    assert second.png == alone


SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["map", "wavenet-nv-seconds"])
def test_a_file_has_white_paper_and_a_page_its_own(drawings, name) -> None:
    one = drawings[name]
    first = next(ET.fromstring(one.svg).iter(f"{SVG}path"))
    assert first.get("style") == "fill: #ffffff"
    box = [float(end) for end in ET.fromstring(one.svg).get("viewBox").split()]
    ends = [float(end) for end in first.get("d").replace("M", "").replace("L", "").replace("z", "").split()]
    assert (min(ends), max(ends)) == (0, max(box)), "all of the paper"
    assert next(ET.fromstring(one.markup()).iter(f"{SVG}path")).get("style") == "fill: none"
    assert one.markup().count("#ffffff") == one.svg.count("#ffffff") - 1
    assert Image.open(io.BytesIO(one.png)).convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


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
