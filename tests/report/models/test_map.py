"""The map: places, labels, and names alone where there are many models."""

from __future__ import annotations

from itertools import combinations

import msgspec

from arbench.report.figures.palette import LIGHT
from arbench.report.models.map import MANY, growth_map, places
from arbench.results import Case, Fit


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


def test_marks_of_models_have_no_colour_of_a_method_and_the_legend_only_those_that_occur(results, build) -> None:
    alone = build(edit=lambda line: None if getattr(line, "method", "") in ("fixed_point", "own_samples") else line)
    assert any(place.small for place in places(results))
    for found in (results, alone):
        figure = growth_map(found)
        assert figure is not None
        (axes,) = figure.axes
        colors = {line.get_color() for line in axes.lines}
        assert not colors & set(LIGHT.values())
        keys = axes.get_legend().get_lines()
        assert {(line.get_marker(), line.get_color()) for line in keys} == {
            (line.get_marker(), line.get_color()) for line in axes.lines
        }
        assert len(keys) == len(colors) == 1 + any(place.small for place in places(found))


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


def test_a_map_of_many_models_names_them(build, results):
    assert any(place.small for place in places(results))
    copies = []

    def many(line):
        if isinstance(line, Case | Fit) and line.model == "wavenet":
            changed = [msgspec.structs.replace(line, preset=f"p{i}") for i in range(MANY)]
            if isinstance(line, Case):
                changed = [msgspec.structs.replace(one, id=f"{one.preset}/{line.id}") for one in changed]
            copies.append(line)
            return [line, *changed]
        return line

    crowded = build(edit=many)
    assert copies
    found = {place.lines: (place.sample, place.score) for place in places(crowded)}
    assert found["wavenet: nv, " + ", ".join(f"p{i}" for i in range(MANY)),] == ("N", "1")
    assert found["parallel_wavenet: paper",] == ("1", "N")
    assert growth_map(crowded) is not None
