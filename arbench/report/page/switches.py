"""The switches of a page: one for each method, with the mark that the method has in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.markers import MarkerStyle

from arbench.report.figures.style import VARIABLES, implementation_looks, looks
from arbench.report.labels import method_key, of_kernels, of_models
from arbench.report.table import order
from arbench.results import Results

_SIZE = 12
"""Side of a mark, pixels."""


@dataclass(frozen=True)
class Switch:
    """A switch that hides and shows a method in every table and figure.

    Attributes:
        name: the method, as rows and parts of figures state it.
        color: its colour in figures, as CSS.
        mark: its mark in figures, as SVG.
    """

    name: str
    color: str
    mark: Markup


def switches(files: Sequence[Results]) -> list[Switch]:
    """Return the switches of all methods, in the order of the tables."""
    models = [case for results in files for case in order(of_models(results))]
    kernels = [case for results in files for case in order(of_kernels(results))]
    methods = dict.fromkeys(map(method_key, models))
    known = looks(((name, name) for name in methods), (case.method for case in models))
    found = [_switch(name, known[name].color, known[name].marker) for name in methods]
    others = implementation_looks((case.method, case.backend, method_key(case)) for case in kernels)
    return found + [_switch(name, *others[name][:2]) for name in dict.fromkeys(map(method_key, kernels))]


def _switch(name: str, color: str, marker: str) -> Switch:
    shown = VARIABLES.get(color, color)
    style = MarkerStyle(marker)
    outline = style.get_path().transformed(style.get_transform())
    polygons = [np.asarray(one, dtype=float) for one in outline.to_polygons(closed_only=False)]
    scale = (_SIZE / 2 - 1) / max(float(np.abs(one).max()) for one in polygons)
    path = "".join(
        "M" + "L".join(f"{_SIZE / 2 + x * scale:.1f} {_SIZE / 2 - y * scale:.1f}" for x, y in one.tolist()) + "z"
        for one in polygons
    )
    size = f'width="{_SIZE}" height="{_SIZE}" viewBox="0 0 {_SIZE} {_SIZE}"'
    return Switch(name, shown, Markup(f'<svg aria-hidden="true" {size}><path style="fill:{shown}" d="{path}"/></svg>'))
