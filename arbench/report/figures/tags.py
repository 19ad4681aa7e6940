"""Tags of a figure's parts: the method and the case that a part shows, for a page that hides and explains them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from urllib.parse import quote, unquote

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend

_TAG = re.compile(r'\bid="tag:(\w+):([^":]*):([^":]*):([\w.]+)"')


def tag(drawn: ErrorbarContainer | Iterable[Artist], method: str, case: str = "") -> None:
    """Tag what was drawn into axes with the method and the case that it shows.

    Args:
        drawn: the parts, all of the same axes.
        method: what a switch of the page calls the method.
        case: id of the case; empty where the parts show several.
    """
    parts = _parts(drawn)
    axes = parts[0].axes
    assert isinstance(axes, Axes)
    place = f"{axes.figure.axes.index(axes)}.{axes.get_children().index(parts[0])}"
    for number, part in enumerate(parts):
        part.set_gid(_gid("method", method, case, f"{place}.{number}"))


def tag_legend(legend: Legend, methods: Iterable[str]) -> None:
    """Tag the first entries of a legend, in their order, with their methods."""
    axes = legend.axes
    place = f"{axes.figure.axes.index(axes)}." if isinstance(axes, Axes) else ""
    for number, (handle, text, method) in enumerate(
        zip(legend.legend_handles, legend.get_texts(), methods, strict=False)
    ):
        for kind, part in (("h", handle), ("t", text)):
            if part is not None:
                part.set_gid(_gid("key", method, "", f"{place}{number}.{kind}"))


def as_data(svg: str, name: str, anchor: Callable[[str], str | None]) -> str:
    """Return SVG text in which tags are ``data-`` attributes: ``data-method``, ``data-key`` and ``data-case``.

    Args:
        svg: the text of a figure.
        name: beginning of the ids.
        anchor: returns the id of the element of the page that explains a case; None where there is none.
    """

    def replaced(found: re.Match[str]) -> str:
        kind, method, case, number = found.groups()
        place = anchor(unquote(case)) if case else None
        where = f' data-case="{escape(place)}"' if place else ""
        return f'id="{name}-{kind}-{number}" data-{kind}="{escape(unquote(method))}"{where}'

    return _TAG.sub(replaced, svg)


def _gid(kind: str, method: str, case: str, number: str) -> str:
    return f"tag:{kind}:{quote(method, safe='')}:{quote(case, safe='')}:{number}"


def _parts(drawn: ErrorbarContainer | Iterable[Artist]) -> list[Artist]:
    if isinstance(drawn, ErrorbarContainer):
        line, caps, bars = drawn.lines
        return [one for one in (line, *caps, *bars) if one is not None]
    return list(drawn)
