from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import msgspec
import pytest

from arbench.report.drawings import draw
from arbench.report.figures.drawing import Drawing, file_name, save
from arbench.report.figures.style import looks
from arbench.report.models.curves import curves
from arbench.report.models.map import growth_map, places
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


def test_the_raster_image_has_the_layout_of_the_vector_image(results) -> None:
    first, second = (draw(results)[0] for _ in range(2))
    alone = first.png
    assert second.svg
    assert second.png == alone


def test_places_on_the_map(results) -> None:
    found = {(p.lines[0], p.small): (p.score, p.sample) for p in places(results)}
    assert found["wavenet:nv", False] == ("1", "N")
    assert found["pixelcnn:gated", False] == ("1", "N")
    assert found["parallel_wavenet:paper", False] == ("N", "1")
    assert found["wavenet:nv", True] == ("1", "1")
    assert found["parallel_wavenet:paper", True] == ("1", "1")
    assert found["pixelcnn:gated", True] == ("N", "N")


def test_the_map_gives_depths_at_the_largest_size_of_a_case(build) -> None:
    def counted_small(line):
        if isinstance(line, Fit):
            return msgspec.structs.replace(line, sizes=line.sizes[:5], values=line.values[:5])
        return line

    wavenet = places(build(edit=counted_small))[0]
    assert wavenet.lines[2] == "depth 106 and 2,424,835 at N = 16,384"


def test_no_label_on_the_map_covers_another(results) -> None:
    figure = growth_map(results)
    assert figure is not None
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) > 10
    for (one, here), (other, there) in combinations(boxes, 2):
        assert not here.overlaps(there), f"{one!r} covers {other!r}"


def test_a_crowded_map_stays_readable(build, models) -> None:
    many = [(f"model_{i}" + "_long" * 2 * i, *models[i % 2][1:]) for i in range(8)]
    figure = growth_map(build(models=many))
    assert figure is not None
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert max(box.x1 for box in boxes) <= axes.get_window_extent(renderer).x1
    assert not any(here.overlaps(there) for here, there in combinations(boxes, 2))


def test_the_curves_show_every_ok_case_and_only_those(results) -> None:
    figure = curves(results, "wavenet:nv", "seconds")
    assert figure is not None
    drawn = sum(len(axes.containers) for axes in figure.axes)
    ok = [c for c in results.cases.values() if c.model == "wavenet" and c.status == "ok"]
    assert drawn == len(ok)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["scoring", "sampling"]


def test_inexact_cases_have_no_depth_on_the_figure(results) -> None:
    figure = curves(results, "pixelcnn:gated", "depth")
    assert figure is not None
    drawn = sum(len(axes.containers) for axes in figure.axes)
    assert drawn == sum(c.model == "pixelcnn" and c.status != "inexact" for c in results.cases.values())


def test_legends_do_not_cover_the_axes(results) -> None:
    for model in ("wavenet:nv", "parallel_wavenet:paper"):
        figure = curves(results, model, "seconds")
        assert figure is not None
        figure.canvas.draw()
        legends = [axes.get_legend().get_window_extent() for axes in figure.axes]
        panels = [axes.get_window_extent() for axes in figure.axes]
        assert not any(legend.overlaps(panel) for legend in legends for panel in panels)
        assert not legends[0].overlaps(legends[1])


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


def test_captions_are_escaped_on_a_page(drawings) -> None:
    hostile = Drawing("name", '"<b>&', drawings["map"].figure)
    assert 'aria-label="&quot;&lt;b&gt;&amp;"' in hostile.markup()


def test_models_with_alike_names_get_files_of_their_own(build, models) -> None:
    alike = [("a b", *models[0][1:]), ("a-b", *models[0][1:])]
    names = [one.name for one in draw(build(models=alike))]
    assert len(set(names)) == len(names) == 5


def test_file_names_are_plain_and_differ() -> None:
    assert file_name("PixelCNN++: 3 sizes!", ()) == "pixelcnn-3-sizes"
    assert file_name("a b", {"a-b", "a-b-2"}) == "a-b-3"
    assert file_name("漢", ()) == "figure"


def test_nothing_to_draw(build) -> None:
    assert draw(build(edit=lambda line: None if isinstance(line, Case | Fit) else line)) == []


def test_one_size_is_drawn(build) -> None:
    results = build(edit=lambda line: None if getattr(line, "n", 256) != 256 else line)
    assert curves(results, "wavenet:nv", "seconds") is not None


def test_a_method_looks_the_same_everywhere() -> None:
    alone = looks([("cached", "cached")])
    among = looks([("naive", "naive"), ("cached", "cached"), ("novel", "novel")])
    assert alone["cached"] == among["cached"]
    variants = looks([("cached", "cached · eager"), ("cached", "cached · numba")])
    colors, markers, styles = zip(*variants.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == 1
    assert len(set(styles)) == 2


@pytest.mark.parametrize(
    "op",
    [
        ["parallel", "sequential", "inversion_fixed_point", "own_samples"],
        ["naive", "cached", "fused", "fixed_point", "forecast", "speculative", "parallel"],
    ],
)
def test_methods_of_one_panel_differ_in_colour_and_marker(op: list[str]) -> None:
    found = looks([(name, name) for name in op])
    assert len({look[0] for look in found.values()}) == len(op)
    assert len({look[1] for look in found.values()}) == len(op)
