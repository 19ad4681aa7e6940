"""Rendering of a figure, its markup and its file name."""

from __future__ import annotations

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
